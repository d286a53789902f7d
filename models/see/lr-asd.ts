import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ms } from '../../media/time.ts';
import { STRIP } from '../../pipeline/face-strip.ts';
import { Fault } from '../../pipeline/fault.ts';
import { until } from '../../pipeline/until.ts';
import { defineEngine } from '../engine.ts';
import { COEFFICIENTS, HOP, LiftedMfcc } from '../dsp/lifted-mfcc.ts';
import { networkSettings } from '../runtime/runtime-settings.ts';
import { type Network, floats, floatsOf } from '../runtime/tensor.ts';
import { type ModelPlace, openModelFile } from '../store/model-file.ts';
import { type ModelCard, modelDirectory } from '../store/weights.ts';
import { mouthScores } from './mouth-motion.ts';

const NETWORK = 'lr_asd_pretrain_AVA.onnx';
const CHECKPOINT = 'pretrain_AVA.model';
export const LR_ASD: ModelCard = {
  name: 'lr-asd',
  summary: `LR-ASD, active speaker detection trained on AVA; models/export/lr_asd.py makes ${NETWORK} of it.`,
  home: 'https://github.com/Junhua-Liao/LR-ASD',
  licence: 'MIT',
  languages: 'any',
  device: 'cpu',
  speed: '80 ms of one CPU core per second of programme and face',
  files: [
    {
      name: CHECKPOINT,
      url: `https://raw.githubusercontent.com/Junhua-Liao/LR-ASD/1b6dcd2d8fc2895683de6508ec6294ec47d388ca/weight/${CHECKPOINT}`,
      bytes: 3_426_337,
      sha256: '85e6c77fc981595234790d1e128ebb60352d37726b2445e0ef8891e2512fe9e3',
    },
  ],
};

const PICTURE = STRIP * STRIP;
/** Samples and rows of sound that go with one picture. */
const SOUND = 640;
const ROWS = SOUND / HOP;
/**
 * Pictures that are looked at together, in windows of which each shares some with the next. In longer ones the network tells
 * less quickly that somebody else speaks now; in shorter ones it knows too little of a mouth. Windows that share half of
 * themselves took 1.6 times as long, and told six changes of speaker 20 ms later on average.
 */
const WINDOW = 50;
const SHARED = 10;
/**
 * What is taken from the sum of the two. While somebody is heard, mouths that speak have log odds of 3 to 10, a closed one
 * −6 or less; mouths that move to another voice lie in between, and now and then above.
 */
const OFFSET = 1;

/** Windows over so many pictures, of one length and as far apart as each other. */
export function windowsOf(count: number): { from: number; to: number }[] {
  const many = Math.max(1, Math.ceil((count - SHARED) / (WINDOW - SHARED)));
  const length = Math.ceil((count + (many - 1) * SHARED) / many);
  const place = (n: number) => (many === 1 ? 0 : Math.round((n * (count - length)) / (many - 1)));
  return count === 0 ? [] : Array.from({ length: many }, (_, n) => ({ from: place(n), to: place(n) + length }));
}

/** One score per picture of a face, by the network, for the sound that goes with it. */
export class LrAsd {
  readonly #network: Network;
  readonly #mfcc = new LiftedMfcc();

  constructor(network: Network) {
    this.#network = network;
  }

  /** Log odds that each face speaks, one a picture; the faces' strips have one length. */
  async odds(strips: readonly Uint8Array[], pcm: Float32Array): Promise<Float32Array[]> {
    const count = (strips[0]?.length ?? 0) / PICTURE;
    const odds = strips.map(() => new Float32Array(count));
    const windows = windowsOf(count);
    for (const { from, to } of windows) {
      const many = to - from;
      const rows = this.#mfcc.of(pcm.subarray(from * SOUND, to * SOUND), many * ROWS);
      const mfcc = floats(rows, [1, many * ROWS, COEFFICIENTS]);
      for (const [n, strip] of strips.entries()) {
        const grey = new Float32Array(strip.subarray(from * PICTURE, to * PICTURE));
        const made = await this.#network.run({ mfcc, faces: floats(grey, [1, many, STRIP, STRIP]) });
        const logits = floatsOf(made['logits'], 'logits');
        for (let i = 0; i < many; i += 1) {
          const shared = windows.filter((each) => from + i >= each.from && from + i < each.to).length;
          odds[n]![from + i]! += (logits[2 * i + 1]! - logits[2 * i]!) / shared;
        }
      }
    }
    return odds;
  }
}

/** How the network comes about: what is published is a checkpoint, and the code that it belongs to. */
const exporting = (directory: string) =>
  `livedub models pull ${LR_ASD.name}, then git clone ${LR_ASD.home}, then with PyTorch: python3 models/export/lr_asd.py LR-ASD ${join(directory, CHECKPOINT)} ${join(directory, NETWORK)}`;

/**
 * LR-ASD: whose mouth goes with what is heard, by a small network of convolutions and recurrent layers that looks at
 * the scene forwards and backwards, and by the motion of the mouth against the sound's level, which tells people who both
 * move their mouths apart where the network does not. Scores are log odds less {@link OFFSET}.
 *
 * @see J. Liao et al., "LR-ASD: Lightweight and Robust Network for Active Speaker Detection", IJCV 2025
 */
export const lrAsd = defineEngine({
  kind: 'activeSpeaker',
  id: 'lr-asd',
  host: 'inline',
  summary: 'LR-ASD active speaker detection: log odds per face and picture, from face and sound together.',
  licence: 'MIT',
  needs: [
    {
      get install() {
        return `${NETWORK} (${exporting(modelDirectory(LR_ASD))})`;
      },
      present: () => existsSync(join(modelDirectory(LR_ASD), NETWORK)),
    },
  ],
  models: [LR_ASD],
  config: z.strictObject({
    model: z.string().min(1).optional().describe(`Directory with ${NETWORK}, instead of the model store.`),
    offset: z.number().min(-10).max(10).default(OFFSET).describe('Log odds that a face must exceed to speak.'),
    motion: z.number().min(0).max(4).default(1).describe('Weight of what the mouth’s motion says by itself.'),
    runtime: networkSettings.prefault({}),
  }),
  async load({ model, offset, motion, runtime }, scope) {
    const file = join(modelDirectory(LR_ASD, model), NETWORK);
    if (!existsSync(file)) {
      const fix = exporting(modelDirectory(LR_ASD, model));
      throw new Fault('activeSpeaker', 'unavailable', `Cannot load model ${LR_ASD.name}: there is no ${file}; ${fix}`);
    }
    const place: ModelPlace = { stage: 'activeSpeaker', card: LR_ASD, model };
    const network = await openModelFile(place, NETWORK, ['mfcc', 'faces'], scope, { settings: runtime });
    return {
      kind: 'activeSpeaker',
      engine: 'lr-asd',
      caps: { lookahead: ms(0) },
      async *run(input, { signal }) {
        const asd = new LrAsd(network);
        for await (const { start, end, faces, pcm } of until(input, signal)) {
          const odds = await asd.odds(
            faces.map(({ grey }) => grey),
            pcm,
          );
          if (signal.aborted) return;
          const scored = faces.map(({ id, grey }, n) => {
            const moved = mouthScores(grey, pcm);
            return { id, scores: odds[n]!.map((each, i) => each - offset + motion * moved[i]!) };
          });
          yield { start, end, faces: scored };
        }
      },
    };
  },
});
