import type { Clock } from '../../../media/clock.ts';
import { type Span, later } from '../../../media/time.ts';

/** Requests that wait for something to be published: so many at once, and for so long. */
export class Waiters {
  readonly #clock: Clock;
  readonly #most: number;
  readonly #patience: Span;
  readonly #waiting = new Set<{ readonly ready: () => boolean; readonly wake: (come: boolean) => void }>();
  #refused = 0;
  #timedOut = 0;

  constructor(clock: Clock, { most, patience }: { readonly most: number; readonly patience: Span }) {
    this.#clock = clock;
    this.#most = most;
    this.#patience = patience;
  }
  get refused(): number {
    return this.#refused;
  }
  get timedOut(): number {
    return this.#timedOut;
  }
  get waiting(): number {
    return this.#waiting.size;
  }

  /** Whether `ready` came true in time. */
  until(ready: () => boolean, signal: AbortSignal): Promise<boolean> {
    if (ready()) return Promise.resolve(true);
    if (this.#waiting.size >= this.#most || signal.aborted) {
      this.#refused += 1;
      return Promise.resolve(false);
    }
    return new Promise((resolve) => {
      const over = new AbortController();
      const waiter = {
        ready,
        wake: (come: boolean) => {
          this.#waiting.delete(waiter);
          over.abort();
          resolve(come);
        },
      };
      this.#waiting.add(waiter);
      this.#clock.until(later(this.#clock.now(), this.#patience), AbortSignal.any([signal, over.signal])).then(
        () => {
          if (this.#waiting.has(waiter)) this.#timedOut += 1;
          waiter.wake(ready());
        },
        () => waiter.wake(false),
      );
    });
  }

  /** Something was published. */
  look(): void {
    for (const waiter of [...this.#waiting]) if (waiter.ready()) waiter.wake(true);
  }
  /** Nothing will be published any more. */
  close(): void {
    for (const waiter of [...this.#waiting]) waiter.wake(waiter.ready());
  }
}
