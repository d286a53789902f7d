import { type Span, ms, seconds } from '../media/time.ts';
import type { Language } from './domain.ts';

/** How syllables are counted: what a line is measured in before anybody has spoken it. */
export interface Syllables {
  /** How many a text has when it is read aloud. */
  count(text: string, language: Language): number;
  /** How many a second unhurried speech has. */
  usual(language: Language): number;
}

const VOWELS = /[aeiouyáàâäãåæéèêëíìîïóòôöõøœúùûüýаеёиоуыэюяіїєαεηιουωάέήίόύώ]+/gu;
/** Without anything better: groups of vowels, and half the letters of scripts that write none. */
export const ROUGHLY: Syllables = {
  count(text) {
    const lower = text.toLowerCase().normalize('NFC');
    const groups = lower.match(VOWELS)?.length ?? 0;
    const others =
      lower.match(/[\p{Script=Han}\p{Script=Hangul}\p{Script=Hiragana}\p{Script=Katakana}]/gu)?.length ?? 0;
    const digits = lower.match(/\p{Nd}/gu)?.length ?? 0;
    return Math.max(groups + others + 2 * digits, /\p{L}/u.test(lower) ? 1 : 0);
  },
  usual: () => 6.5,
};

/** What a line takes beyond its syllables: the first one's onset and the last one's decay. */
const EDGES = ms(120);
/** How much a new line counts against what is known; the first ones count more. */
const WEIGHT = 0.12;
/** A line of fewer syllables says little about the pace. */
const FEWEST = 4;
/** Nobody speaks faster or slower than this times the usual. */
const BOUND = 2;
/** Voices that are remembered one by one. */
const VOICES = 32;

/**
 * How long a voice takes for a syllable, learned from what it has said: what makes it possible to say how long a line
 * will last before it is spoken.
 *
 * One for each language; every voice in it (whoever `who` names) has a pace of its own once it has spoken.
 */
export class Pace {
  readonly #prior: number;
  #all: { readonly perSyllable: number; readonly count: number };
  readonly #voices = new Map<string, { readonly perSyllable: number; readonly count: number }>();

  /** @param usual syllables a second of unhurried speech in the language */
  constructor(usual: number) {
    if (!(usual > 0)) throw new RangeError(`Cannot keep pace: usual must be positive, received ${usual}`);
    this.#prior = seconds(1) / usual;
    this.#all = { perSyllable: this.#prior, count: 0 };
  }

  /** Microseconds a syllable takes at the voice's own rate. */
  perSyllable(who: string): number {
    return (this.#voices.get(who) ?? this.#all).perSyllable;
  }
  /** How long a line will last at the voice's own rate. */
  predict(syllables: number, who: string): Span {
    return syllables <= 0 ? ms(0) : (Math.round(EDGES + syllables * this.perSyllable(who)) as Span);
  }
  /** How many syllables can be said in `span` at `rate`. */
  fitting(span: Span, rate: number, who: string): number {
    return Math.max(0, Math.floor((span * rate - EDGES) / this.perSyllable(who)));
  }

  /** A line of so many syllables took `length` at `rate` (1 = the voice's own). */
  learn(syllables: number, length: Span, rate: number, who: string): void {
    if (syllables < FEWEST || length <= 0) return;
    const took = Math.max(0, length * rate - EDGES) / syllables;
    const bounded = Math.min(this.#prior * BOUND, Math.max(this.#prior / BOUND, took));
    const learned = (known: { readonly perSyllable: number; readonly count: number }) => {
      const weight = Math.max(WEIGHT, 1 / (known.count + 1));
      return { perSyllable: known.perSyllable + weight * (bounded - known.perSyllable), count: known.count + 1 };
    };
    const voice = this.#voices.get(who);
    this.#voices.delete(who);
    this.#voices.set(who, learned(voice ?? { perSyllable: bounded, count: 0 }));
    this.#all = learned(this.#all);
    const oldest = this.#voices.size > VOICES ? this.#voices.keys().next() : undefined;
    if (oldest && !oldest.done) this.#voices.delete(oldest.value);
  }
}
