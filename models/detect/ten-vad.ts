import { z } from 'zod';
import { samples } from '../../media/time.ts';
import type { Activity } from '../../pipeline/domain.ts';
import { until } from '../../pipeline/until.ts';
import { ActivityLine } from './activity-line.ts';
import { defineEngine } from '../engine.ts';
import { Fft } from '../dsp/fft.ts';
import { type Frame, Frames } from '../dsp/frames.ts';
import { openModelFile } from '../store/model-file.ts';
import { TenPitch } from './ten-pitch.ts';
import { type Network, type Tensor, floats, floatsOf } from '../runtime/tensor.ts';
import { type ModelCard, needsModel } from '../store/weights.ts';

const RATE = 16_000;
const HOP = 256;
const WINDOW = 768;
const SIZE = 1_024;
const BANDS = 40;
/** The level of each band, and the pitch. */
const FEATURES = BANDS + 1;
/** Frames that the network hears at a time. */
const CONTEXT = 3;
const EMPHASIS = 0.97;
/** Samples count as 16-bit integers do, except where a band's level is taken. */
const SCALE = 32_768;
/** The network's memory is emptied every 30 s, as its makers do. */
const RESET = 1_875;
const MEMORY = ['2', '3', '6', '7'] as const;
const UNITS = 64;

/** What each feature is on average, and how far it strays from that: part of the model. */
const MEANS = [
  -8.198236, -6.265717, -5.483819, -4.758691, -4.417089, -4.142893, -3.91285, -3.845928, -3.65709, -3.723419, -3.876134,
  -3.843891, -3.690405, -3.756066, -3.698696, -3.650463, -3.700469, -3.567321, -3.4989, -3.477807, -3.458816, -3.444924,
  -3.401329, -3.306261, -3.278557, -3.233251, -3.198616, -3.204526, -3.208799, -3.257838, -3.381377, -3.534021,
  -3.640868, -3.726859, -3.773731, -3.804667, -3.832901, -3.87112, -3.990593, -4.480289, 92.3569,
];
const DEVIATIONS = [
  5.166064, 4.97721, 4.698896, 4.630621, 4.634348, 4.641156, 4.640676, 4.666367, 4.650535, 4.640021, 4.6374, 4.620099,
  4.596316, 4.562655, 4.55436, 4.566911, 4.56249, 4.562413, 4.585299, 4.60018, 4.592846, 4.585923, 4.583497, 4.626093,
  4.626958, 4.626289, 4.637006, 4.683016, 4.726814, 4.73429, 4.753227, 4.849723, 4.869435, 4.884483, 4.921327, 4.959212,
  4.996619, 5.044824, 5.072217, 5.096439, 115.2137,
];

const FILE = 'ten-vad.onnx';
export const TEN_VAD: ModelCard = {
  name: 'ten-vad',
  summary: 'TEN-VAD’s network. Its licence forbids to compete with Agora’s offerings.',
  home: 'https://github.com/TEN-framework/ten-vad',
  licence: 'LicenseRef-TEN-VAD (Apache-2.0 with a non-compete clause)',
  languages: 'any',
  device: 'cpu',
  speed: 'real-time factor 0.02 on one CPU core',
  files: [
    {
      name: FILE,
      url: 'https://raw.githubusercontent.com/TEN-framework/ten-vad/dddbeb16e6a4b4e9fa3bc4bf87f30fc26a19e963/src/onnx_model/ten-vad.onnx',
      bytes: 315_449,
      sha256: 'e10b98a0cab1c98e847fbdda14cb3d45a38336d47535a3f63a0fb6c4e0f4cdf4',
    },
  ],
};

/** The mel scale (O'Shaughnessy 1987), turned into edges of bands, in bins. */
const EDGES = Array.from({ length: BANDS + 2 }, (_, n) => {
  const mel = (n * 2_595 * Math.log10(1 + RATE / 2 / 700)) / (BANDS + 1);
  return Math.floor(((SIZE + 1) * 700 * (10 ** (mel / 2_595) - 1)) / RATE);
});

/** What the network hears of one stream: the level of 40 mel bands and the pitch, every 16 ms. */
export class TenFeatures {
  readonly #pitch = new TenPitch();
  readonly #fft = new Fft(SIZE);
  readonly #taper = Float64Array.from({ length: WINDOW }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / WINDOW));
  readonly #emphasised = new Float64Array(WINDOW);
  readonly #frame = new Float64Array(SIZE);
  readonly #power = new Float64Array(SIZE / 2 + 1);
  readonly #samples = new Float64Array(HOP);
  #before = 0;

  of(pcm: Float32Array): Float32Array {
    this.#emphasised.copyWithin(0, HOP);
    for (let i = 0; i < HOP; i += 1) {
      const sample = pcm[i]! * SCALE;
      this.#emphasised[WINDOW - HOP + i] = sample - EMPHASIS * this.#before;
      this.#samples[i] = sample;
      this.#before = sample;
    }
    for (let i = 0; i < WINDOW; i += 1) this.#frame[i] = this.#emphasised[i]! * this.#taper[i]!;
    this.#fft.power(this.#frame, this.#power);
    const features = new Float32Array(FEATURES);
    for (let band = 0; band < BANDS; band += 1) {
      const [left, middle, right] = [EDGES[band]!, EDGES[band + 1]!, EDGES[band + 2]!];
      let energy = 0;
      for (let bin = left; bin < middle; bin += 1) energy += (this.#power[bin]! * (bin - left)) / (middle - left);
      for (let bin = middle; bin < right; bin += 1) energy += (this.#power[bin]! * (right - bin)) / (right - middle);
      features[band] = Math.log(energy / SCALE ** 2 + 1e-20);
    }
    features[BANDS] = this.#pitch.of(this.#samples, this.#power);
    for (let i = 0; i < FEATURES; i += 1) features[i] = (features[i]! - MEANS[i]!) / DEVIATIONS[i]!;
    return features;
  }
}

/** The network with the memory of one stretch of audio. */
class Listener {
  readonly #network: Network;
  readonly #features = new TenFeatures();
  readonly #heard = new Float32Array(CONTEXT * FEATURES);
  #memory: readonly Tensor[] = blank();
  #count = 0;

  constructor(network: Network) {
    this.#network = network;
  }

  async hear(pcm: Float32Array): Promise<number> {
    this.#heard.copyWithin(0, FEATURES);
    this.#heard.set(this.#features.of(pcm), (CONTEXT - 1) * FEATURES);
    const inputs: Record<string, Tensor> = { input_1: floats(this.#heard, [1, CONTEXT, FEATURES]) };
    for (const [n, name] of MEMORY.entries()) inputs[`input_${name}`] = this.#memory[n]!;
    const made = await this.#network.run(inputs);
    this.#count = (this.#count + 1) % RESET;
    const blanks = blank();
    this.#memory = MEMORY.map((name, n) => (this.#count === 0 ? undefined : made[`output_${name}`]) ?? blanks[n]!);
    return Math.min(1, Math.max(0, floatsOf(made['output_1'], 'output_1')[0]!));
  }
}
function blank(): Tensor[] {
  return MEMORY.map(() => floats(new Float32Array(UNITS), [1, UNITS]));
}

/**
 * TEN-VAD: how likely speech is, every 16 ms, by a small recurrent network that hears mel bands and the pitch.
 *
 * Its licence is not open: Apache-2.0 with the condition that nobody competes with Agora by it. So it is never chosen by
 * itself.
 *
 * @see https://github.com/TEN-framework/ten-vad
 */
export const tenVad = defineEngine({
  kind: 'vad',
  id: 'ten-vad',
  host: 'thread',
  byName: true,
  summary: 'TEN voice activity detection, a probability every 16 ms. Its licence forbids to compete with Agora by it.',
  licence: 'LicenseRef-TEN-VAD (Apache-2.0 with a non-compete clause)',
  needs: [needsModel(TEN_VAD)],
  models: [TEN_VAD],
  config: z.strictObject({
    model: z.string().min(1).optional().describe(`Directory with ${FILE}, instead of the model store.`),
  }),
  async load({ model }, scope) {
    const inputs = ['input_1', ...MEMORY.map((name) => `input_${name}`)];
    const network = await openModelFile({ stage: 'vad', card: TEN_VAD, model }, FILE, inputs, scope);
    return {
      kind: 'vad',
      engine: 'ten-vad',
      caps: { rate: RATE, lookahead: samples(HOP, RATE) },
      async *run(input, { signal }) {
        const frames = new Frames(HOP, RATE);
        const line = new ActivityLine();
        let listener = new Listener(network);
        const judge = async function* (some: Iterable<Frame>): AsyncGenerator<Activity> {
          for (const frame of some) {
            if (frame.fresh) listener = new Listener(network);
            yield* line.tell(frame, await listener.hear(frame.pcm));
          }
        };
        for await (const chunk of until(input, signal)) yield* judge(frames.push(chunk));
        if (!signal.aborted) yield* judge(frames.end());
      },
    };
  },
});
