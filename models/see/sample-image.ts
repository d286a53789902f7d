import type { Colour, Planes } from '../../media/video-frame.ts';
import type { Affine } from '../../media/affine.ts';

/** Weights of red and blue in luma by the code points of ITU-T H.273, table 4. */
const WEIGHTS: Readonly<Record<number, readonly [red: number, blue: number]>> = {
  1: [0.2126, 0.0722],
  4: [0.3, 0.11],
  5: [0.299, 0.114],
  6: [0.299, 0.114],
  7: [0.212, 0.087],
  9: [0.2627, 0.0593],
  10: [0.2627, 0.0593],
};
const [SD, HD] = [6, 1] as const;

/**
 * The matrix a picture's numbers were made with. What does not say is taken as BT.709 from 720 lines on and as BT.601
 * below, as players do.
 */
export const matrixOf = ({ matrix }: Colour, { width, height }: Pick<Planes, 'width' | 'height'>): number =>
  matrix in WEIGHTS ? matrix : Math.max(width, height) >= 1280 || Math.min(width, height) >= 720 ? HD : SD;

/**
 * How Y′CbCr becomes R′G′B′ of 0 … 255 (ITU-R BT.601-7 §2.5, BT.709-6 §3.5, BT.2020-2 table 5):
 * R = luma·Y + red·Cr + offset, and so on; `offset`s hold what range and middle of chroma take away.
 */
export interface Decoding {
  readonly luma: number;
  readonly redByCr: number;
  readonly greenByCb: number;
  readonly greenByCr: number;
  readonly blueByCb: number;
  readonly black: number;
}
export function decodingOf(colour: Colour, size: Pick<Planes, 'width' | 'height'>): Decoding {
  const [red, blue] = WEIGHTS[matrixOf(colour, size)]!;
  const green = 1 - red - blue;
  const full = colour.range === 'full';
  const [luma, chroma] = full ? [1, 1] : [255 / 219, 255 / 224];
  return {
    luma,
    redByCr: chroma * 2 * (1 - red),
    greenByCb: (-chroma * 2 * (1 - blue) * blue) / green,
    greenByCr: (-chroma * 2 * (1 - red) * red) / green,
    blueByCb: chroma * 2 * (1 - blue),
    black: full ? 0 : 16,
  };
}

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
  out = new Float32Array(3 * sampling.width * sampling.height),
): Float32Array {
  const { width, height, channels, layout, scale, offset, outside } = sampling;
  if (out.length !== 3 * width * height) {
    throw new RangeError(`Cannot sample ${width} × ${height} pixels of three channels into ${out.length} numbers`);
  }
  const decoding = decodingOf(frame.colour, frame);
  const { luma, redByCr, greenByCb, greenByCr, blueByCb, black } = decoding;
  const { a, b, d, e } = onto;
  const pitch = Math.sqrt(Math.abs(a * e - b * d));
  const taps = Math.max(1, Math.min(8, Math.round(pitch)));
  const [dark, bright] = [offset, 255 * scale + offset].toSorted((x, y) => x - y) as [number, number];
  const step = layout === 'planes' ? 1 : 3;
  const far = layout === 'planes' ? width * height : 1;
  const [redAt, greenAt, blueAt] = channels === 'rgb' ? [0, far, 2 * far] : [2 * far, far, 0];
  const { y: Y, u: U, v: V, width: W, height: H } = frame;
  const half = (W + 1) >> 1;
  const [lastX, lastY, lastCX, lastCY] = [W - 1, H - 1, half - 1, ((H + 1) >> 1) - 1];
  const blackValue = clamp(offset, Math.max(dark, bright));
  const inverseTaps = 1 / taps;
  for (let row = 0, at = 0; row < height; row += 1) {
    let sx = a * 0.5 + b * (row + 0.5) + onto.c;
    let sy = d * 0.5 + e * (row + 0.5) + onto.f;
    for (let column = 0; column < width; column += 1, at += step, sx += a, sy += d) {
      if (outside === 'black' && (sx < 0 || sy < 0 || sx >= W || sy >= H)) {
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
      out[at + redAt] = red < dark ? dark : red > bright ? bright : red;
      out[at + greenAt] = green < dark ? dark : green > bright ? bright : green;
      out[at + blueAt] = blue < dark ? dark : blue > bright ? bright : blue;
    }
  }
  return out;
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
