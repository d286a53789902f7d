import { z } from 'zod';
import type { Scope } from '../../media/scope.ts';
import { DeepFilterFeatures } from './deepfilter-features.ts';
import { deepFilter } from './deep-filter.ts';
import { defineEngine } from '../engine.ts';
import { bandsOfBins, erbWidths } from './erb.ts';
import { type ModelPlace, openModelFile } from '../store/model-file.ts';
import type { Spectrum } from '../dsp/real-fft.ts';
import { Stft, vorbis } from '../dsp/stft.ts';
import { type Network, type Tensor, type Tensors, floats, floatsOf } from '../runtime/tensor.ts';
import { type Cleaner, type Framing, lookaheadOf, trailing } from './trailing.ts';
import { type ModelCard, needsModel } from '../store/weights.ts';

const RATE = 48_000;
const WINDOW = 960;
const HOP = WINDOW / 2;
const WIDTHS = erbWidths(RATE, WINDOW, 32, 2);
const BAND_OF = bandsOfBins(WIDTHS);
/** The lowest bins, up to 4.8 kHz, are filtered; the others are turned down. */
const BINS = 96;
/** Frames that a bin is filtered over: two before, two after. The network hears those two, too. */
const ORDER = 5;
const AHEAD = 2;
/** A hop for the overlap of windows and the frames ahead. */
const FRAMING: Framing = { rate: RATE, frame: HOP, lag: 1 + AHEAD };
/** How far back in time the convolutions of the encoder and of the filter's decoder reach, with the frame itself. */
const ENCODED = 3;
const DECODED = 5;

/** From this on there is no limit to how much is taken out. */
const UNLIMITED = 100;

const URL =
  'https://raw.githubusercontent.com/shimondoodkin/deepfilter-rt/f1a1b27be767a5e62ccc8625017f1737c33a3bf9/models/dfn3';
export const DFN3: ModelCard = {
  name: 'deepfilternet3',
  summary: 'DeepFilterNet3, exported with the states of its recurrent layers as inputs and outputs.',
  home: 'https://github.com/Rikorose/DeepFilterNet',
  licence: 'MIT OR Apache-2.0',
  languages: 'any',
  device: 'cpu',
  speed: 'real-time factor 0.16 on one CPU core',
  files: [
    {
      name: 'enc_conv_streaming.onnx',
      url: `${URL}/enc_conv_streaming.onnx`,
      bytes: 335_259,
      sha256: '11dfeac787f54dcfe2302c1b3e8544a4d838196563951de3708b68a443658358',
    },
    {
      name: 'enc_gru_streaming.onnx',
      url: `${URL}/enc_gru_streaming.onnx`,
      bytes: 1_618_389,
      sha256: '7df17720d04f67aac8f4dbd17e11842a48e741355c1782de2c23e0748ccca55f',
    },
    {
      name: 'erb_dec_streaming.onnx',
      url: `${URL}/erb_dec_streaming.onnx`,
      bytes: 3_293_008,
      sha256: 'e1c69a1517f16a97cec2f8a0658167bbe1c827b4f3ef3b203d13247086d27506',
    },
    {
      name: 'df_dec_streaming.onnx',
      url: `${URL}/df_dec_streaming.onnx`,
      bytes: 3_341_390,
      sha256: '0ee258e7420711e0f0f702e169af015462234d33865d832be1ea66140fb7a093',
    },
  ],
};

interface Networks {
  readonly convolutions: Network;
  readonly recurrence: Network;
  readonly bandDecoder: Network;
  readonly filterDecoder: Network;
}
/** Opens the four networks of a directory. */
export async function openDeepFilterNet(place: ModelPlace, scope: Scope): Promise<Networks> {
  const network = (name: string, inputs: readonly string[]) => openModelFile(place, name, inputs, scope);
  return {
    convolutions: await network('enc_conv_streaming.onnx', ['feat_erb', 'feat_spec']),
    recurrence: await network('enc_gru_streaming.onnx', ['emb', 'h0']),
    bandDecoder: await network('erb_dec_streaming.onnx', ['emb', 'e3', 'e2', 'e1', 'e0', 'erb_h0']),
    filterDecoder: await network('df_dec_streaming.onnx', ['emb', 'c0', 'df_h0']),
  };
}

const made = (tensors: Tensors, name: string): Tensor => {
  const tensor = tensors[name];
  if (!tensor) throw new TypeError(`DeepFilterNet gave out no '${name}'`);
  return tensor;
};
/** Frames `[channels, width]` one after the other in time: `[1, channels, frames, width]`. */
function inTime(frames: readonly Float32Array[], channels: number): Tensor {
  const width = frames[0]!.length / channels;
  const data = new Float32Array(channels * frames.length * width);
  for (const [n, frame] of frames.entries()) {
    for (let c = 0; c < channels; c += 1) {
      data.set(frame.subarray(c * width, (c + 1) * width), (c * frames.length + n) * width);
    }
  }
  return floats(data, [1, channels, frames.length, width]);
}
/** Adds to the end, and forgets what is older than `count`. */
const remember = <T>(past: T[], item: T, count: number) => {
  past.push(item);
  if (past.length > count) past.shift();
};

/**
 * DeepFilterNet's networks with the memory of one stream: a frame's features in, a filtering out.
 *
 * The convolutions over time have no state of their own, so they are given the frames that they reach back to. The
 * encoder answers about the last of them only; the filter's decoder goes through all of them again.
 */
export class DeepFilterNet {
  readonly #networks: Networks;
  readonly #erbs: Float32Array[] = [];
  readonly #specs: Float32Array[] = [];
  readonly #embeddings: Float32Array[] = [];
  readonly #paths: Float32Array[] = [];
  /** The state of the filter decoder's recurrence before each of the frames that it is given. */
  readonly #filterStates: Tensor[] = [];
  #filterState: Tensor = floats(new Float32Array(2 * 256), [2, 1, 256]);
  #bandState: Tensor = floats(new Float32Array(2 * 256), [2, 1, 256]);
  #state: Tensor = floats(new Float32Array(256), [1, 1, 256]);

  constructor(networks: Networks) {
    this.#networks = networks;
  }

  /** What to do with the frame whose features these are. */
  async hear(features: { readonly erb: Float32Array; readonly spec: Float32Array }) {
    const { convolutions, recurrence, bandDecoder, filterDecoder } = this.#networks;
    remember(this.#erbs, features.erb, ENCODED);
    remember(this.#specs, features.spec, ENCODED);
    const encoded = await convolutions.run({ feat_erb: inTime(this.#erbs, 1), feat_spec: inTime(this.#specs, 2) });
    const recurred = await recurrence.run({ emb: made(encoded, 'emb'), h0: this.#state });
    this.#state = made(recurred, 'h1');
    const embedding = floatsOf(made(recurred, 'emb_out'), 'emb_out');

    const bands = await bandDecoder.run({
      emb: floats(embedding, [1, 1, embedding.length]),
      e3: made(encoded, 'e3'),
      e2: made(encoded, 'e2'),
      e1: made(encoded, 'e1'),
      e0: made(encoded, 'e0'),
      erb_h0: this.#bandState,
    });
    this.#bandState = made(bands, 'erb_h1');

    remember(this.#embeddings, embedding, DECODED);
    remember(this.#paths, floatsOf(made(encoded, 'c0'), 'c0'), DECODED);
    remember(this.#filterStates, this.#filterState, DECODED);
    const filters = await filterDecoder.run({
      emb: floats(inTime(this.#embeddings, 1).data as Float32Array, [1, this.#embeddings.length, embedding.length]),
      c0: inTime(this.#paths, 64),
      df_h0: this.#filterStates[0]!,
    });
    this.#filterState = made(filters, 'df_h1');
    return {
      gains: floatsOf(made(bands, 'm'), 'm'),
      weights: floatsOf(made(filters, 'coefs'), 'coefs').subarray(-BINS * ORDER * 2),
    };
  }
}

/** DeepFilterNet with its transform, for one stretch of audio. */
class Denoiser implements Cleaner {
  readonly #net: DeepFilterNet;
  readonly #rest: number;
  readonly #stft = new Stft(vorbis(WINDOW));
  readonly #features = new DeepFilterFeatures(WIDTHS, BINS, 1 / WINDOW);
  readonly #out = this.#stft.spectrum();
  /** The spectra that are filtered over, oldest first. */
  readonly #heard: Spectrum[] = Array.from({ length: ORDER }, () => this.#stft.spectrum());

  constructor(networks: Networks, rest: number) {
    this.#net = new DeepFilterNet(networks);
    this.#rest = rest;
  }

  async clean(samples: Float32Array): Promise<Float32Array> {
    const spectrum = this.#heard.shift()!;
    this.#heard.push(spectrum);
    this.#stft.analyse(samples, spectrum);
    const filtering = await this.#net.hear(this.#features.of(spectrum));
    deepFilter(this.#heard, filtering, BAND_OF, BINS, this.#rest, this.#out);
    return this.#stft.synthesise(this.#out);
  }
}

/**
 * DeepFilterNet3: takes noise out of full-band speech, 40 ms late.
 *
 * Bands above 4.8 kHz are turned down, bins below are filtered over five frames, by what a recurrent network makes of a
 * frame and the two after it.
 *
 * @see https://github.com/Rikorose/DeepFilterNet/blob/main/libDF/src/tract.rs
 */
export const deepfilternet = defineEngine({
  kind: 'enhancer',
  id: 'deepfilternet3',
  host: 'thread',
  summary: 'DeepFilterNet3 noise suppression: full band, 40 ms late.',
  licence: 'MIT OR Apache-2.0',
  needs: [needsModel(DFN3)],
  models: [DFN3],
  config: z.strictObject({
    model: z.string().min(1).optional().describe('Directory with the four networks, instead of the model store.'),
    attenuation: z
      .number()
      .min(0)
      .max(UNLIMITED)
      .default(UNLIMITED)
      .describe('Decibels by which noise is turned down at most; 100 is without limit, 0 leaves everything as it is.'),
  }),
  async load({ model, attenuation }, scope) {
    const networks = await openDeepFilterNet({ stage: 'enhancer', card: DFN3, model }, scope);
    const rest = attenuation >= UNLIMITED ? 0 : 10 ** (-attenuation / 20);
    return {
      kind: 'enhancer',
      engine: 'deepfilternet3',
      caps: { rate: RATE, lookahead: lookaheadOf(FRAMING) },
      run: (input, { signal }) => trailing(input, signal, FRAMING, () => new Denoiser(networks, rest)),
    };
  },
});
