import { ARRAYS } from '../runtime/ports.ts';
import { type Element, type Tensor, elementOf, sizeOf } from '../runtime/tensor.ts';
import { toFloats, toHalves } from '../runtime/half.ts';

/** What came over the wire is not what the protocol says, or not what it claims to be. */
export class Malformed extends Error {
  override readonly name = 'Malformed';
}

/**
 * The names of elements on the wire.
 *
 * @see https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md, "Tensor Data Types"
 */
const DATATYPES = {
  float32: 'FP32',
  float16: 'FP16',
  int64: 'INT64',
  int32: 'INT32',
  uint8: 'UINT8',
  bool: 'BOOL',
} as const satisfies Record<Element, string>;

export const datatypeOf = (element: Element): string => DATATYPES[element];
/** The element of a datatype, or nothing where our tensors have no such element (`FP64`, `BYTES`, …). */
export const elementFor = (datatype: string): Element | undefined =>
  (Object.keys(DATATYPES) as Element[]).find((element) => DATATYPES[element] === datatype);

export const bytesPerElement = (element: Element): number => ARRAYS[element].BYTES_PER_ELEMENT;

/** The numbers of a tensor as they go over the wire: little-endian, row by row. A view, not a copy. */
export const bytesOf = ({ data }: Tensor): Uint8Array => new Uint8Array(data.buffer, data.byteOffset, data.byteLength);

const made = (element: Element, data: Tensor['data'], dims: readonly number[]): Tensor =>
  ({ data, dims, ...(element === 'bool' || element === 'float16' ? { as: element } : {}) }) as Tensor;

function expectSize(name: string, element: Element, dims: readonly number[], received: number, unit: string): void {
  const each = unit === 'bytes' ? bytesPerElement(element) : 1;
  const wanted = sizeOf(dims) * each;
  if (dims.some((dim) => !Number.isSafeInteger(dim) || dim < 0)) {
    throw new Malformed(`'${name}' has the shape [${dims.join(', ')}]: no sizes`);
  }
  if (received === wanted) return;
  throw new Malformed(
    `'${name}' of ${DATATYPES[element]} [${dims.join(', ')}] must have ${wanted} ${unit}, has ${received}`,
  );
}

/** A tensor of bytes from the wire, in memory of its own. */
export function tensorOfBytes(name: string, element: Element, dims: readonly number[], bytes: Uint8Array): Tensor {
  expectSize(name, element, dims, bytes.length, 'bytes');
  const { buffer } = new Uint8Array(bytes);
  if (element !== 'bool') return made(element, new ARRAYS[element](buffer), dims);
  return made(
    element,
    new Uint8Array(buffer).map((byte) => (byte === 0 ? 0 : 1)),
    dims,
  );
}

const INTEGERS = { int64: [-(2 ** 53), 2 ** 53], int32: [-(2 ** 31), 2 ** 31 - 1], uint8: [0, 255] } as const;

/** A tensor of numbers (or booleans, or texts of integers) that came one by one; float16 is rounded. */
export function tensorOfValues(
  name: string,
  element: Element,
  dims: readonly number[],
  values: readonly unknown[],
): Tensor {
  expectSize(name, element, dims, values.length, 'numbers');
  const wrong = (value: unknown): never => {
    throw new Malformed(`'${name}' of ${DATATYPES[element]} holds ${JSON.stringify(value)}`);
  };
  const numberIn = (value: unknown): number => (typeof value === 'number' ? value : wrong(value));
  const integerIn = (value: unknown, [least, most]: readonly [number, number]): number => {
    const number = numberIn(value);
    return Number.isInteger(number) && number >= least && number <= most ? number : wrong(value);
  };
  switch (element) {
    case 'float32':
      return made(element, Float32Array.from(values, numberIn), dims);
    case 'float16':
      return made(element, toHalves(Float32Array.from(values, numberIn)), dims);
    case 'int64':
      return made(
        element,
        BigInt64Array.from(values, (value) =>
          typeof value === 'string' && /^-?\d{1,19}$/.test(value)
            ? BigInt(value)
            : BigInt(integerIn(value, INTEGERS.int64)),
        ),
        dims,
      );
    case 'int32':
      return made(
        element,
        Int32Array.from(values, (value) => integerIn(value, INTEGERS.int32)),
        dims,
      );
    case 'uint8':
      return made(
        element,
        Uint8Array.from(values, (value) => integerIn(value, INTEGERS.uint8)),
        dims,
      );
    case 'bool':
      return made(
        element,
        Uint8Array.from(values, (value) =>
          value === true || value === 1 ? 1 : value === false || value === 0 ? 0 : wrong(value),
        ),
        dims,
      );
  }
}

/** The numbers of a tensor for JSON, which knows no infinities and is read by programs that know no 64-bit integers. */
export function valuesOf(name: string, tensor: Tensor): (number | boolean)[] {
  const element = elementOf(tensor);
  if (element === 'bool') return Array.from(tensor.data as Uint8Array, (byte) => byte !== 0);
  const data = tensor.as === 'float16' ? toFloats(tensor.data) : tensor.data;
  return Array.from(data as ArrayLike<number | bigint>, (value) => {
    const number = Number(value);
    const exact = typeof value === 'bigint' ? Number.isSafeInteger(number) : Number.isFinite(number);
    if (!exact) throw new Malformed(`'${name}' holds ${value}, which JSON cannot tell: ask for binary data`);
    return number;
  });
}
