import { Fft } from './fft.ts';
import { type Band, hertz, mel } from './mel.ts';

/** 16 kHz audio in windows of 25 ms every 10 ms, as is usual for speech. */
export const RATE = 16_000;
export const HOP = 160;
export const WINDOW = 400;
const BINS = 512;
const BANDS = 26;
/** Coefficients 1 … 19: the shape of the spectrum without its level, which coefficient 0 holds. */
export const COEFFICIENTS = 19;

const LOWEST = 60;
const HIGHEST = 8_000;
function bands(): Band[] {
  const step = (mel(HIGHEST) - mel(LOWEST)) / (BANDS + 1);
  const edge = (n: number) => (hertz(mel(LOWEST) + step * n) * BINS) / RATE;
  return Array.from({ length: BANDS }, (_, n) => {
    const [left, top, right] = [edge(n), edge(n + 1), edge(n + 2)];
    const from = Math.ceil(left);
    const weights = Float64Array.from({ length: Math.floor(right) - from + 1 }, (_, i) => {
      const bin = from + i;
      return bin <= top ? (bin - left) / (top - left) : (right - bin) / (right - top);
    });
    return { from, weights };
  });
}

/** Mel-frequency cepstral coefficients of one window at a time (Davis and Mermelstein, 1980). */
export class Mfcc {
  readonly #fft = new Fft(BINS);
  readonly #bands = bands();
  readonly #taper = Float64Array.from(
    { length: WINDOW },
    (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (WINDOW - 1)),
  );
  readonly #cosines = Array.from({ length: COEFFICIENTS }, (_, k) =>
    Float64Array.from(
      { length: BANDS },
      (_, n) => Math.sqrt(2 / BANDS) * Math.cos((Math.PI * (k + 1) * (n + 0.5)) / BANDS),
    ),
  );
  readonly #windowed = new Float64Array(WINDOW);
  readonly #power = new Float64Array(BINS / 2 + 1);
  readonly #levels = new Float64Array(BANDS);

  /** Coefficients of `WINDOW` samples, in decibels of the bands. */
  of(samples: Float32Array): Float64Array {
    for (let i = 0; i < WINDOW; i += 1) this.#windowed[i] = samples[i]! * this.#taper[i]!;
    this.#fft.power(this.#windowed, this.#power);
    for (const [n, { from, weights }] of this.#bands.entries()) {
      let sum = 1e-9;
      for (let i = 0; i < weights.length; i += 1) sum += weights[i]! * this.#power[from + i]!;
      this.#levels[n] = 10 * Math.log10(sum);
    }
    return Float64Array.from(this.#cosines, (cosine) => {
      let sum = 0;
      for (let n = 0; n < BANDS; n += 1) sum += cosine[n]! * this.#levels[n]!;
      return sum;
    });
  }
}
