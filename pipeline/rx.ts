import { Observable, type OperatorFunction } from 'rxjs';
import type { Clock } from '../media/clock.ts';
import { Mailbox, type Overflow } from '../media/mailbox.ts';
import { type ClockTime, type Span, between, later, ms } from '../media/time.ts';
import { Fault } from './fault.ts';
import { Gauge, type Loss } from './load.ts';
import type { StageKind, StageScope } from './stage.ts';

/** What `through` needs of a stage. Every `Stage` is one. */
export interface Part<In, Out> {
  readonly kind: StageKind;
  run(input: AsyncIterable<In>, scope: StageScope): AsyncIterable<Out>;
}

export interface Through<In> {
  readonly clock: Clock;
  readonly capacity: number;
  readonly overflow?: Overflow;
  /** From this reading on an item is not worth starting: it would come out too late to be heard. */
  readonly expires?: (item: In) => ClockTime;
  /** How long to wait after the nth failure in a row; `undefined` gives the stage up for this stream. */
  readonly retryAfter?: (fault: Fault, failures: number) => Span | undefined;
  /** A run that sits on an item for this long without a word is given up as a `timeout`. Never, unless given. */
  readonly stall?: Span;
  readonly onFault?: (fault: Fault) => void;
  /** Items lost so far, to overflow or to expiry. */
  readonly onDrop?: (total: number) => void;
  /** Every item lost but those that overflowed, which are only counted. */
  readonly onLost?: (item: In, why: Loss) => void;
  /** A fault that is more than one item's, or the first output after it. */
  readonly onState?: (state: 'up' | 'down') => void;
  /** How long the stage had an item in hand before it asked for the next. */
  readonly onServed?: (span: Span, now: ClockTime) => void;
  /** The mailbox's name and numbers. */
  readonly gauge?: Gauge;
}

/** One call of `run`. */
interface Run<In> {
  over: boolean;
  taken: number;
  inHand: { readonly item: In; readonly since: ClockTime } | undefined;
  /** Ends the wait for output at once. */
  interrupt: (reason: unknown) => void;
  /** When something last went in or out. */
  moved: ClockTime;
}

/**
 * Sends a push stream through a pull stage.
 *
 * The mailbox bounds what waits. A fault costs an item, a pause or the rest of the stage's output; it never errors
 * the observable, so downstream sees absence and nothing else. A stage that ends while its input goes on has failed.
 */
export function through<In, Out>(part: Part<In, Out>, options: Through<In>): OperatorFunction<In, Out> {
  return (source) =>
    new Observable((out) => {
      const { clock, expires, retryAfter, stall, onFault, onDrop, onLost, onServed, onState } = options;
      const { gauge = new Gauge(part.kind) } = options;
      const life = new AbortController();
      const box = new Mailbox<In>(options.capacity, options.overflow);
      /** Taken by a run that was over by the time it got them. */
      const spare: In[] = [];
      let current: Run<In> | undefined;
      let exhausted = false;

      const measure = () => gauge.set(box.size + spare.length, current?.inHand !== undefined);
      const lose = (why: Loss, item?: { item: In }) => {
        gauge.lost[why] += 1;
        if (item) onLost?.(item.item, why);
        if (why !== 'failed') onDrop?.(gauge.lost.overflow + gauge.lost.expired);
      };

      // Reads by `take`, so that what is queued outlives the run that failed.
      const input = async function* (run: Run<In>): AsyncGenerator<In, void> {
        for (;;) {
          if (run.inHand && !run.over) onServed?.(between(run.inHand.since, clock.now()), clock.now());
          run.inHand = undefined;
          measure();
          const kept = spare.shift();
          const next = kept === undefined ? await box.take() : { done: false as const, value: kept };
          if (next.done) {
            if (!run.over) exhausted = true;
            return;
          }
          if (run.over) {
            spare.unshift(next.value);
            return;
          }
          if (expires && expires(next.value) <= clock.now()) {
            lose('expired', { item: next.value });
            continue;
          }
          run.moved = clock.now();
          run.inHand = { item: next.value, since: run.moved };
          run.taken += 1;
          measure();
          yield next.value;
        }
      };

      const watch = async (run: Run<In>, limit: Span, signal: AbortSignal) => {
        while (!run.over) {
          await clock.until(later(run.moved, limit), signal);
          if (run.over) return;
          if (run.inHand === undefined) run.moved = clock.now();
          else if (later(run.moved, limit) <= clock.now()) {
            run.interrupt(new Fault(part.kind, 'timeout', `${gauge.name} was silent for ${limit / 1_000} ms`));
            return;
          }
        }
      };

      /** Passes a run's output on until it ends, throws, stalls or is no longer wanted. */
      const drain = async (run: Run<In>, scope: StageScope, onOutput: () => void) => {
        const outputs = part.run(input(run), scope)[Symbol.asyncIterator]();
        try {
          for (;;) {
            // Not `Promise.race`: racing one long-lived promise against each item would keep every item's reaction.
            const next = await new Promise<IteratorResult<Out>>((resolve, reject) => {
              run.interrupt = reject;
              if (life.signal.aborted) reject(life.signal.reason as Error);
              outputs.next().then(resolve, reject);
            });
            if (life.signal.aborted || next.done) return;
            run.moved = clock.now();
            onOutput();
            out.next(next.value);
          }
        } finally {
          run.over = true;
          // Not awaited: a generator that hangs never returns.
          void outputs.return?.(undefined).catch(() => {});
        }
      };

      const feed = source.subscribe({
        next: (item) => {
          const before = box.dropped;
          box.put(item);
          for (let lost = box.dropped - before; lost > 0; lost -= 1) lose('overflow');
          measure();
        },
        complete: () => box.end(),
        error: (error) => {
          onFault?.(Fault.from(part.kind, error));
          box.end();
        },
      });

      const work = async () => {
        for (let failures = 0; !life.signal.aborted;) {
          const stop = new AbortController();
          const signal = AbortSignal.any([life.signal, stop.signal]);
          const run: Run<In> = { over: false, taken: 0, inHand: undefined, interrupt: () => {}, moved: clock.now() };
          current = run;
          try {
            if (stall !== undefined) watch(run, stall, signal).catch(() => {});
            await drain(run, { signal, clock }, () => {
              if (failures > 0) onState?.('up');
              failures = 0;
            });
            if (exhausted || life.signal.aborted) return;
            throw new Fault(part.kind, 'unavailable', `${gauge.name} ended while its input goes on`);
          } catch (thrown) {
            if (life.signal.aborted) return;
            const fault = Fault.from(part.kind, thrown);
            if (run.inHand) lose('failed', run.inHand);
            run.inHand = undefined;
            onFault?.(fault);
            let wait: Span | undefined;
            // A run that refuses before it has taken anything would refuse for ever.
            if (fault.response === 'skip' && run.taken > 0) wait = ms(0);
            else if (fault.response !== 'stop') wait = retryAfter?.(fault, (failures += 1));
            if (fault.response !== 'skip' || wait === undefined) onState?.('down');
            if (wait === undefined) return;
            await clock.until(later(clock.now(), wait), life.signal).catch(() => {});
          } finally {
            run.over = true;
            stop.abort();
          }
        }
      };
      const finish = async () => {
        feed.unsubscribe();
        box.end();
        for (const item of spare.splice(0)) lose('failed', { item });
        for (let left = await box.take(); !left.done; left = await box.take()) lose('failed', { item: left.value });
        gauge.set(0, false);
        out.complete();
      };
      void work().then(() => (life.signal.aborted ? gauge.set(0, false) : finish()));

      return () => {
        life.abort();
        current?.interrupt(life.signal.reason);
        feed.unsubscribe();
        box.end();
      };
    });
}

/** Waits twice as long after each failure in a row, up to `longest`. */
export const backOff =
  (first: Span, longest: Span, attempts = Number.POSITIVE_INFINITY) =>
  (_fault: Fault, failures: number): Span | undefined =>
    failures > attempts ? undefined : (Math.min(longest, first * 2 ** (failures - 1)) as Span);
