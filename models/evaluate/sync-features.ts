import { HOP, LiftedMfcc, WINDOW } from '../dsp/lifted-mfcc.ts';

/**
 * What SyncNet hears and sees, as its authors' code prepares it.
 *
 * @see https://github.com/joonson/syncnet_python at 6efbb1c: SyncNetInstance.py (evaluate), run_pipeline.py (crop_video)
 */

/**
 * Mel-frequency cepstral coefficients of a whole recording, 100 rows of 13 a second.
 *
 * @param pcm 16 kHz, full scale ±1
 */
export function syncCoefficients(pcm: Float32Array): Float32Array {
  const rows = pcm.length === 0 ? 0 : 1 + Math.max(0, Math.ceil((pcm.length - WINDOW) / HOP));
  return new LiftedMfcc().of(pcm, rows);
}

/** Side of a crop, pixels. */
export const CROP = 224;
const SCALE = 0.4;
const GREY = 110;
/** Pictures over which the place of a face is smoothed. */
const MEDIAN = 13;
export const REACH = (MEDIAN - 1) / 2;

/** Where a face is: its middle, and half of its longer edge. */
export interface FacePlace {
  readonly x: number;
  readonly y: number;
  readonly half: number;
}

/** The median of a place with the `REACH` before and after it; beyond the ends there are zeros. */
export function smoothedPlace(places: readonly FacePlace[], n: number): FacePlace {
  const median = (of: (place: FacePlace) => number) => {
    const values = Array.from({ length: MEDIAN }, (_, i) => {
      const place = places[n - REACH + i];
      return place ? of(place) : 0;
    });
    return values.sort((a, b) => a - b)[REACH]!;
  };
  return { x: median(({ x }) => x), y: median(({ y }) => y), half: median(({ half }) => half) };
}

/** A picture's pixels: blue, green, red, row by row; `left` and `top` say where in the whole picture it begins. */
export interface Pixels {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
  readonly bgr: Uint8Array;
}
/** What of a picture a crop is made of; it may reach beyond the picture. */
export function cropArea({ x, y, half }: FacePlace): { left: number; top: number; right: number; bottom: number } {
  const pad = Math.trunc(half * (1 + 2 * SCALE));
  return {
    left: Math.trunc(x + pad - half * (1 + SCALE)) - pad,
    top: Math.trunc(y + pad - half) - pad,
    right: Math.trunc(x + pad + half * (1 + SCALE)) - pad,
    bottom: Math.trunc(y + pad + half * (1 + 2 * SCALE)) - pad,
  };
}

/** A face as the network sees it: 224 × 224 pixels of blue, green and red. Outside of the picture all is grey. */
export function syncCrop(pixels: Pixels, place: FacePlace): Uint8Array {
  const area = cropArea(place);
  const [width, height] = [Math.max(1, area.right - area.left), Math.max(1, area.bottom - area.top)];
  const columns = taps(width);
  const rows = taps(height);
  const out = new Uint8Array(CROP * CROP * 3);
  const at = (x: number, y: number, channel: number) => {
    const [column, row] = [area.left + x - pixels.left, area.top + y - pixels.top];
    const outside = column < 0 || row < 0 || column >= pixels.width || row >= pixels.height;
    return outside ? GREY : pixels.bgr[3 * (row * pixels.width + column) + channel]!;
  };
  for (let y = 0; y < CROP; y += 1) {
    const row = rows[y]!;
    const low = Math.min(row.from + 1, height - 1);
    for (let x = 0; x < CROP; x += 1) {
      const column = columns[x]!;
      const right = Math.min(column.from + 1, width - 1);
      for (let c = 0; c < 3; c += 1) {
        // OpenCV's resize of bytes: weights in 2048ths across, and down with four bits less.
        const over = at(column.from, row.from, c) * (2_048 - column.share) + at(right, row.from, c) * column.share;
        const under = at(column.from, low, c) * (2_048 - column.share) + at(right, low, c) * column.share;
        const sum = (((2_048 - row.share) * (over >> 4)) >> 16) + ((row.share * (under >> 4)) >> 16);
        out[3 * (y * CROP + x) + c] = (sum + 2) >> 2;
      }
    }
  }
  return out;
}
/** Which two of `length` a scaled one lies between, and the share of the second, in 2048ths. */
function taps(length: number): { from: number; share: number }[] {
  const scale = length / CROP;
  return Array.from({ length: CROP }, (_, n) => {
    const place = (n + 0.5) * scale - 0.5;
    const from = Math.floor(place);
    if (from < 0) return { from: 0, share: 0 };
    if (from >= length - 1) return { from: length - 1, share: 0 };
    return { from, share: Math.round((place - from) * 2_048) };
  });
}
