import type { Clock } from '../../media/clock.ts';
import type { StageScope } from '../../pipeline/stage.ts';

/** Work on one item. `signal` aborts when nobody waits for it any more. */
export type Work<I, O> = (
  item: I,
  scope: { readonly signal: AbortSignal; readonly clock: Clock },
) => Promise<O | undefined>;

interface Call<O> {
  readonly abort: AbortController;
  outcome: { readonly value: O | undefined } | { readonly failure: unknown } | undefined;
}

/**
 * A stage's `run` that works on up to `most` items at a time and answers in the order of its input, whichever is done
 * first. Another item is taken only when fewer than `most` are unanswered.
 *
 * An item that fails ends the run, as the contract of stages has it; those behind it are worked on all the same, and the
 * next run begins with their answers. With `most` 1 an item is answered before the next is taken.
 *
 * @param closing aborts when the engine closes
 */
export function inFlight<I, O>(most: number, work: Work<I, O>, closing: AbortSignal) {
  let left: Call<O>[] = [];
  let changed = () => {};

  const begin = (item: I, clock: Clock): Call<O> => {
    const call: Call<O> = { abort: new AbortController(), outcome: undefined };
    const settle = (outcome: NonNullable<Call<O>['outcome']>) => {
      call.outcome = outcome;
      changed();
    };
    work(item, { signal: AbortSignal.any([call.abort.signal, closing]), clock }).then(
      (value) => settle({ value }),
      (failure: unknown) => settle({ failure }),
    );
    return call;
  };

  return async function* run(input: AsyncIterable<I>, { signal, clock }: StageScope): AsyncGenerator<O, void, void> {
    if (signal.aborted) return;
    const calls = left;
    left = [];
    const items = input[Symbol.asyncIterator]();
    let state: 'idle' | 'asking' | 'over' = 'idle';
    let arrived: IteratorResult<I> | undefined;
    let broken: { readonly cause: unknown } | undefined;
    let failed = false;
    const wake = () => changed();
    signal.addEventListener('abort', wake, { once: true });
    try {
      while (!signal.aborted) {
        const outcome = calls[0]?.outcome;
        if (outcome) {
          calls.shift();
          if ('failure' in outcome) {
            failed = true;
            left = calls.splice(0);
            if (arrived && !arrived.done) left.push(begin(arrived.value, clock));
            throw outcome.failure;
          }
          if (outcome.value !== undefined) yield outcome.value;
          continue;
        }
        if (arrived) {
          if (!arrived.done) calls.push(begin(arrived.value, clock));
          state = arrived.done ? 'over' : 'idle';
          arrived = undefined;
          continue;
        }
        if (state === 'over' && calls.length === 0) {
          if (broken) throw broken.cause;
          return;
        }
        const changes = new Promise<void>((resolve) => (changed = resolve));
        if (state === 'idle' && calls.length < most) {
          state = 'asking';
          items.next().then(
            (next) => {
              // Asked for by a run that has failed since: taken is taken.
              if (failed && !next.done) left.push(begin(next.value, clock));
              arrived = next;
              changed();
            },
            (cause: unknown) => {
              [state, broken] = ['over', { cause }];
              changed();
            },
          );
        }
        await changes;
      }
    } finally {
      signal.removeEventListener('abort', wake);
      for (const call of calls) call.abort.abort();
      if (state !== 'over') void Promise.resolve(items.return?.()).catch(() => {});
    }
  };
}
