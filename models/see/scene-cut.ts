import type { Planes } from '../../media/video-frame.ts';

/** A picture made very small: what is left is where light and dark are. */
const [COLUMNS, ROWS] = [32, 18];
const TAPS = 4;
const BINS = 16;

interface Thumbnail {
  readonly cells: Float32Array;
  readonly histogram: Float32Array;
}
function thumbnail({ y, width, height }: Planes): Thumbnail {
  const cells = new Float32Array(COLUMNS * ROWS);
  const histogram = new Float32Array(BINS);
  for (let row = 0; row < ROWS * TAPS; row += 1) {
    const line = Math.floor(((row + 0.5) * height) / (ROWS * TAPS)) * width;
    for (let column = 0; column < COLUMNS * TAPS; column += 1) {
      const light = y[line + Math.floor(((column + 0.5) * width) / (COLUMNS * TAPS))]!;
      cells[Math.floor(row / TAPS) * COLUMNS + Math.floor(column / TAPS)]! += light / (TAPS * TAPS);
      histogram[light >> 4]! += 1 / (ROWS * COLUMNS * TAPS * TAPS);
    }
  }
  return { cells, histogram };
}

/** How unlike two pictures are: mean difference of their cells' luma, and the part of the pixels whose luma class changed. */
export interface Change {
  readonly luma: number;
  readonly histogram: number;
}

/** Finds where a picture does not go on from the one before it. */
export class SceneCuts {
  #last: Thumbnail | undefined;
  /** How much pictures have changed of late. */
  #usual = 0;

  /** Whether the picture is the first of a scene. The first picture of all is not. */
  push(frame: Planes): boolean {
    return this.judge(this.change(frame));
  }

  /** How the picture differs from the one before it, which it takes the place of. */
  change(frame: Planes): Change | undefined {
    const [last, now] = [this.#last, thumbnail(frame)];
    this.#last = now;
    if (!last) return undefined;
    let [luma, histogram] = [0, 0];
    for (let n = 0; n < now.cells.length; n += 1) luma += Math.abs(now.cells[n]! - last.cells[n]!) / now.cells.length;
    for (let n = 0; n < BINS; n += 1) histogram += Math.abs(now.histogram[n]! - last.histogram[n]!) / 2;
    return { luma, histogram };
  }

  judge(change: Change | undefined): boolean {
    if (!change) return false;
    const usual = this.#usual;
    const cut = change.luma > Math.max(LEAST, TIMES * usual) && (change.histogram > SPREAD || change.luma > CERTAIN);
    this.#usual = cut ? 0 : usual + (change.luma - usual) / MEMORY;
    return cut;
  }
}
/**
 * Thresholds in steps of 8 bit luma. Within seven talking clips pictures differ by at most 2.7; where one of them is
 * followed by another, by at least 18.5.
 */
const [LEAST, CERTAIN] = [10, 30];
/** A cut changes this many times more than pictures did of late. */
const TIMES = 4;
const SPREAD = 0.1;
/** Pictures over which "of late" goes. */
const MEMORY = 8;
