import type { Box, Planes } from '../../media/video-frame.ts';

const touches = (x: number, y: number, size: number, { left, top, width, height }: Box) =>
  x < left + width && left < x + size && y < top + height && top < y + size;

/** C1 and C2 of SSIM for sums over 64 pixels of 8 bit. */
const [C1, C2] = [Math.floor(0.01 ** 2 * 255 ** 2 * 64 + 0.5), Math.floor(0.03 ** 2 * 255 ** 2 * 64 * 63 + 0.5)];

/**
 * Structural similarity of two pictures' luma, windows that touch one of the boxes left out: the mean over windows of
 * 8 × 8 pixels every four, as FFmpeg's `ssim` filter has them. Nothing where no window is left.
 *
 * @see Z. Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE TIP 13/4, 2004
 */
export function similarity(a: Planes, b: Planes, except: readonly Box[] = []): number | undefined {
  if (a.width !== b.width || a.height !== b.height) return undefined;
  const { width, height } = a;
  let [sum, count] = [0, 0];
  for (let top = 0; top + 8 <= height; top += 4) {
    for (let left = 0; left + 8 <= width; left += 4) {
      if (except.some((box) => touches(left, top, 8, box))) continue;
      let [sa, sb, squares, products] = [0, 0, 0, 0];
      for (let row = 0; row < 8; row += 1) {
        const begin = (top + row) * width + left;
        for (let i = begin; i < begin + 8; i += 1) {
          const [p, q] = [a.y[i]!, b.y[i]!];
          sa += p;
          sb += q;
          squares += p * p + q * q;
          products += p * q;
        }
      }
      const [variances, covariance] = [squares * 64 - sa * sa - sb * sb, products * 64 - sa * sb];
      sum += ((2 * sa * sb + C1) * (2 * covariance + C2)) / ((sa * sa + sb * sb + C1) * (variances + C2));
      count += 1;
    }
  }
  return count > 0 ? sum / count : undefined;
}

/** The smallest box around some of 68 landmarks, grown by `margin` of its longer edge on each side. */
export function boxOf(points: Float32Array, from: number, to: number, margin: number): Box {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let n = from; n < to; n += 1) {
    left = Math.min(left, points[2 * n]!);
    right = Math.max(right, points[2 * n]!);
    top = Math.min(top, points[2 * n + 1]!);
    bottom = Math.max(bottom, points[2 * n + 1]!);
  }
  const more = margin * Math.max(right - left, bottom - top);
  return { left: left - more, top: top - more, width: right - left + 2 * more, height: bottom - top + 2 * more };
}

/** The variance of the Laplacian of luma in a box, pixels within `except` left out: how sharp it is (Pech-Pacheco et al., ICPR 2000). */
export function sharpness({ width, height, y }: Planes, box: Box, except?: Box): number | undefined {
  const [left, top] = [Math.max(1, Math.round(box.left)), Math.max(1, Math.round(box.top))];
  const right = Math.min(width - 1, Math.round(box.left + box.width));
  const bottom = Math.min(height - 1, Math.round(box.top + box.height));
  let [sum, squares, count] = [0, 0, 0];
  for (let row = top; row < bottom; row += 1) {
    for (let column = left; column < right; column += 1) {
      if (except && touches(column, row, 1, except)) continue;
      const i = row * width + column;
      const value = 4 * y[i]! - y[i - 1]! - y[i + 1]! - y[i - width]! - y[i + width]!;
      sum += value;
      squares += value * value;
      count += 1;
    }
  }
  return count < 64 ? undefined : squares / count - (sum / count) ** 2;
}

/** How sharp a mouth is against the rest of its face: 1 where both are alike. */
export function mouthSharpness(frame: Planes, landmarks: Float32Array): number | undefined {
  const mouth = boxOf(landmarks, 48, 68, 0.15);
  const inside = sharpness(frame, mouth);
  const around = sharpness(frame, boxOf(landmarks, 0, 68, 0), mouth);
  return inside === undefined || around === undefined || around === 0 ? undefined : inside / around;
}

/** A part of a picture as `size` × `size` pixels of red, green, blue planes, by bilinear sampling; edges go on outside. */
export function squareOf(
  rgb: Uint8Array,
  area: { readonly left: number; readonly top: number; readonly width: number; readonly height: number },
  box: Box,
  size: number,
): Float32Array {
  const out = new Float32Array(3 * size * size);
  const clamp = (value: number, most: number) => Math.min(most, Math.max(0, value));
  for (let row = 0; row < size; row += 1) {
    const y = clamp(box.top + ((row + 0.5) * box.height) / size - 0.5 - area.top, area.height - 1);
    const [y0, fy] = [Math.floor(y), y - Math.floor(y)];
    const y1 = Math.min(area.height - 1, y0 + 1);
    for (let column = 0; column < size; column += 1) {
      const x = clamp(box.left + ((column + 0.5) * box.width) / size - 0.5 - area.left, area.width - 1);
      const [x0, fx] = [Math.floor(x), x - Math.floor(x)];
      const x1 = Math.min(area.width - 1, x0 + 1);
      for (let c = 0; c < 3; c += 1) {
        const at = (px: number, py: number) => rgb[3 * (py * area.width + px) + c]!;
        const over = at(x0, y0) * (1 - fx) + at(x1, y0) * fx;
        const under = at(x0, y1) * (1 - fx) + at(x1, y1) * fx;
        out[(c * size + row) * size + column] = over * (1 - fy) + under * fy;
      }
    }
  }
  return out;
}
