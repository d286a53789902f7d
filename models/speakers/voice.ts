import { COEFFICIENTS, HOP, Mfcc, WINDOW } from '../dsp/mfcc.ts';
import { PITCH_WINDOW, Pitch } from '../dsp/pitch.ts';

/** What is measured of a voice: mean and spread of 19 coefficients, and the middle, low and high end of its pitch. */
export const MEASURES = 2 * COEFFICIENTS + 3;

/** Collects voiced frames of 16 kHz speech and sums them up. One measurer serves one stream. */
export class VoiceMeasurer {
  readonly #mfcc = new Mfcc();
  readonly #pitch = new Pitch();
  /** The last samples; never more than a window and a hop. */
  #tail = new Float32Array(0);
  #sum = new Float64Array(COEFFICIENTS);
  #squares = new Float64Array(COEFFICIENTS);
  #pitches: number[] = [];

  /** Hears samples that follow those before. */
  hear(pcm: Float32Array): void {
    const samples = new Float32Array(this.#tail.length + pcm.length);
    samples.set(this.#tail);
    samples.set(pcm, this.#tail.length);
    let from = 0;
    for (; from + PITCH_WINDOW <= samples.length; from += HOP) {
      const pitch = this.#pitch.of(samples.subarray(from, from + PITCH_WINDOW));
      if (pitch === 0) continue;
      const middle = from + (PITCH_WINDOW - WINDOW) / 2;
      const coefficients = this.#mfcc.of(samples.subarray(middle, middle + WINDOW));
      this.#pitches.push(pitch);
      for (const [k, x] of coefficients.entries()) {
        this.#sum[k]! += x;
        this.#squares[k]! += x * x;
      }
    }
    this.#tail = samples.slice(from);
  }

  /** Seconds of voiced speech since the last summary. */
  get voiced(): number {
    return (this.#pitches.length * HOP) / 16_000;
  }

  /** The measures of what was heard since the last summary, of which there must be some. */
  sum(): Float64Array {
    const n = this.#pitches.length;
    const means = this.#sum.map((sum) => sum / n);
    const spreads = this.#squares.map((square, k) => Math.sqrt(Math.max(0, square / n - means[k]! ** 2)));
    const sorted = this.#pitches.toSorted((a, b) => a - b);
    // In semitones, since pitch is heard in ratios.
    const semitone = (share: number) => 12 * Math.log2(sorted[Math.floor(share * (n - 1))]!);
    this.clear();
    return Float64Array.from([...means, ...spreads, semitone(0.5), semitone(0.1), semitone(0.9)]);
  }

  clear(): void {
    this.#sum = new Float64Array(COEFFICIENTS);
    this.#squares = new Float64Array(COEFFICIENTS);
    this.#pitches = [];
  }

  /** What follows does not follow what was heard. */
  cut(): void {
    this.#tail = new Float32Array(0);
  }
}
