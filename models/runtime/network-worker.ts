import { setTimeout as sleep } from 'node:timers/promises';
import { SHARE_ENV, Worker } from 'node:worker_threads';
import { entry } from '../../media/entry.ts';
import { type Span, toMs } from '../../media/time.ts';
import { Fault } from '../../pipeline/fault.ts';
import { type FromNetwork, type NetworkOrder, type ToNetwork, memoryOf } from './network-thread.ts';
import type { Tensors } from './tensor.ts';
import { faultOf } from '../thread.ts';

export type Ready = Extract<FromNetwork, { type: 'ready' }>;
export type Answer = Extract<FromNetwork, { type: 'answer' }>;

/**
 * A worker thread with one network in it, and one run at most.
 *
 * It is never terminated from outside: onnxruntime-node aborts the whole process when its thread is being terminated as
 * a run returns (an exception of its own that it cannot throw any more). A thread that does not answer is left to
 * itself, and ends when its run does.
 */
export class NetworkWorker {
  /** Settles when the network is loaded and warm, or could not be. */
  readonly ready: Promise<Ready>;
  readonly #worker: Worker;
  #run: { readonly resolve: (answer: Answer) => void; readonly reject: (fault: Fault) => void } | undefined;
  #death: Fault | undefined;
  #ended = false;

  constructor(order: NetworkOrder) {
    // The environment is shared so that a variable set in either thread reaches native code (`getenv`).
    this.#worker = new Worker(entry('./network-thread.ts', import.meta.url), { workerData: order, env: SHARE_ENV });
    this.ready = new Promise((resolve, reject) => {
      this.#worker.on('message', (message: FromNetwork) => {
        if (message.type === 'ready') resolve(message);
        else if (message.type === 'answer') this.#run?.resolve(message);
        else if (message.type === 'failed') this.#run?.reject(faultOf(message.fault));
        else this.end(faultOf(message.fault));
        if (this.#death) reject(this.#death);
      });
      const died = (cause: Error) => {
        const message = `The thread of network ${order.options.name} ended: ${cause.message}`;
        this.end(new Fault(order.stage, 'unavailable', message, { cause }));
        if (this.#death) reject(this.#death);
      };
      this.#worker.on('messageerror', died);
      this.#worker.on('error', (thrown) => died(thrown instanceof Error ? thrown : new Error(String(thrown))));
      this.#worker.on('exit', (code) => {
        this.#ended = true;
        died(new Error(`exit code ${code}`));
      });
    });
    this.ready.catch(() => {});
  }

  /** It answers no more. */
  get dead(): boolean {
    return this.#death !== undefined;
  }
  /** The thread is over. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Takes the inputs' memory with it. */
  run(inputs: Tensors): Promise<Answer> {
    if (this.#death) return Promise.reject(this.#death);
    return new Promise<Answer>((resolve, reject) => {
      this.#run = { resolve, reject };
      this.#send({ type: 'run', inputs }, memoryOf(Object.values(inputs)));
    });
  }

  /** The thread is not asked for anything any more; its run fails with `fault`. */
  end(fault: Fault): void {
    if (this.#death) return;
    this.#death = fault;
    this.#run?.reject(fault);
  }

  /** Leaves a thread to itself that does not answer: it ends when its run does, and keeps nobody from leaving until then. */
  leave(fault: Fault): void {
    this.end(fault);
    this.#send({ type: 'close' });
    this.#worker.unref();
  }

  /** Asks the thread to close its network and end, and waits for that for as long as `grace`. */
  async close(grace: Span): Promise<void> {
    if (this.#ended) return;
    const ended = new Promise((resolve) => this.#worker.once('exit', resolve));
    const patience = new AbortController();
    this.#send({ type: 'close' });
    await Promise.race([ended, sleep(toMs(grace), undefined, { signal: patience.signal }).catch(() => {})]);
    patience.abort();
    if (!this.#ended) this.#worker.unref();
  }

  #send(message: ToNetwork, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }
}
