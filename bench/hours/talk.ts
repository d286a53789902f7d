import type { Interval, Span } from '../../media/time.ts';
import { seconds } from '../../media/time.ts';
import type { Language } from '../../pipeline/domain.ts';
import { EVERYDAY, type Manner, mannerBy, sayingAt } from '../fit/adversary.ts';
import type { Saying, Script } from '../fit/script.ts';
import { type Random, randomFrom, wholeWithin, within } from '../random.ts';

/** How people talk for hours: mostly as usual, now and then in every way that is hard to dub. */
const MANNERS: readonly (readonly [weight: number, manner: Manner])[] = [
  [62, EVERYDAY],
  [8, { ...EVERYDAY, ratio: [1.6, 3] }],
  [8, { ...EVERYDAY, syllables: [1, 3], gap: [0.5, 2], pauses: 0 }],
  [8, { ...EVERYDAY, syllables: [5, 9], gap: [-0.4, 0.1], pauses: 0, speakers: 3 }],
  [8, { ...EVERYDAY, syllables: [40, 70], pauses: 0.15 }],
  [4, { ...EVERYDAY, pace: [6.5, 8], gap: [0.08, 0.2], pauses: 0 }],
  [2, { ...EVERYDAY, gap: [10, 40] }],
];
/** How many sayings in one manner before the next. */
const IN_A_ROW = [2, 8] as const;
const SPEAKERS = 3;

/** A talk without an end, made up as it is asked for; what was said longer than `keep` ago is forgotten. */
export class EndlessTalk implements Script {
  readonly #random: Random;
  readonly #language: Language;
  readonly #keep: Span;
  #sayings: Saying[] = [];
  readonly #ends = new Map<string, number>();
  #time = 1;
  #speaker = 0;
  #manner = EVERYDAY;
  #left = 0;

  constructor(seed: number, language: Language, keep: Span = seconds(90)) {
    this.#random = randomFrom(seed);
    this.#language = language;
    this.#keep = keep;
  }

  /** Sayings remembered. */
  get size(): number {
    return this.#sayings.length;
  }

  over({ start, end }: Interval): readonly Saying[] {
    while (this.#time * 1e6 < end) this.#sayings.push(this.#next());
    const oldest = this.#sayings[0];
    if (oldest && oldest.end < end - 2 * this.#keep) {
      this.#sayings = this.#sayings.filter((saying) => saying.end >= end - this.#keep);
    }
    return this.#sayings.filter((saying) => saying.start < end && start < saying.end);
  }

  #next(): Saying {
    const random = this.#random;
    if (this.#left === 0) {
      this.#manner = mannerBy(random, MANNERS);
      this.#left = wholeWithin(random, ...IN_A_ROW);
      this.#speaker = (this.#speaker + 1) % SPEAKERS;
    }
    this.#left -= 1;
    const manner = this.#manner;
    if (manner.speakers > 2) this.#speaker = (this.#speaker + 1) % SPEAKERS;
    const name = `s${this.#speaker + 1}`;
    // Nobody talks over himself.
    const from = Math.max(this.#time, this.#ends.get(name) ?? 0);
    const saying = sayingAt(from, name, manner, random, this.#language);
    this.#ends.set(name, saying.end / 1e6);
    const gap = within(random, ...manner.gap);
    // The next one may begin before this one is over, if it is somebody else's.
    const alone = manner.speakers <= 2 || this.#left === 0;
    this.#time = Math.max(saying.start / 1e6 + 0.3, saying.end / 1e6 + (alone ? Math.max(0, gap) : gap));
    return saying;
  }
}
