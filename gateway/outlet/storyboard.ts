import { type MediaTime, type Span, between, seconds } from '../../media/time.ts';
import type { Planes } from '../../media/video-frame.ts';
import { timestamp } from '../../pipeline/webvtt.ts';

/** Size of a small picture, at most. */
export const TILE = { width: 160, height: 90 } as const;
export const COLUMNS = 10;
/** Small pictures of one storyboard. */
export const MOST_TILES = 100;
/** They are no nearer to each other than that. */
export const CLOSEST = seconds(2);

export interface Tile {
  readonly at: MediaTime;
  /** In the numbers of JPEG, no larger than {@link TILE}. */
  readonly picture: Planes;
}
interface Placed extends Tile {
  readonly number: number;
}

/**
 * Small pictures of the last `window` of a programme, evenly spread. Each keeps its cell on the sheet until as many as the
 * sheet holds have come after it, so that a list of them and a sheet that is a little newer go together.
 */
export class Storyboard {
  readonly #window: Span;
  readonly #every: Span;
  readonly #cells: number;
  #tiles: Placed[] = [];
  #made = 0;

  constructor(window: Span) {
    this.#window = window;
    this.#every = Math.max(CLOSEST, Math.ceil(window / (MOST_TILES - 2))) as Span;
    this.#cells = Math.ceil(window / this.#every) + 2;
  }

  get tiles(): readonly Tile[] {
    return this.#tiles;
  }
  /** How many there were in all. */
  get made(): number {
    return this.#made;
  }
  /** Bytes that they take in memory. */
  get bytes(): number {
    return this.#tiles.reduce((sum, { picture: { y, u, v } }) => sum + y.length + u.length + v.length, 0);
  }

  /** Whether a picture at this place is wanted. */
  due(at: MediaTime): boolean {
    const last = this.#tiles.at(-1);
    return !last || between(last.at, at) >= this.#every;
  }

  add(tile: Tile): void {
    this.#tiles.push({ ...tile, number: this.#made });
    this.#made += 1;
    const from = tile.at - this.#window;
    this.#tiles = this.#tiles.slice(-this.#cells).filter(({ at }) => at >= from);
  }

  /** All of them on one sheet; `undefined` while there is none. */
  sheet(): Planes | undefined {
    if (this.#tiles.length === 0) return undefined;
    const cells = Math.min(this.#made, this.#cells);
    return sheetOf(
      this.#tiles.map(({ number, picture }) => ({ cell: number % this.#cells, picture })),
      Math.ceil(cells / COLUMNS),
    );
  }

  /**
   * Where each is, as a WebVTT file: {@link thumbnails}. The last one goes on to `end`.
   *
   * @param sheet address of the sheet
   */
  track(sheet: string, end: MediaTime, head = ''): string {
    const cues = this.#tiles.map(({ at, number, picture }, n) => ({
      start: at,
      end: Math.max(this.#tiles[n + 1]?.at ?? end, at + 1_000),
      box: { ...cornerOf(number % this.#cells), width: picture.width, height: picture.height },
    }));
    return thumbnails(cues, sheet, head);
  }
}

export const cornerOf = (cell: number, size: Pick<Planes, 'width' | 'height'> = TILE) => ({
  left: (cell % COLUMNS) * size.width,
  top: Math.floor(cell / COLUMNS) * size.height,
});

/** Small pictures side by side in rows of ten, on black. */
export function sheetOf(tiles: readonly { readonly cell: number; readonly picture: Planes }[], rows: number): Planes {
  const [width, height] = [TILE.width * COLUMNS, TILE.height * rows];
  const chroma = (width * height) / 4;
  const [y, u, v] = [
    new Uint8Array(width * height),
    new Uint8Array(chroma).fill(128),
    new Uint8Array(chroma).fill(128),
  ];
  const lay = (to: Uint8Array, from: Uint8Array, stride: number, left: number, top: number, wide: number) => {
    for (let row = 0; row * wide < from.length; row += 1)
      to.set(from.subarray(row * wide, (row + 1) * wide), (top + row) * stride + left);
  };
  for (const { cell, picture } of tiles) {
    const { left, top } = cornerOf(cell);
    lay(y, picture.y, width, left, top, picture.width);
    lay(u, picture.u, width >> 1, left >> 1, top >> 1, picture.width >> 1);
    lay(v, picture.v, width >> 1, left >> 1, top >> 1, picture.width >> 1);
  }
  return { width, height, y, u, v };
}

export interface Thumbnail {
  /** µs. */
  readonly start: number;
  readonly end: number;
  readonly box: { readonly left: number; readonly top: number; readonly width: number; readonly height: number };
}
/**
 * A WebVTT file whose cues name a part of a picture each, by a spatial media fragment (W3C Media Fragments URI §4.2.2): the
 * form of thumbnails that players know.
 *
 * @param head lines between the signature and the first cue
 */
export const thumbnails = (cues: readonly Thumbnail[], sheet: string, head = ''): string =>
  `WEBVTT\n${head}` +
  cues
    .map(({ start, end, box: { left, top, width, height } }) => {
      const place = `${sheet}#xywh=${left},${top},${width},${height}`;
      return `\n${timestamp(start)} --> ${timestamp(end)}\n${place}\n`;
    })
    .join('');
