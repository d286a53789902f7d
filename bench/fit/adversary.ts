import { type MediaTime, at } from '../../media/time.ts';
import { syllablesByRule } from '../../models/translate/syllables.ts';
import type { Language, Word } from '../../pipeline/domain.ts';
import { type Random, pick, randomFrom, wholeWithin, within } from '../random.ts';
import { wordsWith } from './lexicon.ts';
import type { Saying } from './script.ts';

/** How a stretch of talk is timed. Seconds; both ends of a range are included. */
export interface Manner {
  /** Syllables of one saying. */
  readonly syllables: readonly [number, number];
  /** Syllables a second. */
  readonly pace: readonly [number, number];
  /** From the end of a saying to the start of the next; negative is an overlap, possible between speakers alone. */
  readonly gap: readonly [number, number];
  /** Silence within a saying, between two words, where there is one. */
  readonly pause: readonly [number, number];
  /** How likely a word is followed by one. */
  readonly pauses: number;
  readonly speakers: number;
  /** Syllables of the translation for each of the source. */
  readonly ratio: readonly [number, number];
}

export interface Ordeal {
  readonly name: string;
  /** What is hard about it, in one sentence. */
  readonly about: string;
  /** Seconds. */
  readonly length: number;
  readonly sayings: readonly Saying[];
}

const EVERYDAY: Manner = {
  syllables: [6, 20],
  pace: [4, 5.5],
  gap: [0.4, 1.5],
  pause: [0.16, 0.3],
  pauses: 0.12,
  speakers: 2,
  ratio: [0.9, 1.25],
};

const ORDEALS: readonly { name: string; about: string; length: number; manners: readonly Manner[] }[] = [
  {
    name: 'everyday',
    about: 'Nothing: what the others are compared with.',
    length: 120,
    manners: [EVERYDAY],
  },
  {
    name: 'long translations',
    about: 'Translations of two to four times as many syllables.',
    length: 120,
    manners: [{ ...EVERYDAY, ratio: [2, 4], speakers: 1 }],
  },
  {
    name: 'no pause',
    about: 'Five minutes without a pause between words.',
    length: 300,
    manners: [{ ...EVERYDAY, syllables: [8, 18], gap: [0, 0], pauses: 0, speakers: 1, ratio: [1, 1.4] }],
  },
  {
    name: 'speaker changes',
    about: 'Three speakers who change every second or two and talk over each other.',
    length: 120,
    manners: [{ ...EVERYDAY, syllables: [5, 9], gap: [-0.5, 0.1], pauses: 0, speakers: 3, ratio: [0.9, 1.3] }],
  },
  {
    name: 'single words',
    about: 'One word at a time.',
    length: 120,
    manners: [{ ...EVERYDAY, syllables: [1, 3], gap: [0.6, 3], pauses: 0, ratio: [1, 2.5] }],
  },
  {
    name: 'long sentences',
    about: 'Sentences of a quarter of a minute.',
    length: 180,
    manners: [{ ...EVERYDAY, syllables: [50, 90], gap: [0.4, 1], pauses: 0.15, speakers: 1 }],
  },
  {
    name: 'bursts',
    about: 'Five hasty sentences, then nothing.',
    length: 150,
    manners: [
      ...Array.from({ length: 4 }, (): Manner => ({ ...EVERYDAY, pace: [6.5, 8], gap: [0.08, 0.15], pauses: 0 })),
      { ...EVERYDAY, pace: [6.5, 8], gap: [10, 18], pauses: 0 },
    ],
  },
  {
    name: 'silence',
    about: 'A sentence, then one or two minutes of nothing.',
    length: 480,
    manners: [{ ...EVERYDAY, gap: [60, 120] }],
  },
];

/** Silence before the first word, seconds: what comes first has no deadline to miss. */
const LEAD = 1;

/**
 * Timing that is hard to dub into, the same for the same seed.
 *
 * @param language of the words that are said
 */
export function adversary(seed: number, language: Language): Ordeal[] {
  return ORDEALS.map(({ name, about, length, manners }, n) => ({
    name,
    about,
    length,
    sayings: talk(manners, length, randomFrom(seed + 1_000 * n), language),
  }));
}

/** Sayings one after the other, each in the next manner, up to `length` seconds. */
export function talk(manners: readonly Manner[], length: number, random: Random, language: Language): Saying[] {
  const sayings: Saying[] = [];
  const ends = new Map<string, number>();
  let time = LEAD;
  let speaker = 0;
  for (let n = 0; ; n += 1) {
    const manner = manners[n % manners.length];
    if (!manner) throw new RangeError('Cannot write a talk: there is no manner to say things in');
    if (manner.speakers > 1) speaker = (speaker + wholeWithin(random, 1, manner.speakers - 1)) % manner.speakers;
    const name = `s${speaker + 1}`;
    // Nobody talks over himself.
    const saying = sayingAt(Math.max(time, ends.get(name) ?? 0), name, manner, random, language);
    if (saying.end / 1e6 > length) return sayings;
    sayings.push(saying);
    ends.set(name, saying.end / 1e6);
    const gap = within(random, ...manner.gap);
    // Nobody begins before the one before him began.
    time = Math.max(saying.start / 1e6 + 0.3, saying.end / 1e6 + (manner.speakers > 1 ? gap : Math.max(0, gap)));
  }
}

/** One saying from `time` seconds on. */
export function sayingAt(time: number, speaker: string, manner: Manner, random: Random, language: Language): Saying {
  const texts = wordsWith(wholeWithin(random, ...manner.syllables), language, random);
  const pace = within(random, ...manner.pace);
  const words: Word[] = [];
  let now = time;
  const micros = (seconds: number): MediaTime => at(seconds * 1e6);
  for (const [n, text] of texts.entries()) {
    const length = syllablesByRule(text, language) / (pace * within(random, 0.9, 1.1));
    words.push({ text, start: micros(now), end: micros(now + length) });
    now += length;
    if (n < texts.length - 1 && random() < manner.pauses) now += within(random, ...manner.pause);
  }
  const start = words[0]?.start ?? micros(time);
  return { start, end: words.at(-1)?.end ?? start, speaker, words, ratio: within(random, ...manner.ratio) };
}

/** One of several manners, each as likely as its weight. */
export const mannerBy = (random: Random, weighted: readonly (readonly [weight: number, manner: Manner])[]): Manner => {
  let left = random() * weighted.reduce((sum, [weight]) => sum + weight, 0);
  for (const [weight, manner] of weighted) if ((left -= weight) < 0) return manner;
  return pick(random, weighted)[1];
};
export { EVERYDAY };
