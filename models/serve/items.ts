import { Fault } from '../../pipeline/fault.ts';
import type { LoadedNetwork } from '../runtime/onnx.ts';
import { type Port, type Shapes, zeros } from '../runtime/ports.ts';
import { type Tensor, type Tensors, floatsOf, sizeOf } from '../runtime/tensor.ts';

/** Whether a network can be given several items at once, and how inputs of so many items look. */
export interface Items {
  /** Inputs of that many items, all zero; nothing where a size is not known. */
  readonly zeros: ((items: number) => Tensors) | undefined;
  /** Why items are computed one by one; nothing where they need not be. */
  readonly alone: string | undefined;
}

const portSaid = ({ name, shape }: Port) => `'${name}' [${shape.join(', ')}]`;

/** The first port whose first axis is no axis of items, as it is of a fixed size or there is none. */
const fixed = (ports: readonly Port[]) => ports.find(({ shape }) => typeof shape[0] !== 'string');

/** The shape of so many items, or nothing where a size is not known. */
function shapeOf({ name, shape }: Port, items: number, known: Shapes): readonly number[] | undefined {
  const given = known[name];
  const dims = shape.map((size, axis) =>
    axis === 0 && typeof size === 'string' ? items : typeof size === 'number' ? size : given?.[axis],
  );
  return dims.every((dim) => dim !== undefined) ? dims : undefined;
}

/** How far apart two answers to the same item may be, as libraries add up in other orders for other sizes. */
const TOLERANCE = 1e-3;

/**
 * Finds out whether a network's items can be computed together: its first axes are of any size, and what comes out for two
 * items at once is what comes out for each alone.
 *
 * @param known sizes that the network leaves open, by input, whole shapes: the first size is not looked at
 */
export async function itemsOf(network: LoadedNetwork, name: string, known: Shapes = {}): Promise<Items> {
  const { inputs, outputs } = network;
  const open = inputs.find((port) => !shapeOf(port, 1, known));
  const zerosOf = (items: number) => {
    const shapes = Object.fromEntries(inputs.map((port) => [port.name, shapeOf(port, items, known) ?? []]));
    return zeros(name, inputs, shapes);
  };
  const single = fixed(inputs) ?? fixed(outputs);
  if (open) return { zeros: undefined, alone: `sizes of ${portSaid(open)} are not known` };
  if (single) return { zeros: zerosOf, alone: `${portSaid(single)} has no axis of items` };

  const either = [noise(zerosOf(1), 1), noise(zerosOf(1), 2)];
  const both: Record<string, Tensor> = {};
  for (const [key, tensor] of Object.entries(zerosOf(2))) {
    const half = tensor.data.length / 2;
    for (const [n, item] of either.entries())
      (tensor.data as Float32Array).set(item[key]!.data as Float32Array, n * half);
    both[key] = tensor;
  }
  try {
    const alone = [await network.run(either[0]!), await network.run(either[1]!)];
    const joint = await network.run(both);
    const apart = outputs.find((port) => !alike(port.name, joint, alone));
    return { zeros: zerosOf, alone: apart && `${portSaid(apart)} of an item depends on the items beside it` };
  } catch (failure) {
    if (failure instanceof Fault && failure.kind === 'rejected') {
      return { zeros: zerosOf, alone: 'two items at once could not be computed' };
    }
    throw failure;
  }
}

/** Floats that differ from item to item; integers stay 0, which is an index everywhere. */
function noise(tensors: Tensors, seed: number): Tensors {
  let state = seed;
  const next = () => (state = (state * 16_807) % 2_147_483_647) / 2_147_483_647;
  for (const { data } of Object.values(tensors)) {
    if (data instanceof Float32Array) for (let n = 0; n < data.length; n += 1) data[n] = next();
  }
  return tensors;
}

function alike(name: string, joint: Tensors, alone: readonly Tensors[]): boolean {
  const whole = joint[name];
  const parts = alone.map((each) => each[name]);
  if (whole?.dims[0] !== 2 || parts.some((part) => part?.dims[0] !== 1)) return false;
  if (parts.some((part) => sizeOf(part?.dims ?? []) !== sizeOf(whole.dims) / 2)) return false;
  if (!(whole.data instanceof Float32Array) && whole.as !== 'float16') return true;
  const together = floatsOf(whole, name);
  const apart = parts.flatMap((part) => [...floatsOf(part, name)]);
  const tolerance = whole.as === 'float16' ? 10 * TOLERANCE : TOLERANCE;
  return apart.every(
    (value, n) => Object.is(value, together[n]) || Math.abs(value - together[n]!) <= tolerance * (1 + Math.abs(value)),
  );
}
