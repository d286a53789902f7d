import type { Interval, MediaTime } from '../media/time.ts';

/** Stretches of the programme that are to be looked at; what was asked for longest ago is forgotten first. */
export class Attention {
  readonly #most: number;
  #stretches: Interval[] = [];

  constructor(most = 64) {
    this.#most = most;
  }

  /** Stretches that meet become one. */
  add({ start, end }: Interval): void {
    if (end <= start) return;
    const apart = this.#stretches.filter((other) => other.end < start || other.start > end);
    const met = this.#stretches.filter((other) => other.end >= start && other.start <= end);
    const whole = {
      start: Math.min(start, ...met.map((other) => other.start)) as MediaTime,
      end: Math.max(end, ...met.map((other) => other.end)) as MediaTime,
    };
    this.#stretches = [...apart, whole].sort((a, b) => a.start - b.start).slice(-this.#most);
  }

  /** The first stretch that is not over at `t`. */
  after(t: MediaTime): Interval | undefined {
    return this.#stretches.find(({ end }) => end > t);
  }
}
