import type { AudioChunk } from '../../media/audio.ts';
import { type Interval, type MediaTime, type SampleRate, between, later, samples } from '../../media/time.ts';

/** `pcm` is used again for the next frame. Only the last frame of a stretch can be short: the rest of it is zeros. */
export interface Frame extends Interval {
  readonly pcm: Float32Array;
  /** Samples that came from the input; the frame's length except in the last one of a stretch. */
  readonly count: number;
  /** Audio is missing before this frame, or it is the first. */
  readonly fresh: boolean;
}

/**
 * Cuts chunks of any size into frames of one size, by counting samples.
 *
 * Chunks that follow each other to within a millisecond are one stretch. Where audio is missing the frame that was being
 * filled is padded and given out, and counting begins again.
 */
export class Frames {
  readonly #pcm: Float32Array;
  readonly #rate: SampleRate;
  #origin: MediaTime | undefined;
  /** Samples of the stretch so far. */
  #total = 0;

  constructor(length: number, rate: SampleRate) {
    this.#pcm = new Float32Array(length);
    this.#rate = rate;
  }

  *push({ start, pcm, rate }: AudioChunk): Generator<Frame> {
    if (rate !== this.#rate) throw new TypeError(`Cannot cut frames: expected ${this.#rate} Hz, received ${rate} Hz`);
    if (this.#origin === undefined || Math.abs(between(this.#at(this.#total), start)) > 1_000) {
      yield* this.end();
      this.#origin = start;
    }
    const length = this.#pcm.length;
    for (let offset = 0; offset < pcm.length;) {
      const filled = this.#total % length;
      const take = Math.min(length - filled, pcm.length - offset);
      this.#pcm.set(pcm.subarray(offset, offset + take), filled);
      offset += take;
      this.#total += take;
      if (filled + take === length) yield this.#frame(length);
    }
  }

  /** The frame that is partly filled, if there is one. What is pushed next begins a new stretch. */
  *end(): Generator<Frame> {
    const rest = this.#total % this.#pcm.length;
    this.#pcm.fill(0, rest);
    if (rest > 0) yield this.#frame(rest);
    this.#origin = undefined;
    this.#total = 0;
  }

  #frame(count: number): Frame {
    const from = this.#total - count;
    return { start: this.#at(from), end: this.#at(this.#total), pcm: this.#pcm, count, fresh: from === 0 };
  }
  #at(count: number): MediaTime {
    return later(this.#origin ?? (0 as MediaTime), samples(count, this.#rate));
  }
}
