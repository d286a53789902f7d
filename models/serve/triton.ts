import { copyFileSync, existsSync, linkSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Scope } from '../../media/scope.ts';
import { type Span, ms } from '../../media/time.ts';
import { openNetwork } from '../runtime/network.ts';
import type { Port } from '../runtime/ports.ts';
import type { Element } from '../runtime/tensor.ts';
import type { Offer } from './inference-server.ts';
import { itemsOf } from './items.ts';
import { STAGE } from './stage.ts';

/** How Triton is to run a model. */
export interface TritonOptions {
  /** What computes; `gpu` unless told. */
  readonly device?: 'cpu' | 'gpu' | undefined;
  /** Which GPUs, one instance each; all that the server sees when none is named. */
  readonly gpus?: readonly number[] | undefined;
  /** Instances per device; 1 unless told. */
  readonly instances?: number | undefined;
  /** ONNX Runtime's TensorRT accelerator, in this precision. */
  readonly tensorrt?: 'FP32' | 'FP16' | undefined;
  /** Items in one run, at most; 16 unless told. */
  readonly max?: number | undefined;
  readonly preferred?: readonly number[] | undefined;
  /** How long the first request waits for others; 2 ms unless told. */
  readonly delay?: Span | undefined;
  /** Copies files in place of linking them, for a repository that goes elsewhere. */
  readonly copy?: boolean | undefined;
}

/** What is described to Triton. */
export interface TritonModel {
  readonly name: string;
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** Whether its items may be computed together. */
  readonly joins: boolean;
}

const TYPES = {
  float32: 'TYPE_FP32',
  float16: 'TYPE_FP16',
  int64: 'TYPE_INT64',
  int32: 'TYPE_INT32',
  uint8: 'TYPE_UINT8',
  bool: 'TYPE_BOOL',
} as const satisfies Record<Element, string>;

/** A model that Triton cannot be given. */
export class NotForTriton extends Error {
  override readonly name = 'NotForTriton';
}

const quoted = (text: string) => `"${text.replace(/["\\]/g, '\\$&').replace(/\n/g, '\\n')}"`;
const indented = (text: string) => text.replace(/^(?=.)/gm, '  ');
const list = (key: string, items: readonly string[]) => `${key} [\n${items.map(indented).join(',\n')}\n]`;
const block = (key: string, lines: readonly string[]) => `${key} {\n${lines.map(indented).join('\n')}\n}`;
const entry = (lines: readonly string[]) => `{\n${lines.map(indented).join('\n')}\n}`;

/**
 * A model's `config.pbtxt`.
 *
 * Models whose items join get the dynamic batcher, and their dims are without the first axis, which is Triton's; others
 * get `max_batch_size: 0` and whole shapes. Either way clients send and get what they would of the file itself.
 *
 * @throws NotForTriton
 * @see https://github.com/triton-inference-server/server/blob/main/docs/user_guide/model_configuration.md
 * @see https://github.com/triton-inference-server/common/blob/main/protobuf/model_config.proto
 */
export function tritonConfig({ name, inputs, outputs, joins }: TritonModel, options: TritonOptions = {}): string {
  const { device = 'gpu', gpus = [], instances = 1, tensorrt, max = 16, preferred = [], delay = ms(2) } = options;
  const scalar = [...inputs, ...outputs].find(({ shape }) => shape.length === 0);
  if (scalar) throw new NotForTriton(`'${scalar.name}' of model '${name}' has no axes, which Triton does not take`);
  if (tensorrt && device === 'cpu') throw new NotForTriton('TensorRT is for GPUs');
  // What is left of a shape when Triton has taken its axis must not be nothing.
  const batches = joins && max > 1 && [...inputs, ...outputs].every(({ shape }) => shape.length > 1);
  const port = ({ name: key, element, shape }: Port) => {
    const dims = (batches ? shape.slice(1) : shape).map((size) => (typeof size === 'number' ? size : -1));
    return entry([`name: ${quoted(key)}`, `data_type: ${TYPES[element]}`, `dims: [ ${dims.join(', ')} ]`]);
  };
  const sizes = preferred.filter((size) => size <= max);
  const accelerator = entry([
    'name: "tensorrt"',
    block('parameters', ['key: "precision_mode"', `value: "${tensorrt}"`]),
  ]);
  return `${[
    `name: ${quoted(name)}`,
    'platform: "onnxruntime_onnx"',
    'backend: "onnxruntime"',
    `max_batch_size: ${batches ? max : 0}`,
    list('input', inputs.map(port)),
    list('output', outputs.map(port)),
    ...(batches
      ? [
          block('dynamic_batching', [
            ...(sizes.length > 0 ? [`preferred_batch_size: [ ${sizes.join(', ')} ]`] : []),
            `max_queue_delay_microseconds: ${delay}`,
            block('default_queue_policy', [
              'timeout_action: REJECT',
              'allow_timeout_override: true',
              `max_queue_size: ${8 * max}`,
            ]),
          ]),
        ]
      : []),
    list('instance_group', [
      entry([
        `count: ${instances}`,
        `kind: ${device === 'gpu' ? 'KIND_GPU' : 'KIND_CPU'}`,
        ...(device === 'gpu' && gpus.length > 0 ? [`gpus: [ ${gpus.join(', ')} ]`] : []),
      ]),
    ]),
    ...(tensorrt
      ? [block('optimization', [block('execution_accelerators', [list('gpu_execution_accelerator', [accelerator])])])]
      : []),
  ].join('\n')}\n`;
}

/** What was written of a model, or why nothing was. */
export interface TritonResult {
  readonly name: string;
  readonly batches: boolean;
  readonly note?: string;
  readonly refused?: string;
}

/**
 * Writes a Triton model repository: `NAME/config.pbtxt` and `NAME/1/model.onnx`, and beside it what an ONNX file keeps
 * its weights in (`FILE_data`, `FILE.data`). What is there of a model is replaced, other models are left alone.
 *
 * Ports are the file's own; whether items join is tried out, where sizes are known, as a server of ours does.
 */
export async function writeTriton(
  out: string,
  offers: readonly Offer[],
  options: TritonOptions,
  scope: Scope,
): Promise<TritonResult[]> {
  const results: TritonResult[] = [];
  for (const offer of offers) {
    await using own = scope.child(offer.name);
    results.push(await writeModel(out, offer, options, own));
  }
  return results;
}

async function writeModel(
  out: string,
  { name, file, shapes }: Offer,
  options: TritonOptions,
  scope: Scope,
): Promise<TritonResult> {
  let config: string;
  let note: string | undefined;
  try {
    const network = await openNetwork(file, scope, { stage: STAGE, name });
    const { alone } = await itemsOf(network, name, shapes);
    note = alone;
    config = tritonConfig(
      { name, inputs: network.inputs, outputs: network.outputs, joins: alone === undefined },
      options,
    );
  } catch (thrown) {
    return { name, batches: false, refused: thrown instanceof Error ? thrown.message : String(thrown) };
  }
  const version = join(out, name, '1');
  rmSync(join(out, name), { recursive: true, force: true });
  mkdirSync(version, { recursive: true });
  place(file, join(version, 'model.onnx'), options.copy);
  const own = basename(file);
  for (const beside of readdirSync(dirname(file))) {
    if (beside !== own && (beside.startsWith(`${own}_data`) || beside === `${own}.data`)) {
      place(join(dirname(file), beside), join(version, beside), options.copy);
    }
  }
  writeFileSync(join(out, name, 'config.pbtxt'), config);
  const batches = !config.includes('max_batch_size: 0\n');
  return { name, batches, ...(note !== undefined && { note }) };
}

/** Links where both lie on one file system, else copies. */
function place(from: string, to: string, copy = false): void {
  if (!copy && !existsSync(to)) {
    try {
      return linkSync(from, to);
    } catch {
      // Another file system, or one without links.
    }
  }
  copyFileSync(from, to);
}
