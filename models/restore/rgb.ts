import type { Colour } from '../../media/video-frame.ts';

/** How Y'CbCr becomes RGB: the parts of red and blue in luma, and what luma and chroma count from and up to. */
export interface Matrix {
  readonly red: number;
  readonly blue: number;
  readonly black: number;
  readonly luma: number;
  readonly chroma: number;
}

/**
 * The matrix of a picture (ITU-T H.273, table 4): BT.709 (1), BT.2020 (9), else BT.601. Unspecified is BT.709 from 720 rows on,
 * as players assume.
 */
export function matrixOf({ matrix, range }: Colour, height: number): Matrix {
  const wide = matrix === 2 ? height >= 720 : matrix === 1;
  const [red, blue] = matrix === 9 ? [0.2627, 0.0593] : wide ? [0.2126, 0.0722] : [0.299, 0.114];
  const [black, luma, chroma] = range === 'full' ? [0, 255, 255] : [16, 219, 224];
  return { red, blue, black, luma, chroma };
}

/** RGB, 0 … 1, unclipped, of 8 bit Y'CbCr. */
export function toRgb(y: number, u: number, v: number, m: Matrix, into: Float32Array): void {
  const luma = (y - m.black) / m.luma;
  const [cb, cr] = [(u - 128) / m.chroma, (v - 128) / m.chroma];
  const red = luma + 2 * (1 - m.red) * cr;
  const blue = luma + 2 * (1 - m.blue) * cb;
  into[0] = red;
  into[1] = (luma - m.red * red - m.blue * blue) / (1 - m.red - m.blue);
  into[2] = blue;
}
/** 8 bit Y'CbCr, not rounded, of RGB 0 … 1. */
export function toYuv(r: number, g: number, b: number, m: Matrix, into: Float32Array): void {
  const luma = m.red * r + (1 - m.red - m.blue) * g + m.blue * b;
  into[0] = m.black + m.luma * luma;
  into[1] = 128 + (m.chroma * (b - luma)) / (2 * (1 - m.blue));
  into[2] = 128 + (m.chroma * (r - luma)) / (2 * (1 - m.red));
}
