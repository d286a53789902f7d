import { boxAround, grown, touches } from '../../media/box.ts';
import type { Box, Planes } from '../../media/video-frame.ts';
import { IBUG } from '../../pipeline/ibug.ts';

/** The smallest box around some of 68 landmarks, grown by `margin` of its longer edge on each side. */
export function boxOf(points: Float32Array, which: readonly [number, number], margin: number): Box {
  const box = boxAround(points, which);
  return grown(box, margin * Math.max(box.width, box.height));
}

/** The variance of the Laplacian of luma in a box, pixels within `except` left out: how sharp it is (Pech-Pacheco et al., ICPR 2000). */
export function sharpness({ width, height, y }: Planes, box: Box, except?: Box): number | undefined {
  const [left, top] = [Math.max(1, Math.round(box.left)), Math.max(1, Math.round(box.top))];
  const right = Math.min(width - 1, Math.round(box.left + box.width));
  const bottom = Math.min(height - 1, Math.round(box.top + box.height));
  let [sum, squares, count] = [0, 0, 0];
  for (let row = top; row < bottom; row += 1) {
    for (let column = left; column < right; column += 1) {
      if (except && touches(except, column, row, 1)) continue;
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
  const mouth = boxOf(landmarks, IBUG.mouth, 0.15);
  const inside = sharpness(frame, mouth);
  const around = sharpness(frame, boxOf(landmarks, IBUG.all, 0), mouth);
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
