import type { AudioChunk } from './audio.ts';
import { SampleStream } from './bytes.ts';
import { type MediaTime, type Span, at, ms, sampleIndex, samples } from './time.ts';

const RATE = 48_000;
/** One chunk. */
export const CHUNK = ms(20);
const CHUNK_SAMPLES = sampleIndex(CHUNK, RATE);
/** Time stamps this far from where samples say they are correct nothing: containers round, and samples do not. */
const JITTER = ms(20);

/**
 * Packets of decoded sound (f32le, 48 kHz mono) cut into chunks of 20 ms from 0 on, without a gap: a hole is silence,
 * what overlaps is cut, and what differs by less than 20 ms is a container that rounds.
 */
export class Gapless {
  readonly #end: number;
  readonly #stream = new SampleStream('f32le');
  #held = new Float32Array(CHUNK_SAMPLES);
  #filled = 0;
  /** Samples given out or held. */
  #count = 0;
  #begun = false;

  /** @param end samples that there will be; infinity: as many as come */
  constructor(end: number) {
    this.#end = end;
  }

  *push(start: MediaTime, data: Uint8Array): Generator<AudioChunk, void, void> {
    let pcm = this.#stream.push(data);
    const apart = sampleIndex(start as number as Span, RATE) - this.#count;
    if (!this.#begun || Math.abs(apart) > sampleIndex(JITTER, RATE)) {
      if (apart > 0) yield* this.#silence(apart);
      else pcm = pcm.subarray(Math.min(pcm.length, -apart));
    }
    this.#begun ||= pcm.length > 0;
    yield* this.#add(pcm);
  }

  /** Nothing more will come for before `t`: what is missing there is silence. */
  *until(t: MediaTime): Generator<AudioChunk, void, void> {
    yield* this.#silence(sampleIndex(t as number as Span, RATE) - this.#count);
  }

  /** What is left, and silence up to the end. */
  *end(): Generator<AudioChunk, void, void> {
    if (Number.isFinite(this.#end)) yield* this.#silence(this.#end - this.#count);
    if (this.#filled > 0) yield this.#chunk();
  }

  *#silence(count: number): Generator<AudioChunk, void, void> {
    for (let left = Math.min(count, this.#end - this.#count); left > 0; left -= CHUNK_SAMPLES) {
      yield* this.#add(new Float32Array(Math.min(left, CHUNK_SAMPLES)));
    }
  }

  *#add(pcm: Float32Array): Generator<AudioChunk, void, void> {
    const wanted = Math.min(pcm.length, this.#end - this.#count);
    for (let offset = 0; offset < wanted;) {
      const count = Math.min(wanted - offset, CHUNK_SAMPLES - this.#filled);
      this.#held.set(pcm.subarray(offset, offset + count), this.#filled);
      this.#filled += count;
      this.#count += count;
      offset += count;
      if (this.#filled === CHUNK_SAMPLES) yield this.#chunk();
    }
  }

  #chunk(): AudioChunk {
    const pcm = this.#held.subarray(0, this.#filled);
    const start = at(samples(this.#count - this.#filled, RATE));
    this.#held = new Float32Array(CHUNK_SAMPLES);
    this.#filled = 0;
    return { start, rate: RATE, pcm };
  }
}
