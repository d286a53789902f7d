import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ms } from '../../media/time.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { defineEngine } from '../engine.ts';
import { batched } from '../runtime/batch.ts';
import { openOnnx } from '../runtime/onnx.ts';
import { networkSettings } from '../runtime/runtime-settings.ts';
import type { Network } from '../runtime/tensor.ts';
import { FacesAtWork, callerOf, networkAt, placeSettings } from '../serve/network-at.ts';
import { type ModelCard, modelDirectory } from '../store/weights.ts';
import { drivenBy } from './driving.ts';
import { Wav2LipPath } from './wav2lip-path.ts';

/**
 * The official checkpoint, as PyTorch has it; `models/export/wav2lip.py` makes a network of it.
 *
 * Its README: "can only be used for personal/research/non-commercial purposes", since it was trained on LRS2.
 */
export const WAV2LIP_CARD: ModelCard = {
  name: 'wav2lip',
  summary: 'Wav2Lip with the visual quality discriminator: to be exported by models/export/wav2lip.py.',
  home: 'https://github.com/Rudrabha/Wav2Lip',
  licence: 'non-commercial (Wav2Lip: personal, research and academic use)',
  terms: 'non-commercial',
  languages: 'any',
  device: 'gpu',
  files: [
    {
      // Where the README links to.
      name: 'wav2lip_gan.pth',
      url: 'https://drive.usercontent.google.com/download?id=15G3U08c8xsCkOqQxE38Z2XXDnPcOptNk&export=download&confirm=t',
    },
  ],
};
const FILE = 'wav2lip.onnx';

const settings = z.strictObject({
  model: z.string().min(1).optional().describe('Directory with the exported network, instead of the model store.'),
  ...placeSettings,
  batch: z.int().min(1).max(64).default(4).describe('Pictures that are computed together; they wait for each other.'),
  margin: z.int().min(0).max(200).default(10).describe('Pixels below the face that belong to it.'),
  feather: z
    .number()
    .min(0)
    .max(0.5)
    .default(0.1)
    .describe('Softness of the edge around the lower half, in parts of the face; 0 replaces the whole face, hard.'),
  runtime: networkSettings.prefault({}),
});
export type Wav2LipSettings = z.output<typeof settings>;

/** Wav2Lip as a stage. */
export function wav2LipStage(
  network: Network,
  { batch, margin, feather }: Pick<Wav2LipSettings, 'batch' | 'margin' | 'feather'>,
): Stage<'lipDriver'> {
  const shared = batched(network, { stage: 'lipDriver', max: batch, wait: ms(1) });
  return drivenBy('wav2lip', batch, () => new Wav2LipPath(shared, { margin, feather }));
}

/** Where the exported network lies, given a directory or not. */
const exported = (model: string | undefined) => join(model ?? join(modelDirectory(WAV2LIP_CARD), 'onnx'), FILE);

/**
 * Wav2Lip: draws the lower half of a face anew at 96 × 96, as it is heard.
 *
 * With `server`, model `wav2lip` is computed there, and no file is needed here.
 *
 * @see https://github.com/Rudrabha/Wav2Lip (Prajwal et al., "A Lip Sync Expert Is All You Need for Speech to Lip
 *   Generation In the Wild", 2020)
 */
export const wav2lip = defineEngine({
  kind: 'lipDriver',
  id: 'wav2lip',
  host: 'thread',
  summary: 'Wav2Lip: draws the mouth anew as the dub is heard, coarsely; a GPU or a strong CPU.',
  licence: WAV2LIP_CARD.licence,
  byName: true,
  needs: [
    {
      install: 'the network of Wav2Lip, exported by models/export/wav2lip.py',
      present: () => existsSync(exported(undefined)),
    },
  ],
  models: [WAV2LIP_CARD],
  config: settings,
  async load({ model, server, runtime, ...config }, scope) {
    const file = exported(model);
    if (server === undefined && !existsSync(file)) {
      const checkpoint = join(modelDirectory(WAV2LIP_CARD), 'wav2lip_gan.pth');
      const fix = `run 'livedub models pull ${WAV2LIP_CARD.name}', then 'python3 models/export/wav2lip.py --weights ${checkpoint} DIRECTORY'`;
      throw new Fault('lipDriver', 'unavailable', `Cannot load Wav2Lip: there is no ${file}; ${fix}`);
    }
    const faces = new FacesAtWork();
    const network = await networkAt({ file, server }, scope, {
      stage: 'lipDriver',
      name: 'wav2lip',
      settings: runtime,
      here: openOnnx,
      remote: callerOf(config, faces.count),
    });
    return faces.of(wav2LipStage(network, config));
  },
});
