import { StreamAway } from './stream-trouble.ts';
import { type Span, toMs } from './time.ts';

/** `wait`, or StreamAway when nothing has come for `patience`. */
export async function within<T>(wait: Promise<T>, patience: Span, what: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    const say = () => reject(new StreamAway(`Nothing has come from ${what} for ${toMs(patience) / 1_000} s`));
    timer = setTimeout(say, toMs(patience));
  });
  try {
    return await Promise.race([wait, late]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Bytes that come in, whose first are looked at before they are handed on. It holds as many as it is told to collect, and asks
 * for no more than what is taken.
 */
export class Intake {
  readonly #source: AsyncIterator<Uint8Array>;
  #head: Uint8Array[] = [];
  #collected = 0;
  #pending: Promise<IteratorResult<Uint8Array>> | undefined;
  #ended = false;

  constructor(bytes: AsyncIterable<Uint8Array>) {
    this.#source = bytes[Symbol.asyncIterator]();
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Waits for the first byte, then for `bytes` in all, the end, or until `time` has passed, and says what is there. */
  async collect(bytes: number, time: Span, patience: Span, signal: AbortSignal): Promise<Uint8Array> {
    const closed = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
    closed.catch(() => {});
    signal.throwIfAborted();
    let timer: NodeJS.Timeout | undefined;
    let enough: Promise<'enough'> | undefined;
    try {
      while (!this.#ended && this.#collected < bytes) {
        if (this.#collected > 0) {
          enough ??= new Promise((wake) => (timer = setTimeout(() => wake('enough'), toMs(time))));
        }
        const next = (this.#pending ??= this.#source.next());
        const waits = enough ? Promise.race([next, enough]) : within(next, patience, 'the sender');
        const came = await Promise.race([waits, closed]).catch((cause: unknown) => {
          signal.throwIfAborted();
          throw cause instanceof StreamAway ? cause : new StreamAway('The sender broke off', { cause });
        });
        if (came === 'enough') break;
        this.#pending = undefined;
        if (came.done) this.#ended = true;
        else {
          this.#head.push(came.value);
          this.#collected += came.value.byteLength;
        }
      }
    } finally {
      clearTimeout(timer);
    }
    return Buffer.concat(this.#head);
  }

  /** All of it, once: what was collected, then the rest as it comes. */
  async *all(): AsyncGenerator<Uint8Array, void, void> {
    const head = this.#head;
    this.#head = [];
    yield* head;
    try {
      while (!this.#ended) {
        const came = await (this.#pending ?? this.#source.next());
        this.#pending = undefined;
        if (came.done) this.#ended = true;
        else yield came.value;
      }
    } finally {
      this.leave();
    }
  }

  /** Tells the sender that nothing more is taken. */
  leave(): void {
    if (!this.#ended) void this.#source.return?.()?.then(undefined, () => {});
    this.#ended = true;
  }
}
