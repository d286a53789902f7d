import { decibels } from './decibels.ts';
import { kaiser, sinc } from './kaiser.ts';

/** Samples on each side that a point between two samples is made from. */
export const REACH = 8;
/** Points between two samples: the waveform is looked at four times as finely (ITU-R BS.1770-4, annex 2). */
const BETWEEN = 3;
/** Kaiser's β: 60 dB. */
const BETA = 5.65;

/** Weight of the sample `n` before (or, mirrored, after) the gap for the point in its first quarter, and in its middle. */
const [QUARTER, MIDDLE, LAST] = [1, 2, 3].map((phase) => {
  const taps = Float64Array.from({ length: 2 * REACH }, (_, n) => {
    const distance = n - REACH + 1 - phase / (BETWEEN + 1);
    return sinc(distance) * kaiser(distance / REACH, BETA);
  });
  const sum = taps.reduce((total, tap) => total + tap, 0);
  return taps.map((tap) => tap / sum);
}) as [Float64Array, Float64Array, Float64Array];

/** No waveform rises above its samples by more than this factor, as we see it: the largest sum of the weights' sizes. */
export const MOST_OVER = Math.max(
  ...[QUARTER, MIDDLE].map((taps) => taps.reduce((sum, tap) => sum + Math.abs(tap), 0)),
);

/** The highest point of the waveform from sample `at` to just before the next; {@link REACH} samples around it are read. */
export function peakAt(pcm: Float32Array, at: number): number {
  let quarter = 0;
  let middle = 0;
  let last = 0;
  for (let n = 0, i = at - REACH + 1; n < 2 * REACH; n += 1, i += 1) {
    const x = pcm[i] as number;
    quarter += x * (QUARTER[n] as number);
    middle += x * (MIDDLE[n] as number);
    last += x * (LAST[n] as number);
  }
  return Math.max(Math.abs(pcm[at] as number), Math.abs(quarter), Math.abs(middle), Math.abs(last));
}

/** Samples looked at together: where none is large, no point between them can be. */
const GLANCE = 32;

/** The largest sample in `pcm[from … to)`. */
export function largest(pcm: Float32Array, from: number, to: number): number {
  let most = 0;
  for (let i = from; i < to; i += 1) {
    const size = Math.abs(pcm[i] as number);
    if (size > most) most = size;
  }
  return most;
}

/**
 * The highest point that a stream's waveform has reached, between samples too (ITU-R BS.1770-4, annex 2).
 *
 * Only where it could have risen higher does it look closely, so that after the first loud words it costs next to
 * nothing. The last {@link REACH} samples are judged when others follow.
 */
export class TruePeakMeter {
  #held = new Float32Array(2 * REACH);
  #most = 0;

  /** Amplitude, full scale being 1. */
  get amplitude(): number {
    return this.#most;
  }
  /** dBTP; −∞ for silence. */
  get truePeak(): number {
    return decibels(this.#most);
  }

  push(pcm: Float32Array): void {
    const line = new Float32Array(this.#held.length + pcm.length);
    line.set(this.#held);
    line.set(pcm, this.#held.length);
    // Position i needs i − REACH + 1 … i + REACH.
    const end = line.length - REACH;
    for (let from = REACH; from < end; from += GLANCE) {
      const to = Math.min(end, from + GLANCE);
      if (largest(line, from - REACH + 1, to + REACH) * MOST_OVER <= this.#most) continue;
      for (let i = from; i < to; i += 1) this.#most = Math.max(this.#most, peakAt(line, i) || 0);
    }
    this.#held = line.slice(line.length - 2 * REACH);
  }
}

/** True peak of a whole piece, dBTP. */
export function truePeak(pcm: Float32Array): number {
  const meter = new TruePeakMeter();
  meter.push(pcm);
  meter.push(new Float32Array(REACH));
  return meter.truePeak;
}
