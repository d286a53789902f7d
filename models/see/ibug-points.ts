import { boxAround } from '../../media/box.ts';
import type { Box } from '../../media/video-frame.ts';
import { IBUG } from '../../pipeline/ibug.ts';

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
  const { left, top, width, height } = boxAround(points, IBUG.all);
  const forehead = 0.18 * height;
  return { left, top: top - forehead, width, height: height + forehead };
}
