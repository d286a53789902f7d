import { type Interval, type MediaTime, type Span, earlier, earliest, later, latest } from '../media/time.ts';
import type { Hypothesis } from './domain.ts';
import type { Stretch } from './segmenter.ts';

/** Silence that is known to follow a position. */
export interface Pause {
  readonly until: MediaTime;
  /** Nothing more will be learned: somebody speaks at `until`, or the pause is as long as was asked for. */
  readonly settled: boolean;
}

interface Spoken {
  readonly segment: number;
  readonly start: MediaTime;
  end: MediaTime;
  open: boolean;
  /** No more words will come. */
  final: boolean;
  words: readonly Interval[];
}

/** How many segments are remembered; a line is fitted long before this many have passed. */
const REMEMBERED = 64;

/**
 * What is known about when nobody speaks: from voice activity between segments and from words within them.
 */
export class Pauses {
  #spoken: Spoken[] = [];
  #settled = Number.NEGATIVE_INFINITY as MediaTime;
  /** Of what was before this nothing is known. */
  #since = Number.POSITIVE_INFINITY as MediaTime;
  #ended = false;
  #waiting = new Set<() => void>();

  /** A segment began, went on or ended. */
  speech({ segment, start, end, last }: Stretch): void {
    this.#since = earliest(this.#since, start);
    const known = this.#of(segment);
    if (known) {
      known.end = end;
      known.open = !last;
    } else this.#remember({ segment, start, end, open: !last, final: false, words: [] });
    this.#changed();
  }

  /** Words were recognised. Segments come in order, so earlier ones are over. */
  heard({ segment, stable, final }: Hypothesis): void {
    for (const spoken of this.#spoken) if (spoken.segment >= 0 && spoken.segment < segment) spoken.final = true;
    const spoken = this.#of(segment);
    if (spoken) {
      spoken.words = stable.length >= spoken.words.length ? stable : [...spoken.words, ...stable];
      spoken.final ||= final;
    }
    this.#changed();
  }

  /** Nobody will ever know who speaks in `interval`: take it that somebody does. */
  blind({ start, end }: Interval): void {
    this.#remember({ segment: -1, start, end, open: false, final: true, words: [{ start, end }] });
    this.#changed();
  }

  /** All speech before `until` has been reported. */
  settle(until: MediaTime): void {
    if (until <= this.#settled) return;
    this.#since = earliest(this.#since, until);
    this.#settled = until;
    this.#changed();
  }

  /** Nothing more will be learned. */
  end(): void {
    this.#ended = true;
    this.#changed();
  }

  /** The silence after `t`, looking no further than `reach`. */
  after(t: MediaTime, reach: Span): Pause {
    const limit = later(t, reach);
    const upTo = (until: MediaTime): Pause => ({ until: until < limit ? until : limit, settled: true });
    for (const { start, end, open, final, words } of this.#spoken) {
      if (!open && end <= t) continue;
      if (start >= t) return upTo(start);
      const next = words.find((word: Interval) => word.end > t);
      if (next) return upTo(next.start > t ? next.start : t);
      if (!final && !this.#ended) return { until: t, settled: false };
    }
    if (this.#settled >= limit) return upTo(limit);
    return { until: this.#settled > t ? this.#settled : t, settled: this.#ended };
  }

  /** Since when nobody has spoken before `t`, looking no further back than `reach`; `t` itself where somebody may have. */
  before(t: MediaTime, reach: Span): MediaTime {
    let since = earliest(t, latest(earlier(t, reach), this.#since));
    for (const { start, end, open, words } of this.#spoken) {
      if (start >= t) continue;
      // A segment has silence at its edges; its words, where they are known, do not.
      const ends = words.flatMap((word) => (word.start < t ? [word.end] : []));
      const until = ends.length > 0 ? ends.reduce(latest) : open ? t : end;
      since = latest(since, earliest(until, t));
    }
    return since;
  }

  /** Calls `then` once, when something has been learned. Returns how to stop listening. */
  once(then: () => void): () => void {
    this.#waiting.add(then);
    return () => void this.#waiting.delete(then);
  }

  #of(segment: number): Spoken | undefined {
    return this.#spoken.findLast((spoken) => spoken.segment === segment);
  }
  #remember(spoken: Spoken): void {
    this.#spoken.push(spoken);
    if (this.#spoken.length > REMEMBERED) this.#spoken.shift();
  }
  #changed(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const then of waiting) then();
  }
}
