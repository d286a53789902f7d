import { type Interval, type MediaTime, at } from '../../media/time.ts';
import type { Activity } from '../../pipeline/domain.ts';

/** Makes one gapless line of what a detector says of its frames. */
export class ActivityLine {
  #edge: MediaTime | undefined;

  /** Nobody is heard speaking in audio that was lost; audio that comes twice is told once. */
  *tell({ start, end }: Interval, probability: number): Generator<Activity> {
    const from = this.#edge ?? start;
    if (start > from) yield { start: from, end: start, probability: 0 };
    const begin = at(Math.max(from, start));
    if (end > begin) yield { start: begin, end, probability };
    this.#edge = at(Math.max(begin, end));
  }
}
