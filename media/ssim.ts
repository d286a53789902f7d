import { touches } from './box.ts';
import type { Box, Planes } from './video-frame.ts';

/** One plane of 8 bit numbers, rows without padding. */
export interface Plane {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

export const luma = ({ width, height, y }: Planes): Plane => ({ width, height, pixels: y });

export interface CompareOptions {
  /** Only here; the whole plane unless given. Windows lie wholly within it. */
  readonly within?: Box;
  /** Not here: windows and pixels that touch one of these are left out. */
  readonly except?: readonly Box[];
}

/** C1 and C2 for L = 255, K1 = 0.01, K2 = 0.03 and sums (not means) over 64 pixels. */
const C1 = Math.floor(0.01 * 0.01 * 255 * 255 * 64 + 0.5);
const C2 = Math.floor(0.03 * 0.03 * 255 * 255 * 64 * 63 + 0.5);

/**
 * Structural similarity of two planes (Wang, Bovik, Sheikh, Simoncelli: "Image Quality Assessment: From Error Visibility
 * to Structural Similarity", IEEE TIP 13/4, 2004): the mean over windows of 8 × 8 pixels, all weighted alike, every four
 * pixels, which are the windows of FFmpeg's `ssim` filter, so that the numbers are the same. 1 where the planes are
 * equal; NaN where no window fits.
 */
export function ssim(a: Plane, b: Plane, options: CompareOptions = {}): number {
  const { left, top, right, bottom } = area(a, b, options);
  const { except = [] } = options;
  let sum = 0;
  let count = 0;
  for (let y = top; y + 8 <= bottom; y += 4) {
    for (let x = left; x + 8 <= right; x += 4) {
      if (except.some((box) => touches(box, x, y, 8))) continue;
      sum += windowSsim(a.pixels, b.pixels, a.width, x, y);
      count += 1;
    }
  }
  return sum / count;
}

function windowSsim(a: Uint8Array, b: Uint8Array, stride: number, x: number, y: number): number {
  let sumA = 0;
  let sumB = 0;
  let squares = 0;
  let products = 0;
  for (let row = 0; row < 8; row += 1) {
    let i = (y + row) * stride + x;
    for (const end = i + 8; i < end; i += 1) {
      const [p, q] = [a[i] ?? 0, b[i] ?? 0];
      sumA += p;
      sumB += q;
      squares += p * p + q * q;
      products += p * q;
    }
  }
  const variances = squares * 64 - sumA * sumA - sumB * sumB;
  const covariance = products * 64 - sumA * sumB;
  return ((2 * sumA * sumB + C1) * (2 * covariance + C2)) / ((sumA * sumA + sumB * sumB + C1) * (variances + C2));
}

/** Peak signal-to-noise ratio in dB, against a peak of 255; infinite where the planes are equal, NaN over no pixel. */
export function psnr(a: Plane, b: Plane, options: CompareOptions = {}): number {
  const { left, top, right, bottom } = area(a, b, options);
  const { except = [] } = options;
  let squares = 0;
  let count = 0;
  for (let y = top; y < bottom; y += 1) {
    for (let x = left; x < right; x += 1) {
      if (except.some((box) => touches(box, x, y, 1))) continue;
      const difference = (a.pixels[y * a.width + x] ?? 0) - (b.pixels[y * a.width + x] ?? 0);
      squares += difference * difference;
      count += 1;
    }
  }
  if (count === 0) return Number.NaN;
  return 10 * Math.log10((255 * 255 * count) / squares);
}

function area(a: Plane, b: Plane, { within }: CompareOptions) {
  if (a.width !== b.width || a.height !== b.height) {
    throw new RangeError(`Cannot compare ${a.width} × ${a.height} with ${b.width} × ${b.height}`);
  }
  const { left = 0, top = 0, width = a.width, height = a.height } = within ?? {};
  return { left, top, right: Math.min(a.width, left + width), bottom: Math.min(a.height, top + height) };
}
