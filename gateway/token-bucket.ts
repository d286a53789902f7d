import { type ClockTime, between } from '../media/time.ts';

export interface Rate {
  /** Over time. */
  readonly perSecond: number;
  /** At once, after a while of nothing. */
  readonly burst: number;
}

/** Allows so much at once and so much over time. */
export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #at: ClockTime;

  constructor(rate: Rate, now: ClockTime) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#at = now;
  }

  /** `false`: not now. */
  take(now: ClockTime): boolean {
    const { perSecond, burst } = this.#rate;
    this.#tokens = Math.min(burst, this.#tokens + (between(this.#at, now) / 1e6) * perSecond);
    this.#at = now;
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
