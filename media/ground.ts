import type { AudioChunk } from './audio.ts';
import { type MediaTime, type SampleRate, type Span, sampleIndex, samples } from './time.ts';

/** Index of the sample nearest to `t`, counted from media time 0. */
export const indexAt = (t: MediaTime, rate: SampleRate): number => sampleIndex(t as number as Span, rate);
/** Media time of sample `index`. */
export const timeOf = (index: number, rate: SampleRate): MediaTime => samples(index, rate) as number as MediaTime;

/**
 * The original audio on media time: written wherever it belongs, read once from front to back.
 *
 * Holds `keep` of programme from the read position on, in one ring allocated at the start. What arrives for a place
 * that was already read is counted in `late`, what lies further ahead than `keep` in `early`; both are dropped. The
 * last writer of a sample wins, so a packet that comes after its concealment replaces it.
 */
export class Ground {
  readonly rate: SampleRate;
  // A sample that never came is NaN. A NaN out of a broken decoder is thereby the same as one that never came.
  readonly #ring: Float32Array;
  #position: number;
  #missing = 0;
  #late = 0;
  #early = 0;

  constructor(options: { rate: SampleRate; keep: Span; from: number }) {
    const capacity = sampleIndex(options.keep, options.rate);
    if (capacity < 1) throw new RangeError(`Cannot create ground: keep must be positive, received ${options.keep} µs`);
    this.rate = options.rate;
    this.#ring = new Float32Array(capacity).fill(Number.NaN);
    this.#position = options.from;
  }

  /** Index of the next sample that will be read. */
  get position(): number {
    return this.#position;
  }
  /** Samples read as silence because nothing had come for their place. */
  get missing(): number {
    return this.#missing;
  }
  /** Samples that came after their place was read. */
  get late(): number {
    return this.#late;
  }
  /** Samples that came more than `keep` too soon. */
  get early(): number {
    return this.#early;
  }

  /** Copies the chunk into its place. */
  push(chunk: AudioChunk): void {
    if (chunk.rate !== this.rate) {
      throw new RangeError(`Cannot push audio: expected ${this.rate} Hz, received ${chunk.rate} Hz`);
    }
    const start = indexAt(chunk.start, this.rate);
    const end = start + chunk.pcm.length;
    const first = Math.min(end, Math.max(start, this.#position));
    const last = Math.max(first, Math.min(end, this.#position + this.#ring.length));
    this.#late += first - start;
    this.#early += end - last;
    const size = this.#ring.length;
    for (let index = first; index < last;) {
      const at = modulo(index, size);
      const count = Math.min(last - index, size - at);
      this.#ring.set(chunk.pcm.subarray(index - start, index - start + count), at);
      index += count;
    }
  }

  /** The next `count` samples, silence where nothing came. The buffer is the caller's. */
  take(count: number): Float32Array {
    const pcm = new Float32Array(count);
    const ring = this.#ring;
    const size = ring.length;
    const held = Math.min(count, size);
    let at = modulo(this.#position, size);
    let missing = count - held;
    for (let i = 0; i < held; i += 1) {
      const sample = ring[at] ?? Number.NaN;
      if (Number.isNaN(sample)) missing += 1;
      else {
        pcm[i] = sample;
        ring[at] = Number.NaN;
      }
      at = at + 1 === size ? 0 : at + 1;
    }
    this.#missing += missing;
    this.#position += count;
    return pcm;
  }

  /** Moves on without reading. */
  skip(count: number): void {
    const size = this.#ring.length;
    for (let left = Math.min(count, size), at = modulo(this.#position, size); left > 0; at = 0) {
      const run = Math.min(left, size - at);
      this.#ring.fill(Number.NaN, at, at + run);
      left -= run;
    }
    this.#position += count;
  }
}

const modulo = (index: number, size: number) => ((index % size) + size) % size;
