import { type AudioChunk, endOf } from '../media/audio.ts';
import {
  type Interval,
  type MediaTime,
  type SampleRate,
  type Span,
  between,
  earlier,
  later,
  sampleIndex,
} from '../media/time.ts';

/** The last stretch of what was heard, for stages that look back. Samples are copied; what is older is forgotten. */
export class AudioMemory {
  readonly #rate: SampleRate;
  readonly #keep: Span;
  #chunks: AudioChunk[] = [];

  constructor(rate: SampleRate, keep: Span) {
    this.#rate = rate;
    this.#keep = keep;
  }

  /** Where what is remembered ends. */
  get end(): MediaTime | undefined {
    const last = this.#chunks.at(-1);
    return last && endOf(last);
  }

  push(chunk: AudioChunk): void {
    if (chunk.rate !== this.#rate) {
      throw new RangeError(`Cannot remember audio: it has ${chunk.rate} Hz, not ${this.#rate} Hz`);
    }
    this.#chunks.push({ ...chunk, pcm: chunk.pcm.slice() });
    const oldest = earlier(endOf(chunk), this.#keep);
    while (this.#chunks[0] && endOf(this.#chunks[0]) <= oldest) this.#chunks.shift();
  }

  /** What was heard during `interval`, with silence where nothing was. */
  cut({ start, end }: Interval): Float32Array {
    const pcm = new Float32Array(Math.max(0, sampleIndex(between(start, end), this.#rate)));
    for (const chunk of this.#chunks) {
      if (endOf(chunk) <= start || chunk.start >= end) continue;
      const offset = sampleIndex(between(start, chunk.start), this.#rate);
      const from = Math.max(0, -offset);
      const part = chunk.pcm.subarray(from, Math.max(from, Math.min(chunk.pcm.length, pcm.length - offset)));
      pcm.set(part, Math.max(0, offset));
    }
    return pcm;
  }

  /** The part of `interval` that is remembered. */
  within({ start, end }: Interval): Interval {
    const first = this.#chunks[0]?.start ?? start;
    const last = this.end ?? end;
    const from = Math.max(start, first) as MediaTime;
    return { start: from, end: later(from, Math.max(0, between(from, Math.min(end, last) as MediaTime)) as Span) };
  }
}
