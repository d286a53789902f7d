import { getEnvironmentData, isMainThread, setEnvironmentData } from 'node:worker_threads';

/** How long to wait for one's turn, milliseconds: two orders more than any call takes. */
const PATIENCE = 10_000;
const FREE = 0;
const TAKEN = 1;

/**
 * Lets one thread of the process at a time into a native library that was not made for threads.
 *
 * Threads started after the main thread made a turnstile of a name share it. Waiting blocks, so what is done inside is
 * synchronous and short.
 */
export class Turnstile {
  readonly #name: string;
  readonly #state: Int32Array;

  constructor(name: string) {
    this.#name = name;
    const key = `livedub turnstile ${name}`;
    const shared = getEnvironmentData(key);
    const memory = shared instanceof SharedArrayBuffer ? shared : new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
    if (isMainThread) setEnvironmentData(key, memory);
    this.#state = new Int32Array(memory);
  }

  /** Does `work` when nobody else is inside. */
  take<T>(work: () => T): T {
    while (Atomics.compareExchange(this.#state, 0, FREE, TAKEN) !== FREE) {
      if (Atomics.wait(this.#state, 0, TAKEN, PATIENCE) === 'timed-out') {
        throw new Error(`no turn at ${this.#name} within ${PATIENCE} ms`);
      }
    }
    try {
      return work();
    } finally {
      Atomics.store(this.#state, 0, FREE);
      Atomics.notify(this.#state, 0, 1);
    }
  }
}
