import { type MessagePort, parentPort, workerData } from 'node:worker_threads';
import { pathToFileURL } from 'node:url';
import { MonotonicClock } from '../media/clock.ts';
import { Scope } from '../media/scope.ts';
import { Fault } from '../pipeline/fault.ts';
import type { Stage } from '../pipeline/stage.ts';
import type { Engine } from './engine.ts';
import { onNetwork } from './runtime/network-report.ts';
import { type FromThread, type Order, type ToThread, faultOf, noteOf, pack } from './thread.ts';

/** The entry of an engine's worker thread: loads one engine, serves its runs, and ends when it is told to. */

const clock = new MonotonicClock();

/** A run's input as the engine sees it: every `next` asks the other side for one item. */
class Input implements AsyncIterableIterator<unknown, undefined> {
  readonly #need: () => void;
  #waiting:
    { resolve: (result: IteratorResult<unknown, undefined>) => void; reject: (fault: Fault) => void } | undefined;
  #over = false;

  constructor(need: () => void) {
    this.#need = need;
  }
  [Symbol.asyncIterator](): this {
    return this;
  }
  next(): Promise<IteratorResult<unknown, undefined>> {
    if (this.#over) return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      this.#need();
    });
  }
  return(): Promise<IteratorResult<unknown, undefined>> {
    this.end();
    return Promise.resolve({ done: true, value: undefined });
  }
  give(item: unknown): void {
    this.#settle()?.resolve({ done: false, value: item });
  }
  fail(fault: Fault): void {
    this.#over = true;
    this.#settle()?.reject(fault);
  }
  end(): void {
    this.#over = true;
    this.#settle()?.resolve({ done: true, value: undefined });
  }
  #settle() {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    return waiting;
  }
}

interface Run {
  readonly input: Input;
  readonly abort: AbortController;
  readonly outputs: AsyncIterator<unknown>;
}

async function serve(port: MessagePort, order: Order): Promise<void> {
  const scope = new Scope(`thread ${order.kind}:${order.id}`);
  const send = (message: FromThread, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer);
  const runs = new Map<number, Run>();
  onNetwork((note) => send({ type: 'network', note }));
  let stage: Stage;
  try {
    const { engines } = (await import(pathToFileURL(order.module).href)) as { engines: readonly Engine[] };
    const engine = engines.find(({ kind, id }) => kind === order.kind && id === order.id);
    if (!engine) throw new TypeError(`${order.module} has no ${order.kind} engine called '${order.id}'`);
    stage = await engine.load(order.config, scope);
  } catch (thrown) {
    await scope.close();
    send({ type: 'refused', fault: noteOf(Fault.from(order.kind, thrown)) });
    port.close();
    return;
  }

  const open = (id: number) => {
    const input = new Input(() => send({ type: 'need', run: id }));
    const abort = new AbortController();
    const outputs = stage.run(input as AsyncIterable<never>, { signal: abort.signal, clock })[Symbol.asyncIterator]();
    runs.set(id, { input, abort, outputs });
  };
  const next = async (id: number, run: Run) => {
    try {
      const result = await run.outputs.next();
      if (result.done) {
        runs.delete(id);
        send({ type: 'done', run: id });
      } else {
        const { item, transfer } = pack(result.value);
        send({ type: 'output', run: id, item }, transfer);
      }
    } catch (thrown) {
      runs.delete(id);
      send({ type: 'fault', run: id, fault: noteOf(Fault.from(order.kind, thrown)) });
    }
  };
  const stop = async (id: number, run: Run) => {
    runs.delete(id);
    run.abort.abort();
    run.input.end();
    await run.outputs.return?.().catch(() => {});
  };

  port.on('message', (message: ToThread) => {
    if (message.type === 'close') {
      void (async () => {
        await Promise.all([...runs].map(([id, run]) => stop(id, run)));
        await scope.close();
        // Nothing listens any more, so the thread ends by itself.
        port.close();
      })();
      return;
    }
    if (message.type === 'open') return open(message.run);
    const run = runs.get(message.run);
    if (!run) return;
    switch (message.type) {
      case 'next':
        return void next(message.run, run);
      case 'item':
        return run.input.give(message.item);
      case 'end':
        return run.input.end();
      case 'failed':
        return run.input.fail(faultOf(message.fault));
      case 'abort':
        return void stop(message.run, run);
    }
  });
  send({ type: 'ready', engine: stage.engine, caps: stage.caps });
}

if (parentPort) await serve(parentPort, workerData as Order);
