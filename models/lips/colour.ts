import type { Box, Colour, Patch, VideoFrame } from '../../media/video-frame.ts';

/** Red, green and blue, one plane after the other, each `width × height`, 0 … 255. */
export interface Rgb {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Weights of red and blue in luma, by ITU-T H.273 table 4. */
const WEIGHTS: Readonly<Record<number, readonly [number, number]>> = {
  1: [0.2126, 0.0722],
  4: [0.3, 0.11],
  5: [0.299, 0.114],
  6: [0.299, 0.114],
  7: [0.212, 0.087],
  9: [0.2627, 0.0593],
};
/** How Y'CbCr numbers become red, green and blue, and back. */
interface Conversion {
  readonly kr: number;
  readonly kb: number;
  /** What black is, and how many steps there are for luma and for chroma. */
  readonly black: number;
  readonly luma: number;
  readonly chroma: number;
}

/** Pictures that do not say are taken for BT.709 from 720 lines on, and for BT.601 below. */
function conversionOf({ range, matrix }: Colour, lines: number): Conversion {
  const [kr, kb] = WEIGHTS[matrix] ?? WEIGHTS[lines >= 720 ? 1 : 6]!;
  return range === 'full'
    ? { kr, kb, black: 0, luma: 255, chroma: 255 }
    : { kr, kb, black: 16, luma: 219, chroma: 224 };
}

/**
 * The colours of a part of a picture; black where the box reaches beyond it.
 *
 * A chroma sample stands for the four pixels it was made of, so that going there and back changes nothing but rounding.
 */
export function toRgb(frame: VideoFrame, box: Box): Rgb {
  const { kr, kb, black, luma, chroma } = conversionOf(frame.colour, frame.height);
  const kg = 1 - kr - kb;
  const { left, top, width, height } = box;
  const area = width * height;
  const data = new Uint8Array(3 * area);
  const bytes = new Uint8ClampedArray(data.buffer);
  const stride = (frame.width + 1) >> 1;
  const [first, last] = [Math.max(0, -left), Math.min(width, frame.width - left)];
  for (let row = Math.max(0, -top); row < Math.min(height, frame.height - top); row += 1) {
    const from = (top + row) * frame.width + left;
    const coarse = ((top + row) >> 1) * stride;
    for (let column = first; column < last; column += 1) {
      const at = coarse + ((left + column) >> 1);
      const y = ((frame.y[from + column]! - black) * 255) / luma;
      const r = y + (2 * (1 - kr) * (frame.v[at]! - 128) * 255) / chroma;
      const b = y + (2 * (1 - kb) * (frame.u[at]! - 128) * 255) / chroma;
      const to = row * width + column;
      bytes[to] = r;
      bytes[area + to] = (y - kr * r - kb * b) / kg;
      bytes[2 * area + to] = b;
    }
  }
  return { width, height, data };
}

/** A part of a picture. */
export function part({ width, height, data }: Rgb, box: Box): Rgb {
  const out = new Uint8Array(3 * box.width * box.height);
  for (let plane = 0; plane < 3; plane += 1) {
    for (let row = 0; row < box.height; row += 1) {
      const from = plane * width * height + (box.top + row) * width + box.left;
      out.set(data.subarray(from, from + box.width), (plane * box.height + row) * box.width);
    }
  }
  return { width: box.width, height: box.height, data: out };
}

/** Planes of Y'CbCr before they are rounded to bytes. */
export interface Blend {
  readonly y: Float32Array;
  readonly u: Float32Array;
  readonly v: Float32Array;
}

/**
 * Lays colours over a part of a picture.
 *
 * @param ground what is there
 * @param rgb the colours, three planes as large as the ground, 0 … 255
 * @param share how much of them is seen, 0 … 1, per pixel of the ground; where it is 0 the ground does not change
 * @param lines of the whole picture
 */
export function blended(ground: Patch, rgb: Float32Array, share: Float32Array, colour: Colour, lines: number): Blend {
  const { kr, kb, black, luma, chroma } = conversionOf(colour, lines);
  const kg = 1 - kr - kb;
  const { width, height } = ground;
  const area = width * height;
  const [y, u, v] = [Float32Array.from(ground.y), Float32Array.from(ground.u), Float32Array.from(ground.v)];
  for (let row = 0; row < height; row += 2) {
    for (let column = 0; column < width; column += 2) {
      let [weight, blue, red] = [0, 0, 0];
      for (let n = 0; n < 4; n += 1) {
        const at = (row + (n >> 1)) * width + column + (n & 1);
        const [r, g, b] = [rgb[at]!, rgb[area + at]!, rgb[2 * area + at]!];
        const bright = kr * r + kg * g + kb * b;
        y[at]! += share[at]! * (black + (bright * luma) / 255 - y[at]!);
        weight += share[at]! / 4;
        blue += (b - bright) / (8 * (1 - kb));
        red += (r - bright) / (8 * (1 - kr));
      }
      const at = (row >> 1) * (width >> 1) + (column >> 1);
      u[at]! += weight * (128 + (blue * chroma) / 255 - u[at]!);
      v[at]! += weight * (128 + (red * chroma) / 255 - v[at]!);
    }
  }
  return { y, u, v };
}

/** A blend as a patch in the place of its ground. */
export function patchOf({ left, top, width, height }: Patch, { y, u, v }: Blend): Patch {
  const bytes = (plane: Float32Array) => new Uint8Array(Uint8ClampedArray.from(plane).buffer);
  return { left, top, width, height, y: bytes(y), u: bytes(u), v: bytes(v) };
}
