import { decodingOf, encodingOf, toRgb, toYuv } from '../../media/colour.ts';
import type { Patch, VideoFrame } from '../../media/video-frame.ts';
import { type MouthPlace, centreOf, mouthMask } from './mouth-place.ts';

/** Where eyes, nose and corners of the mouth are in FFHQ's pictures of 512 × 512 (facexlib's template, as CodeFormer has it). */
const TEMPLATE = [
  192.98138, 239.94708, 318.90277, 240.1936, 256.63416, 314.01935, 201.26117, 371.41043, 313.08905, 371.15118,
];
const TEMPLATE_SIDE = 512;

/** Turning, growing and moving: (x, y) is where (a x − b y + tx, b x + a y + ty) is in the other picture. */
export interface Similarity {
  readonly a: number;
  readonly b: number;
  readonly tx: number;
  readonly ty: number;
}

/** The similarity that takes points to others with the least squares of what is left. Points are x, y, x, y … */
export function similarity(from: readonly number[], to: readonly number[]): Similarity {
  const count = from.length / 2;
  let [fx, fy, gx, gy] = [0, 0, 0, 0];
  for (let n = 0; n < count; n += 1) {
    fx += from[2 * n]! / count;
    fy += from[2 * n + 1]! / count;
    gx += to[2 * n]! / count;
    gy += to[2 * n + 1]! / count;
  }
  let [along, across, size] = [0, 0, 0];
  for (let n = 0; n < count; n += 1) {
    const [x, y] = [from[2 * n]! - fx, from[2 * n + 1]! - fy];
    const [u, v] = [to[2 * n]! - gx, to[2 * n + 1]! - gy];
    along += x * u + y * v;
    across += x * v - y * u;
    size += x * x + y * y;
  }
  const [a, b] = size > 0 ? [along / size, across / size] : [1, 0];
  return { a, b, tx: gx - a * fx + b * fy, ty: gy - b * fx - a * fy };
}

/** Where pixels of a face's aligned picture of `side` × `side` are in the frame. */
export function toFrame(landmarks: Float32Array, side: number): Similarity {
  const point = (n: number): [number, number] => [landmarks[2 * n]!, landmarks[2 * n + 1]!];
  const found = [centreOf(landmarks, 36, 42), centreOf(landmarks, 42, 48), point(30), point(48), point(54)].flat();
  const wanted = TEMPLATE.map((x) => (x * side) / TEMPLATE_SIDE);
  // The fit is made in the frame, so that no point counts more in a small face; then it is turned round.
  const { a, b, tx, ty } = similarity(found, wanted);
  const size = Math.max(1e-12, a * a + b * b);
  const [c, d] = [a / size, -b / size];
  return { a: c, b: d, tx: -c * tx + d * ty, ty: -d * tx - c * ty };
}

/** A face upright in the middle of a square: red, green and blue planes, −1 … 1. */
export function alignedFace(frame: VideoFrame, { a, b, tx, ty }: Similarity, side: number): Float32Array {
  const made = new Float32Array(3 * side * side);
  const decoding = decodingOf(frame.colour, frame.height);
  const { width, height, y, u, v } = frame;
  const [halfWidth, halfHeight] = [(width + 1) >> 1, (height + 1) >> 1];
  const rgb = new Float64Array(3);
  const area = side * side;
  for (let row = 0, i = 0; row < side; row += 1) {
    for (let column = 0; column < side; column += 1, i += 1) {
      const px = a * column - b * row + tx;
      const py = b * column + a * row + ty;
      const [cx, cy] = [(px + 0.5) / 2 - 0.5, (py + 0.5) / 2 - 0.5];
      const luma = sampled(y, width, height, px, py);
      toRgb(luma, sampled(u, halfWidth, halfHeight, cx, cy), sampled(v, halfWidth, halfHeight, cx, cy), decoding, rgb);
      made[i] = clipped(rgb[0]! / 127.5 - 1);
      made[area + i] = clipped(rgb[1]! / 127.5 - 1);
      made[2 * area + i] = clipped(rgb[2]! / 127.5 - 1);
    }
  }
  return made;
}
const clipped = (x: number) => (x < -1 ? -1 : x > 1 ? 1 : x);

/** A plane between its pixels; beyond its edges it goes on as they are. */
function sampled(plane: ArrayLike<number>, width: number, height: number, x: number, y: number, offset = 0): number {
  const px = x < 0 ? 0 : x > width - 1 ? width - 1 : x;
  const py = y < 0 ? 0 : y > height - 1 ? height - 1 : y;
  const left = Math.min(Math.floor(px), Math.max(0, width - 2));
  const top = Math.min(Math.floor(py), Math.max(0, height - 2));
  const [fx, fy] = [px - left, py - top];
  const right = width > 1 ? 1 : 0;
  const below = height > 1 ? width : 0;
  const at = offset + top * width + left;
  const upper = plane[at]! * (1 - fx) + plane[at + right]! * fx;
  const lower = plane[at + below]! * (1 - fx) + plane[at + below + right]! * fx;
  return upper * (1 - fy) + lower * fy;
}

/**
 * The patch with the mouth of a restored face in it, in the colours that it had: what the mask lets through of the restored
 * face, moved by the difference of both means.
 *
 * @param restored as {@link alignedFace} gives it; may be of another `side` than what was restored
 */
export function withMouth(
  patch: Patch,
  frame: VideoFrame,
  restored: Float32Array,
  side: number,
  { a, b, tx, ty }: Similarity,
  place: MouthPlace,
): Patch {
  const encoding = encodingOf(frame.colour, frame.height);
  const area = side * side;
  const size = a * a + b * b;
  const rgb = (x: number, y: number, plane: 0 | 1 | 2) => {
    const [dx, dy] = [x - tx, y - ty];
    const value = sampled(restored, side, side, (a * dx + b * dy) / size, (a * dy - b * dx) / size, plane * area);
    return (value + 1) * 127.5;
  };
  const yuv = new Float64Array(3);
  const planes = (['y', 'u', 'v'] as const).map((name, channel) => {
    const step = name === 'y' ? 1 : 2;
    const mask = mouthMask(patch, place, step);
    const plane = patch[name];
    const width = patch.width / step;
    const made = new Float32Array(plane.length);
    let [before, after, weights] = [0, 0, 0];
    for (let i = 0; i < plane.length; i += 1) {
      const weight = mask[i]!;
      if (weight === 0) continue;
      const x = patch.left + ((i % width) + 0.5) * step - 0.5;
      const y = patch.top + (Math.floor(i / width) + 0.5) * step - 0.5;
      toYuv(rgb(x, y, 0), rgb(x, y, 1), rgb(x, y, 2), encoding, yuv);
      made[i] = yuv[channel]!;
      before += weight * plane[i]!;
      after += weight * yuv[channel]!;
      weights += weight;
    }
    const shift = weights > 0 ? (before - after) / weights : 0;
    return plane.map((old, i) => {
      const value = old + mask[i]! * (made[i]! + shift - old);
      return mask[i] === 0 ? old : Math.min(255, Math.max(0, Math.round(value)));
    });
  });
  const [y, u, v] = planes as [Uint8Array, Uint8Array, Uint8Array];
  return { ...patch, y, u, v };
}
