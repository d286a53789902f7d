import { type Affine, inverse, similarity } from '../../media/affine.ts';
import { bilinear } from '../../media/bilinear.ts';
import { decodingOf, encodingOf, toRgb, toYuv } from '../../media/colour.ts';
import type { Patch, VideoFrame } from '../../media/video-frame.ts';
import { fivePoints } from '../../pipeline/ibug.ts';
import { type MouthPlace, mouthMask } from './mouth-place.ts';

/** Where eyes, nose and corners of the mouth are in FFHQ's pictures of 512 × 512 (facexlib's template, as CodeFormer has it). */
const TEMPLATE = [
  192.98138, 239.94708, 318.90277, 240.1936, 256.63416, 314.01935, 201.26117, 371.41043, 313.08905, 371.15118,
];
const TEMPLATE_SIDE = 512;

/**
 * From pixels of a face's aligned picture of `side` × `side` to those of the frame. Here a pixel's own centre is at a whole
 * number, as in the programs that these networks were trained with.
 */
export function toFrame(landmarks: Float32Array, side: number): Affine {
  const wanted = TEMPLATE.map((x) => (x * side) / TEMPLATE_SIDE);
  // The fit is made in the frame, so that no point counts more in a small face; then it is turned round.
  return inverse(similarity(fivePoints(landmarks), wanted));
}

/** A face upright in the middle of a square: red, green and blue planes, −1 … 1. */
export function alignedFace(frame: VideoFrame, { a, b, c, d, e, f }: Affine, side: number): Float32Array {
  const made = new Float32Array(3 * side * side);
  const decoding = decodingOf(frame.colour, frame.height);
  const { width, height, y, u, v } = frame;
  const [halfWidth, halfHeight] = [(width + 1) >> 1, (height + 1) >> 1];
  const rgb = new Float64Array(3);
  const area = side * side;
  for (let row = 0, i = 0; row < side; row += 1) {
    for (let column = 0; column < side; column += 1, i += 1) {
      const px = a * column + b * row + c;
      const py = d * column + e * row + f;
      const [cx, cy] = [(px + 0.5) / 2 - 0.5, (py + 0.5) / 2 - 0.5];
      const luma = bilinear(y, width, height, px, py);
      toRgb(
        luma,
        bilinear(u, halfWidth, halfHeight, cx, cy),
        bilinear(v, halfWidth, halfHeight, cx, cy),
        decoding,
        rgb,
      );
      made[i] = clipped(rgb[0]! / 127.5 - 1);
      made[area + i] = clipped(rgb[1]! / 127.5 - 1);
      made[2 * area + i] = clipped(rgb[2]! / 127.5 - 1);
    }
  }
  return made;
}
const clipped = (x: number) => (x < -1 ? -1 : x > 1 ? 1 : x);

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
  onto: Affine,
  place: MouthPlace,
): Patch {
  const encoding = encodingOf(frame.colour, frame.height);
  const area = side * side;
  const { a, b, c, d, e, f } = inverse(onto);
  const rgb = (x: number, y: number, plane: 0 | 1 | 2) => {
    const value = bilinear(restored, side, side, a * x + b * y + c, d * x + e * y + f, plane * area);
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
