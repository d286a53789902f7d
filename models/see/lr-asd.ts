import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ms } from '../../media/time.ts';
import { STRIP } from '../../pipeline/face-strip.ts';
import { Fault } from '../../pipeline/fault.ts';
import { until } from '../../pipeline/until.ts';
import { defineEngine } from '../engine.ts';
import { networkSettings } from '../runtime/runtime-settings.ts';
import { type Network, floats, floatsOf } from '../runtime/tensor.ts';
import { type ModelPlace, openModelFile } from '../store/model-file.ts';
import { type ModelCard, modelDirectory } from '../store/weights.ts';
import { COEFFICIENTS, HOP, LiftedMfcc } from './lr-asd-mfcc.ts';

const NETWORK = 'lr_asd_pretrain_AVA.onnx';
const CHECKPOINT = 'pretrain_AVA.model';
export const LR_ASD: ModelCard = {
  name: 'lr-asd',
  summary: `LR-ASD, active speaker detection trained on AVA; models/export/lr_asd.py makes ${NETWORK} of it.`,
  home: 'https://github.com/Junhua-Liao/LR-ASD',
  licence: 'MIT',
  languages: 'any',
  device: 'cpu',
  speed: '60 ms per second of programme and face on one CPU core',
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
/** Pictures that are looked at together: training saw hardly more, and the answer gets worse with less. */
const MOST = 250;
/**
 * What is taken from the network's log odds. It answers about people who are seen and heard at once: a mouth that moves to
 * another voice has log odds of 2 to 7 while somebody is heard, one that speaks 9 to 12, a closed one −6.
 */
const OFFSET = 3;

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
    const parts = Math.ceil(count / MOST);
    for (let part = 0; part < parts; part += 1) {
      const from = Math.round((part * count) / parts);
      const many = Math.round(((part + 1) * count) / parts) - from;
      const rows = this.#mfcc.of(pcm.subarray(from * SOUND, (from + many) * SOUND), many * ROWS);
      const mfcc = floats(rows, [1, many * ROWS, COEFFICIENTS]);
      for (const [n, strip] of strips.entries()) {
        const grey = Float32Array.from(strip.subarray(from * PICTURE, (from + many) * PICTURE));
        const made = await this.#network.run({ mfcc, faces: floats(grey, [1, many, STRIP, STRIP]) });
        const logits = floatsOf(made['logits'], 'logits');
        for (let i = 0; i < many; i += 1) odds[n]![from + i] = logits[2 * i + 1]! - logits[2 * i]!;
      }
    }
    return odds;
  }
}

/**
 * LR-ASD: whose mouth goes with what is heard, by a small network of convolutions and recurrent layers that looks at the
 * whole scene, forwards and backwards. Scores are log odds less {@link OFFSET}.
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
      install: `${NETWORK} (livedub models pull ${LR_ASD.name}, then models/export/lr_asd.py)`,
      present: () => existsSync(join(modelDirectory(LR_ASD), NETWORK)),
    },
  ],
  models: [LR_ASD],
  config: z.strictObject({
    model: z.string().min(1).optional().describe(`Directory with ${NETWORK}, instead of the model store.`),
    offset: z.number().min(-10).max(10).default(OFFSET).describe('Log odds that a face must exceed to speak.'),
    runtime: networkSettings.prefault({}),
  }),
  async load({ model, offset, runtime }, scope) {
    const file = join(modelDirectory(LR_ASD, model), NETWORK);
    if (!existsSync(file)) {
      const fix = `run 'livedub models pull ${LR_ASD.name}' and make it with models/export/lr_asd.py`;
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
          yield {
            start,
            end,
            faces: faces.map(({ id }, n) => ({ id, scores: odds[n]!.map((each) => each - offset) })),
          };
        }
      },
    };
  },
});
