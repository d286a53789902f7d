import { type ClockTime, type Span, between, ms, seconds } from '../media/time.ts';

/** Waits before the second, third, … start within {@link RestartPolicy.within}; the first is at once. */
const WAITS: readonly Span[] = [ms(0), ms(500), seconds(1), seconds(2), seconds(4)];

/** Says when a process that died is started again: at once, then with growing waits, and not at all in a crash loop. */
export class RestartPolicy {
  /** This many deaths … */
  readonly most: number;
  /** … in this time are a crash loop. */
  readonly within: Span;
  #deaths: ClockTime[] = [];

  constructor({ most = 5, within = seconds(30) }: { readonly most?: number; readonly within?: Span } = {}) {
    this.most = most;
    this.within = within;
  }

  /** How long to wait before the next start; `undefined`: give up. */
  died(now: ClockTime): Span | undefined {
    this.#deaths = [...this.#deaths.filter((death) => between(death, now) < this.within), now];
    if (this.#deaths.length >= this.most) return undefined;
    return WAITS[Math.min(this.#deaths.length, WAITS.length) - 1];
  }
}
