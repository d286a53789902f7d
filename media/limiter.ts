import type { SampleRate } from './time.ts';
import { MOST_OVER, REACH, largest, peakAt } from './true-peak.ts';

/** How far ahead the limiter hears, seconds: long enough to go down without an edge, too short to be seen. */
const AHEAD = 0.01;
/** How fast it comes back, seconds to a part of 1/e: slower than a period of the lowest voice by far. */
const RELEASE = 0.1;
/** A gain nearer to 1 than this is 1: −100 dB. */
const ALL_BUT_ONE = 1 - 1e-5;
/** Samples taken through at once; a matter of memory, not of the result. */
const PIECE = 1_024;
/** Samples looked at together: where none is large, no point between them can be. */
const GLANCE = 32;

/** Two channels. One buffer in both places is mono. */
export interface Stereo {
  readonly left: Float32Array;
  readonly right: Float32Array;
}

/**
 * Keeps the true peak of two channels at or below a ceiling, by a gain that both share.
 *
 * It hears `lookahead` samples ahead: the gain is down when a peak comes, gets there along a parabola, and comes back
 * slowly. Where nothing exceeds the ceiling for that long, what comes out is bit for bit what went in.
 *
 * The gain at a sample is the mean, taken twice, of the lowest gains that the samples within reach need. Every one of
 * those lowest gains has looked at the sample itself, so their mean is at most what the sample needs.
 */
export class Limiter {
  /** What comes out lies so many samples behind what goes in. */
  readonly lookahead: number;
  readonly #ceiling: number;
  readonly #release: number;
  readonly #one: Float32Array;
  readonly #other: Float32Array;
  readonly #needs = new Float64Array(PIECE);
  readonly #lowest: Lowest;
  readonly #first: Mean;
  readonly #second: Mean;
  #gain = 1;
  /** Samples for which the two lines still differ after the channels became one. */
  #apart = 0;

  /** @param ceiling amplitude, full scale being 1 */
  constructor(rate: SampleRate, ceiling: number) {
    if (!(ceiling > 0)) throw new RangeError(`Cannot create limiter: ceiling must be positive, received ${ceiling}`);
    this.lookahead = Math.round(rate * AHEAD);
    this.#ceiling = ceiling;
    this.#release = 1 - Math.exp(-1 / (RELEASE * rate));
    // Two means of a and b samples reach over a + b − 1; with what the detector needs that makes up the look-ahead.
    const both = this.lookahead - REACH + 2;
    this.#first = new Mean(both >> 1);
    this.#second = new Mean(both - (both >> 1));
    // One more on each side: a peak between two samples belongs to both of them.
    this.#lowest = new Lowest(both + 1);
    const length = this.lookahead + REACH + PIECE;
    this.#one = new Float32Array(length);
    this.#other = new Float32Array(length);
  }

  /** As many samples as it takes, the caller's own. One buffer for both comes out where one went in, a look-ahead later. */
  process(sound: Stereo): Stereo {
    const { length } = sound.left;
    const mono = sound.left === sound.right && this.#apart === 0;
    const left = new Float32Array(length);
    const right = mono ? left : new Float32Array(length);
    if (!mono && this.#apart === 0) this.#other.set(this.#one.subarray(0, this.#kept));
    for (let from = 0; from < length; from += PIECE) {
      const to = Math.min(length, from + PIECE);
      this.#piece(
        { left: sound.left.subarray(from, to), right: sound.right.subarray(from, to) },
        { left: left.subarray(from, to), right: right.subarray(from, to) },
        mono,
      );
    }
    this.#apart = sound.left === sound.right ? Math.max(0, this.#apart - length) : this.#kept;
    return { left, right };
  }

  get #kept(): number {
    return this.lookahead + REACH;
  }

  #piece(from: Stereo, to: Stereo, mono: boolean): void {
    const count = from.left.length;
    const kept = this.#kept;
    const one = this.#one;
    const other = this.#other;
    one.set(from.left, kept);
    if (!mono) other.set(from.right, kept);
    const clear = this.#look(count, mono);
    if (clear && this.#idle) {
      this.#lowest.pass(count);
      to.left.set(one.subarray(REACH, REACH + count));
      if (!mono) to.right.set(other.subarray(REACH, REACH + count));
    } else {
      for (let i = 0; i < count; i += 1) {
        const gain = this.#next(this.#needs[i] as number);
        to.left[i] = (one[REACH + i] as number) * gain;
        if (!mono) to.right[i] = (other[REACH + i] as number) * gain;
      }
    }
    one.copyWithin(0, count, count + kept);
    if (!mono) other.copyWithin(0, count, count + kept);
  }

  /** Finds the gain that each sample needs; whether that is 1 for all. */
  #look(count: number, mono: boolean): boolean {
    const begin = this.lookahead;
    let clear = true;
    for (let from = 0; from < count; from += GLANCE) {
      const to = Math.min(count, from + GLANCE);
      const [first, last] = [begin + from - REACH + 1, begin + to + REACH];
      const most = Math.max(largest(this.#one, first, last), mono ? 0 : largest(this.#other, first, last));
      if (most * MOST_OVER <= this.#ceiling) {
        this.#needs.fill(1, from, to);
        continue;
      }
      for (let i = from; i < to; i += 1) {
        const peak = Math.max(peakAt(this.#one, begin + i), mono ? 0 : peakAt(this.#other, begin + i));
        this.#needs[i] = peak > this.#ceiling ? this.#ceiling / peak : 1;
        if (peak > this.#ceiling) clear = false;
      }
    }
    return clear;
  }
  get #idle(): boolean {
    return this.#gain === 1 && this.#lowest.idle && this.#first.idle && this.#second.idle;
  }
  #next(need: number): number {
    const lowest = this.#lowest.push(need);
    const risen = this.#gain + (1 - this.#gain) * this.#release;
    this.#gain = Math.min(lowest, risen > ALL_BUT_ONE ? 1 : risen);
    return this.#second.push(this.#first.push(this.#gain));
  }
}

/** The lowest of the last `span` values, none of which is above 1. */
class Lowest {
  readonly #span: number;
  /** Values below 1 that are lower than all that came after them, with their places, oldest first: a ring. */
  readonly #values: Float64Array;
  readonly #places: Float64Array;
  #head = 0;
  #count = 0;
  #place = 0;

  constructor(span: number) {
    this.#span = span;
    this.#values = new Float64Array(span + 1);
    this.#places = new Float64Array(span + 1);
  }

  get idle(): boolean {
    return this.#count === 0;
  }
  /** Takes `count` ones when {@link idle}. */
  pass(count: number): void {
    this.#place += count;
  }
  push(value: number): number {
    const size = this.#values.length;
    if (value < 1) {
      while (this.#count > 0 && (this.#values[(this.#head + this.#count - 1) % size] as number) >= value) {
        this.#count -= 1;
      }
      const at = (this.#head + this.#count) % size;
      this.#values[at] = value;
      this.#places[at] = this.#place;
      this.#count += 1;
    }
    if (this.#count > 0 && (this.#places[this.#head] as number) <= this.#place - this.#span) {
      this.#head = (this.#head + 1) % size;
      this.#count -= 1;
    }
    this.#place += 1;
    return this.#count === 0 ? 1 : (this.#values[this.#head] as number);
  }
}

/** The mean of the last `span` values, which were 1 before the first. */
class Mean {
  readonly #ring: Float64Array;
  #sum: number;
  #at = 0;
  #ones: number;

  constructor(span: number) {
    this.#ring = new Float64Array(span).fill(1);
    this.#sum = this.#ones = span;
  }

  get idle(): boolean {
    return this.#ones >= this.#ring.length;
  }
  push(value: number): number {
    const span = this.#ring.length;
    this.#sum += value - (this.#ring[this.#at] as number);
    this.#ring[this.#at] = value;
    this.#at = this.#at + 1 === span ? 0 : this.#at + 1;
    this.#ones = value === 1 ? this.#ones + 1 : 0;
    // Rounding errors end here, so that a gain of 1 is exactly 1.
    if (this.#ones >= span) this.#sum = span;
    return this.#sum / span;
  }
}
