/** A part, or a segment of a presentation without parts, as it came. Milliseconds; positions on one timeline of the rendition. */
export interface Arrival {
  readonly start: number;
  readonly end: number;
  /** When its last byte had come. */
  readonly at: number;
}
export interface Punctuality {
  readonly parts: number;
  readonly onTime: number;
  /** How long after it was due each came; negative: before. */
  readonly lateness: readonly number[];
  /** The longest time between two that follow each other. */
  readonly longest: number;
  /** Came after a player that keeps the hold-back needed it. */
  readonly starved: number;
}

/** What "on time" means, for whoever reads a figure. */
export const ON_TIME =
  'A part is due at the same distance from its end on the programme’s timeline as the median part of the whole watch: ' +
  'one fixed schedule, so that delay that grows is lateness. It is on time when its last byte has come no later than ' +
  'PART-TARGET (a segment: its target duration) after that.';

/**
 * @param tolerance what a piece may be late by
 * @param holdBack how far from the edge a player plays, or `undefined`
 */
export function punctualityOf(
  arrivals: readonly Arrival[],
  tolerance: number,
  holdBack: number | undefined,
): Punctuality | undefined {
  const [first] = arrivals;
  if (!first) return undefined;
  const transits = arrivals.map(({ at, end }) => at - end);
  const median = [...transits].sort((a, b) => a - b)[Math.floor(transits.length / 2)] ?? 0;
  const lateness = transits.map((transit) => transit - median);
  const longest = arrivals.reduce((most, { at }, n) => Math.max(most, at - (arrivals[n - 1]?.at ?? at)), 0);
  // The player starts with the first part it hears of, the hold-back behind what the playlist ended with.
  const starved =
    holdBack === undefined
      ? 0
      : arrivals.filter(({ at, start }) => at > first.at + (start - first.end) + holdBack).length;
  return {
    parts: arrivals.length,
    onTime: lateness.filter((late) => late <= tolerance).length,
    lateness,
    longest,
    starved,
  };
}
