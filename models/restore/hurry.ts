import { type ClockTime, type Span, later, seconds } from '../../media/time.ts';

/** How much the latest run counts for how long runs take. */
const WEIGHT = 0.25;
/** How long a network that was too slow is left alone: doubled each time, up to the second. */
const FIRST = seconds(2);
const LONGEST = seconds(60);

/**
 * Whether there is time for a network: it is waited for while it usually is in time, tried beside the pictures now and then
 * while it is not, and never asked while it still computes for a picture that has gone on without it.
 *
 * @param most as long as one picture may take; 0 for as long as it takes
 */
export class Hurry {
  readonly #most: Span;
  #usual: number | undefined;
  #busy = false;
  #rest = FIRST;
  #again = Number.NEGATIVE_INFINITY as ClockTime;

  constructor(most: Span) {
    this.#most = most;
  }

  /** Microseconds that a run takes, of late; nothing before the first. */
  get usual(): number | undefined {
    return this.#usual;
  }

  /** `wait` for the network, `try` it without waiting, or leave it out. Whoever does not leave it out calls {@link ended}. */
  ask(now: ClockTime): 'wait' | 'try' | 'leave' {
    if (this.#busy) return 'leave';
    const known = this.#most === 0 || (this.#usual !== undefined && this.#usual <= this.#most);
    if (!known && now < this.#again) return 'leave';
    this.#busy = true;
    return known ? 'wait' : 'try';
  }

  /** A run is over, whether somebody waited for it or not. */
  ended(took: Span, now: ClockTime): void {
    this.#busy = false;
    const slow = this.#most > 0 && took > this.#most;
    // One that was too slow is believed at once, and one that is quick again after that.
    const jump = this.#usual === undefined || this.#usual > this.#most || slow;
    this.#usual = jump ? took : (this.#usual ?? took) + WEIGHT * (took - (this.#usual ?? took));
    if (!slow) this.#rest = FIRST;
    else {
      this.#again = later(now, this.#rest);
      this.#rest = Math.min(LONGEST, 2 * this.#rest) as Span;
    }
  }
}
