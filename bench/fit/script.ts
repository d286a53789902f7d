import { type Interval, type MediaTime, overlaps } from '../../media/time.ts';
import type { Word } from '../../pipeline/domain.ts';

/** What one speaker says in one go, with how long its translation is. */
export interface Saying extends Interval {
  readonly speaker: string;
  readonly words: readonly Word[];
  /** Syllables of the translation for each of the source. */
  readonly ratio: number;
  /** The translation, where it is given. Left out, one of the right length is made. */
  readonly translation?: string;
}

/** A programme as somebody wrote it down: what is said when. */
export interface Script {
  /** What is being said at some time of `interval`, by start. */
  over(interval: Interval): readonly Saying[];
}

export const scriptOf = (sayings: readonly Saying[]): Script => {
  const sorted = sayings.toSorted((a, b) => a.start - b.start);
  const longest = sorted.reduce((most, { start, end }) => Math.max(most, end - start), 0);
  return {
    over(interval) {
      // The first that can still be going on.
      let [low, high] = [0, sorted.length];
      while (low < high) {
        const middle = (low + high) >> 1;
        if ((sorted[middle]?.start ?? 0) + longest < interval.start) low = middle + 1;
        else high = middle;
      }
      const found: Saying[] = [];
      for (let n = low; n < sorted.length; n += 1) {
        const saying = sorted[n];
        if (!saying || saying.start >= interval.end) break;
        if (overlaps(saying, interval)) found.push(saying);
      }
      return found;
    },
  };
};

/** Stretches of words with no pause of `pause` µs or more between them. */
export function phrasesOf<W extends Interval>(words: readonly W[], pause: number): W[][] {
  const phrases: W[][] = [];
  let end: MediaTime | undefined;
  for (const word of words) {
    if (end === undefined || word.start - end >= pause) phrases.push([]);
    phrases.at(-1)?.push(word);
    end = word.end;
  }
  return phrases;
}
