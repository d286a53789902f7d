import type { AudioChunk } from './audio.ts';
import { rise } from './mix.ts';
import { type MediaTime, type SampleRate, type Span, sampleIndex, samples } from './time.ts';

/** Index of the sample nearest to `t`, counted from media time 0. */
export const indexAt = (t: MediaTime, rate: SampleRate): number => sampleIndex(t as number as Span, rate);
/** Media time of sample `index`. */
export const timeOf = (index: number, rate: SampleRate): MediaTime => samples(index, rate) as number as MediaTime;

/** A stretch of sound that may lack some of it. */
export interface Stretch {
  /** Silence where it is missing, faded out and in around it. */
  readonly pcm: Float32Array;
  /** How much of it is there, sample by sample, 0 to 1: what `pcm` is faded by. `undefined` when all of it is. */
  readonly presence: Float32Array | undefined;
}

/**
 * Audio on media time: written wherever it belongs, read once from front to back.
 *
 * Holds `keep` of programme from the read position on, in one ring allocated at the start. What arrives for a place
 * that was already read is counted in `late`, what lies further ahead than `keep` in `early`; both are dropped. The
 * last writer of a sample wins, so a packet that comes after its concealment replaces it. Where something is missing the
 * sound fades out before and in after it, as far as that was known in time.
 */
export class Ground {
  readonly rate: SampleRate;
  // A sample that never came is NaN. A NaN out of a broken decoder is thereby the same as one that never came.
  #ring: Float32Array;
  #position: number;
  /** `edge[i]`: how much is heard `i` samples from the next or the last hole. */
  readonly #edge: Float32Array;
  /** How many samples from the last hole the last sample was, no more than the fade is long. */
  #from: number;
  #missing = 0;
  #late = 0;
  #early = 0;

  /**
   * @param options.fade how long the edge of a hole fades, at least one sample
   * @param options.opens whether the very first sample fades in as after a hole
   */
  constructor(options: { rate: SampleRate; keep: Span; from: number; fade: Span; opens?: boolean }) {
    const capacity = sampleIndex(options.keep, options.rate);
    if (capacity < 1) throw new RangeError(`Cannot create ground: keep must be positive, received ${options.keep} µs`);
    this.rate = options.rate;
    this.#ring = new Float32Array(capacity).fill(Number.NaN);
    this.#position = options.from;
    const fade = Math.max(1, sampleIndex(options.fade, options.rate));
    this.#edge = Float32Array.from({ length: fade + 1 }, (_, i) => rise(i / fade));
    this.#from = options.opens ? 0 : fade;
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

  /** Holds at least `keep` from now on. */
  grow(keep: Span): void {
    const old = this.#ring;
    const capacity = sampleIndex(keep, this.rate);
    if (capacity <= old.length) return;
    const ring = new Float32Array(capacity).fill(Number.NaN);
    for (let index = this.#position; index < this.#position + old.length; index += 1) {
      ring[modulo(index, capacity)] = old[modulo(index, old.length)] ?? Number.NaN;
    }
    this.#ring = ring;
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

  /** Mean square of the `count` samples from `index` on, of those that are there; 0 when none is. */
  power(index: number, count: number): number {
    const [ring, size] = [this.#ring, this.#ring.length];
    const first = Math.max(index, this.#position);
    const last = Math.min(index + count, this.#position + size);
    let sum = 0;
    for (let i = first, at = modulo(first, size); i < last; i += 1, at = at + 1 === size ? 0 : at + 1) {
      const sample = ring[at] ?? 0;
      if (sample === sample) sum += sample * sample;
    }
    return sum / count;
  }

  /** The next `count` samples. The buffers are the caller's. */
  take(count: number): Stretch {
    const pcm = new Float32Array(count);
    const fade = this.#edge.length - 1;
    const ring = this.#ring;
    const size = ring.length;
    const held = Math.min(count, size);
    let missing = count - held;
    for (let i = 0, at = modulo(this.#position, size); i < held; i += 1, at = at + 1 === size ? 0 : at + 1) {
      const sample = ring[at] ?? Number.NaN;
      if (sample !== sample) missing += 1;
      pcm[i] = sample;
      ring[at] = Number.NaN;
    }
    if (held < count) pcm.fill(Number.NaN, held);
    const after = this.#position + count;
    this.#missing += missing;
    this.#position = after;
    const ahead = this.#hole(fade);
    if (missing === 0 && ahead > fade && this.#from >= fade) return { pcm, presence: undefined };

    // Backwards: how far away the next hole is. Forwards: the nearer of that and the last one.
    const presence = new Float32Array(count);
    for (let i = count - 1, next = ahead; i >= 0; i -= 1) {
      const sample = pcm[i] ?? Number.NaN;
      next = sample !== sample ? 0 : Math.min(fade, next + 1);
      presence[i] = next;
    }
    let from = this.#from;
    for (let i = 0; i < count; i += 1) {
      from = Math.min(from + 1, presence[i] ?? 0);
      const level = this.#edge[from] ?? 1;
      presence[i] = level;
      pcm[i] = from === 0 ? 0 : (pcm[i] ?? 0) * level;
    }
    this.#from = from;
    return { pcm, presence };
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
    this.#from = this.#edge.length - 1;
  }

  /** How many samples are there from the read position on before the first one is missing; more than `within`: enough. */
  #hole(within: number): number {
    const [ring, size] = [this.#ring, this.#ring.length];
    for (let i = 0, at = modulo(this.#position, size); i <= within; i += 1, at = at + 1 === size ? 0 : at + 1) {
      const sample = i < size ? (ring[at] ?? Number.NaN) : Number.NaN;
      if (sample !== sample) return i;
    }
    return within + 1;
  }
}

const modulo = (index: number, size: number) => ((index % size) + size) % size;
