import { Fft } from './fft.ts';
import { type Band, hertz, mel } from './mel.ts';

const RATE = 16_000;
/** Windows of 25 ms every 10 ms, without a taper. */
export const WINDOW = 400;
export const HOP = 160;
export const COEFFICIENTS = 13;

const BINS = 512;
const BANDS = 26;
const EMPHASIS = 0.97;
const LIFTER = 22;
/** What stands for no energy at all, so that it has a logarithm. */
const NOTHING = Number.EPSILON;

/** Triangles between whole bins, as python_speech_features lays them: 0 … 8000 Hz, even in mel. */
function bands(): Band[] {
  const step = mel(RATE / 2) / (BANDS + 1);
  const edge = (n: number) => Math.floor(((BINS + 1) * hertz(step * n)) / RATE);
  return Array.from({ length: BANDS }, (_, n) => {
    const [left, top, right] = [edge(n), edge(n + 1), edge(n + 2)];
    const weights = Float64Array.from({ length: right - left }, (_, i) => {
      const bin = left + i;
      return bin < top ? (bin - left) / (top - left) : (right - bin) / (right - top);
    });
    return { from: left, weights };
  });
}

/**
 * Mel-frequency cepstra of 16 kHz sound, full scale ±1, as networks that watch mouths were trained on: those of
 * python_speech_features with its defaults (pre-emphasis 0.97, lifter 22, the logarithm of the window's energy in place
 * of coefficient 0), over samples rounded to 16 bit.
 *
 * @see https://github.com/jameslyons/python_speech_features
 */
export class LiftedMfcc {
  readonly #fft = new Fft(BINS);
  readonly #bands = bands();
  readonly #cosines = Array.from({ length: COEFFICIENTS }, (_, k) => {
    const scale = Math.sqrt((k === 0 ? 1 : 2) / BANDS) * (1 + (LIFTER / 2) * Math.sin((Math.PI * k) / LIFTER));
    return Float64Array.from({ length: BANDS }, (_, n) => scale * Math.cos((Math.PI * k * (n + 0.5)) / BANDS));
  });
  readonly #heard = new Float64Array(WINDOW);
  readonly #power = new Float64Array(BINS / 2 + 1);
  readonly #levels = new Float64Array(BANDS);

  /** `count` windows from the first sample on, one row of {@link COEFFICIENTS} each; what `pcm` lacks is silence. */
  of(pcm: Float32Array, count: number): Float32Array {
    const rows = new Float32Array(count * COEFFICIENTS);
    for (let row = 0; row < count; row += 1) {
      emphasise(pcm, row * HOP, this.#heard);
      this.#fft.power(this.#heard, this.#power);
      let energy = 0;
      for (let bin = 0; bin < this.#power.length; bin += 1) energy += this.#power[bin]! /= BINS;
      for (const [n, { from, weights }] of this.#bands.entries()) {
        let sum = 0;
        for (let i = 0; i < weights.length; i += 1) sum += weights[i]! * this.#power[from + i]!;
        this.#levels[n] = Math.log(sum || NOTHING);
      }
      rows[row * COEFFICIENTS] = Math.log(energy || NOTHING);
      for (let k = 1; k < COEFFICIENTS; k += 1) {
        const cosine = this.#cosines[k]!;
        let sum = 0;
        for (let n = 0; n < BANDS; n += 1) sum += cosine[n]! * this.#levels[n]!;
        rows[row * COEFFICIENTS + k] = sum;
      }
    }
    return rows;
  }
}

const sample = (value = 0) => Math.max(-32_768, Math.min(32_767, Math.round(value * 32_768)));
/** The 16 bit samples from `from` on, with the high frequencies raised; after the last one there is nothing. */
function emphasise(pcm: Float32Array, from: number, out: Float64Array): void {
  let before = sample(pcm[from - 1]);
  for (let i = 0; i < out.length; i += 1) {
    const now = sample(pcm[from + i]);
    out[i] = from + i < pcm.length ? now - EMPHASIS * before : 0;
    before = now;
  }
}
