import { IBUG, centreOf } from '../../pipeline/ibug.ts';

/**
 * A mouth as its landmarks have it, upright: x runs along the line of the eyes, y down from it, in pixels from the middle
 * between the mouth's corners. Contours are heights over x, left to right; beyond the corners they stay where they end.
 */
export interface Outline {
  /** Where x = y = 0 is in the picture, and the roll of the head. */
  readonly origin: readonly [number, number];
  readonly cos: number;
  readonly sin: number;
  /** Distance between the eyes' centres, px: what lengths of a face are measured in. */
  readonly eyes: number;
  /** Outer corners. */
  readonly left: number;
  readonly right: number;
  /** Inner corners. */
  readonly innerLeft: number;
  readonly innerRight: number;
  readonly upperOuter: Contour;
  readonly upperInner: Contour;
  readonly lowerInner: Contour;
  readonly lowerOuter: Contour;
  /** How far the inner lips are apart in the middle, px. */
  readonly gap: number;
  /** Heights of the nose's base and of the chin. */
  readonly nose: number;
  readonly chin: number;
  /** Where the cheeks end at the mouth's height. */
  readonly cheekLeft: number;
  readonly cheekRight: number;
}
export type Contour = (x: number) => number;

/** Reads a mouth off 68 landmarks (iBUG 300-W); nothing where they make no mouth. */
export function outlineOf(landmarks: Float32Array): Outline | undefined {
  const [lx, ly] = centreOf(landmarks, IBUG.leftEye);
  const [rx, ry] = centreOf(landmarks, IBUG.rightEye);
  const eyes = Math.hypot(rx - lx, ry - ly);
  const [cos, sin] = [(rx - lx) / eyes, (ry - ly) / eyes];
  const origin = [(landmarks[96]! + landmarks[108]!) / 2, (landmarks[97]! + landmarks[109]!) / 2] as const;
  const xOf = (n: number) => (landmarks[2 * n]! - origin[0]) * cos + (landmarks[2 * n + 1]! - origin[1]) * sin;
  const yOf = (n: number) => (landmarks[2 * n + 1]! - origin[1]) * cos - (landmarks[2 * n]! - origin[0]) * sin;
  const [left, right] = [xOf(48), xOf(54)];
  if (!(right - left > 0.2 * eyes) || !Number.isFinite(eyes) || xOf(64) - xOf(60) < 0.1 * eyes) return undefined;
  const contour = (...of: number[]) => curve(of.map(xOf), of.map(yOf));
  return {
    origin,
    cos,
    sin,
    eyes,
    left,
    right,
    innerLeft: xOf(60),
    innerRight: xOf(64),
    upperOuter: contour(48, 49, 50, 51, 52, 53, 54),
    upperInner: contour(48, 60, 61, 62, 63, 64, 54),
    lowerInner: contour(48, 60, 67, 66, 65, 64, 54),
    lowerOuter: contour(48, 59, 58, 57, 56, 55, 54),
    gap: Math.max(0, yOf(66) - yOf(62)),
    nose: (yOf(32) + 2 * yOf(33) + yOf(34)) / 4,
    chin: yOf(8),
    cheekLeft: Math.min(xOf(3), xOf(4), left - 0.1 * eyes),
    cheekRight: Math.max(xOf(13), xOf(12), right + 0.1 * eyes),
  };
}

/** A smooth curve through points from left to right (cubic Hermite; slopes are those of the neighbours). */
function curve(xs: readonly number[], ys: readonly number[]): Contour {
  const x = xs.slice();
  // Seen from the side, points may come to stand above each other.
  for (let n = 1; n < x.length; n += 1) x[n] = Math.max(x[n]!, x[n - 1]! + 0.25);
  const last = x.length - 1;
  const slope = x.map((_, n) => {
    const [a, b] = [Math.max(0, n - 1), Math.min(last, n + 1)];
    return (ys[b]! - ys[a]!) / (x[b]! - x[a]!);
  });
  return (at) => {
    if (at <= x[0]!) return ys[0]!;
    if (at >= x[last]!) return ys[last]!;
    let n = 0;
    while (at > x[n + 1]!) n += 1;
    const length = x[n + 1]! - x[n]!;
    const t = (at - x[n]!) / length;
    const [t2, t3] = [t * t, t * t * t];
    return (
      ys[n]! * (2 * t3 - 3 * t2 + 1) +
      slope[n]! * length * (t3 - 2 * t2 + t) +
      ys[n + 1]! * (3 * t2 - 2 * t3) +
      slope[n + 1]! * length * (t3 - t2)
    );
  };
}
