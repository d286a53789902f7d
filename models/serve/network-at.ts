import type { Scope } from '../../media/scope.ts';
import { type NetworkOptions, openNetwork } from '../runtime/network.ts';
import { type LoadedNetwork, nameOf } from '../runtime/onnx.ts';
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

/** Opens a network on a server where one is given, else in a thread of this process. Closes with `scope`. */
export function networkAt(
  { file, server, model }: NetworkPlace,
  scope: Scope,
  {
    remote = {},
    ...options
  }: NetworkOptions & { readonly remote?: Omit<Partial<RemoteNetworkOptions>, 'stage' | 'name' | 'clock'> },
): Promise<LoadedNetwork> {
  if (server === undefined) return openNetwork(file, scope, options);
  const { stage, name, clock } = options;
  return openRemoteNetwork(server, model ?? nameOf(file, {}), scope, {
    ...remote,
    stage,
    ...(name !== undefined && { name }),
    ...(clock && { clock }),
  });
}
