import { type Decoding, decodingOf } from '../../media/colour.ts';
import type { Colour, Planes } from '../../media/video-frame.ts';
import type { Affine } from '../../media/affine.ts';

/** What a network wants to see. */
export interface Sampling {
  readonly width: number;
  readonly height: number;
  readonly channels: 'rgb' | 'bgr';
  /** `planes`: one channel after the other (NCHW). `pixels`: the channels of a pixel side by side (NHWC). */
  readonly layout: 'planes' | 'pixels';
  /** A channel's value of 0 … 255 becomes `value × scale + offset`. */
  readonly scale: number;
  readonly offset: number;
  /** What is seen outside the picture: its edge, continued, or black. */
  readonly outside: 'edge' | 'black';
}

const clamp = (value: number, most: number) => (value < 0 ? 0 : value > most ? most : value);

/** Where the centre of a chroma sample lies, in luma pixels from the left: on the left one of two (H.273, location type 0). */
const CHROMA_LEFT = 0.5;

/**
 * Looks at a part of a picture: fills `out` with `width × height` pixels, of which the one at (x, y) shows what `onto`
 * maps (x + ½, y + ½) to. Bilinear; where several pixels of the picture fall into one, a grid of them is averaged.
 *
 * @param out as long as three channels need; a fresh one unless given
 */
export function sampleImage(
  frame: Planes & { readonly colour: Colour },
  onto: Affine,
  sampling: Sampling,
  out: Float32Array = new Float32Array(3 * sampling.width * sampling.height),
): Float32Array {
  const { width, height, channels, layout, scale, offset, outside } = sampling;
  if (out.length !== 3 * width * height) {
    throw new RangeError(`Cannot sample ${width} × ${height} pixels of three channels into ${out.length} numbers`);
  }
  const decoding = decodingOf(frame.colour, frame.height);
  const { a, b, d, e } = onto;
  const pitch = Math.sqrt(Math.abs(a * e - b * d));
  const taps = Math.max(1, Math.min(8, Math.round(pitch)));
  const [dark, bright] = [offset, 255 * scale + offset].toSorted((x, y) => x - y) as [number, number];
  const step = layout === 'planes' ? 1 : 3;
  const far = layout === 'planes' ? width * height : 1;
  const [redAt, greenAt, blueAt] = channels === 'rgb' ? [0, far, 2 * far] : [2 * far, far, 0];
  const [redTo, greenTo, blueTo] = [redAt, greenAt, blueAt];
  const target = { width, height, step, far, redTo, greenTo, blueTo, scale, offset, dark, bright };
  if (taps === 1 && within(frame, onto, width, height)) sampleInside(frame, onto, target, decoding, out);
  else sampleAnywhere(frame, onto, target, decoding, taps, outside === 'black', out);
  return out;
}

/** Whether every pixel that is looked at, and those that are mixed with it, lie within the picture. */
function within({ width, height }: Planes, { a, b, c, d, e, f }: Affine, columns: number, rows: number): boolean {
  const [right, bottom] = [columns - 0.5, rows - 0.5];
  const xs = [a * 0.5 + b * 0.5, a * right + b * 0.5, a * 0.5 + b * bottom, a * right + b * bottom].map((x) => x + c);
  const ys = [d * 0.5 + e * 0.5, d * right + e * 0.5, d * 0.5 + e * bottom, d * right + e * bottom].map((y) => y + f);
  // Chroma reaches furthest: two of its samples, four pixels, lie around a place. Half a pixel is for what sums round.
  return (
    Math.min(...xs) >= 1.5 && Math.min(...ys) >= 1.5 && Math.max(...xs) < width - 3.5 && Math.max(...ys) < height - 3.5
  );
}

/** Where channels go, and what values become. */
interface Target {
  readonly width: number;
  readonly height: number;
  readonly step: number;
  /** From one channel to the next. */
  readonly far: number;
  readonly redTo: number;
  readonly greenTo: number;
  readonly blueTo: number;
  readonly scale: number;
  readonly offset: number;
  readonly dark: number;
  readonly bright: number;
}

/** {@link sampleImage} with `taps` × `taps` points averaged, and what lies outside. */
function sampleAnywhere(
  frame: Planes,
  onto: Affine,
  { width, height, step, far, redTo, greenTo, blueTo, scale, offset, dark, bright }: Target,
  { luma, redByCr, greenByCb, greenByCr, blueByCb, black }: Decoding,
  taps: number,
  isBlack: boolean,
  out: Float32Array,
): void {
  const { a, b, d, e } = onto;
  const Y = frame.y;
  const U = frame.u;
  const V = frame.v;
  const W = frame.width;
  const H = frame.height;
  const half = (W + 1) >> 1;
  const lastX = W - 1;
  const lastY = H - 1;
  const lastCX = half - 1;
  const lastCY = ((H + 1) >> 1) - 1;
  const blackValue = clamp(offset, Math.max(dark, bright));
  const inverseTaps = 1 / taps;
  for (let row = 0, at = 0; row < height; row += 1) {
    let sx = a * 0.5 + b * (row + 0.5) + onto.c;
    let sy = d * 0.5 + e * (row + 0.5) + onto.f;
    for (let column = 0; column < width; column += 1, at += step, sx += a, sy += d) {
      if (isBlack && (sx < 0 || sy < 0 || sx >= W || sy >= H)) {
        out[at] = out[at + far] = out[at + 2 * far] = blackValue;
        continue;
      }
      let light = 0;
      if (taps === 1) {
        const x = clamp(sx - 0.5, lastX);
        const y = clamp(sy - 0.5, lastY);
        const x0 = x | 0;
        const y0 = y | 0;
        const fx = x - x0;
        const fy = y - y0;
        const top = y0 * W + x0;
        const right = x0 < lastX ? 1 : 0;
        const below = y0 < lastY ? W : 0;
        const upper = Y[top]! + (Y[top + right]! - Y[top]!) * fx;
        const lower = Y[top + below]! + (Y[top + below + right]! - Y[top + below]!) * fx;
        light = upper + (lower - upper) * fy;
      } else {
        for (let j = 0; j < taps; j += 1) {
          const v = (j + 0.5) * inverseTaps - 0.5;
          for (let i = 0; i < taps; i += 1) {
            const u = (i + 0.5) * inverseTaps - 0.5;
            const x = clamp(Math.floor(sx + a * u + b * v), lastX);
            const y = clamp(Math.floor(sy + d * u + e * v), lastY);
            light += Y[y * W + x]!;
          }
        }
        light *= inverseTaps * inverseTaps;
      }
      const cx = clamp((sx - CHROMA_LEFT) / 2, lastCX);
      const cy = clamp(sy / 2 - 0.5, lastCY);
      let cb: number;
      let cr: number;
      if (taps === 1) {
        const x0 = cx | 0;
        const y0 = cy | 0;
        const fx = cx - x0;
        const fy = cy - y0;
        const top = y0 * half + x0;
        const right = top + (x0 < lastCX ? 1 : 0);
        const below = y0 < lastCY ? half : 0;
        const w11 = fx * fy;
        const w10 = fx - w11;
        const w01 = fy - w11;
        const w00 = 1 - w11 - w10 - w01;
        cb = U[top]! * w00 + U[right]! * w10 + U[top + below]! * w01 + U[right + below]! * w11 - 128;
        cr = V[top]! * w00 + V[right]! * w10 + V[top + below]! * w01 + V[right + below]! * w11 - 128;
      } else {
        const place = Math.round(cy) * half + Math.round(cx);
        cb = U[place]! - 128;
        cr = V[place]! - 128;
      }
      const grey = (light - black) * luma;
      const red = (grey + redByCr * cr) * scale + offset;
      const green = (grey + greenByCb * cb + greenByCr * cr) * scale + offset;
      const blue = (grey + blueByCb * cb) * scale + offset;
      out[at + redTo] = red < dark ? dark : red > bright ? bright : red;
      out[at + greenTo] = green < dark ? dark : green > bright ? bright : green;
      out[at + blueTo] = blue < dark ? dark : blue > bright ? bright : blue;
    }
  }
}

/** {@link sampleImage} where nothing lies outside and no pixels are averaged: most of what is looked at is a face. */
function sampleInside(
  { y: Y, u: U, v: V, width: W }: Planes,
  { a, b, c, d, e, f }: Affine,
  { width, height, step, redTo, greenTo, blueTo, scale, offset, dark, bright }: Target,
  { luma, redByCr, greenByCb, greenByCr, blueByCb, black }: Decoding,
  out: Float32Array,
): void {
  const half = (W + 1) >> 1;
  const lumaScale = luma * scale;
  const base = offset - black * lumaScale;
  const redScale = redByCr * scale;
  const greenScaleB = greenByCb * scale;
  const greenScaleR = greenByCr * scale;
  const blueScale = blueByCb * scale;
  for (let row = 0, at = 0; row < height; row += 1) {
    let sx = a * 0.5 + b * (row + 0.5) + c;
    let sy = d * 0.5 + e * (row + 0.5) + f;
    for (let column = 0; column < width; column += 1, at += step, sx += a, sy += d) {
      const x = sx - 0.5;
      const y = sy - 0.5;
      const x0 = x | 0;
      const y0 = y | 0;
      const fx = x - x0;
      const place = y0 * W + x0;
      const upper = Y[place]! + (Y[place + 1]! - Y[place]!) * fx;
      const lower = Y[place + W]! + (Y[place + W + 1]! - Y[place + W]!) * fx;
      const grey = (upper + (lower - upper) * (y - y0)) * lumaScale + base;
      const cx = x * 0.5;
      const cy = sy * 0.5 - 0.5;
      const cx0 = cx | 0;
      const cy0 = cy | 0;
      const gx = cx - cx0;
      const gy = cy - cy0;
      const corner = cy0 * half + cx0;
      const w11 = gx * gy;
      const w10 = gx - w11;
      const w01 = gy - w11;
      const w00 = 1 - w11 - w10 - w01;
      const cb = U[corner]! * w00 + U[corner + 1]! * w10 + U[corner + half]! * w01 + U[corner + half + 1]! * w11 - 128;
      const cr = V[corner]! * w00 + V[corner + 1]! * w10 + V[corner + half]! * w01 + V[corner + half + 1]! * w11 - 128;
      const red = grey + redScale * cr;
      const green = grey + greenScaleB * cb + greenScaleR * cr;
      const blue = grey + blueScale * cb;
      out[at + redTo] = red < dark ? dark : red > bright ? bright : red;
      out[at + greenTo] = green < dark ? dark : green > bright ? bright : green;
      out[at + blueTo] = blue < dark ? dark : blue > bright ? bright : blue;
    }
  }
}

/** The luma of a part of a picture, as {@link sampleImage} looks at it, in the picture's own range, rounded. */
export function sampleLuma(
  { y: Y, width: W, height: H }: Planes,
  onto: Affine,
  width: number,
  height: number,
  out = new Uint8Array(width * height),
): Uint8Array {
  const { a, b, d, e } = onto;
  const [lastX, lastY] = [W - 1, H - 1];
  const taps = Math.max(1, Math.min(8, Math.round(Math.sqrt(Math.abs(a * e - b * d)))));
  for (let row = 0, at = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1, at += 1) {
      let sum = 0;
      for (let j = 0; j < taps; j += 1) {
        for (let i = 0; i < taps; i += 1) {
          const [u, v] = [column + (i + 0.5) / taps, row + (j + 0.5) / taps];
          const x = clamp(a * u + b * v + onto.c - 0.5, lastX);
          const y = clamp(d * u + e * v + onto.f - 0.5, lastY);
          const [x0, y0] = [x | 0, y | 0];
          const top = y0 * W + x0;
          const right = x0 < lastX ? 1 : 0;
          const below = y0 < lastY ? W : 0;
          const upper = Y[top]! + (Y[top + right]! - Y[top]!) * (x - x0);
          const lower = Y[top + below]! + (Y[top + below + right]! - Y[top + below]!) * (x - x0);
          sum += upper + (lower - upper) * (y - y0);
        }
      }
      out[at] = Math.round(sum / (taps * taps));
    }
  }
  return out;
}
