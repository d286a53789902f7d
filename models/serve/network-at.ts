import { z } from 'zod';
import type { Clock } from '../../media/clock.ts';
import type { Scope } from '../../media/scope.ts';
import { type ClockTime, later, seconds } from '../../media/time.ts';
import { type NetworkOptions, openNetwork } from '../runtime/network.ts';
import { type LoadedNetwork, nameOf } from '../runtime/onnx.ts';
import { keyFrom } from '../service/keys.ts';
import { serverAddress } from './remote-client.ts';
import { type RemoteNetworkOptions, openRemoteNetwork } from './remote-network.ts';

/** Where a network is computed. */
export interface NetworkPlace {
  /** The ONNX file, for this machine. It also names the model on a server, unless `model` does. */
  readonly file: string;
  /** A model server's address: the network is computed there, and the file need not be here. */
  readonly server?: string | undefined;
  /** How the server calls the model; the file's name without `.onnx` unless given. */
  readonly model?: string | undefined;
}

/**
 * Settings of engines whose networks may be computed by a model server, beside the one with their directory.
 *
 * A model is called there as its file is here, without `.onnx`: what `livedub models serve --models DIRECTORY` and
 * `livedub models triton --models DIRECTORY` make of the same directory.
 */
export const placeSettings = {
  server: serverAddress
    .optional()
    .describe(
      'Address of a model server that computes the networks instead of this machine: http(s)://host:8000 or grpc(s)://host:8001.',
    ),
  serverKeyFrom: keyFrom.optional().describe("Name of the environment variable that holds the server's token."),
  session: z
    .string()
    .min(1)
    .max(128)
    .optional()
    .describe('Whose pictures these are, for the server to share itself fairly. Sessions have a name of their own.'),
};
type PlaceSettings = z.output<z.ZodObject<typeof placeSettings>>;

/** Opens a network on a server where one is given, else here. Closes with `scope`. */
export function networkAt(
  { file, server, model }: NetworkPlace,
  scope: Scope,
  {
    remote = {},
    here = openNetwork,
    ...options
  }: NetworkOptions & {
    readonly remote?: Omit<Partial<RemoteNetworkOptions>, 'stage' | 'name' | 'clock'>;
    /** How it is opened on this machine: in a thread of its own unless told. */
    readonly here?: (file: string, scope: Scope, options: NetworkOptions) => Promise<LoadedNetwork>;
  },
): Promise<LoadedNetwork> {
  if (server === undefined) return here(file, scope, options);
  const { stage, name, clock } = options;
  return openRemoteNetwork(server, model ?? nameOf(file, {}), scope, {
    ...remote,
    stage,
    ...(name !== undefined && { name }),
    ...(clock && { clock }),
  });
}

/** What a server is told of whoever calls it, by an engine's settings. */
export const callerOf = (
  { session, serverKeyFrom }: Pick<PlaceSettings, 'session' | 'serverKeyFrom'>,
  faces: () => number,
  fps?: number,
): Pick<RemoteNetworkOptions, 'session' | 'keyFrom' | 'faces' | 'fps'> => ({
  faces,
  ...(session !== undefined && { session }),
  ...(serverKeyFrom !== undefined && { keyFrom: serverKeyFrom }),
  ...(fps !== undefined && { fps }),
});

/** A run that ended is counted for so long: one that a server refused comes back within the longest pause (`pipeline/wiring.ts`). */
const COMES_BACK = seconds(15);

interface Runs<In, Out> {
  run(input: AsyncIterable<In>, scope: { readonly signal: AbortSignal; readonly clock: Clock }): AsyncIterable<Out>;
}

/**
 * How many faces a stage works on: one for each of its runs, as each language drives the face of whoever speaks.
 *
 * A run that failed counts until it is back, so that a session asks a server for all of its languages or for none, and two
 * of them do not take turns at being refused.
 */
export class FacesAtWork {
  #running = 0;
  #ended: ClockTime[] = [];
  #clock: Clock | undefined;

  /** At least one: somebody asks. */
  readonly count = (): number => {
    const now = this.#clock?.now();
    if (now !== undefined) this.#ended = this.#ended.filter((end) => later(end, COMES_BACK) > now);
    return Math.max(1, this.#running + this.#ended.length);
  };

  /** The stage, with its runs counted. */
  of<In, Out, S extends Runs<In, Out>>(stage: S & Runs<In, Out>): S {
    const began = (clock: Clock) => {
      this.#clock = clock;
      this.#running += 1;
      this.#ended.shift();
    };
    const ended = (clock: Clock, failed: boolean) => {
      this.#running -= 1;
      if (failed) this.#ended.push(clock.now());
    };
    return {
      ...stage,
      async *run(input: AsyncIterable<In>, scope: Parameters<S['run']>[1]) {
        began(scope.clock);
        let failed = false;
        try {
          yield* stage.run(input, scope);
        } catch (failure) {
          failed = true;
          throw failure;
        } finally {
          ended(scope.clock, failed);
        }
      },
    };
  }
}
