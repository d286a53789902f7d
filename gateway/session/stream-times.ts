import { type Anchor, clockAt, mediaAt } from '../../media/clock.ts';
import { Floor } from '../../media/programme-clock.ts';
import { type ClockTime, type MediaTime, type Span, at, between, later, seconds } from '../../media/time.ts';

/** Over how much the lowest transit is taken: short against the drift of clocks (100 ppm: 1 ms in 10 s). */
const WINDOW = seconds(5);
/** After a jump the other track may still be in the old count for so long. */
const OVERLAP = seconds(1);

export interface StreamTimesOptions {
  /** An item that comes so much before its time has jumped. */
  readonly ahead: Span;
  /** An item that comes so much after its time has jumped, or the source has stalled. */
  readonly behind: Span;
  /** Go on with a programme that began so. */
  readonly anchor?: Anchor | undefined;
}

/** An item by the times of its programme: `due` is when all of it is there by the source's clock. */
export interface Timed {
  readonly start: MediaTime;
  readonly due: MediaTime;
}

/**
 * Puts the times of one reading of a source after the other on one media time, which goes on with the clock between
 * them: every reading has an offset of its own, and a new one wherever its time stamps jump. Sound and pictures share it.
 */
export class StreamTimes {
  readonly #options: StreamTimesOptions;
  readonly #floor = new Floor(WINDOW);
  #anchor: Anchor | undefined;
  /** Media time less programme time, µs; and what it was before the last jump, which holds for a moment more. */
  #offset = 0;
  #old: { readonly offset: number; readonly until: ClockTime } | undefined;
  #last: MediaTime | undefined;
  #jumps = 0;
  #ahead: Span;
  #measured = false;

  constructor(options: StreamTimesOptions) {
    this.#options = options;
    this.#anchor = options.anchor;
    this.#ahead = options.ahead;
  }

  /** When the programme began; it never changes. */
  get anchor(): Anchor | undefined {
    return this.#anchor;
  }
  /** Which place of the programme came in last and when, by the shortest way. */
  get reading(): Anchor | undefined {
    const anchor = this.#anchor;
    if (!anchor || this.#last === undefined) return anchor;
    const transit = this.#measured ? (this.#floor.value ?? 0) : 0;
    return { media: this.#last, clock: Math.round(clockAt(anchor, this.#last) + transit) as ClockTime };
  }
  /** How often time stamps jumped. */
  get jumps(): number {
    return this.#jumps;
  }

  /** Says how much before its time an item may come from now on. */
  allow(ahead: Span): void {
    this.#ahead = ahead;
  }

  /**
   * A reading begins with `first`.
   *
   * @param origin clock time less programme time of whatever came by the shortest way, µs
   * @param least nothing is placed before it, unless the source comes in real time: what of its beginning is late then has
   *   no place, and does not make all that follows as late
   * @param measured whether items come in real time, so that their arrival tells how the source's clock runs
   */
  begin(first: MediaTime, origin: number, least: MediaTime, now: ClockTime, measured: boolean): void {
    this.#measured = measured;
    this.#anchor ??= { media: at(0), clock: Math.round(origin + first) as ClockTime };
    const offset = this.#anchor.media - this.#anchor.clock + origin;
    this.#offset = measured ? offset : Math.max(offset, least - first);
    this.#old = undefined;
    this.#floor.clear();
    // What had to be placed later than it came keeps coming that much before its time.
    this.#floor.push(now, offset - this.#offset);
  }

  /**
   * Where an item belongs that came at `now`.
   *
   * @param burst it came in the burst that the reading began with: however late, it has not jumped
   */
  place(item: Timed, now: ClockTime, least: MediaTime, burst = false): MediaTime {
    const anchor = this.#anchor;
    if (!anchor) throw new TypeError('Cannot place an item before the reading has begun');
    const measured = this.#measured;
    const behind = burst ? Infinity : this.#options.behind;
    const usual = measured ? (this.#floor.value ?? 0) : 0;
    const late = (offset: number) => between(clockAt(anchor, at(item.due + offset)), now) - usual;
    const fits = (offset: number) => late(offset) + this.#ahead >= 0 && late(offset) <= behind;
    const old = this.#old && now < this.#old.until && fits(this.#old.offset) ? this.#old.offset : undefined;
    if (fits(this.#offset)) {
      if (old !== undefined && Math.abs(late(old)) < Math.abs(late(this.#offset))) return at(item.start + old);
    } else {
      if (old !== undefined) return at(item.start + old);
      this.#jumps += 1;
      this.#old = { offset: this.#offset, until: later(now, OVERLAP) };
      this.#offset = Math.max(mediaAt(anchor, now) - usual - item.due, least - item.start);
    }
    this.#floor.push(now, late(this.#offset) + usual);
    const start = at(item.start + this.#offset);
    this.#last = at(Math.max(this.#last ?? 0, item.due + this.#offset));
    return start;
  }
}
