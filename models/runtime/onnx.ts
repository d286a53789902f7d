import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { MonotonicClock } from '../../media/clock.ts';
import type { Scope } from '../../media/scope.ts';
import { between } from '../../media/time.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { StageKind } from '../../pipeline/stage.ts';
import { type NetworkReport, NetworkTally, listNetwork } from './network-report.ts';
import { type Port, type Shapes, expectFitting, fitted, zeros } from './ports.ts';
import { type NetworkSettings, networkSettings } from './runtime-settings.ts';
import { type Element, type Network, type RunOptions, type Tensor, type Tensors, elementOf } from './tensor.ts';

/** How a network is loaded. */
export interface OnnxOptions {
  /** Whose network it is, for faults and reports. */
  readonly stage?: StageKind;
  /** As reports and faults call it; the file's name unless given. */
  readonly name?: string;
  readonly settings?: Partial<NetworkSettings>;
  /** Runs on zeros of these shapes before it is ready: `[{ x: [1, 1, 160_000] }]`. Inputs of fixed shape may be left out. */
  readonly warm?: readonly Shapes[];
}

/** A network that is loaded, with what it eats and makes. */
export interface LoadedNetwork extends Network {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  /** What really computes; `remote` where a server does, which need not say on what. */
  readonly device: NetworkSettings['device'] | 'remote';
  report(): NetworkReport;
}

/** How a network is called where nobody gave it a name. */
export const nameOf = (file: string, { name }: OnnxOptions): string => name ?? basename(file, '.onnx');

const ELEMENTS: readonly string[] = ['float32', 'float16', 'int64', 'int32', 'uint8', 'bool'] satisfies Element[];
/** The ports that we can read and write, and the names of the others. */
function portsOf(metadata: readonly InferenceSession.ValueMetadata[]): { ports: Port[]; strange: string[] } {
  const ports: Port[] = [];
  const strange: string[] = [];
  for (const port of metadata) {
    if (!port.isTensor || !ELEMENTS.includes(port.type)) strange.push(port.name);
    else ports.push({ name: port.name, element: port.type as Element, shape: port.shape });
  }
  return { ports, strange };
}

/** The tensor as we know it, or nothing where we do not know its element. */
function tensorOf({ type, data, dims }: OrtTensor): Tensor | undefined {
  if (!ELEMENTS.includes(type)) return undefined;
  return { data, dims, ...(type === 'bool' || type === 'float16' ? { as: type } : {}) } as Tensor;
}

/** The file that is loaded: with `fp16`, the one beside it that its publishers converted, as in `encoder_model_fp16.onnx`. */
function fileFor(file: string, { fp16, fallback }: NetworkSettings): string {
  if (!fp16) return file;
  const half = file.replace(/\.onnx$/, '_fp16.onnx');
  return existsSync(half) || !fallback ? half : file;
}

/**
 * Opens an ONNX file on onnxruntime. Closes with `scope`.
 *
 * Its `run` blocks the thread it is called in for as long as it computes, promise or not, so engines that use it are
 * hosted in a thread; deadlines and gifts mean nothing to it. Throws a `Fault` of the options' stage (without one, an
 * error) when the file cannot be loaded or the inputs not be computed, and a `TypeError` when they are not what the
 * network's ports ask for.
 */
export async function openOnnx(file: string, scope: Scope, options: OnnxOptions = {}): Promise<LoadedNetwork> {
  const { stage, warm = [] } = options;
  const settings = networkSettings.parse(options.settings ?? {});
  const name = nameOf(file, options);
  const trouble = (kind: 'unavailable' | 'broken' | 'rejected', message: string, cause?: unknown) =>
    stage ? new Fault(stage, kind, message, { cause }) : new Error(message, { cause });

  const path = fileFor(file, settings);
  if (!existsSync(path)) throw trouble('unavailable', `Cannot load network ${name}: there is no ${path}`);

  // Read when the library loads: without it, it writes a device id below the home directory and reports usage.
  process.env['ORT_DISABLE_TELEMETRY'] = '1';
  const ort = await import('onnxruntime-node');
  const create = (device: NetworkSettings['device']) =>
    ort.InferenceSession.create(path, {
      executionProviders: [device === 'cpu' ? device : { name: device, deviceId: settings.gpu }],
      intraOpNumThreads: settings.threads,
      interOpNumThreads: 1,
      executionMode: 'sequential',
      graphOptimizationLevel: 'all',
      // Threads that wait for work by spinning take it from the other stages.
      extra: { session: { intra_op: { allow_spinning: '0' } } },
      // What goes wrong is thrown; the library need not print it as well.
      logSeverityLevel: 4,
    });
  const refused = (cause: unknown) => {
    const why = cause instanceof Error ? cause.message : String(cause);
    return trouble('broken', `Cannot load network ${name} from ${path}: ${why}`, cause);
  };
  let device = settings.device;
  let session: InferenceSession;
  try {
    session = await create(device);
  } catch (cause) {
    if (device === 'cpu') throw refused(cause);
    // Whether the device is to blame, or the file.
    session = await create('cpu').catch((failure: unknown) => {
      throw refused(failure);
    });
    if (!settings.fallback) {
      await session.release();
      const fix = `set 'device' to cpu or 'fallback' to true, or install its libraries (ONNXRUNTIME_NODE_INSTALL=cuda12 npm rebuild onnxruntime-node)`;
      const why = cause instanceof Error ? cause.message : String(cause);
      throw trouble('broken', `Cannot run network ${name} on '${device}': ${why}; ${fix}`, cause);
    }
    device = 'cpu';
  }
  scope.defer(() => session.release());

  const { ports: inputs, strange } = portsOf(session.inputMetadata);
  if (strange.length > 0) {
    throw trouble('broken', `Cannot load network ${name}: input '${strange.join("', '")}' is of no known element`);
  }
  const { ports: outputs } = portsOf(session.outputMetadata);
  const fetches = outputs.map((port) => port.name);
  const compute = async (tensors: Tensors): Promise<Tensors> => {
    const feeds: Record<string, OrtTensor> = {};
    for (const port of inputs) {
      const tensor = fitted(port, tensors[port.name]!);
      feeds[port.name] = new ort.Tensor(elementOf(tensor), tensor.data as Float32Array, tensor.dims);
    }
    const answer = await session.run(feeds, fetches).catch((cause: unknown) => {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw trouble('rejected', `Network ${name} could not compute its inputs: ${why}`, cause);
    });
    const made: Record<string, Tensor> = {};
    for (const [key, value] of Object.entries(answer)) {
      const tensor = tensorOf(value);
      if (tensor) made[key] = tensor;
    }
    return made;
  };
  for (const shapes of warm) await compute(zeros(name, inputs, shapes));

  const clock = new MonotonicClock();
  const tally = new NetworkTally();
  const label = { name, stage: stage ?? null, device };
  scope.defer(listNetwork({ label, memory: tally.memory }));
  return {
    inputs,
    outputs,
    device,
    report: () => tally.report(label),
    async run(tensors: Tensors, { signal }: RunOptions = {}) {
      signal?.throwIfAborted();
      expectFitting(name, inputs, tensors);
      const begun = clock.now();
      try {
        const made = await compute(tensors);
        tally.running.add(between(begun, clock.now()));
        return made;
      } catch (failure) {
        tally.count('failed');
        throw failure;
      }
    },
  };
}
