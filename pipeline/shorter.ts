import type { Clock } from '../media/clock.ts';
import type { ClockTime } from '../media/time.ts';
import type { Line, Overlong, Utterance, UtteranceId } from './domain.ts';
import type { Stage } from './stage.ts';

export interface Shortening {
  /** How much too long a line is for its utterance's place; nothing when it will fit. */
  readonly tooLong: (line: Line, utterance: Utterance) => Overlong | undefined;
  /** Until when a shorter line may be waited for; in the past when there is no time to ask. */
  readonly until: (utterance: Utterance) => ClockTime;
  /** Which of two texts takes less time to say. */
  readonly shorter: (a: Line, b: Line) => Line;
}

/** Utterances whose lines may still come. */
const UNDER_WAY = 64;

/** A line that a shorter one is waited for. */
interface Pending {
  readonly line: Line;
  readonly giveUp: ClockTime;
}

/**
 * A translator that is asked once more, for a shorter line, when a line will not fit its place and there is time.
 *
 * Of the two lines the shorter goes on. The first goes on as it is when the second does not come, comes too late, or
 * costs a fault: then the translator is run anew, so that a fault of the second attempt costs nothing else. Lines stay
 * in order. A translator that cannot shorten is given back as it is.
 */
export function shortening(translator: Stage<'translator'>, rules: Shortening): Stage<'translator'> {
  if (translator.caps.shortens !== true) return translator;
  return {
    ...translator,
    async *run(input, scope) {
      const order = new Order(input);
      const under = new Map<UtteranceId, Utterance>();
      let pending: Pending | undefined;
      /** The utterance whose second line comes too late, if it still comes. */
      let tardy: UtteranceId | undefined;
      for (let again = true; again && !scope.signal.aborted;) {
        again = false;
        const lines = translator.run(order.read(under), scope)[Symbol.asyncIterator]();
        let next: Promise<IteratorResult<Line>> | undefined;
        try {
          for (;;) {
            next ??= lines.next();
            const came = await within(next, pending?.giveUp, scope);
            if (came === undefined) {
              const late = pending?.line;
              pending = undefined;
              tardy = late?.utterance;
              if (late) yield late;
              continue;
            }
            next = undefined;
            if (came.done) break;
            const line = came.value;
            const { utterance: id } = line;
            if (id === tardy) {
              tardy = undefined;
              continue;
            }
            if (pending) {
              const { line: first } = pending;
              pending = undefined;
              if (first.utterance === id) {
                const shorter = rules.shorter(first, line);
                yield shorter === line ? { ...line, shortened: true } : first;
                continue;
              }
              yield first;
            }
            const utterance = under.get(id);
            const tooLong = utterance && rules.tooLong(line, utterance);
            if (!tooLong || rules.until(utterance) <= scope.clock.now()) yield line;
            else {
              pending = { line, giveUp: rules.until(utterance) };
              order.first({ ...utterance, tooLong });
            }
          }
        } catch (fault) {
          if (!pending || scope.signal.aborted) throw fault;
          again = true;
        } finally {
          // Not awaited: a generator that hangs never returns.
          void lines.return?.(undefined).catch(() => {});
        }
        if (pending) yield pending.line;
        pending = undefined;
        order.forget();
      }
    },
  };
}

/** The utterances of an input, with one that is asked again before the next of them. */
class Order {
  readonly #items: AsyncIterator<Utterance>;
  #upcoming: Promise<IteratorResult<Utterance>> | undefined;
  #again: Utterance | undefined;
  #wake = () => {};

  constructor(input: AsyncIterable<Utterance>) {
    this.#items = input[Symbol.asyncIterator]();
  }

  first(utterance: Utterance): void {
    this.#again = utterance;
    this.#wake();
  }
  forget(): void {
    this.#again = undefined;
  }

  /** May be called again when a reader has left: nothing is lost between two of them. */
  async *read(under: Map<UtteranceId, Utterance>): AsyncGenerator<Utterance, void> {
    for (;;) {
      const again = this.#again;
      if (again) {
        this.#again = undefined;
        yield again;
        continue;
      }
      this.#upcoming ??= this.#items.next();
      const upcoming = this.#upcoming;
      const came = await new Promise<IteratorResult<Utterance> | undefined>((resolve, reject) => {
        this.#wake = () => resolve(undefined);
        upcoming.then(resolve, reject);
      });
      if (!came) continue;
      this.#upcoming = undefined;
      if (came.done) {
        // The last utterance may be asked again after the input has ended.
        this.#upcoming = upcoming;
        return;
      }
      under.set(came.value.id, came.value);
      const oldest = under.size > UNDER_WAY ? under.keys().next() : undefined;
      if (oldest && !oldest.done) under.delete(oldest.value);
      yield came.value;
    }
  }
}

/** What a promise resolves to, or `undefined` once it is `when`. */
async function within<T>(
  promise: Promise<T>,
  when: ClockTime | undefined,
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
): Promise<T | undefined> {
  if (when === undefined || when === Number.POSITIVE_INFINITY) return promise;
  const done = new AbortController();
  try {
    return await new Promise<T | undefined>((resolve, reject) => {
      promise.then(resolve, reject);
      clock.until(when, AbortSignal.any([signal, done.signal])).then(
        () => resolve(undefined),
        () => {},
      );
    });
  } finally {
    done.abort();
  }
}
