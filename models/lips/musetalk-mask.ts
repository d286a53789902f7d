import type { Box } from '../../media/video-frame.ts';
import { pillow } from './resizing.ts';

/** Side of the picture that faces are parsed in. */
export const PARSED = 512;
/** Classes of face-parsing.PyTorch (CelebAMask-HQ): skin, nose, mouth, upper and lower lip. */
const [SKIN, NOSE, MOUTH, UPPER, LOWER] = [1, 10, 11, 12, 13];

/** A row of a kernel: how far below its centre, and from which to which column. */
interface Run {
  readonly dy: number;
  readonly from: number;
  readonly to: number;
}
/**
 * MuseTalk's kernel for the jaw: a cone of 21 rows (of which the first 10 are empty) with 12 rows as wide as its foot below,
 * within 33 × 33.
 */
const CONE: readonly Run[] = Array.from({ length: 23 }, (_, n) => {
  const half = Math.min(n, 10);
  return { dy: n + 10 - 16, from: -half, to: half };
});
/** OpenCV's ellipse of 35 × 3. */
const FLAT: readonly Run[] = [
  { dy: -1, from: 0, to: 0 },
  { dy: 0, from: -17, to: 17 },
  { dy: 1, from: 0, to: 0 },
];

/** Where a kernel laid on a pixel meets a pixel of `value`; what lies outside has none. */
function meets(mask: Uint8Array, kernel: readonly Run[], value: 0 | 1): Uint8Array {
  const size = PARSED;
  // How many there are to the left of each column.
  const before = new Int32Array(size * (size + 1));
  for (let row = 0; row < size; row += 1) {
    let count = 0;
    for (let column = 0; column < size; column += 1) {
      if (mask[row * size + column] === value) count += 1;
      before[row * (size + 1) + column + 1] = count;
    }
  }
  const out = new Uint8Array(size * size);
  for (const { dy, from, to } of kernel) {
    for (let row = Math.max(0, -dy); row < Math.min(size, size - dy); row += 1) {
      const line = (row + dy) * (size + 1);
      for (let column = 0; column < size; column += 1) {
        const [first, last] = [Math.max(0, column + from), Math.min(size, column + to + 1)];
        if (before[line + last]! > before[line + first]!) out[row * size + column] = 1;
      }
    }
  }
  return out;
}
const widened = (mask: Uint8Array, kernel: readonly Run[]) => meets(mask, kernel, 1);
const narrowed = (mask: Uint8Array, kernel: readonly Run[]) => meets(mask, kernel, 0).map((hit) => 1 - hit);

/**
 * Which pixels of a parsed face are drawn anew: 255 or 0.
 *
 * Skin is widened towards the jaw, then narrowed at the cheeks; mouth and lips belong to it, the nose does not.
 *
 * @param labels a class per pixel, 512 × 512
 * @param cheeks where the cheeks begin, in pixels from the middle
 * @see https://github.com/TMElyralab/MuseTalk/blob/main/musetalk/utils/face_parsing/__init__.py (mode `jaw`)
 */
export function jaw(labels: Uint8Array, cheeks: number): Uint8Array {
  const wide = widened(
    labels.map((label) => (label === SKIN ? 1 : 0)),
    CONE,
  );
  const narrow = narrowed(narrowed(wide, FLAT), FLAT);
  const middle = PARSED / 2;
  return labels.map((label, at) => {
    if (label === MOUTH || label === UPPER || label === LOWER) return 255;
    const column = at % PARSED;
    const isCheek = column <= middle - cheeks || column >= middle + cheeks;
    return (isCheek ? narrow : wide)[at] === 1 && label !== NOSE ? 255 : 0;
  });
}

/** Weights of OpenCV's `GaussianBlur` whose sigma is left to it. */
function bell(count: number): Float64Array {
  const sigma = 0.3 * ((count - 1) * 0.5 - 1) + 0.8;
  const some = Float64Array.from({ length: count }, (_, n) => Math.exp(-((n - (count >> 1)) ** 2) / (2 * sigma ** 2)));
  const sum = some.reduce((a, b) => a + b, 0);
  return some.map((weight) => weight / sum);
}
/** Beyond an edge the picture is mirrored, the edge itself not repeated. */
const mirrored = (n: number, size: number) => {
  if (size === 1) return 0;
  const at = Math.abs(n) % (2 * size - 2);
  return at < size ? at : 2 * size - 2 - at;
};

function blurred(mask: Uint8Array, width: number, height: number, count: number): Uint8Array {
  const weights = bell(count);
  const reach = count >> 1;
  const rows: (Float64Array | undefined)[] = Array.from({ length: height }, (_, row) => {
    const line = mask.subarray(row * width, (row + 1) * width);
    if (!line.some((value) => value > 0)) return undefined;
    const padded = Float64Array.from({ length: width + 2 * reach }, (_, n) => line[mirrored(n - reach, width)]!);
    const sums = new Float64Array(width);
    for (let k = 0; k < count; k += 1) {
      const weight = weights[k]!;
      for (let n = 0; n < width; n += 1) sums[n]! += weight * padded[n + k]!;
    }
    return sums;
  });
  const out = new Uint8Array(width * height);
  const sums = new Float64Array(width);
  for (let row = 0; row < height; row += 1) {
    let found = false;
    sums.fill(0);
    for (let k = 0; k < count; k += 1) {
      const line = rows[mirrored(row + k - reach, height)];
      if (!line) continue;
      found = true;
      const weight = weights[k]!;
      for (let n = 0; n < width; n += 1) sums[n]! += weight * line[n]!;
    }
    for (let n = 0; found && n < width; n += 1) out[row * width + n] = Math.floor(sums[n]! + 0.5);
  }
  return out;
}

/**
 * How much of the new face is seen in the surroundings of a face, 0 … 255: the parsed region below the middle, within the
 * face's box, with soft edges.
 *
 * @param region 512 × 512, of {@link jaw}
 * @param face the face's box, from the corner of the surroundings
 * @param feather how far the edge is blurred, in parts of the surroundings' width
 * @see https://github.com/TMElyralab/MuseTalk/blob/main/musetalk/utils/blending.py (`get_image_prepare_material`)
 */
export function feathered(
  region: Uint8Array,
  face: Box,
  { width, height }: { readonly width: number; readonly height: number },
  feather: number,
): Uint8Array {
  const whole = pillow({ width: PARSED, height: PARSED, data: region }, width, height, 'bicubic');
  const mask = new Uint8Array(width * height);
  for (let row = Math.max(face.top, height >> 1); row < face.top + face.height; row += 1) {
    const from = row * width + face.left;
    mask.set(whole.subarray(from, from + face.width), from);
  }
  return blurred(mask, width, height, Math.floor((feather * width) / 2) * 2 + 1);
}
