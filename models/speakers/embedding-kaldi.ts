import { type Embedding, type Mask, kept, unit } from './embedding.ts';
import { type FbankOptions, fbank } from '../dsp/kaldi-fbank.ts';
import { type Network, type Tensor, floats } from '../runtime/tensor.ts';

const RATE = 16_000;
const BANDS = 80;
const HOP = 160;

/** What differs between the networks that hear Kaldi's filter bank. */
export interface KaldiVoice {
  readonly name: string;
  readonly dimension: number;
  readonly threshold: number;
  /** Names of the network's input and output. */
  readonly input: string;
  readonly output: string;
  readonly fbank: FbankOptions;
}

/** WeSpeaker scales samples as 16-bit integers and takes a Hamming window (`wespeaker/bin/infer_onnx.py`). */
export const WESPEAKER: FbankOptions = { bands: BANDS, window: 'hamming', scale: 32_768 };
/** 3D-Speaker leaves samples within ±1 and takes Kaldi's own window (`speakerlab/process/processor.py`). */
export const THREE_D_SPEAKER: FbankOptions = { bands: BANDS, window: 'povey', scale: 1 };

/**
 * 80 Kaldi mel bands every 10 ms, less their mean over the voice: one row per frame that the mask has. The mean is taken
 * over what the mask has alone, so that nobody else's voice is in it.
 */
export function kaldiFeatures(pcm: Float32Array, mask: Mask | undefined, options: FbankOptions): Float32Array {
  const { data, dims } = fbank(pcm, options);
  const rows = kept(mask, dims[0] ?? 0, HOP, pcm.length).map((n) =>
    (data as Float32Array).subarray(n * BANDS, (n + 1) * BANDS),
  );
  const mean = new Float64Array(BANDS);
  for (const row of rows) for (let k = 0; k < BANDS; k += 1) mean[k]! += row[k]! / rows.length;
  const out = new Float32Array(rows.length * BANDS);
  for (const [n, row] of rows.entries()) for (let k = 0; k < BANDS; k += 1) out[n * BANDS + k] = row[k]! - mean[k]!;
  return out;
}

/**
 * A network that hears Kaldi's filter bank: WeSpeaker's ResNet and CAM++, 3D-Speaker's CAM++ and ERes2Net.
 *
 * @see https://github.com/wenet-e2e/wespeaker/blob/master/docs/pretrained.md
 * @see https://github.com/modelscope/3D-Speaker
 */
export class KaldiEmbedding implements Embedding {
  readonly name: string;
  readonly rate = RATE;
  readonly dimension: number;
  readonly threshold: number;
  readonly shortest = 0.5;
  readonly #voice: KaldiVoice;
  readonly #network: Network;

  constructor(voice: KaldiVoice, network: Network) {
    this.name = voice.name;
    this.dimension = voice.dimension;
    this.threshold = voice.threshold;
    this.#voice = voice;
    this.#network = network;
  }

  async embed(pcm: Float32Array, mask?: Mask): Promise<Float32Array | undefined> {
    const features = kaldiFeatures(pcm, mask, this.#voice.fbank);
    const count = features.length / BANDS;
    if (count * HOP < this.shortest * RATE) return undefined;
    const { input, output } = this.#voice;
    const outputs = await this.#network.run({ [input]: floats(features, [1, count, BANDS]) });
    return vectorOf(outputs[output]?.data, this.#voice, output);
  }
}

/** The embedding as a network gave it, brought to length 1. Refuses one that is not what was promised. */
export function vectorOf(
  data: Tensor['data'] | undefined,
  { name, dimension }: { readonly name: string; readonly dimension: number },
  output: string,
): Float32Array {
  if (data instanceof Float32Array && data.length === dimension) return unit(data);
  const found = data instanceof Float32Array ? `${data.length} numbers` : 'nothing';
  throw new TypeError(
    `Cannot use this model as ${name}: ${dimension} numbers were expected of '${output}', not ${found}`,
  );
}
