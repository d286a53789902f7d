import { bilinear } from '../../media/bilinear.ts';
import type { Planes } from '../../media/video-frame.ts';
import type { Contour, Outline } from './mouth-outline.ts';

/**
 * Landmarks lie within a mouth's opening more often than on its edge. So far beyond them the edge is looked for: distances
 * between the eyes at most, and parts of the lip's thickness; where it is the dark that ends, a smaller part.
 */
const REACH = 0.09;
const LIP = { upper: 0.6, lower: 0.5 } as const;
const DARK = 0.35;
/** Pixels between two places that are looked at. */
const STEP = 0.5;
/** An edge is where the light changes most, by so many levels of luma per pixel at least. */
const CHANGE = 5;

/** The outline with its opening as the picture shows it: bounded by where teeth or the dark meet the lips. */
export function edged(frame: Planes, outline: Outline): Outline {
  const up = beyond(frame, outline, outline.upperInner, outline.upperOuter, LIP.upper);
  const down = beyond(frame, outline, outline.lowerInner, outline.lowerOuter, LIP.lower);
  if (up === 0 && down === 0) return outline;
  const profile = (x: number) => {
    const along = x / (x < 0 ? outline.left : outline.right);
    return Math.sqrt(Math.max(0, 1 - along * along));
  };
  return {
    ...outline,
    upperInner: (x) => outline.upperInner(x) - up * profile(x),
    lowerInner: (x) => outline.lowerInner(x) + down * profile(x),
    gap: outline.gap + up + down,
  };
}

/** How far beyond a contour the opening goes on, px. */
function beyond(frame: Planes, outline: Outline, inner: Contour, outer: Contour, part: number): number {
  const { origin, cos, sin, innerLeft, innerRight, eyes } = outline;
  const middle = (innerLeft + innerRight) / 2;
  const half = 0.5 * (innerRight - innerLeft) * 0.55;
  const thickness = Math.abs(outer(middle) - inner(middle));
  const towards = outer(middle) < inner(middle) ? -1 : 1;
  const count = Math.floor(Math.min(REACH * eyes, part * thickness) / STEP) + 4;
  const light = new Float32Array(count);
  const columns = Math.max(5, Math.round(half));
  for (let column = 0; column < columns; column += 1) {
    const x = middle + ((2 * column) / (columns - 1) - 1) * half;
    const from = inner(x);
    for (let n = 0; n < count; n += 1) {
      const y = from + (n - 2) * STEP * towards;
      const [px, py] = [origin[0] + x * cos - y * sin, origin[1] + x * sin + y * cos];
      light[n]! += bilinear(frame.y, frame.width, frame.height, px, py) / columns;
    }
  }
  const change = (n: number) => (light[n + 1]! - light[n - 1]!) / (2 * STEP);
  // Teeth end where it gets darker. Below, a light that lies on the lower lip would look the same.
  if (towards < 0) {
    let edge = 2;
    for (let n = 2; n < count - 1; n += 1) if (change(n) < change(edge)) edge = n;
    if (change(edge) <= -CHANGE) return (edge - 2) * STEP;
  }
  // The dark ends where it gets lighter; but so does a dark lip, further out.
  const dark = Math.min(count - 1, Math.floor((DARK * thickness) / STEP) + 3);
  let edge = 1;
  for (let n = 2; n < dark; n += 1) if (change(n) > change(edge)) edge = n;
  return change(edge) < CHANGE ? 0 : Math.max(0, (edge - 2) * STEP);
}
