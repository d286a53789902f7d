import { GatedLoudness, lufs } from './gated-loudness.ts';
import { KWeighting } from './k-weighting.ts';
import { resample } from './resample.ts';
import type { SampleRate } from './time.ts';

/** Measuring blocks overlap and begin this often: samples in 100 ms (BS.1770-4: blocks of 400 ms overlap by 75 %). */
export const hopOf = (rate: SampleRate): number => rate / 10;
/** Hops in a momentary and in a short-term value: 400 ms and 3 s (EBU Tech 3341, 2.2). */
const MOMENTARY = 4;
const SHORT_TERM = 30;

/**
 * Loudness of a programme as it goes on (ITU-R BS.1770-4, EBU R 128, EBU Tech 3341 and 3342): values in LUFS, −∞ where
 * there is nothing yet or nothing but silence.
 *
 * What is heard comes from two loudspeakers: mono counts as the same sound left and right, 3.01 dB more than from one
 * loudspeaker alone (FFmpeg: `ebur128=dualmono=true`). Its memory does not grow with time.
 */
export class LoudnessMeter {
  readonly rate: SampleRate;
  readonly #hop: number;
  readonly #left: KWeighting;
  readonly #right: KWeighting;
  /** Energy of the last 30 hops. */
  readonly #ring = new Float64Array(SHORT_TERM);
  readonly #blocks = new GatedLoudness();
  readonly #spans = new GatedLoudness();
  #energy = 0;
  #filled = 0;
  #hops = 0;
  #loudestMoment = Number.NEGATIVE_INFINITY;
  #loudestSpan = Number.NEGATIVE_INFINITY;

  constructor(rate: SampleRate) {
    this.rate = rate;
    this.#hop = hopOf(rate);
    this.#left = new KWeighting(rate);
    this.#right = new KWeighting(rate);
  }

  /** Whole steps of 100 ms heard so far: the values change when this does. */
  get hops(): number {
    return this.#hops;
  }
  /** Samples until {@link hops} goes up. */
  get untilHop(): number {
    return this.#hop - this.#filled;
  }

  /** @param right of the same length; mono unless given, and where it is the very buffer of `left` (half the work) */
  push(left: Float32Array, right: Float32Array = left): void {
    if (right.length !== left.length) {
      throw new RangeError(`Cannot measure loudness: received ${left.length} samples left, ${right.length} right`);
    }
    for (let from = 0; from < left.length;) {
      const to = Math.min(left.length, from + this.untilHop);
      if (left === right) {
        this.#energy += 2 * this.#left.energy(left, from, to);
        this.#right.follow(this.#left);
      } else {
        this.#energy += this.#left.energy(left, from, to) + this.#right.energy(right, from, to);
      }
      this.#filled += to - from;
      from = to;
      if (this.#filled === this.#hop) this.#close();
    }
  }

  /** Of the last 400 ms. */
  get momentary(): number {
    return this.#hops < MOMENTARY ? Number.NEGATIVE_INFINITY : lufs(this.#mean(MOMENTARY));
  }
  /** Of the last 3 s. */
  get shortTerm(): number {
    return this.#hops < SHORT_TERM ? Number.NEGATIVE_INFINITY : lufs(this.#mean(SHORT_TERM));
  }
  get loudestMomentary(): number {
    return this.#loudestMoment;
  }
  get loudestShortTerm(): number {
    return this.#loudestSpan;
  }
  /** Of the whole programme, gated: silence and what lies 10 LU below the rest do not count. */
  get integrated(): number {
    return this.#blocks.loudness;
  }
  /** Loudness range, LU: between the 10th and the 95th percentile of the short-term values (EBU Tech 3342). */
  get range(): number {
    return this.#spans.spread(-20, 0.1, 0.95);
  }
  /** Mean square of the last 400 ms after weighting, both channels added. */
  get meanSquare(): number {
    return this.#hops < MOMENTARY ? 0 : this.#mean(MOMENTARY);
  }

  #close(): void {
    // A sample that is not a number spoils its own hop, no more.
    this.#ring[this.#hops % SHORT_TERM] = Number.isFinite(this.#energy) ? this.#energy : 0;
    this.#energy = 0;
    this.#filled = 0;
    this.#hops += 1;
    if (this.#hops < MOMENTARY) return;
    const moment = this.#mean(MOMENTARY);
    this.#blocks.add(moment);
    this.#loudestMoment = Math.max(this.#loudestMoment, lufs(moment));
    if (this.#hops < SHORT_TERM) return;
    const span = this.#mean(SHORT_TERM);
    this.#spans.add(span);
    this.#loudestSpan = Math.max(this.#loudestSpan, lufs(span));
  }
  #mean(hops: number): number {
    let sum = 0;
    for (let n = 1; n <= hops; n += 1) sum += this.#ring[(this.#hops - n) % SHORT_TERM] as number;
    return sum / (hops * this.#hop);
  }
}

/** A piece of speech is measured in steps of 25 ms, in blocks of eight: about a syllable. */
const STEPS_PER_SECOND = 40;
const SYLLABLE = 8;
/** Speech quieter than this cannot be told from a room's noise, LUFS. */
const SPEECH_FLOOR = -60;
/** Speech is measured in the band that recognisers hear, so that a clip at 48 kHz compares with an original at 16 kHz. */
const SPEECH_RATE = 16_000;
/** Blocks further below the mean are pauses, LU (as in BS.1770-4, but with syllables for blocks). */
const PAUSE = -10;

/**
 * Loudness of the speech in a short piece, LUFS as from two loudspeakers; nothing where there is only silence.
 *
 * Pauses do not count, so that a line has the same loudness however its words are spread. For pieces of 0.3 … 10 s; a
 * shorter one is measured as a whole. What lies above 8 kHz does not count, so that the same speech has the same loudness
 * at every rate from 16 kHz on.
 */
export function speechLoudness(pcm: Float32Array, rate: SampleRate): number | undefined {
  const low = rate <= SPEECH_RATE;
  return loudnessOfSpeech(low ? pcm : resample(pcm, rate, SPEECH_RATE), low ? rate : SPEECH_RATE);
}
function loudnessOfSpeech(pcm: Float32Array, rate: SampleRate): number | undefined {
  const filter = new KWeighting(rate);
  const count = Math.floor((pcm.length * STEPS_PER_SECOND) / rate);
  const edge = (n: number) => Math.round((n * rate) / STEPS_PER_SECOND);
  const steps = Float64Array.from({ length: count }, (_, n) => 2 * filter.energy(pcm, edge(n), edge(n + 1)));
  const length = Math.min(SYLLABLE, count);
  if (length === 0) return undefined;
  const scale = STEPS_PER_SECOND / (length * rate);
  const blocks = Array.from(
    { length: count - length + 1 },
    (_, n) => steps.subarray(n, n + length).reduce((sum, energy) => sum + energy, 0) * scale,
  );
  const heard = blocks.filter((block) => lufs(block) >= SPEECH_FLOOR);
  if (heard.length === 0) return undefined;
  const threshold = mean(heard) * 10 ** (PAUSE / 10);
  return lufs(mean(heard.filter((block) => block >= threshold)));
}
const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
