import { setTimeout as sleep } from 'node:timers/promises';
import { type ClockTime, type MediaTime, type Span, between, later } from './time.ts';

/** Where "now" comes from. Tests pass a {@link ManualClock}; nothing else in the tree reads a clock. */
export interface Clock {
  now(): ClockTime;
  /** Resolves at or after `when`; rejects with the signal's reason. */
  until(when: ClockTime, signal: AbortSignal): Promise<void>;
}

/** Ties one programme position to one clock reading; everything else is arithmetic. */
export interface Anchor {
  readonly media: MediaTime;
  readonly clock: ClockTime;
}
export const mediaAt = (anchor: Anchor, now: ClockTime): MediaTime => later(anchor.media, between(anchor.clock, now));
export const clockAt = (anchor: Anchor, t: MediaTime): ClockTime => later(anchor.clock, between(anchor.media, t));

/** The machine's monotonic clock (CLOCK_MONOTONIC): the same reading in every process, and no steps when NTP corrects the date. */
export class MonotonicClock implements Clock {
  now(): ClockTime {
    return Number(process.hrtime.bigint() / 1_000n) as ClockTime;
  }
  async until(when: ClockTime, signal: AbortSignal): Promise<void> {
    const wait = (when - this.now()) / 1_000;
    if (wait > 0) await sleep(wait, undefined, { signal });
    else signal.throwIfAborted();
  }
}

export class ManualClock implements Clock {
  #now = 0 as ClockTime;
  #sleepers: { when: ClockTime; wake: () => void }[] = [];

  now(): ClockTime {
    return this.#now;
  }
  until(when: ClockTime, signal: AbortSignal): Promise<void> {
    if (when <= this.#now) return Promise.resolve();
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      const abort = () => reject(signal.reason as Error);
      signal.addEventListener('abort', abort, { once: true });
      const wake = () => {
        signal.removeEventListener('abort', abort);
        resolve();
      };
      this.#sleepers.push({ when, wake });
    });
  }
  /** Moves time forward, waking sleepers in order of their deadlines. */
  async advance(by: Span): Promise<void> {
    const goal = later(this.#now, by);
    for (;;) {
      this.#sleepers.sort((a, b) => a.when - b.when);
      const next = this.#sleepers[0];
      if (!next || next.when > goal) break;
      this.#sleepers.shift();
      this.#now = next.when;
      next.wake();
      await new Promise((r) => setImmediate(r));
    }
    this.#now = goal;
  }
}

/**
 * Calls `tick` on a grid of absolute deadlines, one slot every `every`.
 *
 * A late wake-up shortens the next wait, so lateness never accumulates. Slots missed in a stall are counted in
 * `skipped` and not replayed: a burst of them would only arrive late.
 */
export async function pace(
  clock: Clock,
  every: Span,
  signal: AbortSignal,
  tick: (slot: number, skipped: number) => void,
): Promise<void> {
  const origin = clock.now();
  for (let slot = 0; !signal.aborted;) {
    const due = Math.max(slot, Math.floor(between(origin, clock.now()) / every));
    tick(due, due - slot);
    slot = due + 1;
    await clock.until(later(origin, (slot * every) as Span), signal).catch((reason: unknown) => {
      if (!signal.aborted) throw reason;
    });
  }
}
