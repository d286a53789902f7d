import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Scope } from '../../media/scope.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { StageKind } from '../../pipeline/stage.ts';
import { type LoadedNetwork, type OnnxOptions, openOnnx } from '../runtime/onnx.ts';
import { type ModelCard, modelDirectory } from './weights.ts';

/** Where a model's files are looked for. */
export interface ModelPlace {
  readonly stage: StageKind;
  readonly card: ModelCard;
  /** The engine's setting `model`: a directory instead of the model store. */
  readonly model: string | undefined;
}

/** The path of one of a model's files. Throws a `Fault` that names the file and says how to get it. */
export function modelFile({ stage, card, model }: ModelPlace, name: string): string {
  const file = join(modelDirectory(card, model), name);
  if (existsSync(file)) return file;
  const fix =
    model === undefined
      ? `run 'livedub models pull ${card.name}'`
      : `put it there, or leave the setting 'model' out and run 'livedub models pull ${card.name}'`;
  throw new Fault(stage, 'unavailable', `Cannot load model ${card.name}: there is no ${file}; ${fix}`);
}

/** What to say of a file that holds something else. */
export const wrongFile = ({ stage, card }: ModelPlace, file: string, why: string, cause?: unknown) =>
  new Fault(
    stage,
    'broken',
    `Cannot use ${file} as part of model ${card.name}: ${why}; fetch it again with 'livedub models remove ${card.name}' and 'livedub models pull ${card.name}'`,
    { cause },
  );

/**
 * Opens one of a model's networks on this thread, and makes sure that it is the one that was meant.
 *
 * @param inputs the names of its inputs. A file of another network is refused with a `Fault` that names it.
 */
export async function openModelFile(
  place: ModelPlace,
  name: string,
  inputs: readonly string[],
  scope: Scope,
  options: Omit<OnnxOptions, 'stage'> = {},
): Promise<LoadedNetwork> {
  const file = modelFile(place, name);
  const network = await openOnnx(file, scope, { ...options, stage: place.stage }).catch((cause: unknown) => {
    throw wrongFile(place, file, cause instanceof Error ? cause.message : String(cause), cause);
  });
  const found = network.inputs.map((port) => port.name);
  if (inputs.some((each) => !found.includes(each))) {
    const why = `it is another network, with inputs ${found.join(', ')} where ${inputs.join(', ')} were expected`;
    throw wrongFile(place, file, why);
  }
  return network;
}
