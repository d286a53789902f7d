/** Why an item never came out: no room, no time, or the stage failed on it. */
export type Loss = 'overflow' | 'expired' | 'failed';

/** What waits in one mailbox, and what was lost there. */
export class Gauge {
  readonly name: string;
  readonly lost: Record<Loss, number> = { overflow: 0, expired: 0, failed: 0 };
  readonly #changed: () => void;
  #queued = 0;
  #inHand = 0;
  #waiting = false;

  constructor(name: string, changed: () => void = () => {}) {
    this.name = name;
    this.#changed = changed;
  }

  /** Items in the mailbox. */
  get queued(): number {
    return this.#queued;
  }
  /** Items that somebody could work on now. */
  get pending(): number {
    return this.#waiting ? 0 : this.#queued + this.#inHand;
  }

  set(queued: number, inHand: boolean): void {
    this.#queued = queued;
    this.#inHand = inHand ? 1 : 0;
    this.#changed();
  }
  /** Its stage waits for more of the programme: what is queued here is no reason to hold the programme back. */
  wait(waiting: boolean): void {
    this.#waiting = waiting;
    this.#changed();
  }
}

/** Everything that waits between stages: for the numbers, and for a recorded programme's feeder to hold back. */
export class Load {
  readonly #gauges = new Map<string, Gauge>();
  readonly #waiting = new Set<{ limit: number; go: () => void }>();

  /** The gauge of that name; a stage that comes back goes on counting where it left off. */
  gauge(name: string): Gauge {
    let gauge = this.#gauges.get(name);
    if (!gauge) this.#gauges.set(name, (gauge = new Gauge(name, () => this.#changed())));
    return gauge;
  }

  get pending(): number {
    let pending = 0;
    for (const gauge of this.#gauges.values()) pending += gauge.pending;
    return pending;
  }

  /** Items lost so far, by mailbox. */
  get lost(): Readonly<Record<string, number>> {
    const all = [...this.#gauges.values()].map(({ name, lost }) => [name, lost.overflow + lost.expired + lost.failed]);
    return Object.fromEntries(all) as Record<string, number>;
  }

  /** Resolves once at most `limit` items wait; rejects with the signal's reason. */
  async below(limit: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    if (this.pending <= limit) return;
    await new Promise<void>((resolve, reject) => {
      const waiter = { limit, go: resolve };
      this.#waiting.add(waiter);
      const stop = () => {
        this.#waiting.delete(waiter);
        reject(signal?.reason as Error);
      };
      signal?.addEventListener('abort', stop, { once: true });
      waiter.go = () => {
        signal?.removeEventListener('abort', stop);
        resolve();
      };
    });
  }

  #changed(): void {
    if (this.#waiting.size === 0) return;
    const { pending } = this;
    for (const waiter of [...this.#waiting]) {
      if (pending > waiter.limit) continue;
      this.#waiting.delete(waiter);
      waiter.go();
    }
  }
}
