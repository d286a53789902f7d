import { type Clock, MonotonicClock } from '../../media/clock.ts';
import { entry } from '../../media/entry.ts';
import type { Scope } from '../../media/scope.ts';
import { type Span, between, later, ms, seconds, toMs } from '../../media/time.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { StageKind } from '../../pipeline/stage.ts';
import { Call } from './call.ts';
import { NetworkTally, listNetwork } from './network-report.ts';
import { type NetworkOrder, memoryOf } from './network-thread.ts';
import { NetworkWorker } from './network-worker.ts';
import { type LoadedNetwork, type OnnxOptions, nameOf } from './onnx.ts';
import { expectFitting } from './ports.ts';
import type { RunOptions, Tensor, Tensors } from './tensor.ts';

/** How a network in a thread of its own is used. */
export interface NetworkOptions extends OnnxOptions {
  /** Whose network it is: faults carry it. */
  readonly stage: StageKind;
  /** Calls that may wait; one more is refused as `overloaded`. 16 unless told. */
  readonly capacity?: number;
  /** The longest a run may take; one that takes longer is taken for hung, and its thread is replaced. 30 s unless told. */
  readonly limit?: Span;
  /** The clock of `deadline` and `limit`; the machine's unless told. */
  readonly clock?: Clock;
  /** The built file whose `openOnnx` runs in the thread; ours unless told. */
  readonly runtime?: string;
}

/** How long closing waits for threads to end by themselves. */
const GRACE = ms(3_000);
/** Hung threads that are left to themselves at most: each keeps a core and the network's memory. */
const LEFT = 2;

/** The inputs as the thread will get them: what is given away changes hands at once, the rest is copied. */
function taken(inputs: Tensors, give: RunOptions['give']): Tensors {
  const own: Record<string, Tensor> = {};
  const given: Record<string, Tensor> = {};
  for (const [name, tensor] of Object.entries(inputs)) {
    const { data, dims, as } = tensor;
    const whole = data.buffer instanceof ArrayBuffer && data.byteLength === data.buffer.byteLength;
    const mine = whole && (give === 'all' || give?.includes(name));
    (mine ? given : own)[name] = { data: mine ? data : data.slice(), dims: [...dims], ...(as ? { as } : {}) } as Tensor;
  }
  return { ...own, ...structuredClone(given, { transfer: memoryOf(Object.values(given)) }) };
}

/**
 * Opens an ONNX file in a worker thread of its own: `run` does not block the caller. Closes with `scope`.
 *
 * Inputs are copied before `run` returns, unless they are given away (`give`); outputs are never copied. Calls wait in
 * a queue. A call fails with a `Fault` of `stage`: `overloaded` when the queue is full, `timeout` at its deadline or
 * at the limit, `unavailable` when the thread dies under it (the next call runs in a fresh one), `rejected` when the
 * network cannot compute these inputs, `broken` when the network is closed; with a `TypeError` when the inputs are not
 * what the network's ports ask for.
 *
 * A thread is no wall against native code: a crash there ends the process, and a run that hangs there cannot be stopped.
 * Its thread is left to itself; when two of them hang, calls fail as `unavailable` until one has ended. A process that
 * exits while a network computes ends with SIGABRT after the run, which is onnxruntime-node's doing.
 */
export async function openNetwork(file: string, scope: Scope, options: NetworkOptions): Promise<LoadedNetwork> {
  const { stage, capacity = 16, limit = seconds(30), clock = new MonotonicClock() } = options;
  const { settings = {}, warm = [], runtime = entry('./onnx.ts', import.meta.url) } = options;
  if (!Number.isInteger(capacity) || capacity < 1) {
    throw new RangeError(`Cannot open network: capacity must be a positive integer, received ${capacity}`);
  }
  const name = nameOf(file, options);
  const order: NetworkOrder = { runtime, file, stage, options: { stage, name, settings, warm } };
  const tally = new NetworkTally();
  let waiting: Call[] = [];
  let current: Call | undefined;
  let worker = new NetworkWorker(order);
  let left: NetworkWorker[] = [];

  scope.defer(async () => {
    const closed = new Fault(stage, 'broken', `Network ${name} is closed`);
    for (const call of [...waiting, ...(current ? [current] : [])]) call.reject(closed);
    waiting = [];
    await Promise.all([worker, ...left].map((each) => each.close(GRACE)));
  });
  const { inputs, outputs, device } = await worker.ready;
  const label = { name, stage, device };
  scope.defer(listNetwork({ label, memory: tally.memory }));

  const late = () => {
    tally.count('expired');
    return new Fault(stage, 'timeout', `Network ${name} did not answer by the call's deadline`);
  };
  const hung = () => {
    const message = `Network ${name} did not answer within ${toMs(limit)} ms; its thread is replaced`;
    return new Fault(stage, 'timeout', message);
  };
  const stuck = () => {
    const message = `Network ${name} hangs in ${LEFT} threads; it is tried again when one of them has ended`;
    return new Fault(stage, 'unavailable', message);
  };
  const serve = async (call: Call): Promise<void> => {
    const over = new AbortController();
    try {
      if (worker.dead) {
        left = left.filter(({ ended }) => !ended);
        if (left.length >= LEFT) throw stuck();
        tally.count('restarts');
        worker = new NetworkWorker(order);
      }
      const mine = worker;
      await mine.ready;
      const now = clock.now();
      if (!call.settled && call.isLate(now)) call.reject(late());
      if (call.settled) return;
      tally.waiting.add(between(call.came, now));
      clock.until(later(now, limit), over.signal).then(
        () => {
          left.push(mine);
          mine.leave(hung());
        },
        () => {},
      );
      const answer = await mine.run(call.inputs);
      tally.running.add(answer.took);
      call.resolve(answer.outputs);
    } catch (failure) {
      if (!call.settled) tally.count('failed');
      call.reject(failure);
    } finally {
      over.abort();
    }
  };
  const pump = () => {
    if (!current && (current = waiting.shift())) {
      void serve(current).finally(() => {
        current = undefined;
        pump();
      });
    }
    tally.queued(waiting.length);
  };

  return {
    inputs,
    outputs,
    device,
    report: () => tally.report(label),
    async run(tensors: Tensors, { deadline, signal, give }: RunOptions = {}) {
      signal?.throwIfAborted();
      if (scope.signal.aborted) throw new Fault(stage, 'broken', `Network ${name} is closed`);
      expectFitting(name, inputs, tensors);
      if (waiting.length >= capacity) {
        tally.count('overflow');
        throw new Fault(stage, 'overloaded', `Network ${name}: ${capacity} calls wait already`);
      }
      const now = clock.now();
      if (deadline !== undefined && deadline <= now) throw late();
      const call = new Call(taken(tensors, give), deadline, now);
      call.watch(clock, signal, late, () => {
        waiting = waiting.filter((each) => each !== call);
        tally.queued(waiting.length);
      });
      waiting.push(call);
      pump();
      return call.answer;
    },
  };
}
