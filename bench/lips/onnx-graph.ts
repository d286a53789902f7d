/**
 * As much of ONNX's protobuf as is needed to know what a graph computes: operations, attributes, shapes.
 *
 * @see https://github.com/onnx/onnx/blob/main/onnx/onnx.proto (field numbers) and
 *   https://protobuf.dev/programming-guides/encoding/
 */

export interface Operation {
  readonly type: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Whole numbers and lists of them; others are left out. */
  readonly attributes: Readonly<Record<string, readonly number[]>>;
}
export interface Graph {
  readonly operations: readonly Operation[];
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  /** Shapes by name, as far as they are known; an axis without a number is -1. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** Names of tensors that the file holds. */
  readonly constants: ReadonlySet<string>;
  readonly metadata: Readonly<Record<string, string>>;
}

type Field = { readonly number: number } & (
  { readonly value: number; readonly bytes?: never } | { readonly bytes: Uint8Array; readonly value?: never }
);

/** The fields of a message, in order. Numbers beyond 2^53 lose their last digits; none of ours are. */
function* fieldsOf(bytes: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new RangeError('Cannot read ONNX: the file ends within a number');
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const [number, wire] = [Math.floor(key / 8), key % 8];
    if (wire === 0) {
      yield { number, value: varint() };
      continue;
    }
    const length = wire === 2 ? varint() : wire === 1 ? 8 : wire === 5 ? 4 : Number.NaN;
    if (!(at + length <= bytes.length)) throw new RangeError(`Cannot read ONNX: field ${number} does not fit the file`);
    yield { number, bytes: bytes.subarray(at, at + length) };
    at += length;
  }
}
const textOf = (bytes: Uint8Array | undefined) => new TextDecoder().decode(bytes ?? new Uint8Array());
/** Two's complement of 64 bits, as negative numbers are written. */
const signed = (value: number) => (value >= 2 ** 63 ? value - 2 ** 64 : value);

/** Repeated numbers come one by one or packed. */
function numbersOf({ value, bytes }: Field): number[] {
  if (value !== undefined) return [signed(value)];
  const out: number[] = [];
  let [sum, shift] = [0, 1];
  for (const byte of bytes) {
    sum += (byte & 127) * shift;
    shift *= 128;
    if (byte < 128) {
      out.push(signed(sum));
      [sum, shift] = [0, 1];
    }
  }
  return out;
}

function operationOf(bytes: Uint8Array): Operation {
  const [inputs, outputs]: [string[], string[]] = [[], []];
  const attributes: Record<string, number[]> = {};
  let type = '';
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) inputs.push(textOf(field.bytes));
    else if (field.number === 2) outputs.push(textOf(field.bytes));
    else if (field.number === 4) type = textOf(field.bytes);
    else if (field.number === 5 && field.bytes) {
      let name = '';
      const numbers: number[] = [];
      for (const part of fieldsOf(field.bytes)) {
        if (part.number === 1) name = textOf(part.bytes);
        else if (part.number === 3 || part.number === 8) numbers.push(...numbersOf(part));
      }
      if (numbers.length > 0) attributes[name] = numbers;
    }
  }
  return { type, inputs, outputs, attributes };
}

/** `ValueInfoProto`: a name and, where it is known, a shape. */
function valueOf(bytes: Uint8Array): { name: string; shape?: number[] } {
  let name = '';
  let shape: number[] | undefined;
  for (const field of fieldsOf(bytes)) {
    if (field.number === 1) name = textOf(field.bytes);
    if (field.number !== 2 || !field.bytes) continue;
    for (const type of fieldsOf(field.bytes)) {
      if (type.number !== 1 || !type.bytes) continue;
      for (const part of fieldsOf(type.bytes)) {
        if (part.number !== 2 || !part.bytes) continue;
        shape = [];
        for (const dim of fieldsOf(part.bytes)) {
          let size = -1;
          for (const each of fieldsOf(dim.bytes ?? new Uint8Array())) if (each.number === 1) size = each.value ?? -1;
          shape.push(size);
        }
      }
    }
  }
  return { name, ...(shape ? { shape } : {}) };
}

/** Reads an ONNX file. */
export function graphOf(file: Uint8Array): Graph {
  const operations: Operation[] = [];
  const [inputs, outputs]: [string[], string[]] = [[], []];
  const shapes = new Map<string, readonly number[]>();
  const constants = new Set<string>();
  const metadata: Record<string, string> = {};
  const note = ({ name, shape }: ReturnType<typeof valueOf>) => {
    if (shape) shapes.set(name, shape);
    return name;
  };
  for (const { number, bytes } of fieldsOf(file)) {
    if (number === 14 && bytes) {
      const [key, value] = ['', ''];
      const entry = { key, value };
      for (const part of fieldsOf(bytes)) {
        if (part.number === 1) entry.key = textOf(part.bytes);
        if (part.number === 2) entry.value = textOf(part.bytes);
      }
      metadata[entry.key] = entry.value;
    }
    if (number !== 7 || !bytes) continue;
    for (const field of fieldsOf(bytes)) {
      if (!field.bytes) continue;
      if (field.number === 1) operations.push(operationOf(field.bytes));
      else if (field.number === 11) inputs.push(note(valueOf(field.bytes)));
      else if (field.number === 12) outputs.push(note(valueOf(field.bytes)));
      else if (field.number === 13) note(valueOf(field.bytes));
      else if (field.number === 5) {
        let name = '';
        const shape: number[] = [];
        for (const part of fieldsOf(field.bytes)) {
          if (part.number === 8) name = textOf(part.bytes);
          if (part.number === 1) shape.push(...numbersOf(part));
        }
        constants.add(note({ name, shape }));
      }
    }
  }
  for (const { type, outputs: made } of operations)
    if (type === 'Constant') for (const name of made) constants.add(name);
  return { operations, inputs, outputs, shapes, constants, metadata };
}
