import { bandPowers } from './erb.ts';
import type { Spectrum } from '../dsp/real-fft.ts';

/** How much of the running means is kept from one 10 ms frame to the next: a time constant of 1 s. */
const KEPT = 0.99;
/** Where the means begin, at the lowest band or bin and at the highest: decibels, and the root of a power. */
const LEVELS = [-60, -90] as const;
const MAGNITUDES = [0.001, 0.0001] as const;
/** Decibels to the network's unit. */
const RANGE = 40;

const ramp = ([from, to]: readonly [number, number], count: number) =>
  Float64Array.from({ length: count }, (_, i) => from + ((to - from) * i) / (count - 1));

/**
 * What DeepFilterNet hears of a frame: the level of each ERB band, and the lowest bins as they are, each relative to
 * its own running mean.
 *
 * @see https://github.com/Rikorose/DeepFilterNet/blob/main/libDF/src/lib.rs (`feat_erb`, `feat_cplx`)
 */
export class DeepFilterFeatures {
  readonly #widths: readonly number[];
  readonly #scale: number;
  readonly #levels: Float64Array;
  readonly #magnitudes: Float64Array;
  readonly #powers: Float64Array;

  /**
   * @param widths bins of each ERB band
   * @param bins how many bins are given as they are
   * @param scale what spectra are multiplied by first, for the network expects them divided by their size
   */
  constructor(widths: readonly number[], bins: number, scale: number) {
    this.#widths = widths;
    this.#scale = scale;
    this.#levels = ramp(LEVELS, widths.length);
    this.#magnitudes = ramp(MAGNITUDES, bins);
    this.#powers = new Float64Array(widths.length);
  }

  /** One frame: `erb` has a number for each band, `spec` the real parts of the bins and then the imaginary ones. */
  of(spectrum: Spectrum): { readonly erb: Float32Array; readonly spec: Float32Array } {
    bandPowers(spectrum, this.#widths, this.#powers);
    const erb = new Float32Array(this.#widths.length);
    for (let band = 0; band < erb.length; band += 1) {
      const level = 10 * Math.log10(this.#powers[band]! * this.#scale ** 2 + 1e-10);
      const mean = level * (1 - KEPT) + this.#levels[band]! * KEPT;
      this.#levels[band] = mean;
      erb[band] = (level - mean) / RANGE;
    }
    const bins = this.#magnitudes.length;
    const spec = new Float32Array(2 * bins);
    for (let bin = 0; bin < bins; bin += 1) {
      const [re, im] = [spectrum.re[bin]! * this.#scale, spectrum.im[bin]! * this.#scale];
      const mean = Math.hypot(re, im) * (1 - KEPT) + this.#magnitudes[bin]! * KEPT;
      this.#magnitudes[bin] = mean;
      spec[bin] = re / Math.sqrt(mean);
      spec[bins + bin] = im / Math.sqrt(mean);
    }
    return { erb, spec };
  }
}
