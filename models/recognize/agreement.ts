import { type MediaTime, type Span, earlier } from '../../media/time.ts';
import type { Word } from '../../pipeline/domain.ts';

/** What has been made of a segment: words that will not change, and what may follow them. */
export interface Belief {
  readonly stable: readonly Word[];
  readonly draft: readonly Word[];
}

/** How many words two hypotheses have in common from the beginning. */
export function agreeing(before: readonly { text: string }[], now: readonly { text: string }[]): number {
  const differs = now.findIndex((word, n) => word.text !== before[n]?.text);
  return differs === -1 ? now.length : differs;
}

/**
 * Decides which words of one segment are settled while its recognition still changes: those that two hypotheses in a row
 * agree on and that ended at least `age` ago. A settled word stays, whatever later hypotheses say.
 *
 * @see Liu, Spanakis, Niehues: "Low-Latency Sequence-to-Sequence Speech Recognition and Translation by Partial Hypothesis
 * Selection", Interspeech 2020 (local agreement)
 */
export class Agreement {
  readonly #age: Span;
  #stable: readonly Word[] = [];
  #draft: readonly Word[] = [];

  constructor(age: Span) {
    this.#age = age;
  }

  /** Weighs a hypothesis of the whole segment up to `now`. */
  hear(hypothesis: readonly Word[], now: MediaTime): Belief {
    const rest = this.#unsettled(hypothesis);
    const settled = earlier(now, this.#age);
    const young = rest.findIndex((word) => word.end > settled);
    const agreed = rest.slice(0, Math.min(agreeing(this.#draft, rest), young === -1 ? rest.length : young));
    this.#stable = [...this.#stable, ...agreed];
    this.#draft = rest.slice(agreed.length);
    return { stable: this.#stable, draft: this.#draft };
  }

  /** The segment's last hypothesis: all of it is settled, behind what already was. */
  finish(hypothesis: readonly Word[]): readonly Word[] {
    this.#stable = [...this.#stable, ...this.#unsettled(hypothesis)];
    this.#draft = [];
    return this.#stable;
  }

  /** The words after the settled ones. They are told apart by time, since their number and text may have changed. */
  #unsettled(hypothesis: readonly Word[]): readonly Word[] {
    const edge = this.#stable.at(-1)?.end;
    if (edge === undefined) return hypothesis;
    const rest = hypothesis.filter(({ start, end }) => (start + end) / 2 >= edge);
    return rest.map((word) => (word.start < edge ? { ...word, start: edge } : word));
  }
}
