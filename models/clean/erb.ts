import type { Spectrum } from '../dsp/real-fft.ts';

/** The scale of equivalent rectangular bandwidths (Glasberg and Moore, 1990), as libDF counts it. */
const erb = (hertz: number) => 9.265 * Math.log1p(hertz / (24.7 * 9.265));
const hertz = (rate: number) => 24.7 * 9.265 * (Math.exp(rate / 9.265) - 1);

/**
 * How many bins of a spectrum belong to each of `bands` bands that lie evenly on the ERB scale. Together they are all
 * `size / 2 + 1` bins.
 *
 * @param fewest bins in the lowest bands, which would have less; the bands above make up for it
 * @see https://github.com/Rikorose/DeepFilterNet/blob/main/libDF/src/lib.rs (`erb_fb`)
 */
export function erbWidths(rate: number, size: number, bands: number, fewest: number): number[] {
  const step = erb(rate / 2) / bands;
  let before = 0;
  let owed = 0;
  const widths = Array.from({ length: bands }, (_, n) => {
    const edge = Math.round((hertz((n + 1) * step) * size) / rate);
    const width = edge - before - owed;
    before = edge;
    owed = Math.max(0, fewest - width);
    return Math.max(width, fewest);
  });
  const missing = size / 2 + 1 - widths.reduce((sum, width) => sum + width, 0);
  widths[bands - 1]! += missing;
  return widths;
}

/** Writes the mean power of each band. */
export function bandPowers({ re, im }: Spectrum, widths: readonly number[], powers: Float64Array): void {
  let bin = 0;
  for (const [band, width] of widths.entries()) {
    let sum = 0;
    for (const end = bin + width; bin < end; bin += 1) sum += re[bin]! * re[bin]! + im[bin]! * im[bin]!;
    powers[band] = sum / width;
  }
}

/** Each bin's band. */
export const bandsOfBins = (widths: readonly number[]): Uint8Array =>
  Uint8Array.from(widths.flatMap((width, band) => new Array<number>(width).fill(band)));
