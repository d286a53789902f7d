import { endOf } from '../../media/audio.ts';
import { type MediaTime, between, later, sampleIndex, samples } from '../../media/time.ts';
import type { SpeechChunk } from '../../pipeline/domain.ts';

const RATE = 16_000;
/** Chunks that follow each other to within this are one stretch. */
const ROUNDING = 1_000;

/**
 * What was heard last, as one row of samples that windows are cut from.
 *
 * Speech segments follow each other with the silence between them, or as much of it as matters.
 */
export class Heard {
  /** The last samples; `#first` is the number of the first of them. */
  readonly #samples: Float32Array;
  readonly #silence: number;
  #count = 0;
  #end: MediaTime | undefined;
  /** Where the open segment begins, as a sample and in the programme. */
  #origin = 0;
  #start = 0 as MediaTime;

  /**
   * @param length how many of the last samples are kept
   * @param silence at most so many samples of the silence between two segments
   */
  constructor(length: number, silence: number) {
    this.#samples = new Float32Array(2 * length);
    this.#silence = silence;
  }

  /** Samples heard so far, silence between segments included. */
  get count(): number {
    return this.#count;
  }
  /** The first sample of the segment. */
  get origin(): number {
    return this.#origin;
  }

  /** A segment begins. */
  begin(start: MediaTime): void {
    const gap = this.#end === undefined ? 0 : sampleIndex(between(this.#end, start), RATE);
    this.#rest(Math.max(0, Math.min(gap, this.#silence)));
    this.#origin = this.#count;
    this.#start = start;
    this.#end = start;
  }

  /** Takes samples `from … to` of a chunk in; what is missing before it is silence. */
  hear(chunk: SpeechChunk, from = 0, to = chunk.pcm.length): void {
    const expected = this.timeOf(this.#count);
    const gap = between(expected, later(chunk.start, samples(from, RATE)));
    if (gap > ROUNDING) this.#rest(sampleIndex(gap, RATE));
    this.#append(chunk.pcm.subarray(from, to));
    this.#end = endOf(chunk);
  }

  /** Where a sample of the open segment lies in the programme. */
  timeOf(sample: number): MediaTime {
    return later(this.#start, samples(sample - this.#origin, RATE));
  }

  /** Samples `from` up to `from + out.length`; silence before the first and after the last. */
  copy(from: number, out: Float32Array): void {
    out.fill(0);
    const size = this.#samples.length;
    const oldest = Math.max(0, this.#count - size);
    const [start, end] = [Math.max(from, oldest), Math.min(from + out.length, this.#count)];
    for (let n = start; n < end;) {
      const at = n % size;
      const length = Math.min(size - at, end - n);
      out.set(this.#samples.subarray(at, at + length), n - from);
      n += length;
    }
  }

  #rest(count: number): void {
    const silence = new Float32Array(Math.min(count, this.#samples.length));
    // Of a silence that is longer than what is kept, the end is all there is.
    this.#count += count - silence.length;
    this.#append(silence);
  }

  #append(pcm: Float32Array): void {
    const size = this.#samples.length;
    for (let offset = 0; offset < pcm.length;) {
      const at = this.#count % size;
      const length = Math.min(size - at, pcm.length - offset);
      this.#samples.set(pcm.subarray(offset, offset + length), at);
      this.#count += length;
      offset += length;
    }
  }
}
