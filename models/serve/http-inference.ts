import { z } from 'zod';
import { type Element, type Tensor, type Tensors, elementOf } from '../runtime/tensor.ts';
import { Malformed, bytesOf, datatypeOf, elementFor, tensorOfBytes, tensorOfValues, valuesOf } from './datatypes.ts';

/**
 * Bodies of the inference protocol over HTTP: JSON, with the numbers in it or, by the binary tensor data extension, behind
 * it in the order in which the JSON names them.
 *
 * @see https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md
 * @see https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
 */

/** The header that tells how long the JSON is when bytes follow it. */
export const JSON_LENGTH = 'inference-header-content-length';
export const BINARY_EXTENSION = 'binary_tensor_data';

export type Parameters = Readonly<Record<string, string | number | boolean>>;

const parameters = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]));
const tensor = z.object({
  name: z.string(),
  shape: z.array(z.int().min(0)).max(16),
  datatype: z.string(),
  parameters: parameters.optional(),
  data: z.unknown().optional(),
});
const request = z.object({
  id: z.string().optional(),
  parameters: parameters.optional(),
  inputs: z.array(tensor).max(256),
  outputs: z
    .array(z.object({ name: z.string(), parameters: parameters.optional() }))
    .max(256)
    .optional(),
});
const response = z.object({ outputs: z.array(tensor).max(256) });
const metadataTensor = z.object({ name: z.string(), datatype: z.string(), shape: z.array(z.int().min(-1)).max(16) });

/** What a server says of one of its models. */
export const modelMetadata = z.object({
  name: z.string(),
  versions: z.array(z.string()).optional(),
  platform: z.string().optional(),
  inputs: z.array(metadataTensor).max(256),
  outputs: z.array(metadataTensor).max(256),
});
export type ModelMetadata = z.output<typeof modelMetadata>;
/** What a server says of itself. */
export const serverMetadata = z.object({
  name: z.string(),
  version: z.string().optional(),
  extensions: z.array(z.string()).optional(),
});

/** A body that is ready to be sent, in parts. */
export interface Body {
  /** How long the JSON is; nothing when nothing follows it. */
  readonly json: number | undefined;
  readonly parts: readonly Uint8Array[];
}

interface Described {
  readonly name: string;
  readonly shape: readonly number[];
  readonly datatype: string;
  readonly parameters?: Parameters;
  readonly data?: readonly (number | boolean)[];
}
function described(name: string, made: Tensor, binary: boolean): Described {
  const said = { name, shape: made.dims, datatype: datatypeOf(elementOf(made)) };
  return binary
    ? { ...said, parameters: { binary_data_size: made.data.byteLength } }
    : { ...said, data: valuesOf(name, made) };
}

function bodyOf(json: object, tensors: readonly Tensor[]): Body {
  const head = Buffer.from(JSON.stringify(json));
  return { json: tensors.length === 0 ? undefined : head.length, parts: [head, ...tensors.map(bytesOf)] };
}

/** A request for an inference. With `binary`, tensors go and come as bytes. */
export function requestBody(
  inputs: Tensors,
  { binary, parameters: told = {} }: { readonly binary: boolean; readonly parameters?: Parameters },
): Body {
  const all = Object.entries(inputs);
  const json = {
    parameters: { ...told, ...(binary && { binary_data_output: true }) },
    inputs: all.map(([name, each]) => described(name, each, binary)),
  };
  return bodyOf(json, binary ? all.map(([, each]) => each) : []);
}

/** What a client asks for. */
export interface HttpRequest {
  readonly id: string | undefined;
  readonly parameters: Parameters;
  readonly inputs: Tensors;
  /** The outputs that are wanted; all of them when none is named. */
  readonly outputs: readonly string[];
  /** Whether an output is to come as bytes. */
  readonly binary: (output: string) => boolean;
}

/** Reads a request. Throws `Malformed`. @param json how long its JSON is, when bytes follow it */
export function readRequest(body: Uint8Array, json: number | undefined): HttpRequest {
  const { value, rest } = parted(body, json, request);
  const wants = value.outputs ?? [];
  const usually = value.parameters?.['binary_data_output'] === true;
  return {
    id: value.id,
    parameters: value.parameters ?? {},
    inputs: tensorsOf(value.inputs, rest),
    outputs: wants.map(({ name }) => name),
    binary: (output) => {
      const own = wants.find(({ name }) => name === output)?.parameters?.['binary_data'];
      return typeof own === 'boolean' ? own : usually;
    },
  };
}

/** An answer to `asked`. */
export function responseBody(
  model: { readonly name: string; readonly version: string },
  asked: Pick<HttpRequest, 'id' | 'binary'>,
  outputs: Tensors,
): Body {
  const all = Object.entries(outputs);
  const json = {
    model_name: model.name,
    model_version: model.version,
    ...(asked.id !== undefined && { id: asked.id }),
    outputs: all.map(([name, each]) => described(name, each, asked.binary(name))),
  };
  return bodyOf(
    json,
    all.filter(([name]) => asked.binary(name)).map(([, each]) => each),
  );
}

/** Reads an answer. Throws `Malformed`. @param json how long its JSON is, when bytes follow it */
export function readResponse(body: Uint8Array, json: number | undefined): Tensors {
  const { value, rest } = parted(body, json, response);
  return tensorsOf(value.outputs, rest);
}

/** The length of the JSON as a header says it. Throws `Malformed`. */
export function jsonLength(header: string | null | undefined): number | undefined {
  if (header === null || header === undefined) return undefined;
  if (!/^\d{1,15}$/.test(header.trim())) throw new Malformed(`${JSON_LENGTH} is '${header.slice(0, 40)}': no length`);
  return Number(header);
}

function parted<S extends z.ZodType>(body: Uint8Array, json: number | undefined, schema: S) {
  const length = json ?? body.length;
  if (length > body.length) throw new Malformed(`The JSON is to have ${length} bytes, the whole has ${body.length}`);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(body.subarray(0, length)));
  } catch {
    throw new Malformed(`The first ${length} bytes are no JSON`);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return { value: parsed.data, rest: body.subarray(length) };
  const [issue] = parsed.error.issues;
  throw new Malformed(`'${issue?.path.map(String).join('.') || 'the whole'}' is wrong: ${issue?.message}`);
}

function tensorsOf(list: readonly z.output<typeof tensor>[], bytes: Uint8Array): Tensors {
  const tensors: Record<string, Tensor> = {};
  let from = 0;
  for (const { name, shape, datatype, parameters: told, data } of list) {
    const element = known(name, datatype);
    if (Object.hasOwn(tensors, name)) throw new Malformed(`'${name}' comes twice`);
    const size = told?.['binary_data_size'];
    if (size === undefined) {
      tensors[name] = tensorOfValues(name, element, shape, flat(name, data));
      continue;
    }
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
      throw new Malformed(`The binary_data_size of '${name}' is no length`);
    }
    if (from + size > bytes.length) {
      throw new Malformed(`'${name}' is to have ${size} bytes, of which ${bytes.length - from} came`);
    }
    tensors[name] = tensorOfBytes(name, element, shape, bytes.subarray(from, from + size));
    from += size;
  }
  if (from < bytes.length) throw new Malformed(`${bytes.length - from} bytes follow that no tensor claims`);
  return tensors;
}

/** Throws `Malformed` where our tensors have no such element. */
export function known(name: string, datatype: string): Element {
  const element = elementFor(datatype);
  if (element) return element;
  throw new Malformed(`'${name}' is of ${datatype}; known are FP32, FP16, INT64, INT32, UINT8 and BOOL`);
}

/** Tensor data may come as it is nested or all in one row. */
function flat(name: string, data: unknown): unknown[] {
  if (!Array.isArray(data)) throw new Malformed(`'${name}' has neither data nor a binary_data_size`);
  return data.some(Array.isArray) ? (data.flat(16) as unknown[]) : (data as unknown[]);
}
