import { type AudioChunk, endOf } from '../media/audio.ts';
import { type MediaTime, type Span, earlier, later, ms } from '../media/time.ts';
import { slice } from './slice.ts';

const FOREVER = Number.POSITIVE_INFINITY as MediaTime;
/** Positions that come from different counts of samples differ by less than this. */
const ROUNDING = ms(1);

/**
 * One gapless stream out of two of the same rate: cleaned audio where there is some, the audio as it came where there
 * is none in time. A cleaner that fails must not leave the recogniser deaf.
 */
export class Patch {
  /** How long to wait for cleaned audio; 0 while it is known that none comes. */
  patience: Span;
  #raw: AudioChunk[] = [];
  /** Given out up to here. */
  #until: MediaTime | undefined;

  constructor(patience: Span = ms(400)) {
    this.patience = patience;
  }

  raw(chunk: AudioChunk): AudioChunk[] {
    this.#until ??= chunk.start;
    this.#raw.push(chunk);
    return this.#upTo(earlier(endOf(chunk), this.patience));
  }

  cleaned(chunk: AudioChunk): AudioChunk[] {
    const from = this.#until ?? chunk.start;
    if (endOf(chunk) <= from) return [];
    const out = chunk.start > later(from, ROUNDING) ? this.#upTo(chunk.start) : [];
    const rest = slice(chunk, { start: from, end: FOREVER });
    if (rest.pcm.length > 0) out.push(rest);
    this.#until = endOf(chunk);
    this.#forget();
    return out;
  }

  /** No more cleaned audio will come. */
  end(): AudioChunk[] {
    return this.#upTo(FOREVER);
  }

  #upTo(end: MediaTime): AudioChunk[] {
    const start = this.#until;
    if (start === undefined || end <= start) return [];
    const out = this.#raw.map((chunk) => slice(chunk, { start, end })).filter(({ pcm }) => pcm.length > 0);
    const last = out.at(-1);
    if (last) this.#until = endOf(last);
    this.#forget();
    return out;
  }
  #forget(): void {
    while (this.#raw[0] && this.#until !== undefined && endOf(this.#raw[0]) <= this.#until) this.#raw.shift();
  }
}
