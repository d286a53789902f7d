import { type Clock, MonotonicClock } from '../../media/clock.ts';
import { type Span, later, ms } from '../../media/time.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { StageKind } from '../../pipeline/stage.ts';
import { Call } from './call.ts';
import { type Network, type RunOptions, type Tensor, type Tensors, elementOf, sizeOf } from './tensor.ts';

/** How calls of several callers are joined. */
export interface BatchOptions {
  /** Whose network it is: faults carry it. */
  readonly stage: StageKind;
  /**
   * The axis along which items are joined and split: one for all tensors, or one per input and output by name, as
   * `{ state: 1 }`; those not named are joined along 0. Tensors without axes (a sample rate) are shared: calls are
   * joined only when theirs are equal.
   */
  readonly axis?: number | Readonly<Record<string, number>>;
  /** Items in one run, at most. */
  readonly max: number;
  /** How long the first caller waits for others while the network is idle; 2 ms unless told. */
  readonly wait?: Span;
  /** Calls that may wait; one more is refused as `overloaded`. Four runs' worth unless told. */
  readonly capacity?: number;
  readonly clock?: Clock;
}

/** A call with what it must have in common with others to be joined with them, and its items along the batch axis. */
export interface Item {
  readonly call: Call;
  readonly key: string;
  readonly count: number;
}

export type Axis = (name: string) => number;
const axisOf =
  (axis: BatchOptions['axis'] = 0): Axis =>
  (name) =>
    typeof axis === 'number' ? axis : (axis[name] ?? 0);

/** What one call must have in common with another to be joined with it, and how many items it has. */
export function shapeOf(inputs: Tensors, axis: Axis): { key: string; count: number } {
  let count: number | undefined;
  const parts: string[] = [];
  for (const name of Object.keys(inputs).sort()) {
    const tensor = inputs[name]!;
    const { data, dims } = tensor;
    if (dims.length === 0) {
      parts.push(`${name}:${elementOf(tensor)}=${String(data[0])}`);
      continue;
    }
    const along = dims[axis(name)];
    if (along === undefined) {
      throw new TypeError(`Cannot batch: input '${name}' of shape [${dims.join(', ')}] has no axis ${axis(name)}`);
    }
    if (along !== (count ??= along)) {
      throw new TypeError(`Cannot batch: input '${name}' has ${along} items where others have ${count}`);
    }
    parts.push(`${name}:${elementOf(tensor)}[${dims.with(axis(name), -1).join()}]`);
  }
  return { key: parts.join(' '), count: count ?? 1 };
}

/** Joins tensors of equal element along an axis. */
function joined(tensors: readonly Tensor[], axis: number): Tensor {
  const [first] = tensors;
  if (!first || first.dims.length === 0 || tensors.length === 1) return first!;
  const total = tensors.reduce((sum, { dims }) => sum + dims[axis]!, 0);
  const dims = first.dims.with(axis, total);
  const outer = sizeOf(dims.slice(0, axis));
  const data = emptyLike(first, sizeOf(dims));
  let to = 0;
  for (let row = 0; row < outer; row += 1) {
    for (const part of tensors) {
      const length = part.data.length / outer;
      copy(part, row * length, data, to, length);
      to += length;
    }
  }
  return { data, dims, ...(first.as ? { as: first.as } : {}) } as Tensor;
}

/** Takes a tensor apart along an axis, into as many items each as `counts` says. */
function split(tensor: Tensor, axis: number, counts: readonly number[]): Tensor[] {
  const outer = sizeOf(tensor.dims.slice(0, axis));
  const inner = sizeOf(tensor.dims.slice(axis + 1));
  const total = tensor.dims[axis]! * inner;
  let from = 0;
  return counts.map((count) => {
    const length = count * inner;
    const data = emptyLike(tensor, outer * length);
    for (let row = 0; row < outer; row += 1) copy(tensor, row * total + from, data, row * length, length);
    from += length;
    return { data, dims: tensor.dims.with(axis, count), ...(tensor.as ? { as: tensor.as } : {}) } as Tensor;
  });
}
function emptyLike({ data }: Tensor, length: number): Tensor['data'] {
  return new (data.constructor as new (length: number) => Tensor['data'])(length);
}
function copy({ data }: Tensor, from: number, target: Tensor['data'], to: number, length: number): void {
  // Both are of the same kind, which the compiler cannot know of two unions.
  (target as Float32Array).set((data as Float32Array).subarray(from, from + length), to);
}

/**
 * A network whose callers' items are computed together: calls that come while a run is on the way wait for its end and
 * make up the next one.
 *
 * Each caller gets what it would have got alone, and its own failure only: a call that expires or is aborted leaves
 * the others alone; when a joint run is `rejected`, its calls are run one by one, so that only those fail that cannot
 * be computed. Any other fault of a run is every caller's in it. Only for networks that keep their items apart. Those do
 * not whose axis is time with a state running along it (faster-whisper's `silero_vad_v6.onnx`), nor those that are
 * quantised as they run (`DynamicQuantizeLinear`: one scale for all items; pyannote's int8 segmentation judges one
 * frame in a hundred otherwise in a batch of four).
 */
export function batched(network: Network, options: BatchOptions): Network {
  const { stage, max, wait = ms(2), clock = new MonotonicClock() } = options;
  const { capacity = 4 * max } = options;
  if (!Number.isInteger(max) || max < 1) {
    throw new RangeError(`Cannot batch: max must be a positive integer, received ${max}`);
  }
  const axis = axisOf(options.axis);
  let waiting: Item[] = [];
  let busy = false;
  let full = () => {};
  const late = () => new Fault(stage, 'timeout', 'A batched call was not answered by its deadline');
  const isFull = () => waiting.reduce((sum, { count }) => sum + count, 0) >= max;

  /** The oldest item and those behind it that can be computed with it. */
  const next = (): Item[] => {
    const [first] = waiting;
    let count = 0;
    const batch = waiting.filter((item) => {
      if (item !== first && (item.key !== first?.key || count + item.count > max)) return false;
      count += item.count;
      return true;
    });
    waiting = waiting.filter((item) => !batch.includes(item));
    return batch;
  };
  const compute = async (batch: readonly Item[]): Promise<void> => {
    try {
      const { inputs, options: asked } = joint(batch, axis);
      const outputs = await network.run(inputs, asked);
      for (const [n, made] of shares(outputs, batch, axis).entries()) batch[n]?.call.resolve(made);
    } catch (failure) {
      if (batch.length > 1 && failure instanceof Fault && failure.kind === 'rejected') {
        for (const item of batch) if (!item.call.settled) await compute([item]);
      } else {
        for (const { call } of batch) call.reject(failure);
      }
    }
  };
  const pump = async (): Promise<void> => {
    if (busy) return;
    busy = true;
    const patience = new AbortController();
    full = () => patience.abort();
    if (!isFull()) await clock.until(later(clock.now(), wait), patience.signal).catch(() => {});
    while (waiting.length > 0) await compute(next());
    busy = false;
  };

  return {
    async run(inputs, { deadline, signal } = {}) {
      signal?.throwIfAborted();
      const now = clock.now();
      if (deadline !== undefined && deadline <= now) throw late();
      const { key, count } = shapeOf(inputs, axis);
      if (waiting.length >= capacity) throw new Fault(stage, 'overloaded', `${capacity} batched calls wait already`);
      const call = new Call(inputs, deadline, now);
      call.watch(clock, signal, late, () => {
        waiting = waiting.filter((item) => item.call !== call);
      });
      waiting.push({ call, key, count });
      if (isFull()) full();
      void pump();
      return call.answer;
    },
  };
}

/** One call that stands for several. Its deadline is the last of theirs: it is worth nothing when all have left. */
export function joint(batch: readonly Item[], axis: Axis): { inputs: Tensors; options: RunOptions } {
  const inputs: Record<string, Tensor> = {};
  for (const name of Object.keys(batch[0]?.call.inputs ?? {})) {
    const parts = batch.map(({ call }) => call.inputs[name]!);
    inputs[name] = joined(parts, axis(name));
  }
  const deadlines = batch.flatMap(({ call }) => call.deadline ?? []);
  const deadline = deadlines.length === batch.length ? deadlines.reduce((a, b) => (a > b ? a : b)) : undefined;
  const made = Object.keys(inputs).filter((name) => batch.length > 1 && inputs[name]!.dims.length > 0);
  return { inputs, options: { deadline, give: made } };
}

/** Each item's share of the outputs. */
export function shares(outputs: Tensors, batch: readonly Item[], axis: Axis): Tensors[] {
  if (batch.length === 1) return [outputs];
  const counts = batch.map(({ count }) => count);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const parts = Object.entries(outputs).map(([name, tensor]) => {
    if (tensor.dims[axis(name)] === total) return [name, split(tensor, axis(name), counts)] as const;
    const shape = `[${tensor.dims.join(', ')}]`;
    throw new TypeError(
      `Cannot split output '${name}' of shape ${shape}: axis ${axis(name)} does not have ${total} items`,
    );
  });
  return batch.map((_, n) => Object.fromEntries(parts.map(([name, tensors]) => [name, tensors[n]!])));
}
