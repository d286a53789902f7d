import type { SampleRate } from './time.ts';

/** Loudness is taken every 10 ms. */
const BLOCKS_PER_SECOND = 100;
/** A pause is at least 200 ms long: shorter ones are the closures of consonants. */
const SHORTEST = 20;
/** How far ahead is looked for the end of a pause: half a second. */
const AHEAD = 50;
/** Over how much the loudest and the quietest are taken: 10 to 20 s, in which speakers breathe. */
const WINDOW = 1_000;
/** dB re full scale: nobody speaks that softly. */
const SILENT = -60;
/** What is quieter is no quieter: digital silence says nothing about a room. */
const LOWEST = -75;
/** Sound whose loudest and quietest are that near is without pauses: music, noise. */
const DYNAMIC = 15;
/** A pause lies that much above the quietest at most, and that share of the way to the loudest. */
const MARGIN = 12;
const SHARE = 0.4;
/** What is that much below the loudest is a pause in any room: breath, a page turned. */
const FAR_BELOW = 35;
/** Blocks that are remembered; more than {@link AHEAD} and whatever is rendered before it is played. */
const CAPACITY = 1_024;

/**
 * Finds the pauses in a programme by its loudness alone, against the loudest and the quietest of its last seconds.
 */
export class Quiet {
  /** Samples of one block. */
  readonly #block: number;
  /** By block, in a ring: 1 is quiet. */
  readonly #flags = new Uint8Array(CAPACITY);
  /** The first block that is remembered, and the next one to be looked at. */
  #first: number;
  #next: number;
  readonly #loud = new Extreme(1);
  readonly #soft = new Extreme(-1);

  /** @param from the first sample of the programme that is looked at */
  constructor(options: { rate: SampleRate; from: number }) {
    this.#block = options.rate / BLOCKS_PER_SECOND;
    this.#first = this.#next = Math.ceil(options.from / this.#block);
  }

  /**
   * The sample that ends the pause which sample `position` is in, as far as it can be seen; `position` itself when it is
   * in none.
   *
   * @param read the first sample whose loudness is still known
   * @param power mean square of so many samples from that one on; asked once for each, in order
   */
  until(position: number, read: number, power: (from: number, count: number) => number): number {
    const block = Math.floor(position / this.#block);
    // Whoever stalls or skips ahead loses sight of what lies between.
    if (block > this.#next) this.#first = this.#next = Math.ceil(read / this.#block);
    for (; this.#next < block + AHEAD; this.#next += 1) this.#look(power(this.#next * this.#block, this.#block));
    this.#first = Math.max(this.#first, this.#next - CAPACITY);

    let end = block;
    while (end < this.#next && this.#quiet(end)) end += 1;
    if (end === block || block < this.#first) return position;
    let start = block;
    while (start > this.#first && end - start < SHORTEST && this.#quiet(start - 1)) start -= 1;
    return end - start < SHORTEST ? position : end * this.#block;
  }

  #quiet(block: number): boolean {
    return this.#flags[block % CAPACITY] === 1;
  }

  #look(power: number): void {
    const level = Math.max(LOWEST, 10 * Math.log10(power));
    const loudest = this.#loud.of(this.#next, level);
    const softest = this.#soft.of(this.#next, level);
    const range = loudest - softest;
    const bound =
      range < DYNAMIC ? SILENT : Math.max(SILENT, loudest - FAR_BELOW, softest + Math.min(MARGIN, SHARE * range));
    this.#flags[this.#next % CAPACITY] = level <= bound ? 1 : 0;
  }
}

/** The largest (`sign` 1) or smallest (−1) of the last one to two windows. */
class Extreme {
  readonly #sign: 1 | -1;
  #since = -Infinity;
  #current = -Infinity;
  #previous = -Infinity;

  constructor(sign: 1 | -1) {
    this.#sign = sign;
  }
  of(when: number, value: number): number {
    if (when - this.#since >= WINDOW) {
      this.#previous = this.#current;
      this.#current = -Infinity;
      this.#since = when;
    }
    this.#current = Math.max(this.#current, this.#sign * value);
    return this.#sign * Math.max(this.#current, this.#previous);
  }
}
