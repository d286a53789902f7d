import { existsSync, readFileSync } from 'node:fs';
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
import { MuseTalkPath, type MuseTalkShape } from './musetalk-path.ts';

const huggingFace = (repository: string, file: string) => `https://huggingface.co/${repository}/resolve/main/${file}`;
/**
 * The official weights, as PyTorch has them; `models/export/musetalk.py` makes networks of them.
 *
 * MuseTalk's README: code MIT, "the trained model are available for any purpose, even commercially". The parsing network
 * was trained on CelebAMask-HQ, which is for non-commercial research and education.
 */
export const MUSETALK_CARD: ModelCard = {
  name: 'musetalk',
  summary: 'MuseTalk 1.5 with its VAEs, Whisper tiny and face parsing: to be exported by models/export/musetalk.py.',
  home: 'https://huggingface.co/TMElyralab/MuseTalk',
  licence: 'MIT AND Apache-2.0 (face parsing: CelebAMask-HQ, non-commercial)',
  terms: 'non-commercial',
  languages: 'any',
  device: 'gpu',
  files: [
    { name: 'musetalkV15/musetalk.json', url: huggingFace('TMElyralab/MuseTalk', 'musetalkV15/musetalk.json') },
    { name: 'musetalkV15/unet.pth', url: huggingFace('TMElyralab/MuseTalk', 'musetalkV15/unet.pth') },
    { name: 'sd-vae/config.json', url: huggingFace('stabilityai/sd-vae-ft-mse', 'config.json') },
    {
      name: 'sd-vae/diffusion_pytorch_model.bin',
      url: huggingFace('stabilityai/sd-vae-ft-mse', 'diffusion_pytorch_model.bin'),
    },
    { name: 'whisper/config.json', url: huggingFace('openai/whisper-tiny', 'config.json') },
    { name: 'whisper/pytorch_model.bin', url: huggingFace('openai/whisper-tiny', 'pytorch_model.bin') },
    { name: 'taesd/taesd_encoder.pth', url: 'https://github.com/madebyollin/taesd/raw/main/taesd_encoder.pth' },
    { name: 'taesd/taesd_decoder.pth', url: 'https://github.com/madebyollin/taesd/raw/main/taesd_decoder.pth' },
    {
      // Where the README of face-parsing.PyTorch and MuseTalk's download_weights.sh have it.
      name: 'face-parse-bisent/79999_iter.pth',
      url: 'https://drive.usercontent.google.com/download?id=154JgKpzCPW82qINcVieuPH3fZ2e0P812&export=download&confirm=t',
    },
  ],
};

/** What lies beside the networks: how `models/export/musetalk.py` made them. */
const Live = z.object({
  window: z.int().positive(),
  states: z.int().positive(),
  width: z.int().positive(),
  vaes: z.record(z.string(), z.number().positive()),
});

const settings = z.strictObject({
  model: z
    .string()
    .min(1)
    .optional()
    .describe('Directory with the exported networks, instead of the model store; with a server, live.json alone.'),
  ...placeSettings,
  vae: z
    .enum(['sd-vae', 'taesd'])
    .default('sd-vae')
    .describe(
      'What turns pictures into latents and back: the VAE MuseTalk was trained with, or the much smaller TAESD.',
    ),
  batch: z.int().min(1).max(64).default(4).describe('Pictures that are computed together; they wait for each other.'),
  reuse: z
    .number()
    .min(0)
    .max(32)
    .default(1.5)
    .describe('Pictures that differ by no more than so many of 255 levels share latents and parsing; 0 never.'),
  margin: z.int().min(0).max(200).default(10).describe('Pixels below the chin that are drawn anew.'),
  feather: z
    .number()
    .min(0)
    .max(0.5)
    .default(0.1)
    .describe('Softness of the edge, in parts of the square around the face.'),
  cheeks: z.int().min(0).max(256).default(90).describe('Where the cheeks begin, in pixels of 512 from the middle.'),
  runtime: networkSettings.prefault({}),
});
export type MuseTalkSettings = z.output<typeof settings>;

const exported = (model: string | undefined) => model ?? join(modelDirectory(MUSETALK_CARD), 'onnx');
const EXPORT = `'livedub models pull ${MUSETALK_CARD.name}', then 'python3 models/export/musetalk.py --weights ${modelDirectory(MUSETALK_CARD)} ${exported(undefined)} …' (its head says what it needs)`;

/** Sessions and faces whose pictures come at the same moment are computed together. */
const WAIT = ms(1);

/**
 * MuseTalk as a stage.
 *
 * @param open opens a network by its name: `whisper`, `unet`, `parsing`, `sd_vae_encoder` …, here or on a server
 * @param live what `live.json` beside the networks says
 */
export async function museTalkStage(
  open: (name: string) => Promise<Network>,
  live: z.output<typeof Live>,
  {
    vae,
    batch,
    reuse,
    margin,
    feather,
    cheeks,
  }: Pick<MuseTalkSettings, 'vae' | 'batch' | 'reuse' | 'margin' | 'feather' | 'cheeks'>,
): Promise<Stage<'lipDriver'>> {
  const factor = live.vaes[vae];
  if (factor === undefined) {
    const there = Object.keys(live.vaes).join(', ');
    throw new Fault('lipDriver', 'unavailable', `Cannot load MuseTalk: '${vae}' was not exported; there is ${there}`);
  }
  const shared = async (name: string, max: number): Promise<Network> =>
    batched(await open(name), { stage: 'lipDriver', max, wait: WAIT });
  const file = vae.replace('-', '_');
  const networks = {
    whisper: await shared('whisper', 4),
    // Each face is encoded twice.
    encoder: await shared(`${file}_encoder`, 2 * batch),
    decoder: await shared(`${file}_decoder`, batch),
    unet: await shared('unet', batch),
    parsing: await shared('parsing', batch),
  };
  const { window, states, width } = live;
  const shape: MuseTalkShape = { window, states, width, factor, margin, feather, cheeks, reuse };
  return drivenBy(`musetalk ${vae}`, batch, () => new MuseTalkPath(networks, shape));
}

/**
 * How often a second each network is asked about a face, where nothing is reused: what a server is told to judge by whether
 * it can carry one more. A face is encoded twice a picture, masked and whole; sound is heard once a take.
 */
const RATES: Readonly<Record<string, number>> = { whisper: 0.5, sd_vae_encoder: 50, taesd_encoder: 50 };

/** Reads `live.json` of exported networks. */
export function liveIn(directory: string): z.output<typeof Live> {
  const file = join(directory, 'live.json');
  if (!existsSync(file)) {
    throw new Fault('lipDriver', 'unavailable', `Cannot load MuseTalk: there is no ${file}; run ${EXPORT}`);
  }
  const parsed = Live.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const why = `'${issue?.path.join('.')}' is wrong: ${issue?.message}`;
  throw new Fault('lipDriver', 'broken', `Cannot use ${file}: ${why}; export it again`);
}

/**
 * MuseTalk 1.5: draws the lower half of a face anew in a VAE's latent space, in one step of a UNet that hears the dub.
 *
 * Latents come from the picture that is driven, not from one prepared before, and are the mean that the VAE gives, where
 * the official script draws them at random.
 *
 * With `server`, models `whisper`, `unet`, `parsing`, and `sd_vae_encoder` and `sd_vae_decoder` (or `taesd_…`) are
 * computed there: `livedub models serve --models DIRECTORY`, of the directory that the export wrote. Runs of up to twice
 * `batch` items must be taken there (`--max-batch`).
 *
 * @see https://github.com/TMElyralab/MuseTalk (Zhang et al., "MuseTalk", arXiv 2410.10122)
 */
export const musetalk = defineEngine({
  kind: 'lipDriver',
  id: 'musetalk',
  host: 'thread',
  summary: 'MuseTalk 1.5: draws the mouth anew as the dub is heard; wants a GPU.',
  licence: MUSETALK_CARD.licence,
  byName: true,
  needs: [
    {
      install: 'networks of MuseTalk, exported by models/export/musetalk.py',
      present: () => existsSync(join(exported(undefined), 'live.json')),
    },
  ],
  models: [MUSETALK_CARD],
  config: settings,
  async load({ model, server, runtime, ...config }, scope) {
    const directory = exported(model);
    const faces = new FacesAtWork();
    const open = (name: string) =>
      networkAt({ file: join(directory, `${name}.onnx`), server }, scope, {
        stage: 'lipDriver',
        name,
        settings: runtime,
        here: openOnnx,
        remote: callerOf(config, faces.count, RATES[name]),
      });
    return faces.of(await museTalkStage(open, liveIn(directory), config));
  },
});
