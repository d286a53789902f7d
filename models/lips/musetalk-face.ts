import type { Box, VideoFrame } from '../../media/video-frame.ts';
import type { Face } from '../../pipeline/face.ts';
import type { Rgb } from './colour.ts';
import { lanczos, pillow } from './resizing.ts';
import { PARSED } from './musetalk-mask.ts';

/** Side of the pictures that the networks look at. */
export const SIDE = 256;
/** Smaller faces than this are not worth it. */
const LEAST = 16;

/**
 * The part of a face that is drawn anew: from as far above the middle of the nose as the chin is below it, as wide as the
 * landmarks. Where they do not fit into the picture, the detector's box.
 *
 * @param margin pixels below the chin
 * @see https://github.com/TMElyralab/MuseTalk/blob/main/musetalk/utils/preprocessing.py (`get_landmark_and_bbox`)
 */
export function faceBox({ landmarks, box }: Face, margin: number, frame: VideoFrame): Box | undefined {
  const at = (n: number, axis: 0 | 1) => Math.trunc(landmarks[2 * n + axis]!);
  const all = Array.from({ length: landmarks.length / 2 }, (_, n) => n);
  const [xs, ys] = [all.map((n) => at(n, 0)), all.map((n) => at(n, 1))];
  const [left, right, bottom] = [Math.min(...xs), Math.max(...xs), Math.max(...ys)];
  const middle = at(29, 1);
  const top = Math.max(0, middle - (bottom - middle));
  const fits = bottom > top && right > left && left >= 0;
  const [x, y, x1, y1] = fits
    ? [left, top, right, bottom]
    : [box.left, box.top, box.left + box.width, box.top + box.height].map(Math.trunc);
  const [from, above] = [Math.max(0, x!), Math.max(0, y!)];
  const [to, below] = [Math.min(x1!, frame.width), Math.min(y1! + margin, frame.height)];
  if (to - from < LEAST || below - above < LEAST) return undefined;
  return { left: from, top: above, width: to - from, height: below - above };
}

/** A square around a face's box, half as large again; it may reach beyond the picture. */
export function surroundings({ left, top, width, height }: Box): Box {
  const [x, y] = [(2 * left + width) >> 1, (2 * top + height) >> 1];
  const half = Math.trunc((Math.max(width, height) >> 1) * 1.5);
  return { left: x - half, top: y - half, width: 2 * half, height: 2 * half };
}

/**
 * A face as the VAE sees it, twice: with its lower half black, and whole. Two pictures of 3 × 256 × 256, -1 … 1.
 *
 * @see https://github.com/TMElyralab/MuseTalk/blob/main/musetalk/models/vae.py (`get_latents_for_unet`)
 */
export function pixels(face: Rgb): Float32Array {
  const { data } = lanczos(face, SIDE, SIDE);
  const area = SIDE * SIDE;
  const out = new Float32Array(6 * area).fill(-1);
  for (const [n, value] of data.entries()) {
    const level = value / 127.5 - 1;
    if (n % area < area / 2) out[n] = level;
    out[3 * area + n] = level;
  }
  return out;
}

const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];

/** A face's surroundings as the parsing network sees them: 3 × 512 × 512, normalised as ImageNet is. */
export function parsable(around: Rgb): Float32Array {
  const data = pillow(around, PARSED, PARSED, 'bilinear');
  const area = PARSED * PARSED;
  const out = new Float32Array(3 * area);
  for (let plane = 0; plane < 3; plane += 1) {
    const levels = Float32Array.from({ length: 256 }, (_, level) => (level / 255 - MEAN[plane]!) / DEVIATION[plane]!);
    for (let n = plane * area; n < (plane + 1) * area; n += 1) out[n] = levels[data[n]!]!;
  }
  return out;
}
