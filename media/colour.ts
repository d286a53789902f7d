import type { Colour, Planes } from './video-frame.ts';

/** Weights of red and blue in luma, by the code points of ITU-T H.273, table 4. */
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

/** What is needed of a colour to compute with it. */
export type Coding = Pick<Colour, 'matrix' | 'range'>;

/**
 * The matrix a picture's numbers were made with. Where it does not say, or names one that is none of luma and two
 * differences, it is BT.709 from 720 rows on and BT.601 below, as players assume.
 *
 * @param rows of the whole picture, also where a part of it is looked at
 */
export const matrixOf = ({ matrix }: Pick<Colour, 'matrix'>, rows: number): number =>
  matrix in WEIGHTS ? matrix : rows >= 720 ? HD : SD;

/** Black, and the steps of luma and of chroma. */
const rangeOf = ({ range }: Pick<Colour, 'range'>): readonly [black: number, luma: number, chroma: number] =>
  range === 'full' ? [0, 255, 255] : [16, 219, 224];

/**
 * How Y′CbCr becomes R′G′B′ of 0 … 255 (ITU-R BT.601-7 §2.5, BT.709-6 §3.5, BT.2020-2 table 5):
 * R = luma · (Y − black) + redByCr · (Cr − 128), and so on.
 */
export interface Decoding {
  readonly black: number;
  readonly luma: number;
  readonly redByCr: number;
  readonly greenByCb: number;
  readonly greenByCr: number;
  readonly blueByCb: number;
}
/** @param rows of the whole picture */
export function decodingOf(colour: Coding, rows: number): Decoding {
  const [red, blue] = WEIGHTS[matrixOf(colour, rows)]!;
  const green = 1 - red - blue;
  const [black, luma, chroma] = rangeOf(colour);
  const [redByCr, blueByCb] = [(510 * (1 - red)) / chroma, (510 * (1 - blue)) / chroma];
  return {
    black,
    luma: 255 / luma,
    redByCr,
    greenByCb: (-blue * blueByCb) / green,
    greenByCr: (-red * redByCr) / green,
    blueByCb,
  };
}

/** The way back: Y = black + red · R + green · G + blue · B, Cb = 128 + cb · (B − light), Cr likewise; see {@link toYuv}. */
export interface Encoding {
  readonly black: number;
  /** Steps of luma in one of 0 … 255. */
  readonly luma: number;
  /** Parts of light. */
  readonly red: number;
  readonly green: number;
  readonly blue: number;
  /** Steps of chroma for what blue and red have more than light. */
  readonly cb: number;
  readonly cr: number;
}
/** @param rows of the whole picture */
export function encodingOf(colour: Coding, rows: number): Encoding {
  const [red, blue] = WEIGHTS[matrixOf(colour, rows)]!;
  const [black, luma, chroma] = rangeOf(colour);
  const [cb, cr] = [chroma / (510 * (1 - blue)), chroma / (510 * (1 - red))];
  return { black, luma: luma / 255, red, green: 1 - red - blue, blue, cb, cr };
}

/** Three numbers that are written over again and again. */
export type Triple = Float32Array | Float64Array;

/** R′G′B′, 0 … 255, neither clipped nor rounded, of 8 bit Y′CbCr. */
export function toRgb(y: number, u: number, v: number, d: Decoding, into: Triple): void {
  const light = (y - d.black) * d.luma;
  const [cb, cr] = [u - 128, v - 128];
  into[0] = light + d.redByCr * cr;
  into[1] = light + d.greenByCb * cb + d.greenByCr * cr;
  into[2] = light + d.blueByCb * cb;
}
/** 8 bit Y′CbCr, neither clipped nor rounded, of R′G′B′ 0 … 255. */
export function toYuv(r: number, g: number, b: number, e: Encoding, into: Triple): void {
  const light = e.red * r + e.green * g + e.blue * b;
  into[0] = e.black + e.luma * light;
  into[1] = 128 + e.cb * (b - light);
  into[2] = 128 + e.cr * (r - light);
}

/**
 * Red, green and blue of planes, pixel by pixel, row by row; a chroma sample counts for its four pixels.
 *
 * @param rows of the whole picture, where the planes are a part of it
 */
export function packedRgb({ width, height, y, u, v }: Planes, colour: Coding, rows = height): Uint8Array {
  const decoding = decodingOf(colour, rows);
  const rgb = new Uint8Array(3 * width * height);
  const bytes = new Uint8ClampedArray(rgb.buffer);
  const stride = (width + 1) >> 1;
  const one = new Float64Array(3);
  for (let row = 0, at = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1, at += 1) {
      const half = (row >> 1) * stride + (column >> 1);
      toRgb(y[at]!, u[half]!, v[half]!, decoding, one);
      bytes.set(one, 3 * at);
    }
  }
  return rgb;
}

/**
 * Planes of {@link packedRgb}; chroma is the mean of four pixels. `width` and `height` are even.
 *
 * @param rows of the whole picture, where the pixels are a part of it
 */
export function planesOfRgb(rgb: Uint8Array, width: number, height: number, colour: Coding, rows = height): Planes {
  const encoding = encodingOf(colour, rows);
  const stride = width >> 1;
  const [y, u, v] = [width * height, stride * (height >> 1), stride * (height >> 1)].map(
    (size) => new Uint8ClampedArray(size),
  ) as [Uint8ClampedArray, Uint8ClampedArray, Uint8ClampedArray];
  const one = new Float64Array(3);
  for (let row = 0; row < height; row += 2) {
    for (let column = 0; column < width; column += 2) {
      let [cb, cr] = [0, 0];
      for (let n = 0; n < 4; n += 1) {
        const at = (row + (n >> 1)) * width + column + (n & 1);
        toYuv(rgb[3 * at]!, rgb[3 * at + 1]!, rgb[3 * at + 2]!, encoding, one);
        y[at] = one[0]!;
        cb += one[1]! / 4;
        cr += one[2]! / 4;
      }
      const half = (row >> 1) * stride + (column >> 1);
      u[half] = cb;
      v[half] = cr;
    }
  }
  const [ys, us, vs] = [y, u, v].map(({ buffer }) => new Uint8Array(buffer)) as [Uint8Array, Uint8Array, Uint8Array];
  return { width, height, y: ys, u: us, v: vs };
}
