import type { Box } from '../../media/video-frame.ts';

/**
 * The 68 points of iBUG 300-W by number; left is left in the picture.
 *
 * @see C. Sagonas et al., "300 Faces In-The-Wild Challenge: database and results", Image and Vision Computing 47, 2016
 */
export const IBUG = {
  jaw: [0, 17],
  leftEye: [36, 42],
  rightEye: [42, 48],
  noseTip: 30,
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

/**
 * Which points of MediaPipe's mesh stand where the 68 do. Eyes, brows, nose and lips name the same places of a face; the
 * jaw's are those of the mesh's oval that came nearest to PFLD's over seven talking heads (0.05 … 0.13 eye distances).
 *
 * @see https://github.com/google-ai-edge/mediapipe/blob/master/mediapipe/modules/face_geometry/data/canonical_face_model_uv_visualization.png
 */
// prettier-ignore
export const MESH_TO_IBUG: readonly number[] = [
  127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356,
  70, 63, 105, 66, 107, 336, 296, 334, 293, 300,
  168, 197, 5, 4, 98, 97, 2, 326, 327,
  33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
  61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91,
  78, 81, 13, 311, 308, 402, 14, 178,
];

/**
 * Which of InsightFace's 106 points stand where the 68 do: of 33 along the jaw every other one, of each brow its upper
 * edge, of each eye its corners and lids.
 *
 * @see https://github.com/nttstar/insightface-resources/blob/master/alignment/images/2d106markup.jpg
 */
// prettier-ignore
export const INSIGHT_TO_IBUG: readonly number[] = [
  1, 10, 12, 14, 16, 3, 5, 7, 0, 23, 21, 19, 32, 30, 28, 26, 17,
  43, 48, 49, 51, 50, 102, 103, 104, 105, 101,
  72, 73, 74, 86, 78, 79, 80, 85, 84,
  35, 41, 42, 39, 37, 36, 89, 95, 96, 93, 91, 90,
  52, 64, 63, 71, 67, 68, 61, 58, 59, 53, 56, 55,
  65, 66, 62, 70, 69, 57, 60, 54,
];

/** The points with these numbers, `size` coordinates each, of which x and y are taken. */
export function picked(points: ArrayLike<number>, numbers: readonly number[], size = 2): Float32Array {
  const chosen = new Float32Array(2 * numbers.length);
  for (const [n, number] of numbers.entries()) {
    chosen[2 * n] = points[size * number]!;
    chosen[2 * n + 1] = points[size * number + 1]!;
  }
  return chosen;
}

/**
 * The box of a face by its points, as detectors draw it: from the brows up by as much again as the brows are above the
 * eyes, times 1.5, down to the chin.
 */
export function faceBox(points: ArrayLike<number>): Box {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let n = 0; n < 68; n += 1) {
    const [x, y] = pointOf(points, n);
    left = Math.min(left, x);
    right = Math.max(right, x);
    top = Math.min(top, y);
    bottom = Math.max(bottom, y);
  }
  const forehead = 0.18 * (bottom - top);
  return { left, top: top - forehead, width: right - left, height: bottom - top + forehead };
}
