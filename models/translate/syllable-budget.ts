import { type Interval, between } from '../../media/time.ts';
import type { Budget, Language } from '../../pipeline/domain.ts';
import { FITTING } from '../../pipeline/fit.ts';
import { usualRate } from './syllables.ts';

/** Below this many syllables there is nothing to be said more briefly. */
const FEWEST = 4;

/**
 * The budget of a line: what the target language usually says in the line's interval, at the speaker's own tempo, which
 * is how fast the source's syllables come against what its language usually does. The tempo stays within the bounds of
 * `pipeline/fit.ts`, so that what keeps the budget can be fitted by playing it faster, and without a word being cut.
 *
 * `aim` is as hurried or unhurried as the speaker is; `most` still fits when it is played as fast as a listener does not mind.
 *
 * @param spoken syllables of the source
 */
export function budgetOf(line: Interval, spoken: number, from: Language, to: Language): Budget {
  const slot = Math.max(between(line.start, line.end), 1) / 1e6;
  const tempo = spoken / slot / usualRate(from);
  const bounded = Math.min(FITTING.fastest, Math.max(FITTING.slowest, tempo));
  const aim = Math.max(FEWEST, Math.round(slot * usualRate(to) * bounded));
  return { aim, most: Math.max(aim, Math.floor(slot * usualRate(to) * FITTING.fastest)) };
}

/** What to ask for after an answer that was too long: shorter by as much as the first went over. */
export const shorter = ({ aim, most }: Budget, measured: number): number =>
  Math.max(FEWEST - 1, Math.min(aim - 1, Math.floor((aim * most) / measured)));
