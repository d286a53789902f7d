/**
 * `input`, ended when `signal` aborts even if its next item never comes.
 *
 * Stages read through this, because a `for await` over a quiet stream hears nothing of the signal. Leaving the loop
 * lets go of `input`, as `for await` does, but waits for it only as long as the signal has not aborted.
 */
export async function* until<T>(input: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T, void, void> {
  if (signal.aborted) return;
  const items = input[Symbol.asyncIterator]();
  let wake = () => {};
  const abort = () => wake();
  signal.addEventListener('abort', abort, { once: true });
  let ended = false;
  try {
    while (!signal.aborted) {
      // One promise per item: racing against a promise that lasts would hold every item's result until the end.
      const next = await new Promise<IteratorResult<T> | undefined>((resolve, reject) => {
        wake = () => resolve(undefined);
        items.next().then(resolve, reject);
      });
      if (next === undefined) return;
      ended = next.done === true;
      if (next.done) return;
      yield next.value;
    }
  } finally {
    signal.removeEventListener('abort', abort);
    if (!ended) {
      const left = Promise.resolve(items.return?.()).catch(() => {});
      if (!signal.aborted) await left;
    }
  }
}
