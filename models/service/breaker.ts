import { type Clock, MonotonicClock } from '../../media/clock.ts';
import { type ClockTime, type Span, later, ms, seconds } from '../../media/time.ts';

/** Failures in a row after which a host is left alone. */
const FAILURES = 5;
/** For how long, the first time and at most; each probe that fails doubles it. */
const REST = { first: seconds(5), longest: seconds(60) };

/** Leave to ask a host once. Says how that went, or that nobody waited for it; only the first of these counts. */
export interface Pass {
  succeeded(): void;
  failed(): void;
  /** The caller left before it could tell. */
  left(): void;
}

/** Why a host is not to be asked at present, and for how long. */
export interface Closed {
  readonly why: 'failed' | 'overloaded';
  readonly wait: Span;
}

/**
 * A circuit breaker: a host that failed several times in a row is not asked for a while, so that nobody waits for it and
 * it is not asked more the less it can answer.
 *
 * Closed: everybody may ask. Open: nobody, until the rest is over. Half open: one may, and decides by how that goes.
 *
 * @see https://learn.microsoft.com/azure/architecture/patterns/circuit-breaker
 */
export class Breaker {
  #state: 'closed' | 'open' | 'half open' = 'closed';
  #failures = 0;
  #rest: Span = REST.first;
  /** Until when nobody asks. */
  #until = 0 as ClockTime;
  /** Until when the host asked to be left alone (Retry-After). */
  #busyUntil = 0 as ClockTime;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get state(): 'closed' | 'open' | 'half open' {
    return this.#state === 'open' && this.#clock.now() >= this.#until ? 'half open' : this.#state;
  }

  /** Leave to ask the host, or why there is none. */
  admit(): Pass | Closed {
    const now = this.#clock.now();
    if (now < this.#busyUntil) return { why: 'overloaded', wait: (this.#busyUntil - now) as Span };
    if (this.#state === 'half open') return { why: 'failed', wait: ms(0) };
    if (this.#state === 'open') {
      if (now < this.#until) return { why: 'failed', wait: (this.#until - now) as Span };
      this.#state = 'half open';
    }
    let told = false;
    const once = (act: () => void) => () => {
      if (told) return;
      told = true;
      act();
    };
    return {
      succeeded: once(() => this.#succeeded()),
      failed: once(() => this.#failed()),
      left: once(() => {
        // The next one probes at once.
        if (this.#state === 'half open') this.#state = 'open';
      }),
    };
  }

  /** The host asked to be left alone for a while (429 or 503 with Retry-After). */
  rest(wait: Span): void {
    const until = later(this.#clock.now(), Math.min(wait, REST.longest) as Span);
    if (until > this.#busyUntil) this.#busyUntil = until;
  }

  #succeeded(): void {
    this.#state = 'closed';
    this.#failures = 0;
    this.#rest = REST.first;
  }

  #failed(): void {
    this.#failures += 1;
    const probing = this.#state === 'half open';
    if (!probing && (this.#failures < FAILURES || this.#state === 'open')) return;
    if (probing) this.#rest = Math.min(REST.longest, this.#rest * 2) as Span;
    this.#state = 'open';
    this.#until = later(this.#clock.now(), this.#rest);
  }
}

/** Breakers by clock, then host. All readings of the machine's clock are one clock. */
const clocks = new WeakMap<Clock, Map<string, Breaker>>();
const MACHINE = new MonotonicClock();

/** The breaker of a host, shared by everybody in this process who reads the same clock. */
export function breakerOf(host: string, clock: Clock): Breaker {
  const reads = clock instanceof MonotonicClock ? MACHINE : clock;
  const hosts = clocks.get(reads) ?? new Map<string, Breaker>();
  clocks.set(reads, hosts);
  const breaker = hosts.get(host) ?? new Breaker(reads);
  hosts.set(host, breaker);
  return breaker;
}
