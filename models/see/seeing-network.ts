import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Scope } from '../../media/scope.ts';
import type { NetworkSettings } from '../runtime/runtime-settings.ts';
import { type LoadedNetwork } from '../runtime/onnx.ts';
import { openModelFile } from '../store/model-file.ts';
import { type ModelCard, modelDirectory } from '../store/weights.ts';

/** Where networks that see are found, and how they run. */
export interface Sight {
  /** A directory with a folder per network, named after its card, instead of the model store. */
  readonly directory: string | undefined;
  readonly settings?: Partial<NetworkSettings> | undefined;
}
const folder = (card: ModelCard, { directory }: Sight) =>
  directory === undefined ? undefined : join(directory, card.name);

/** Whether the files of a card are there. */
export const held = (card: ModelCard, sight: Sight): boolean =>
  card.files.every(({ name }) => existsSync(join(modelDirectory(card, folder(card, sight)), name)));

/** Opens the networks of a card, one per file, each with one input. */
export const openSeeing = (card: ModelCard, sight: Sight, scope: Scope): Promise<LoadedNetwork[]> =>
  Promise.all(
    card.files.map(({ name }) => {
      const place = { stage: 'faceTracker', card, model: folder(card, sight) } as const;
      return openModelFile(place, name, [], scope, { settings: sight.settings ?? {} });
    }),
  );
/** Opens the network of a card with one file. */
export async function openOne(card: ModelCard, sight: Sight, scope: Scope): Promise<LoadedNetwork> {
  const [network] = await openSeeing(card, sight, scope);
  return network!;
}

/** Name of a network's only input. */
export const inputOf = ({ inputs }: LoadedNetwork): string => inputs[0]!.name;
