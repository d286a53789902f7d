/**
 * The 68 points of iBUG 300-W by number; left is left in the picture.
 *
 * @see C. Sagonas et al., "300 Faces In-The-Wild Challenge: database and results", Image and Vision Computing 47, 2016
 */
export const IBUG = {
  all: [0, 68],
  jaw: [0, 17],
  brows: [17, 27],
  leftEye: [36, 42],
  rightEye: [42, 48],
  noseTip: 30,
  noseBase: 33,
  mouth: [48, 68],
  outerLips: [48, 60],
  innerLips: [60, 68],
  mouthLeft: 48,
  mouthRight: 54,
} as const;

type Point = readonly [x: number, y: number];
export const pointOf = (points: ArrayLike<number>, n: number): Point => [points[2 * n]!, points[2 * n + 1]!];
export function centreOf(points: ArrayLike<number>, [from, to]: readonly [number, number]): Point {
  let [x, y] = [0, 0];
  for (let n = from; n < to; n += 1) {
    x += points[2 * n]! / (to - from);
    y += points[2 * n + 1]! / (to - from);
  }
  return [x, y];
}

/** The distance between the centres of the eyes, in pixels. */
export function eyeDistance(points: ArrayLike<number>): number {
  const [left, right] = [centreOf(points, IBUG.leftEye), centreOf(points, IBUG.rightEye)];
  return Math.hypot(right[0] - left[0], right[1] - left[1]);
}
/** By how much the line of the eyes is turned clockwise, in radians. */
export function tiltOf(points: ArrayLike<number>): number {
  const [left, right] = [centreOf(points, IBUG.leftEye), centreOf(points, IBUG.rightEye)];
  return Math.atan2(right[1] - left[1], right[0] - left[0]);
}

/**
 * How far the inner lips are apart, in parts of `span`: the mean distance of the three pairs of points 61–67, 62–66 and
 * 63–65, the middle one counted twice, across the mouth; 0 where the lips cross.
 *
 * @param span the distance of the eyes' centres, unless something steadier is known
 */
export function openingOf(points: ArrayLike<number>, span = eyeDistance(points)): number {
  const [left, right] = [pointOf(points, 60), pointOf(points, 64)];
  const length = Math.hypot(right[0] - left[0], right[1] - left[1]);
  if (length === 0 || span === 0) return 0;
  // Downwards across the mouth.
  const [nx, ny] = [-(right[1] - left[1]) / length, (right[0] - left[0]) / length];
  let sum = 0;
  for (const [upper, lower, weight] of [
    [61, 67, 1],
    [62, 66, 2],
    [63, 65, 1],
  ] as const) {
    const [a, b] = [pointOf(points, upper), pointOf(points, lower)];
    sum += weight * ((b[0] - a[0]) * nx + (b[1] - a[1]) * ny);
  }
  return Math.max(0, sum / 4 / span);
}

/** Eyes, tip of the nose, corners of the mouth: what faces are aligned by. */
export const fivePoints = (points: ArrayLike<number>): Float32Array =>
  Float32Array.from([
    ...centreOf(points, IBUG.leftEye),
    ...centreOf(points, IBUG.rightEye),
    ...pointOf(points, IBUG.noseTip),
    ...pointOf(points, IBUG.mouthLeft),
    ...pointOf(points, IBUG.mouthRight),
  ]);
