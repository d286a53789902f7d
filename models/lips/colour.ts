import { type Coding, decodingOf, encodingOf, toRgb as rgbOf, toYuv } from '../../media/colour.ts';
import type { Box, Patch, VideoFrame } from '../../media/video-frame.ts';

/** Red, green and blue, one plane after the other, each `width × height`, 0 … 255. */
export interface Rgb {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/**
 * The colours of a part of a picture; black where the box reaches beyond it.
 *
 * A chroma sample stands for the four pixels it was made of, so that going there and back changes nothing but rounding.
 */
export function toRgb(frame: VideoFrame, box: Box): Rgb {
  const decoding = decodingOf(frame.colour, frame.height);
  const one = new Float64Array(3);
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
      rgbOf(frame.y[from + column]!, frame.u[at]!, frame.v[at]!, decoding, one);
      const to = row * width + column;
      for (let plane = 0; plane < 3; plane += 1) bytes[plane * area + to] = one[plane]!;
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
 * @param rows of the whole picture
 */
export function blended(ground: Patch, rgb: Float32Array, share: Float32Array, colour: Coding, rows: number): Blend {
  const encoding = encodingOf(colour, rows);
  const one = new Float64Array(3);
  const { width, height } = ground;
  const area = width * height;
  const [y, u, v] = [Float32Array.from(ground.y), Float32Array.from(ground.u), Float32Array.from(ground.v)];
  for (let row = 0; row < height; row += 2) {
    for (let column = 0; column < width; column += 2) {
      let [weight, blue, red] = [0, 0, 0];
      for (let n = 0; n < 4; n += 1) {
        const at = (row + (n >> 1)) * width + column + (n & 1);
        toYuv(rgb[at]!, rgb[area + at]!, rgb[2 * area + at]!, encoding, one);
        y[at]! += share[at]! * (one[0]! - y[at]!);
        weight += share[at]! / 4;
        blue += one[1]! / 4;
        red += one[2]! / 4;
      }
      const at = (row >> 1) * (width >> 1) + (column >> 1);
      u[at]! += weight * (blue - u[at]!);
      v[at]! += weight * (red - v[at]!);
    }
  }
  return { y, u, v };
}

/** A blend as a patch in the place of its ground. */
export function patchOf({ left, top, width, height }: Patch, { y, u, v }: Blend): Patch {
  const bytes = (plane: Float32Array) => new Uint8Array(Uint8ClampedArray.from(plane).buffer);
  return { left, top, width, height, y: bytes(y), u: bytes(u), v: bytes(v) };
}
