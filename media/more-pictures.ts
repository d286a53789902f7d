import { SLOWEST } from './time-map.ts';
import { type Span, ms } from './time.ts';

/** Nothing is made between two pictures that are more than so many times as far apart as they were: that is a gap to fill. */
const MOST = 6;
/** Pictures that were further apart than this do not show a movement: they follow each other as slides do. */
const FARTHEST = ms(150);

/**
 * How many pictures are to be made between two that follow each other in a programme that runs slower there: as many as it
 * takes for none to be seen for more than {@link SLOWEST} times as long as the first of the two was.
 *
 * @param was how far they were apart
 * @param is how far they are
 * @throws RangeError when they have come nearer
 */
export function madeBetween(was: Span, is: Span): number {
  const slope = is / was;
  // Places come in whole microseconds.
  if (!(was > 0 && is >= was - 1)) {
    throw new RangeError(`Cannot make pictures: two must not come nearer to each other, received ${is} for ${was} µs`);
  }
  if (was > FARTHEST || slope > MOST) return 0;
  return Math.max(0, Math.ceil((is - 1) / (was * SLOWEST) - 1e-9) - 1);
}
