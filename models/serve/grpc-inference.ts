import { type Tensor, type Tensors, elementOf } from '../runtime/tensor.ts';
import { Malformed, bytesOf, datatypeOf, tensorOfBytes, tensorOfValues } from './datatypes.ts';
import type {
  InferParameter,
  InferTensor,
  ModelInferRequest,
  ModelInferResponse,
  TensorContents,
} from './grpc-messages.ts';
import { type Parameters, known } from './http-inference.ts';

/** What the messages of the inference protocol's gRPC service mean in tensors. */

const asBuffer = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const rawOf = (tensors: Tensors) => Object.values(tensors).map((tensor) => asBuffer(bytesOf(tensor)));
const described = (tensors: Tensors): InferTensor[] =>
  Object.entries(tensors).map(([name, tensor]) => ({
    name,
    datatype: datatypeOf(elementOf(tensor)),
    shape: [...tensor.dims],
  }));

/** Whole numbers go as integers, others as doubles, which servers that follow an older protocol do not know. */
function parameterOf(value: string | number | boolean): InferParameter {
  if (typeof value === 'string') return { stringParam: value };
  if (typeof value === 'boolean') return { boolParam: value };
  return Number.isSafeInteger(value) ? { int64Param: value } : { doubleParam: value };
}
export function parametersOf(message: Readonly<Record<string, InferParameter>> = {}): Parameters {
  const parameters: Record<string, string | number | boolean> = {};
  for (const [key, { boolParam, int64Param, stringParam, doubleParam, uint64Param }] of Object.entries(message)) {
    const integer = int64Param ?? uint64Param;
    const value = boolParam ?? stringParam ?? doubleParam ?? (integer === undefined ? undefined : Number(integer));
    if (value !== undefined) parameters[key] = value;
  }
  return parameters;
}

export const requestMessage = (model: string, inputs: Tensors, parameters: Parameters): ModelInferRequest => ({
  modelName: model,
  parameters: Object.fromEntries(Object.entries(parameters).map(([key, value]) => [key, parameterOf(value)])),
  inputs: described(inputs),
  rawInputContents: rawOf(inputs),
});
export const responseMessage = (
  model: { readonly name: string; readonly version: string },
  id: string,
  outputs: Tensors,
): ModelInferResponse => ({
  modelName: model.name,
  modelVersion: model.version,
  id,
  outputs: described(outputs),
  rawOutputContents: rawOf(outputs),
});

/** The tensors of a message, from raw bytes or from lists of values. Throws `Malformed`. */
export function tensorsIn(list: readonly InferTensor[], raw: readonly Uint8Array[]): Tensors {
  if (raw.length > 0 && raw.length !== list.length) {
    throw new Malformed(`There are ${list.length} tensors and raw contents for ${raw.length}`);
  }
  const tensors: Record<string, Tensor> = {};
  for (const [n, { name, datatype, shape, contents }] of list.entries()) {
    if (Object.hasOwn(tensors, name)) throw new Malformed(`'${name}' comes twice`);
    const element = known(name, datatype);
    const dims = shape.map(Number);
    const bytes = raw[n];
    tensors[name] = bytes
      ? tensorOfBytes(name, element, dims, bytes)
      : tensorOfValues(name, element, dims, valuesIn(name, element, contents ?? {}));
  }
  return tensors;
}

function valuesIn(name: string, element: ReturnType<typeof known>, contents: TensorContents): readonly unknown[] {
  switch (element) {
    case 'float32':
      return contents.fp32Contents ?? [];
    case 'int64':
      return contents.int64Contents ?? [];
    case 'int32':
      return contents.intContents ?? [];
    case 'uint8':
      return contents.uintContents ?? [];
    case 'bool':
      return contents.boolContents ?? [];
    case 'float16':
      throw new Malformed(`'${name}' of FP16 goes as raw contents alone`);
  }
}
