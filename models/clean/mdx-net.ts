import { z } from 'zod';
import type { AudioChunk } from '../../media/audio.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { Stems } from '../../pipeline/domain.ts';
import { defineEngine } from '../engine.ts';
import { MdxSpectra, type MdxShape, lengthOf } from './mdx-spectra.ts';
import { openModelFile } from '../store/model-file.ts';
import { networkSettings } from '../runtime/runtime-settings.ts';
import { type Network, floats, floatsOf } from '../runtime/tensor.ts';
import { type Cleaner, type Framing, lookaheadOf, trailing } from './trailing.ts';
import { type ModelCard, needsModel } from '../store/weights.ts';

const RATE = 44_100;
const CHANNELS = 4;

const RELEASES = 'https://github.com/TRvlvr/model_repo/releases/download/all_public_uvr_models';
/** What their makers say of the networks (`model_data_new.json` of https://github.com/TRvlvr/application_data). */
const NETWORKS = {
  'voc-ft': { file: 'UVR-MDX-NET-Voc_FT.onnx', fft: 7_680, compensate: 1.021 },
  'kim-vocal-2': { file: 'Kim_Vocal_2.onnx', fft: 7_680, compensate: 1.009 },
} as const;
type NetworkName = keyof typeof NETWORKS;

/**
 * Ultimate Vocal Remover's networks. Its README asks developers who use the models to "honor the MIT license by providing
 * credit to UVR and its developers"; nothing else is said of the weights' licence.
 */
const card = (name: NetworkName, title: string): ModelCard => ({
  name: `mdx-${name}`,
  summary: `${title}: an MDX-Net that takes voices out of a mix, 44.1 kHz.`,
  home: 'https://github.com/Anjok07/ultimatevocalremovergui',
  licence: 'MIT (credit to UVR and its developers)',
  languages: 'any',
  device: 'gpu',
  files: [{ name: NETWORKS[name].file, url: `${RELEASES}/${NETWORKS[name].file}` }],
});
export const MDX_CARDS: Readonly<Record<NetworkName, ModelCard>> = {
  'voc-ft': card('voc-ft', 'UVR-MDX-NET Voc FT'),
  'kim-vocal-2': card('kim-vocal-2', 'Kim Vocal 2'),
};

/** How the stretches that the network hears follow each other, in samples. */
interface Moves {
  readonly shape: MdxShape;
  /** How far one stretch is from the next; a multiple of the hop. */
  readonly stride: number;
  readonly compensate: number;
}

/**
 * The voices in one stretch of sound without a gap.
 *
 * Each time a stride has come, the network hears the last few seconds, and the stride before the last is taken from what
 * it makes: at the edges it has too little to go by. A hop of it is faded over from what the network made the time before.
 */
class VoiceSeparator implements Cleaner {
  readonly #network: Network;
  readonly #moves: Moves;
  readonly #spectra: MdxSpectra;
  readonly #heard: Float32Array;
  #before: Float32Array | undefined;

  constructor(network: Network, moves: Moves) {
    this.#network = network;
    this.#moves = moves;
    this.#spectra = new MdxSpectra(moves.shape);
    this.#heard = new Float32Array(lengthOf(moves.shape));
  }

  async clean(pcm: Float32Array): Promise<Float32Array> {
    const { shape, stride, compensate } = this.#moves;
    const { hop, bins, frames } = shape;
    this.#heard.copyWithin(0, stride);
    this.#heard.set(pcm, this.#heard.length - stride);
    const input = floats(this.#spectra.forward(this.#heard, stride / hop), [1, CHANNELS, bins, frames]);
    const { output } = await this.#network.run({ input }, { give: 'all' });
    const from = this.#heard.length - 2 * stride;
    // The next stride's first hop comes with it, to be faded out.
    const made = this.#spectra.inverse(floatsOf(output, 'output'), from, from + stride + hop);
    for (let n = 0; n < made.length; n += 1) made[n]! *= compensate;
    for (let n = 0; this.#before && n < hop; n += 1) {
      const share = (n + 0.5) / hop;
      made[n] = share * made[n]! + (1 - share) * this.#before[n]!;
    }
    this.#before = made.slice(stride);
    return made.slice(0, stride);
  }
}

/** What is heard while voices are on their way. */
class Queue {
  #parts: Float32Array[] = [];

  push(pcm: Float32Array): void {
    this.#parts.push(pcm.slice());
  }
  /** The oldest `count` samples. */
  shift(count: number): Float32Array {
    const out = new Float32Array(count);
    for (let filled = 0; filled < count;) {
      const part = this.#parts[0];
      if (!part) throw new RangeError(`Cannot take ${count} samples: only ${filled} are there`);
      const take = Math.min(part.length, count - filled);
      out.set(part.subarray(0, take), filled);
      filled += take;
      if (take === part.length) this.#parts.shift();
      else this.#parts[0] = part.subarray(take);
    }
    return out;
  }
}

/** The network's stretches as the settings and the file have them. Throws a `RangeError` that says what would do. */
function movesOf(shape: MdxShape, seconds: number, compensate: number): Moves {
  const { fft, hop } = shape;
  const stride = Math.max(1, Math.round((seconds * RATE) / hop)) * hop;
  const [least, most] = [fft / 2 + hop, (lengthOf(shape) - fft / 2) / 2];
  if (stride < least || stride > most) {
    const range = `${(least / RATE).toFixed(3)} and ${(most / RATE).toFixed(3)}`;
    throw new RangeError(
      `Cannot use MDX-Net: 'stride' must be between ${range} seconds for this network, received ${seconds}`,
    );
  }
  return { shape, stride, compensate };
}

/**
 * MDX-Net: takes the voices out of a mix by their spectra; what is left is the rest.
 *
 * @see https://github.com/kuielab/mdx-net (Kim et al., "KUIELab-MDX-Net", 2021)
 * @see https://github.com/nomadkaraoke/python-audio-separator, `mdx_separator.py`, for how Ultimate Vocal Remover's
 *   networks are run: spectra, lowest bins, compensation
 */
export const mdxNet = defineEngine({
  kind: 'separator',
  id: 'mdx-net',
  host: 'thread',
  summary: 'MDX-Net: takes voices out of music and noise, two seconds late; wants a GPU.',
  licence: 'MIT',
  needs: [needsModel(MDX_CARDS['voc-ft'])],
  models: Object.values(MDX_CARDS),
  config: z.strictObject({
    model: z.string().min(1).optional().describe('Directory with the network, instead of the model store.'),
    network: z.enum(['voc-ft', 'kim-vocal-2']).default('voc-ft').describe('Which network.'),
    file: z.string().min(1).optional().describe("The network's file in the directory, if it has another name."),
    fft: z.int().min(16).max(65_536).optional().describe("Samples of a window, if the network's are not the usual."),
    hop: z.int().min(1).max(16_384).default(1_024).describe('Samples from one window to the next.'),
    compensate: z.number().min(0.1).max(10).optional().describe('By what the voices are multiplied, if not the usual.'),
    voices: z
      .boolean()
      .default(true)
      .describe('The network makes the voices; false when it makes what is left without them.'),
    stride: z
      .number()
      .positive()
      .default(1)
      .describe('Seconds from one run of the network to the next. Twice this is how late the voices come.'),
    runtime: networkSettings.prefault({}),
  }),
  async load({ model, network: name, file, fft, hop, compensate, voices, stride, runtime }, scope) {
    const usual = NETWORKS[name];
    const place = { stage: 'separator', card: MDX_CARDS[name], model } as const;
    const network = await openModelFile(place, file ?? usual.file, ['input'], scope, { settings: runtime });
    const [, channels, bins, frames] = network.inputs.find((port) => port.name === 'input')?.shape ?? [];
    if (channels !== CHANNELS || typeof bins !== 'number' || typeof frames !== 'number') {
      throw new Fault('separator', 'broken', `Cannot use ${file ?? usual.file}: it is no MDX-Net of two channels`);
    }
    const shape: MdxShape = { fft: fft ?? usual.fft, hop, bins, frames };
    if (shape.bins > shape.fft / 2 + 1) {
      throw new RangeError(
        `Cannot use MDX-Net: 'fft' must be at least ${2 * (bins - 1)} for ${bins} bins, received ${shape.fft}`,
      );
    }
    const moves = movesOf(shape, stride, compensate ?? usual.compensate);
    const framing: Framing = { rate: RATE, frame: moves.stride, lag: 1 };
    return {
      kind: 'separator',
      engine: `mdx-net ${name}`,
      caps: { rate: RATE, lookahead: lookaheadOf(framing) },
      async *run(input, { signal }) {
        const mix = new Queue();
        const tapped = async function* (): AsyncGenerator<AudioChunk> {
          for await (const chunk of input) {
            mix.push(chunk.pcm);
            yield chunk;
          }
        };
        const open = () => new VoiceSeparator(network, moves);
        for await (const { start, rate, pcm } of trailing(tapped(), signal, framing, open)) {
          const whole = mix.shift(pcm.length);
          const rest = whole.map((sample, n) => sample - pcm[n]!);
          const [speech, other] = voices ? [pcm, rest] : [rest, pcm];
          yield { start, rate, speech, rest: other } satisfies Stems;
        }
      },
    };
  },
});
