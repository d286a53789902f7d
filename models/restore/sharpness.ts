import type { Box } from '../../media/video-frame.ts';

/** A plane of numbers, rows of `width`. */
export interface Plane {
  readonly data: Uint8Array | Float32Array;
  readonly width: number;
  readonly height: number;
}

/** How much a smooth slope leaves of the finer difference: differences grow with the square of the distance. */
const SLOPE = 1 / 16;
/** Grey levels of the coarser difference that a stretch must show on average before anything is said of it. */
const LEAST = 1.2;

/** Sums of squared second differences, `reach` and twice as far apart, across and down. */
export interface Edges {
  readonly fine: number;
  readonly coarse: number;
  readonly count: number;
}

/**
 * The edges of a part of a plane, where `takes` says so. Every pixel of every `every`th row is looked at.
 *
 * @param reach pixels between neighbours: the finest detail that counts
 */
export function edgesOf(
  { data, width, height }: Plane,
  { left, top, width: wide, height: high }: Box,
  reach: number,
  every = 1,
  takes?: (x: number, y: number) => boolean,
): Edges {
  const far = 2 * reach;
  const [x0, x1] = [Math.max(far, Math.ceil(left)), Math.min(width - far, Math.floor(left + wide))];
  const [y0, y1] = [Math.max(far, Math.ceil(top)), Math.min(height - far, Math.floor(top + high))];
  const [down, downFar] = [reach * width, far * width];
  let [fine, coarse, count] = [0, 0, 0];
  for (let y = y0; y < y1; y += every) {
    for (let x = x0, i = y * width + x0; x < x1; x += 1, i += 1) {
      if (takes && !takes(x, y)) continue;
      const here = 2 * data[i]!;
      const across = data[i - reach]! + data[i + reach]! - here;
      const acrossFar = data[i - far]! + data[i + far]! - here;
      const along = data[i - down]! + data[i + down]! - here;
      const alongFar = data[i - downFar]! + data[i + downFar]! - here;
      fine += across * across + along * along;
      coarse += acrossFar * acrossFar + alongFar * alongFar;
      count += 1;
    }
  }
  return { fine, coarse, count };
}

/**
 * How sharp edges are, whatever their contrast: 0 for slopes, about 0.7 for steps, 1 for noise. Nothing where there are none
 * to speak of.
 */
export function sharpnessOf({ fine, coarse, count }: Edges): number | undefined {
  if (count === 0 || coarse / count < 2 * LEAST * LEAST) return undefined;
  return Math.sqrt(Math.max(0, fine / coarse - SLOPE) / (1 - SLOPE));
}
