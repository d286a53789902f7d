import type { AudioChunk } from '../../media/audio.ts';
import { type MediaTime, at, between, later, sampleIndex, samples, seconds } from '../../media/time.ts';

const RATE = 48_000;
const CHUNK = 960;
/** Less than that is rounding: what follows is taken to follow at once. */
const TOLERATED = 48;
/** A longer hole is left: nobody plays what lies so far back. */
const MOST = sampleIndex(seconds(60), RATE);

/** Sound at 48 kHz without a gap or an overlap, counted in samples: holes are filled with silence, what comes late is cut. */
export class Unbroken {
  #base: MediaTime | undefined;
  #count = 0;
  #silent = 0;
  #late = 0;

  /** @param begin where sound begins, should silence come first */
  constructor(begin?: MediaTime) {
    this.#base = begin;
  }

  /** The end of what was given; `undefined` before there was anything. */
  get end(): MediaTime | undefined {
    return this.#base === undefined ? undefined : later(this.#base, samples(this.#count, RATE));
  }
  /** Samples of silence put in. */
  get silent(): number {
    return this.#silent;
  }
  /** Samples cut because something else was in their place. */
  get late(): number {
    return this.#late;
  }

  /** Sound that belongs to `start`, after the silence before it. */
  *push(start: MediaTime, pcm: Float32Array): Generator<AudioChunk> {
    this.#base ??= start;
    const ahead = this.#ahead(start);
    let rest = pcm;
    if (ahead > TOLERATED) yield* this.#silence(ahead);
    else if (ahead < -TOLERATED) {
      rest = pcm.subarray(Math.min(pcm.length, -ahead));
      this.#late += pcm.length - rest.length;
    }
    if (rest.length > 0) yield this.#next(rest);
  }

  /** Whole chunks of silence up to `until`. */
  *fill(until: MediaTime): Generator<AudioChunk> {
    const chunks = Math.floor(this.#ahead(until) / CHUNK);
    if (chunks > 0) yield* this.#silence(chunks * CHUNK);
  }

  /** Samples from the end of what was given to `t`. */
  #ahead(t: MediaTime): number {
    return sampleIndex(between(this.#base ?? t, t), RATE) - this.#count;
  }

  *#silence(count: number): Generator<AudioChunk> {
    if (count > MOST) {
      this.#count += count - MOST;
      count = MOST;
    }
    this.#silent += count;
    for (let left = count; left > 0; left -= CHUNK) yield this.#next(new Float32Array(Math.min(CHUNK, left)));
  }

  #next(pcm: Float32Array): AudioChunk {
    const chunk = { start: this.end ?? at(0), rate: RATE, pcm } as const;
    this.#count += pcm.length;
    return chunk;
  }
}
