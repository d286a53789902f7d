import { setTimeout as sleep } from 'node:timers/promises';
import { SHARE_ENV, Worker } from 'node:worker_threads';
import { entry } from '../media/entry.ts';
import type { Scope } from '../media/scope.ts';
import { type Span, ms, toMs } from '../media/time.ts';
import { Fault, type FaultKind } from '../pipeline/fault.ts';
import type { Stage, StageKind, StageMap, StageScope } from '../pipeline/stage.ts';
import { type NetworkNote, listNetwork } from './runtime/network-report.ts';

/**
 * A stage whose engine blocks, run in a worker thread of its own.
 *
 * `run` in a thread behaves like `run` beside us, because the thread is driven by pulling: an output is asked for when
 * the consumer asks for it, and an item is taken from the input when the engine asks for it. So one item at most is on
 * its way in each direction, an item that waits can still expire in the queue before the stage, and a failed run
 * takes nothing with it but the item it failed on.
 */

/** Which engine a thread loads: the one called `id` in the list that `module` (a built file) exports as `engines`. */
export interface Order<K extends StageKind = StageKind> {
  readonly module: string;
  readonly kind: K;
  readonly id: string;
  /** Settings that the engine's schema has already accepted. */
  readonly config: unknown;
}

/** A fault on its way between threads, where classes do not survive. */
export interface FaultNote {
  readonly stage: StageKind;
  readonly kind: FaultKind;
  readonly message: string;
  readonly stack: string | undefined;
}
export const noteOf = ({ stage, kind, message, stack }: Fault): FaultNote => ({ stage, kind, message, stack });
export function faultOf({ stage, kind, message, stack }: FaultNote): Fault {
  const fault = new Fault(stage, kind, message);
  if (stack !== undefined) fault.stack = stack;
  return fault;
}

export type ToThread =
  | { readonly type: 'open'; readonly run: number }
  /** The consumer wants the run's next output. */
  | { readonly type: 'next'; readonly run: number }
  /** The next item of the run's input, its end, or its failure; each answers one `need`. */
  | { readonly type: 'item'; readonly run: number; readonly item: unknown }
  | { readonly type: 'end'; readonly run: number }
  | { readonly type: 'failed'; readonly run: number; readonly fault: FaultNote }
  | { readonly type: 'abort'; readonly run: number }
  | { readonly type: 'close' };

export type FromThread =
  | { readonly type: 'ready'; readonly engine: string; readonly caps: unknown }
  | { readonly type: 'refused'; readonly fault: FaultNote }
  /** The engine has opened a network. */
  | { readonly type: 'network'; readonly note: NetworkNote }
  /** The run's engine wants its next input. */
  | { readonly type: 'need'; readonly run: number }
  /** The run's next output, its end, or its failure; each answers one `next`. */
  | { readonly type: 'output'; readonly run: number; readonly item: unknown }
  | { readonly type: 'done'; readonly run: number }
  | { readonly type: 'fault'; readonly run: number; readonly fault: FaultNote };

/**
 * Packs an item for another thread.
 *
 * Samples are borrowed, so they are copied and the copies change hands: the sender's buffers stay whole, and a short
 * view of a long buffer costs its own length only (a structured clone would copy the whole buffer).
 */
export function pack(item: unknown): { item: unknown; transfer: ArrayBuffer[] } {
  const transfer: ArrayBuffer[] = [];
  const copy = (value: unknown): unknown => {
    if (typeof value !== 'object' || value === null) return value;
    if (ArrayBuffer.isView(value)) {
      const bytes = new Uint8Array(value.byteLength);
      bytes.set(new Uint8Array(value.buffer, value.byteOffset, value.byteLength));
      transfer.push(bytes.buffer);
      if (value instanceof Float32Array) return new Float32Array(bytes.buffer);
      if (value instanceof Uint8Array) return bytes;
      throw new TypeError(
        `Cannot pass ${value.constructor.name} between threads: samples are Float32Array or Uint8Array`,
      );
    }
    if (Array.isArray(value)) return value.map(copy);
    return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, copy(each)]));
  };
  return { item: copy(item), transfer };
}

/** How long a thread may take to stop by itself: a terminated one leaks what its native libraries hold. */
const GRACE = ms(3_000);

type RunMessage = Extract<FromThread, { run: number }>;

/** Our end of a run: hears what the thread says of it, and of the thread's death. */
interface Run {
  readonly hear: (message: RunMessage) => void;
  readonly fail: (fault: Fault) => void;
}

/** A worker thread with one engine in it. */
class EngineThread {
  /** Settles when the engine is loaded, or could not be. */
  readonly ready: Promise<Extract<FromThread, { type: 'ready' }>>;
  readonly #order: Order;
  readonly #worker: Worker;
  readonly #runs = new Map<number, Run>();
  /** Takes the thread's networks off the list of this process' networks. */
  readonly #unlist: (() => void)[] = [];
  #count = 0;
  #death: Fault | undefined;

  constructor(order: Order) {
    this.#order = order;
    // The environment is shared so that a variable set in either thread reaches native code (`getenv`).
    this.#worker = new Worker(entry('./thread-main.ts', import.meta.url), { workerData: order, env: SHARE_ENV });
    this.ready = new Promise((resolve, reject) => {
      this.#worker.on('message', (message: FromThread) => {
        if (message.type === 'ready') resolve(message);
        else if (message.type === 'refused') this.#die(faultOf(message.fault));
        else if (message.type === 'network') this.#list(message.note);
        else this.#runs.get(message.run)?.hear(message);
        if (this.#death) reject(this.#death);
      });
      const died = (cause: Error) => {
        const message = `${order.kind} engine '${order.id}': its thread ended (${cause.message})`;
        this.#die(new Fault(order.kind, 'unavailable', message, { cause }));
        if (this.#death) reject(this.#death);
      };
      this.#worker.on('messageerror', died);
      this.#worker.on('error', (thrown) => died(thrown instanceof Error ? thrown : new Error(String(thrown))));
      this.#worker.on('exit', (code) => died(new Error(`exit code ${code}`)));
    });
    this.ready.catch(() => {});
  }

  get dead(): boolean {
    return this.#death !== undefined;
  }

  async *run(items: AsyncIterable<unknown>, signal: AbortSignal): AsyncGenerator<unknown, void, void> {
    if (signal.aborted) return;
    this.#throwIfDead();
    const run = this.#count++;
    const input = items[Symbol.asyncIterator]();
    let answer: (message: RunMessage | undefined) => void = () => {};
    let fail: (fault: Fault) => void = () => {};
    const abort = () => {
      this.#send({ type: 'abort', run });
      answer(undefined);
    };
    this.#runs.set(run, {
      hear: (message) => (message.type === 'need' ? void this.#feed(run, input) : answer(message)),
      fail: (fault) => fail(fault),
    });
    signal.addEventListener('abort', abort, { once: true });
    let over = false;
    try {
      this.#send({ type: 'open', run });
      while (!signal.aborted) {
        this.#throwIfDead();
        const message = await new Promise<RunMessage | undefined>((resolve, reject) => {
          [answer, fail] = [resolve, reject];
          this.#send({ type: 'next', run });
        });
        over = message?.type === 'done' || message?.type === 'fault';
        if (message?.type === 'fault') throw faultOf(message.fault);
        if (message?.type !== 'output') return;
        yield message.item;
      }
    } finally {
      signal.removeEventListener('abort', abort);
      this.#runs.delete(run);
      if (!over && !signal.aborted) this.#send({ type: 'abort', run });
      // As `for await` would, except that an input that is slow to let go holds nobody up.
      void Promise.resolve(input.return?.()).catch(() => {});
    }
  }

  /** Answers one `need`. */
  async #feed(run: number, input: AsyncIterator<unknown>): Promise<void> {
    let answer: { message: ToThread; transfer?: ArrayBuffer[] };
    try {
      const next = await input.next();
      if (next.done) answer = { message: { type: 'end', run } };
      else {
        const { item, transfer } = pack(next.value);
        answer = { message: { type: 'item', run, item }, transfer };
      }
    } catch (thrown) {
      answer = { message: { type: 'failed', run, fault: noteOf(Fault.from(this.#order.kind, thrown)) } };
    }
    if (this.#runs.has(run)) this.#send(answer.message, answer.transfer);
  }

  /** Asks the thread to close its engine and end; one that does not within `grace` is ended, or left to itself. */
  async close(grace: Span): Promise<void> {
    if (this.#death) return;
    const ended = new Promise((resolve) => this.#worker.once('exit', resolve));
    const patience = new AbortController();
    this.#send({ type: 'close' });
    await Promise.race([ended, sleep(toMs(grace), undefined, { signal: patience.signal }).catch(() => {})]);
    patience.abort();
    if (this.dead) return;
    // onnxruntime-node aborts the process when its thread is terminated as a run returns (models/runtime/network-worker.ts): a
    // thread with networks is left to itself, and ends when its run does.
    if (this.#unlist.length > 0) this.#worker.unref();
    else await this.#worker.terminate();
  }

  #list({ label, memory }: NetworkNote): void {
    if (!this.#death) {
      this.#unlist.push(listNetwork({ label: { ...label, stage: label.stage ?? this.#order.kind }, memory }));
    }
  }

  #throwIfDead(): void {
    if (this.#death) throw this.#death;
  }

  #send(message: ToThread, transfer: ArrayBuffer[] = []): void {
    if (!this.#death) this.#worker.postMessage(message, transfer);
  }

  #die(fault: Fault): void {
    if (this.#death) return;
    this.#death = fault;
    for (const run of this.#runs.values()) run.fail(fault);
    for (const unlist of this.#unlist) unlist();
  }
}

/**
 * Loads an engine in a worker thread and returns its stage.
 *
 * A thread that dies costs the runs that were active a fault of kind `unavailable`; the next run starts a fresh one.
 * A thread that is closed with its `scope` closes its engine and ends by itself, or is ended after 3 s (left to itself
 * where a network may be computing in it). Stages in
 * threads read the machine's monotonic clock, whatever clock their caller's scope has.
 */
export async function threaded<K extends StageKind>(order: Order<K>, scope: Scope): Promise<Stage<K>> {
  let thread = new EngineThread(order);
  scope.defer(() => thread.close(GRACE));
  const { engine, caps } = await thread.ready;
  return {
    kind: order.kind,
    engine,
    caps: caps as StageMap[K]['caps'],
    async *run(input: AsyncIterable<StageMap[K]['in']>, { signal }: StageScope) {
      if (scope.signal.aborted) throw new Fault(order.kind, 'broken', `${engine}: the engine is closed`);
      if (thread.dead) thread = new EngineThread(order);
      const current = thread;
      await current.ready;
      yield* current.run(input, signal) as AsyncGenerator<StageMap[K]['out'], void, void>;
    },
  };
}
