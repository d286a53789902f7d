import { z } from 'zod';
import { defineEngine } from '../engine.ts';
import { openModelFile } from '../store/model-file.ts';
import { Stft, rootHann } from '../dsp/stft.ts';
import { type Network, type Tensor, floats, floatsOf } from '../runtime/tensor.ts';
import { type Cleaner, type Framing, lookaheadOf, trailing } from './trailing.ts';
import { type ModelCard, needsModel } from '../store/weights.ts';

const WINDOW = 512;
const BINS = WINDOW / 2 + 1;
/** Hops of 16 ms; overlapping windows come back a hop later. */
const FRAMING: Framing = { rate: 16_000, frame: WINDOW / 2, lag: 1 };

/** What the network remembers of the frames before: of its convolutions, its recurrent attention and its recurrent layers. */
const MEMORY = {
  conv_cache: [2, 1, 16, 16, 33],
  tra_cache: [2, 3, 1, 1, 16],
  inter_cache: [2, 1, 33, 16],
} as const;
type Memory = Record<keyof typeof MEMORY, Tensor>;
const blank = (dims: readonly number[]) => floats(new Float32Array(dims.reduce((size, dim) => size * dim)), dims);

const FILE = 'gtcrn_simple.onnx';
export const GTCRN: ModelCard = {
  name: 'gtcrn',
  summary: 'GTCRN speech enhancement, trained on DNS3: 48 thousand parameters.',
  home: 'https://github.com/Xiaobin-Rong/gtcrn',
  licence: 'MIT',
  languages: 'any',
  device: 'cpu',
  speed: 'real-time factor 0.07 on one CPU core',
  files: [
    {
      name: FILE,
      url: 'https://raw.githubusercontent.com/Xiaobin-Rong/gtcrn/3862c44808dca492ea5a8a145d2dc2a1028d08c8/stream/onnx_models/gtcrn_simple.onnx',
      bytes: 535_190,
      sha256: 'b4718df6228e7bdf1a8a435cf98f838636eb2fd331acabf86ba87c5192ebcb87',
    },
  ],
};

/** The network with the memory of one stream. */
class Gtcrn implements Cleaner {
  readonly #network: Network;
  readonly #stft = new Stft(rootHann(WINDOW));
  readonly #spectrum = this.#stft.spectrum();
  readonly #mix = new Float32Array(BINS * 2);
  #memory: Memory = {
    conv_cache: blank(MEMORY.conv_cache),
    tra_cache: blank(MEMORY.tra_cache),
    inter_cache: blank(MEMORY.inter_cache),
  };

  constructor(network: Network) {
    this.#network = network;
  }

  async clean(samples: Float32Array): Promise<Float32Array> {
    const { re, im } = this.#spectrum;
    this.#stft.analyse(samples, this.#spectrum);
    for (let k = 0; k < BINS; k += 1) {
      this.#mix[2 * k] = re[k]!;
      this.#mix[2 * k + 1] = im[k]!;
    }
    const made = await this.#network.run({ mix: floats(this.#mix, [1, BINS, 1, 2]), ...this.#memory });
    const enhanced = floatsOf(made['enh'], 'enh');
    const { conv_cache_out, tra_cache_out, inter_cache_out } = made;
    if (!conv_cache_out || !tra_cache_out || !inter_cache_out) throw new TypeError('GTCRN gave out no memory');
    this.#memory = { conv_cache: conv_cache_out, tra_cache: tra_cache_out, inter_cache: inter_cache_out };
    for (let k = 0; k < BINS; k += 1) {
      re[k] = enhanced[2 * k]!;
      im[k] = enhanced[2 * k + 1]!;
    }
    return this.#stft.synthesise(this.#spectrum);
  }
}

/**
 * GTCRN: takes noise out of 16 kHz speech by a very small recurrent network over 32 ms windows, 16 ms apart.
 *
 * @see X. Rong et al., "GTCRN: A Speech Enhancement Model Requiring Ultralow Computational Resources", ICASSP 2024
 * @see https://github.com/Xiaobin-Rong/gtcrn/blob/main/stream/gtcrn_stream.py
 */
export const gtcrn = defineEngine({
  kind: 'enhancer',
  id: 'gtcrn',
  host: 'thread',
  summary: 'GTCRN noise suppression: a very small recurrent network, 16 kHz, 32 ms late.',
  licence: 'MIT',
  needs: [needsModel(GTCRN)],
  models: [GTCRN],
  config: z.strictObject({
    model: z.string().min(1).optional().describe('Directory with gtcrn_simple.onnx, instead of the model store.'),
  }),
  async load({ model }, scope) {
    const place = { stage: 'enhancer', card: GTCRN, model } as const;
    const network = await openModelFile(place, FILE, ['mix', ...Object.keys(MEMORY)], scope);
    return {
      kind: 'enhancer',
      engine: 'gtcrn',
      caps: { rate: FRAMING.rate, lookahead: lookaheadOf(FRAMING) },
      run: (input, { signal }) => trailing(input, signal, FRAMING, () => new Gtcrn(network)),
    };
  },
});
