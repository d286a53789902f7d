import { type AudioChunk, endOf } from '../media/audio.ts';
import { type Interval, type MediaTime, type Span, between, earlier, seconds } from '../media/time.ts';
import type { Activity, SpeechChunk } from './domain.ts';
import { Segmenter, type Segmenting, type Stretch } from './segmenter.ts';
import { slice } from './slice.ts';

export interface Gating {
  readonly segmenting?: Partial<Segmenting>;
  /** How long audio waits to be told whether it is speech. After that it is dropped: a VAD this late is no use. */
  readonly patience?: Span;
  /** Where segments begin, go on and end; where nobody knows who speaks. For whoever needs to know the pauses. */
  readonly onStretch?: (stretch: Stretch) => void;
  readonly onBlind?: (interval: Interval) => void;
}

/**
 * Lets speech through and nothing else, sample-exact in media time.
 *
 * Audio goes in as it comes and waits until activity over it is known. Both may come in any order and at any size; each
 * segment ends with exactly one `last` chunk. Kept buffers are given out as views, so they must not be changed.
 */
export class Gate {
  readonly #segmenter: Segmenter;
  readonly #patience: Span;
  readonly #onStretch: (stretch: Stretch) => void;
  readonly #onBlind: (interval: Interval) => void;
  #audio: AudioChunk[] = [];
  #pending: Stretch[] = [];
  #unheard = 0;

  constructor({ segmenting, patience = seconds(2), onStretch = () => {}, onBlind = () => {} }: Gating = {}) {
    this.#segmenter = new Segmenter(segmenting);
    this.#patience = patience;
    this.#onStretch = onStretch;
    this.#onBlind = onBlind;
  }

  /** Before this it is known where speech is and where it is not. */
  get settled(): MediaTime {
    return this.#segmenter.settled;
  }
  /** Microseconds of audio dropped because nobody said whether it is speech. */
  get unheard(): number {
    return this.#unheard;
  }
  /** Samples waiting. */
  get held(): number {
    return this.#audio.reduce((n, { pcm }) => n + pcm.length, 0);
  }

  audio(chunk: AudioChunk): SpeechChunk[] {
    const first = this.#audio[0] ?? chunk;
    this.#audio.push(chunk);
    const known = this.#segmenter.at ?? first.start;
    const latest = earlier(endOf(chunk), this.#patience);
    if (known < latest) this.#blind(known, latest);
    return this.#flush(false);
  }

  activity(activity: Activity): SpeechChunk[] {
    const known = this.#segmenter.at;
    if (known !== undefined && !this.#segmenter.follows(activity)) this.#blind(known, activity.start);
    this.#take(this.#segmenter.push(activity));
    return this.#flush(false);
  }

  /** No more activity will come: what is open ends, what waits is dropped. */
  end(): SpeechChunk[] {
    this.#take(this.#segmenter.end());
    const out = this.#flush(true);
    this.#audio = [];
    return out;
  }

  #blind(from: MediaTime, to: MediaTime): void {
    this.#take(this.#segmenter.skip(to));
    this.#unheard += between(from, to);
    this.#onBlind({ start: from, end: to });
  }

  #take(stretches: readonly Stretch[]): void {
    for (const stretch of stretches) {
      this.#pending.push(stretch);
      this.#onStretch(stretch);
    }
  }

  /** Cuts what is decided out of what has arrived. */
  #flush(ended: boolean): SpeechChunk[] {
    const newest = this.#audio.at(-1);
    const arrived = newest ? endOf(newest) : undefined;
    const out: SpeechChunk[] = [];
    for (let next = this.#pending[0]; next; next = this.#pending[0]) {
      if (!ended && (arrived === undefined || next.end > arrived)) break;
      this.#pending.shift();
      out.push(...this.#cut(next));
    }
    const needed = this.#pending[0]?.start ?? this.#segmenter.settled;
    while (this.#audio[0] && endOf(this.#audio[0]) <= needed) this.#audio.shift();
    return out;
  }

  #cut({ segment, start, end, last }: Stretch): SpeechChunk[] {
    const out: SpeechChunk[] = [];
    for (const chunk of this.#audio) {
      const part = slice(chunk, { start, end });
      if (part.pcm.length > 0) out.push({ ...part, segment, last: false });
    }
    if (!last) return out;
    const final = out.pop() ?? { segment, start: end, rate: this.#audio[0]?.rate ?? 16_000, pcm: new Float32Array(0) };
    return [...out, { ...final, last: true }];
  }
}
