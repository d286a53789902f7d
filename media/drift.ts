import type { Anchor } from './clock.ts';
import { type ClockTime, later, seconds } from './time.ts';

/** Readings of so long become one point, their median: several packets' jitter, no drift worth speaking of. */
const POINT = seconds(5);
/** Where the programme arrives is the median of the points of the last minute: what lasts less than half of it is a burst. */
const LEVEL = 12;
/** From here on the level is believed: 20 s. */
const FEWEST = 4;
/** Points from before a long silence say little about where the programme arrives now. */
const RECENT = seconds(120);
/** Readings that one point is made of at most. */
const READINGS = 256;
/** Drift is the median slope between points a minute apart, over the last ten minutes, once there are two of them. */
const BASE = 12;
const HISTORY = 120;
const KNOWN = 24;
/** A quartz further off than this is none: what the slopes come from is something else. */
const PLAUSIBLE = 1_000;

interface Point {
  /** Clock time, µs. */
  readonly when: number;
  /** Clock time less media time, µs. */
  readonly offset: number;
}

/**
 * How the source's clock runs against ours: where the programme arrives by now, and by how many millionths it is fast.
 *
 * It is given which place of the programme came in when, by the shortest way, as often as somebody looks. What lasts is
 * told from what passes: jitter, bursts and stalls move the medians little, and a source that comes back elsewhere (a
 * step) spoils only the slopes that straddle the step, which are a minority.
 */
export class Drift {
  #readings: Point[] = [];
  #points: Point[] = [];
  #last: Anchor | undefined;
  #slope: number | undefined;

  /** The source's clock error, ppm: positive when it is fast. `undefined` while it is not known, two minutes or so. */
  get ppm(): number | undefined {
    return this.#slope === undefined ? undefined : -this.#slope * 1e6;
  }

  /** Which place of the programme comes in when, by now; `undefined` in the first seconds. */
  get anchor(): Anchor | undefined {
    const last = this.#last;
    if (!last) return undefined;
    const recent = this.#points.slice(-LEVEL).filter(({ when }) => last.clock - when <= RECENT);
    if (recent.length < FEWEST) return undefined;
    const slope = this.#slope ?? 0;
    const levels = recent.map(({ when, offset }) => offset + slope * (last.clock - when));
    return { media: last.media, clock: Math.round(last.media + median(levels)) as ClockTime };
  }

  /** Takes the newest reading; one that says nothing new is ignored. Says whether there may be news. */
  push(reading: Anchor): boolean {
    const last = this.#last;
    if (last && (reading.media === last.media || reading.clock <= last.clock)) return false;
    this.#last = reading;
    const first = this.#readings[0];
    if (first && reading.clock >= later(first.when as ClockTime, POINT)) {
      this.#points.push({
        when: this.#readings[this.#readings.length >> 1]?.when ?? first.when,
        offset: median(this.#readings.map(({ offset }) => offset)),
      });
      if (this.#points.length > HISTORY) this.#points.shift();
      this.#readings = [];
      this.#slope = slopeOf(this.#points);
    }
    const opens = this.#readings.length === 0;
    if (this.#readings.length < READINGS) {
      this.#readings.push({ when: reading.clock, offset: reading.clock - reading.media });
    }
    return opens;
  }
}

/** Median slope between points `BASE` apart; `undefined` while there are too few, or they make no sense. */
function slopeOf(points: readonly Point[]): number | undefined {
  if (points.length < KNOWN) return undefined;
  const slopes: number[] = [];
  for (let i = BASE; i < points.length; i += 1) {
    const [from, to] = [points[i - BASE], points[i]];
    if (from && to) slopes.push((to.offset - from.offset) / (to.when - from.when));
  }
  const slope = median(slopes);
  return Math.abs(slope * 1e6) <= PLAUSIBLE ? slope : undefined;
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = sorted.length >> 1;
  const upper = sorted[half] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? upper) + upper) / 2;
}
