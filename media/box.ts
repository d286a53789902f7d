import type { Box } from './video-frame.ts';

/** Intersection over union: 1 for equal boxes, 0 for boxes that do not touch. */
export function overlap(a: Box, b: Box): number {
  const width = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const height = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  if (width <= 0 || height <= 0) return 0;
  const shared = width * height;
  return shared / (a.width * a.height + b.width * b.height - shared);
}

/** The smallest box around points that stand as x, y, x, y …; around those from number `from` to `to` where that is told. */
export function boxAround(
  points: ArrayLike<number>,
  [from, to]: readonly [number, number] = [0, points.length >> 1],
): Box {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let n = from; n < to; n += 1) {
    left = Math.min(left, points[2 * n]!);
    right = Math.max(right, points[2 * n]!);
    top = Math.min(top, points[2 * n + 1]!);
    bottom = Math.max(bottom, points[2 * n + 1]!);
  }
  return { left, top, width: right - left, height: bottom - top };
}

/** The box with its edges moved outwards by so many pixels; inwards where `by` is negative. */
export const grown = ({ left, top, width, height }: Box, by: number): Box => ({
  left: left - by,
  top: top - by,
  width: width + 2 * by,
  height: height + 2 * by,
});

export const holds = ({ left, top, width, height }: Box, x: number, y: number): boolean =>
  x >= left && x < left + width && y >= top && y < top + height;

/** Whether the box has a part of the square of `size` pixels whose upper left corner is at (x, y). */
export const touches = ({ left, top, width, height }: Box, x: number, y: number, size: number): boolean =>
  x < left + width && left < x + size && y < top + height && top < y + size;
