import { type Clock, MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { type Span, ms, seconds } from '../../media/time.ts';
import { Fault, type FaultKind } from '../../pipeline/fault.ts';
import { openNetwork } from '../runtime/network.ts';
import type { LoadedNetwork } from '../runtime/onnx.ts';
import type { Port, Shapes } from '../runtime/ports.ts';
import type { NetworkSettings } from '../runtime/runtime-settings.ts';
import type { Tensor, Tensors } from '../runtime/tensor.ts';
import { FPS, Faces } from './capacity.ts';
import { Malformed, datatypeOf } from './datatypes.ts';
import { BINARY_EXTENSION, type ModelMetadata, type Parameters } from './http-inference.ts';
import { itemsOf } from './items.ts';
import { type CallOptions, ServedModel, type ServedReport } from './served-model.ts';
import { STAGE } from './stage.ts';

/** A network to be served. */
export interface Offer {
  /** As clients ask for it. */
  readonly name: string;
  readonly file: string;
  /** Sizes that the network leaves open, by input, whole shapes: what is measured is measured at these. */
  readonly shapes?: Shapes;
}

export interface InferenceOptions {
  /** The server's version, for whoever asks. */
  readonly version: string;
  readonly settings?: Partial<NetworkSettings>;
  /** Items in one run, at most, of networks that keep their items apart; 16 unless told. */
  readonly max?: number;
  readonly preferred?: readonly number[];
  readonly delay?: Span;
  /** Items of a model that may wait; eight runs' worth unless told. */
  readonly capacity?: number;
  /** The part of the device's time that sessions may be promised; 0.8 unless told. */
  readonly share?: number;
  readonly clock?: Clock;
}

/** What a client asks for, over whichever transport. */
export interface Asked extends Pick<CallOptions, 'deadline' | 'signal'> {
  readonly model: string;
  readonly version: string;
  readonly inputs: Tensors;
  /** Those wanted; all when none is named. */
  readonly outputs: readonly string[];
  readonly parameters: Parameters;
  /** Whose call it is where the parameters do not say: the connection it came by. */
  readonly connection: string;
}

/** What a model can carry. `null` while nothing was measured. */
export interface ModelCapacity {
  readonly name: string;
  /** Items a second at the best number of items at once. */
  readonly itemsPerSecond: number | null;
  readonly bestBatch: number | null;
  readonly maxBatch: number;
  /** Faces at 25 pictures a second if nobody used the device for anything else. */
  readonly maxFaces: number | null;
  /** How many more than those that sessions have. */
  readonly freeFaces: number | null;
}
export interface Capacity {
  /** The part of the device's time that sessions were promised. */
  readonly load: number;
  readonly models: readonly ModelCapacity[];
  readonly sessions: ReturnType<Faces['leases']>;
}

/** The version of every model: files are not watched, so there is one. */
export const VERSION = '1';
/** The longest a run may take; one that takes longer is taken for hung, and its thread is replaced. */
const RUN_LIMIT = seconds(30);

const NOTHING_LIKE_IT = 'not found';
/** There is no such model, version or output. */
export class Unknown extends Error {
  override readonly name = 'Unknown';
}

export interface Trouble {
  readonly status: number;
  readonly code:
    'INVALID_ARGUMENT' | 'NOT_FOUND' | 'RESOURCE_EXHAUSTED' | 'DEADLINE_EXCEEDED' | 'UNAVAILABLE' | 'INTERNAL';
  readonly message: string;
}
const TROUBLES = {
  rejected: { status: 400, code: 'INVALID_ARGUMENT' },
  [NOTHING_LIKE_IT]: { status: 404, code: 'NOT_FOUND' },
  overloaded: { status: 429, code: 'RESOURCE_EXHAUSTED' },
  timeout: { status: 504, code: 'DEADLINE_EXCEEDED' },
  unavailable: { status: 503, code: 'UNAVAILABLE' },
  broken: { status: 500, code: 'INTERNAL' },
} as const satisfies Record<FaultKind | typeof NOTHING_LIKE_IT, Omit<Trouble, 'message'>>;

/** What a failure is in each transport's words. */
export function troubleOf(thrown: unknown): Trouble {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (thrown instanceof Unknown) return { ...TROUBLES[NOTHING_LIKE_IT], message };
  if (thrown instanceof Malformed || thrown instanceof TypeError) return { ...TROUBLES.rejected, message };
  if (thrown instanceof Fault) return { ...TROUBLES[thrown.kind], message };
  return { ...TROUBLES.broken, message };
}

/**
 * What answers inferences, whichever transport they come by: the models, who may use how much of them, and what they are.
 *
 * Requests may carry parameters of ours beside the protocol's `timeout` (µs): `session`, whose call it is, for fairness;
 * `faces` and `fps`, what the session means to have driven. A session that says how many faces it has is given them, keeps
 * them for as long as it goes on asking, and is refused as `overloaded` where the device cannot carry them.
 */
export class InferenceServer {
  readonly name = 'livedub';
  readonly version: string;
  readonly extensions = [BINARY_EXTENSION, 'parameters', 'schedule_policy', 'livedub_faces'];
  readonly clock: Clock;
  readonly #models: ReadonlyMap<string, ServedModel>;
  readonly #faces: Faces;
  #refused = 0;
  #ready = true;

  constructor(
    models: readonly ServedModel[],
    { version, clock = new MonotonicClock(), share }: Pick<InferenceOptions, 'version' | 'clock' | 'share'>,
  ) {
    this.version = version;
    this.clock = clock;
    this.#models = new Map(models.map((model) => [model.name, model]));
    const rates = new Map(models.map(({ name, throughput }) => [name, throughput]));
    this.#faces = new Faces(rates, { clock, ...(share !== undefined && { share }) });
  }

  /** Takes requests. */
  get ready(): boolean {
    return this.#ready;
  }
  get models(): readonly string[] {
    return [...this.#models.keys()];
  }
  /** Requests refused because the device was promised to others. */
  get refused(): number {
    return this.#refused;
  }

  /** Throws `Unknown`. */
  metadata(model: string, version: string): ModelMetadata & { readonly properties: Readonly<Record<string, string>> } {
    const { name, network } = this.#model(model, version);
    const said = ({ name: port, element, shape }: Port) => ({
      name: port,
      datatype: datatypeOf(element),
      shape: shape.map((size) => (typeof size === 'number' ? size : -1)),
    });
    const { itemsPerSecond, maxBatch, maxFaces, freeFaces } = this.#capacityOf(this.#model(model, version));
    const numbers = { itemsPerSecond, maxBatch, maxFaces, freeFaces };
    const properties = Object.entries(numbers).flatMap(([key, value]) =>
      value === null ? [] : [[key, String(value)]],
    );
    return {
      name,
      versions: [VERSION],
      platform: 'onnx_onnxv1',
      inputs: network.inputs.map(said),
      outputs: network.outputs.map(said),
      properties: { device: network.device, ...(Object.fromEntries(properties) as Record<string, string>) },
    };
  }

  /** Throws `Malformed`, `Unknown`, `TypeError` or a `Fault`: see `troubleOf`. The inputs change hands. */
  async infer(asked: Asked): Promise<Tensors> {
    if (!this.#ready) throw new Fault(STAGE, 'unavailable', 'The server is going down');
    const model = this.#model(asked.model, asked.version);
    const strange = asked.outputs.find((name) => !model.network.outputs.some((port) => port.name === name));
    if (strange !== undefined) throw new Malformed(`${model.name} has no output '${strange}'`);
    const { session, faces, fps } = wishesOf(asked.parameters);
    const whose = session ?? asked.connection;
    const granted =
      faces === undefined ? this.#faces.touch(whose, model.name) : this.#faces.ask(whose, model.name, faces, fps);
    if (!granted) {
      this.#refused += 1;
      throw new Fault(STAGE, 'overloaded', `Model ${model.name} has no room for ${faces ?? 1} more: others use it`);
    }
    const { deadline, signal } = asked;
    const made = await model.run(asked.inputs, { session: whose, deadline, signal });
    const wanted = asked.outputs.length > 0 ? asked.outputs : model.network.outputs.map(({ name }) => name);
    return Object.fromEntries(wanted.flatMap((name): [string, Tensor][] => (made[name] ? [[name, made[name]]] : [])));
  }

  /** Gives a session faces on a model before it needs them. Throws `Unknown`, or a `Fault` that is `overloaded`. */
  claim(session: string, model: string, faces: number, fps = FPS): void {
    const { name } = this.#model(model, '');
    if (this.#faces.ask(session, name, faces, fps)) return;
    this.#refused += 1;
    throw new Fault(STAGE, 'overloaded', `Model ${name} has room for ${this.#faces.free(name, fps)} more faces`);
  }
  /** A session needs its faces no more. */
  release(session: string): void {
    this.#faces.release(session);
  }

  capacity(): Capacity {
    return {
      load: this.#faces.load(),
      models: [...this.#models.values()].map((model) => this.#capacityOf(model)),
      sessions: this.#faces.leases(),
    };
  }
  reports(): readonly ServedReport[] {
    return [...this.#models.values()].map((model) => model.report());
  }

  /** Takes nothing more; what was taken is computed. */
  stop(): void {
    this.#ready = false;
  }
  /** Takes nothing more, refuses what waits, and waits for the runs that are on the way. */
  async close(): Promise<void> {
    this.stop();
    await Promise.all([...this.#models.values()].map((model) => model.close()));
  }

  #model(name: string, version: string): ServedModel {
    const model = this.#models.get(name);
    if (!model) throw new Unknown(`There is no model '${name}'; there is ${this.models.join(', ') || 'none'}`);
    if (version !== '' && version !== VERSION) throw new Unknown(`Model '${name}' has no version '${version}'`);
    return model;
  }
  #capacityOf({ name, throughput, policy }: ServedModel): ModelCapacity {
    const { best } = throughput;
    return {
      name,
      itemsPerSecond: best?.perSecond ?? null,
      bestBatch: best?.items ?? null,
      maxBatch: policy.max,
      maxFaces: this.#faces.most(name) ?? null,
      freeFaces: this.#faces.free(name) ?? null,
    };
  }
}

/** What of a request's parameters is ours. Throws `Malformed`. */
function wishesOf({ session, faces, fps = FPS }: Parameters) {
  if (session !== undefined && (typeof session !== 'string' || session === '' || session.length > 128)) {
    throw new Malformed('The parameter session must be a text of 1 to 128 characters');
  }
  if (faces !== undefined && (typeof faces !== 'number' || !Number.isInteger(faces) || faces < 0 || faces > 1_000)) {
    throw new Malformed('The parameter faces must be a whole number from 0 to 1000');
  }
  if (typeof fps !== 'number' || !(fps > 0 && fps <= 240)) {
    throw new Malformed('The parameter fps must be a number above 0, up to 240');
  }
  return { session, faces, fps };
}

/** How many items a run is tried with: 1, 2, 4, … and the most. */
export function sweep(max: number): number[] {
  const sizes: number[] = [];
  for (let size = 1; size < max; size *= 2) sizes.push(size);
  return [...sizes, max];
}
/** Each size is run so often after a first time, or for as long as this. */
const RUNS = 3;
const LONG = ms(500);

/**
 * Loads networks and measures how many items a second each computes. Closes with `scope`.
 *
 * @param say told, sentence by sentence, what was found
 */
export async function openInferenceServer(
  offers: readonly Offer[],
  options: InferenceOptions,
  scope: Scope,
  say: (sentence: string) => void = () => {},
): Promise<InferenceServer> {
  const models: ServedModel[] = [];
  // A network is closed as soon as its scope is: theirs outlasts what is still being answered when ours ends.
  const networks = new Scope('networks');
  scope.defer(() => networks.close());
  for (const offer of offers) models.push(await openModel(offer, options, networks, say));
  const server = new InferenceServer(models, options);
  scope.signal.addEventListener('abort', () => server.stop(), { once: true });
  scope.defer(() => server.close());
  return server;
}

async function openModel(
  { name, file, shapes = {} }: Offer,
  options: InferenceOptions,
  scope: Scope,
  say: (sentence: string) => void,
): Promise<ServedModel> {
  const { settings = {}, max = 16, preferred, delay, capacity, clock = new MonotonicClock() } = options;
  const network: LoadedNetwork = await openNetwork(file, scope, { stage: STAGE, name, settings, limit: RUN_LIMIT });
  const items = await itemsOf(network, name, shapes);
  const model = new ServedModel(network, {
    name,
    clock,
    max: items.alone === undefined ? max : 1,
    ...(preferred && { preferred }),
    ...(delay !== undefined && { delay }),
    ...(capacity !== undefined && { capacity }),
  });
  if (items.alone !== undefined) say(`${name}: one item at a time, as ${items.alone}`);
  if (items.zeros) {
    for (const size of sweep(model.policy.max)) {
      await network.run(items.zeros(size));
      for (let run = 0, spent = 0; run < RUNS && spent < LONG; run += 1) {
        spent += await model.measure(size, items.zeros(size));
      }
    }
  }
  const { best } = model.throughput;
  if (best) say(`${name}: ${best.perSecond.toFixed(0)} items a second, ${best.items} at once, on ${network.device}`);
  else say(`${name}: not measured before it is used, as its sizes are not known`);
  return model;
}
