/** The mel scale of O'Shaughnessy (Speech Communication, 1987): hertz to mel, and back. */
export const mel = (hertz: number): number => 2_595 * Math.log10(1 + hertz / 700);
export const hertz = (m: number): number => 700 * (10 ** (m / 2_595) - 1);

/** One band of a power spectrum: its first bin and the weights from there on. */
export interface Band {
  readonly from: number;
  readonly weights: Float64Array;
}
