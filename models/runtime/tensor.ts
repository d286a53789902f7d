import type { ClockTime } from '../../media/time.ts';
import { toFloats, toHalves } from './half.ts';

interface Shaped {
  readonly dims: readonly number[];
}
/**
 * Numbers with a shape, row by row.
 *
 * The array says what they are: float32, int64, int32, uint8. `as` says it where the array does not: bool in bytes (0 or
 * 1), float16 (IEEE 754 binary16) in the bits of unsigned 16-bit integers.
 */
export type Tensor =
  | (Shaped & { readonly data: Float32Array | BigInt64Array | Int32Array | Uint8Array; readonly as?: never })
  | (Shaped & { readonly data: Uint8Array; readonly as: 'bool' })
  | (Shaped & { readonly data: Uint16Array; readonly as: 'float16' });

export type Tensors = Readonly<Record<string, Tensor>>;

/** ONNX's names of what a tensor may hold. */
export type Element = 'float32' | 'float16' | 'int64' | 'int32' | 'uint8' | 'bool';

export function elementOf({ data, as }: Tensor): Element {
  if (as) return as;
  if (data instanceof Float32Array) return 'float32';
  if (data instanceof BigInt64Array) return 'int64';
  if (data instanceof Int32Array) return 'int32';
  if (data instanceof Uint8Array) return 'uint8';
  throw new TypeError(`Cannot tell what a tensor holds: ${(data as object).constructor.name} needs 'as'`);
}
/** How many numbers a tensor of these dimensions has. */
export const sizeOf = (dims: readonly number[]): number => dims.reduce((size, dim) => size * dim, 1);

export const floats = (data: Float32Array, dims: readonly number[]): Tensor => ({ data, dims });
/** 64-bit integers, as token ids, lengths and masks mostly are. */
export const integers = (values: readonly number[] | BigInt64Array, dims: readonly number[]): Tensor => ({
  data: values instanceof BigInt64Array ? values : BigInt64Array.from(values, BigInt),
  dims,
});
export const booleans = (values: readonly boolean[], dims: readonly number[]): Tensor => ({
  data: Uint8Array.from(values, Number),
  dims,
  as: 'bool',
});
/** Rounds to float16, for networks whose inputs are. */
export const halves = (data: Float32Array, dims: readonly number[]): Tensor => ({
  data: toHalves(data),
  dims,
  as: 'float16',
});

/** The numbers of a float tensor: its own array, or float16 widened. Refuses other elements. */
export function floatsOf(tensor: Tensor | undefined, name: string): Float32Array {
  if (tensor?.data instanceof Float32Array) return tensor.data;
  if (tensor?.as === 'float16') return toFloats(tensor.data);
  const received = tensor ? elementOf(tensor) : 'nothing';
  throw new TypeError(`Cannot read output '${name}' as floats: received ${received}`);
}

/** What one call asks for besides the answer. */
export interface RunOptions {
  /** When the answer is worth nothing any more: the call fails with a `timeout`, waiting or running. */
  readonly deadline?: ClockTime | undefined;
  /** Aborted: nobody waits for the answer any more; the call fails with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Inputs that the caller will not touch again, whatever becomes of the call: they change hands without being copied
   * (their arrays are empty afterwards). A view of a longer buffer is copied all the same. None unless told.
   */
  readonly give?: 'all' | readonly string[] | undefined;
}

/** A neural network, wherever it runs: named tensors in, named tensors out. */
export interface Network {
  /**
   * The inputs are borrowed until the promise settles, and left as they were, except those given away. The outputs are
   * the caller's. Calls are answered in order, one at a time.
   */
  run(inputs: Tensors, options?: RunOptions): Promise<Tensors>;
}
