import { type Piece, SLOWEST } from './time-map.ts';
import { type Interval, type MediaTime, type Span, at, between } from './time.ts';

/** A picture in the output: one of the programme's, where it belongs now, or one that is to be made between two. */
export type Showing =
  | { readonly at: MediaTime; readonly picture: number; readonly of?: never }
  | {
      readonly at: MediaTime;
      /** Between `picture` and the one after it. */
      readonly picture: number;
      /** The `n`th, from 1, of `count` at even distances. */
      readonly of: { readonly n: number; readonly count: number };
    };

/** Nothing is made between two pictures that are more than so many times as far apart as they were: that is a gap to fill. */
const MOST = 6;

/**
 * The pictures of a stretch of programme that is to last longer: each where the sound that belongs to it is then, and, where
 * the stretch runs slower than {@link SLOWEST}, as many between them as it takes for none to be seen for more than that much
 * longer than it was. At a cut there is nothing between: the last picture before it stays.
 *
 * @param pictures where the pictures of the stretch begin, in order
 * @param cuts indices of pictures that do not go on from the one before
 */
export function stretchedPictures(
  pictures: readonly MediaTime[],
  { from, to }: Piece,
  cuts: ReadonlySet<number> = new Set(),
): Showing[] {
  const slope = between(to.start, to.end) / between(from.start, from.end);
  if (!(slope >= 1 && Number.isFinite(slope))) {
    throw new RangeError(`Cannot stretch pictures: the stretch must not become shorter, received ${slope}`);
  }
  const place = (t: MediaTime) => at(to.start + Math.round((t - from.start) * slope));
  return pictures.flatMap((start, picture) => {
    const here = place(start);
    const next = pictures[picture + 1];
    const shown: Showing[] = [{ at: here, picture }];
    if (next === undefined || cuts.has(picture + 1) || slope > MOST) return shown;
    const count = madeBetween(slope);
    const there = place(next);
    for (let n = 1; n <= count; n += 1) {
      const share = n / (count + 1);
      shown.push({ at: at(here + Math.round(share * between(here, there))), picture, of: { n, count } });
    }
    return shown;
  });
}

/** How many pictures are made between two that are so many times as far apart as they were. */
export const madeBetween = (slope: number): number => Math.max(0, Math.ceil(slope / SLOWEST - 1e-9) - 1);

/** What an interpolator is asked for: the pairs, each once, with how many are wanted between. */
export function pairsOf(showing: readonly Showing[]): { readonly picture: number; readonly count: number }[] {
  return showing.flatMap(({ picture, of }) => (of?.n === 1 ? [{ picture, count: of.count }] : []));
}

/** How long each picture is seen, until the stretch ends. */
export const heldFor = (showing: readonly Showing[], { end }: Interval): Span[] =>
  showing.map((each, n) => between(each.at, showing[n + 1]?.at ?? end));
