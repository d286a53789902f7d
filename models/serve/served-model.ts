import type { Clock } from '../../media/clock.ts';
import { type ClockTime, type Span, between, later, ms, seconds } from '../../media/time.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { LatencySummary } from '../../pipeline/latency.ts';
import { type Item, joint, shapeOf, shares } from '../runtime/batch.ts';
import { Call } from '../runtime/call.ts';
import { Histogram } from '../runtime/histogram.ts';
import type { LoadedNetwork } from '../runtime/onnx.ts';
import { expectFitting } from '../runtime/ports.ts';
import type { RunOptions, Tensors } from '../runtime/tensor.ts';
import { Throughput } from './capacity.ts';
import { FairQueue } from './fair-queue.ts';
import { STAGE } from './stage.ts';

/** How the calls of several sessions are computed together. */
export interface BatchPolicy {
  /** Items in one run, at most; 1 for networks that do not keep their items apart. */
  readonly max: number;
  /** Numbers of items for which nobody waits any longer, as a GPU has sizes that it likes. None unless told. */
  readonly preferred?: readonly number[];
  /** How long the first call waits for others while the network is idle; 2 ms unless told. */
  readonly delay?: Span;
}

/** How many items make up the next run, or how long to wait for more of them. */
export function nextRun(
  items: number,
  waited: Span,
  { max, preferred = [], delay = ms(2) }: BatchPolicy,
): { readonly room: number } | { readonly wait: Span } {
  if (items >= max) return { room: max };
  const liked = Math.max(0, ...preferred.filter((size) => size <= items));
  if (liked > 0) return { room: liked };
  return waited >= delay ? { room: max } : { wait: (delay - waited) as Span };
}

export interface ServedOptions extends BatchPolicy {
  readonly name: string;
  readonly clock: Clock;
  /** Items that may wait; eight runs' worth unless told. When it is full, who has most waiting loses its last call. */
  readonly capacity?: number;
}

/** Whose call it is and until when the answer is of use. */
export interface CallOptions extends Pick<RunOptions, 'deadline' | 'signal'> {
  readonly session: string;
}

/** How a model has been doing since it was opened. */
export interface ServedReport {
  readonly name: string;
  /** Items that wait, and of how many sessions. */
  readonly queued: number;
  readonly sessions: number;
  readonly calls: number;
  readonly items: number;
  /** Runs, by the items in them. */
  readonly batches: Readonly<Record<number, number>>;
  /**
   * Calls that were not answered: the queue was full, they could not have been done in time (`hopeless`), their deadline
   * passed, their run failed, or the client left.
   */
  readonly lost: Readonly<Record<Lost, number>>;
  readonly waiting: LatencySummary;
  readonly running: LatencySummary;
}
type Lost = 'overflow' | 'hopeless' | 'expired' | 'failed' | 'left';

/** Every item of a model's tensors lies along the first axis. */
const FIRST = () => 0;

/**
 * A network whose callers are several sessions: their items are computed together, each session gets as much of it as the
 * others, and nobody waits past a deadline.
 *
 * A call fails with a `Fault`: `overloaded` when the queue is full or what is ahead of it takes, at the measured
 * throughput, longer than its deadline; `timeout` at its deadline; what the network's run fails with otherwise. A joint run
 * that is `rejected` is done again call by call, so that only those fail that cannot be computed.
 */
export class ServedModel {
  readonly name: string;
  readonly network: LoadedNetwork;
  readonly policy: Required<BatchPolicy>;
  readonly throughput = new Throughput();
  readonly #clock: Clock;
  readonly #queue: FairQueue<Item>;
  readonly #lost: Record<Lost, number> = { overflow: 0, hopeless: 0, expired: 0, failed: 0, left: 0 };
  readonly #batches: Record<number, number> = {};
  readonly #waiting = new Histogram();
  readonly #running = new Histogram();
  #calls = 0;
  #items = 0;
  #pumping: Promise<void> | undefined;
  #more = () => {};
  #closed = false;

  constructor(network: LoadedNetwork, { name, clock, max, preferred = [], delay = ms(2), capacity }: ServedOptions) {
    if (!Number.isInteger(max) || max < 1) {
      throw new RangeError(`Cannot serve ${name}: max must be a positive integer, received ${max}`);
    }
    this.name = name;
    this.network = network;
    this.policy = { max, preferred: preferred.filter((size) => size <= max), delay };
    this.#clock = clock;
    this.#queue = new FairQueue(capacity ?? 8 * max);
  }

  report(): ServedReport {
    return {
      name: this.name,
      queued: this.#queue.cost,
      sessions: this.#queue.flows,
      calls: this.#calls,
      items: this.#items,
      batches: { ...this.#batches },
      lost: { ...this.#lost },
      waiting: this.#waiting.summary(),
      running: this.#running.summary(),
    };
  }

  /** The inputs change hands. Throws a `TypeError` when they are not what the network's ports ask for. */
  async run(inputs: Tensors, { session, deadline, signal }: CallOptions): Promise<Tensors> {
    signal?.throwIfAborted();
    if (this.#closed) throw this.#fault('unavailable', 'is being closed');
    expectFitting(this.name, this.network.inputs, inputs);
    // What is never joined need not have anything in common.
    const { key, count } = this.policy.max === 1 ? { key: '', count: 1 } : shapeOf(inputs, FIRST);
    if (count > this.policy.max) {
      throw new TypeError(`Cannot run ${this.name}: ${count} items in one call, at most ${this.policy.max} are taken`);
    }
    this.#calls += 1;
    const now = this.#clock.now();
    if (deadline !== undefined) this.#expectTime(session, count, deadline, now);
    const call = new Call(inputs, deadline, now);
    const item: Item = { call, key, count: Math.max(1, count) };
    const late = () => {
      this.#lost.expired += 1;
      return this.#fault('timeout', 'could not answer by the call’s deadline');
    };
    call.watch(this.#clock, signal, late, () => {
      if (signal?.aborted) this.#lost.left += 1;
      this.#queue.remove(item);
    });
    for (const lost of this.#queue.push(session, item, item.count)) {
      this.#lost.overflow += 1;
      lost.call.reject(this.#fault('overloaded', `has no room: ${this.#queue.capacity} items wait already`));
    }
    this.#more();
    this.#pumping ??= this.#pump().finally(() => (this.#pumping = undefined));
    return call.answer;
  }

  /** Refuses what waits, and waits for the run that is on the way. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const item of [...this.#queue]) {
      this.#queue.remove(item);
      item.call.reject(this.#fault('unavailable', 'is being closed'));
    }
    this.#more();
    await this.#pumping;
  }

  /** Runs the network once on inputs that are nobody's, to learn how long that takes. */
  async measure(items: number, inputs: Tensors): Promise<Span> {
    const begun = this.#clock.now();
    await this.network.run(inputs);
    const took = between(begun, this.#clock.now());
    this.throughput.note(items, took);
    return took;
  }

  /** Nobody is kept waiting for what cannot come in time: a session hears at once that it has to do without. */
  #expectTime(session: string, count: number, deadline: ClockTime, now: ClockTime): void {
    if (deadline <= now) {
      this.#lost.expired += 1;
      throw this.#fault('timeout', 'was asked after the call’s deadline');
    }
    const rate = this.throughput.perSecond;
    if (rate === undefined || this.#queue.cost === 0) return;
    const ready = later(now, seconds(this.#queue.ahead(session, count) / rate));
    if (ready <= deadline) return;
    this.#lost.hopeless += 1;
    throw this.#fault('overloaded', 'has more to do than can be done by the call’s deadline');
  }

  async #pump(): Promise<void> {
    for (;;) {
      const first = this.#queue.next;
      if (!first) return;
      let oldest = first.call.came;
      for (const { call } of this.#queue) if (call.came < oldest) oldest = call.came;
      const now = this.#clock.now();
      const plan = nextRun(this.#queue.cost, between(oldest, now), this.policy);
      if ('wait' in plan) {
        const patience = new AbortController();
        this.#more = () => patience.abort();
        await this.#clock.until(later(now, plan.wait), patience.signal).catch(() => {});
        this.#more = () => {};
        continue;
      }
      let key: string | undefined;
      // A call that is larger than the size that is liked is computed all the same.
      const batch = this.#queue.take(Math.max(plan.room, first.count), (item) => (key ??= item.key) === item.key);
      for (const { call } of batch) this.#waiting.add(between(call.came, now));
      await this.#compute(batch);
    }
  }

  async #compute(batch: readonly Item[]): Promise<void> {
    const items = batch.reduce((sum, { count }) => sum + count, 0);
    this.#batches[items] = (this.#batches[items] ?? 0) + 1;
    const begun = this.#clock.now();
    try {
      const { inputs, options } = joint(batch, FIRST);
      const outputs = await this.network.run(inputs, { give: batch.length === 1 ? 'all' : options.give });
      const took = between(begun, this.#clock.now());
      this.#running.add(took);
      this.throughput.note(items, took);
      this.#items += items;
      for (const [n, made] of shares(outputs, batch, FIRST).entries()) batch[n]?.call.resolve(made);
    } catch (failure) {
      if (batch.length > 1 && failure instanceof Fault && failure.kind === 'rejected') {
        for (const item of batch) if (!item.call.settled) await this.#compute([item]);
        return;
      }
      for (const { call } of batch) {
        if (call.settled) continue;
        this.#lost.failed += 1;
        call.reject(failure);
      }
    }
  }

  #fault(kind: 'overloaded' | 'timeout' | 'unavailable', what: string): Fault {
    return new Fault(STAGE, kind, `Model ${this.name} ${what}`);
  }
}
