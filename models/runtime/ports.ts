import { type Element, type Tensor, type Tensors, elementOf, halves, sizeOf } from './tensor.ts';

/** One input or output of a network. */
export interface Port {
  readonly name: string;
  readonly element: Element;
  /** A number where the size is fixed, a name where it is not. */
  readonly shape: readonly (number | string)[];
}
/** Dimensions by the name of the input. */
export type Shapes = Readonly<Record<string, readonly number[]>>;

const said = (element: string, shape: readonly (number | string)[]) => `${element} [${shape.join(', ')}]`;

/** Networks converted to float16 take float32, too: it is rounded. */
const mayRound = (element: Element, { data }: Tensor) => element === 'float16' && data instanceof Float32Array;
export const fitted = ({ element }: Port, tensor: Tensor): Tensor =>
  element === 'float16' && tensor.data instanceof Float32Array ? halves(tensor.data, tensor.dims) : tensor;

/** Refuses tensors that are not what the ports ask for, with a sentence that names the port. */
export function expectFitting(network: string, ports: readonly Port[], tensors: Tensors): void {
  const subject = `Cannot run ${network}`;
  for (const { name, element, shape } of ports) {
    const tensor = tensors[name];
    const asked = `input '${name}' must be ${said(element, shape)}`;
    if (!tensor) throw new TypeError(`${subject}: ${asked}, received nothing`);
    const { data, dims } = tensor;
    const fits =
      (elementOf(tensor) === element || mayRound(element, tensor)) &&
      dims.length === shape.length &&
      shape.every((size, n) => typeof size === 'string' || size === dims[n]);
    if (!fits) throw new TypeError(`${subject}: ${asked}, received ${said(elementOf(tensor), dims)}`);
    if (data.length === sizeOf(dims)) continue;
    const why = data.buffer.byteLength === 0 ? '; its array was given away in an earlier run' : '';
    throw new TypeError(`${subject}: input '${name}' of ${sizeOf(dims)} numbers has ${data.length}${why}`);
  }
  const strange = Object.keys(tensors).filter((name) => !ports.some((port) => port.name === name));
  if (strange.length === 0) return;
  const known = ports.map(({ name }) => name).join(', ');
  throw new TypeError(`${subject}: it has no input '${strange.join("', '")}'; its inputs are ${known}`);
}

/** What holds the numbers of each element. */
export const ARRAYS = {
  float32: Float32Array,
  float16: Uint16Array,
  int64: BigInt64Array,
  int32: Int32Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const;

/** Zeros for every port, of the shapes given, or of the port's own where it is fixed. */
export function zeros(network: string, ports: readonly Port[], shapes: Shapes): Tensors {
  const tensors: Record<string, Tensor> = {};
  for (const { name, element, shape } of ports) {
    const dims = shapes[name] ?? shape.filter((size) => typeof size === 'number');
    if (dims.length !== shape.length) {
      const asked = `the shape of '${name}', ${said(element, shape)}, must be given`;
      throw new TypeError(`Cannot warm ${network} up: ${asked}`);
    }
    const data = new ARRAYS[element](sizeOf(dims));
    tensors[name] = { data, dims, ...(element === 'bool' || element === 'float16' ? { as: element } : {}) } as Tensor;
  }
  return tensors;
}
