import type { Rgb } from './colour.ts';
import type { FaceId } from '../../pipeline/face.ts';

/** A picture is remembered by the means of so many cells along each side, per colour. */
const CELLS = 32;

/** The gist of a picture: the mean of each cell, per colour. */
export function glance({ width, height, data }: Rgb): Float32Array {
  const out = new Float32Array(3 * CELLS * CELLS);
  const counts = new Uint32Array(CELLS * CELLS);
  for (let row = 0; row < height; row += 1) {
    const line = Math.floor((row * CELLS) / height) * CELLS;
    for (let column = 0; column < width; column += 1) {
      const cell = line + Math.floor((column * CELLS) / width);
      counts[cell]! += 1;
      for (let plane = 0; plane < 3; plane += 1) {
        out[plane * CELLS * CELLS + cell]! += data[(plane * height + row) * width + column]!;
      }
    }
  }
  // Pictures with fewer pixels than cells leave cells empty.
  return out.map((sum, n) => sum / Math.max(1, counts[n % (CELLS * CELLS)]!));
}

/** Whether no cell of two pictures differs by more than so many of 255 levels. */
export function alike(a: Float32Array, b: Float32Array, levels: number): boolean {
  for (let n = 0; n < a.length; n += 1) if (Math.abs(a[n]! - b[n]!) > levels) return false;
  return true;
}

interface Entry<T> {
  readonly face: FaceId;
  readonly glance: Float32Array;
  /** By which several pictures of one batch share it before it is made. */
  readonly holder: { made?: T };
}

/**
 * What networks made of the last few pictures, for pictures that look nearly the same. The one that was used longest ago
 * goes first.
 */
export class PictureMemory<T> {
  readonly #size: number;
  readonly #levels: number;
  #entries: Entry<T>[] = [];
  /** How often something was found, and looked for. */
  found = 0;
  asked = 0;

  /** @param levels how much a cell may differ; 0 remembers nothing */
  constructor(size: number, levels: number) {
    this.#size = size;
    this.#levels = levels;
  }

  /** What is known of a picture of this face, or room for it. */
  recall(face: FaceId, look: Float32Array): { made?: T } {
    this.asked += 1;
    const known =
      this.#levels > 0
        ? this.#entries.find((each) => each.face === face && alike(each.glance, look, this.#levels))
        : undefined;
    if (known) this.found += 1;
    const entry = known ?? { face, glance: look, holder: {} };
    this.#entries = [entry, ...this.#entries.filter((each) => each !== known)].slice(0, this.#size);
    return entry.holder;
  }
}
