import { type Embedding, type Mask, kept } from './embedding.ts';
import { vectorOf } from './embedding-kaldi.ts';
import { energy, slaneyBands } from './embedding-mel.ts';
import { Fft } from '../dsp/fft.ts';
import { type Network, floats } from '../runtime/tensor.ts';

const RATE = 16_000;
const SIZE = 512;
const WINDOW = 400;
const HOP = 160;
const BANDS = 80;
const PREEMPHASIS = 0.97;
/** Added before the logarithm, and to the deviation before it divides. */
const GUARD = 2 ** -24;
const CONSTANT = 1e-5;
/** Frames come in multiples of this. */
const MULTIPLE = 16;

/**
 * NeMo's mel spectrogram: 80 bands every 10 ms, each with mean 0 and deviation 1 over the voice.
 *
 * @see https://github.com/NVIDIA/NeMo/blob/main/nemo/collections/asr/parts/preprocessing/features.py `FilterbankFeatures`
 */
export class NemoMel {
  readonly #fft = new Fft(SIZE);
  readonly #bands = slaneyBands(BANDS, SIZE, RATE);
  /** A symmetric Hann window in the middle of the transform. */
  readonly #taper = Float64Array.from(
    { length: WINDOW },
    (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / (WINDOW - 1)),
  );
  readonly #frame = new Float64Array(SIZE);
  readonly #power = new Float64Array(SIZE / 2 + 1);

  /** Bands by frames, `count` of them voice and zeros up to the next multiple of 16. */
  of(pcm: Float32Array, mask?: Mask): { readonly data: Float32Array; readonly count: number; readonly padded: number } {
    const frames = kept(mask, Math.floor(pcm.length / HOP), HOP, pcm.length);
    const count = frames.length;
    const padded = Math.ceil((count + 1) / MULTIPLE) * MULTIPLE;
    const data = new Float32Array(BANDS * padded);
    const left = (SIZE - WINDOW) / 2;
    for (const [column, n] of frames.entries()) {
      const from = n * HOP - SIZE / 2 + left;
      this.#frame.fill(0);
      for (let i = 0; i < WINDOW; i += 1) {
        const at = from + i;
        const sample = (pcm[at] ?? 0) - (at > 0 && at < pcm.length ? PREEMPHASIS * pcm[at - 1]! : 0);
        this.#frame[left + i] = sample * this.#taper[i]!;
      }
      this.#fft.power(this.#frame, this.#power);
      for (const [k, band] of this.#bands.entries()) {
        data[k * padded + column] = Math.log(energy(band, this.#power) + GUARD);
      }
    }
    for (let k = 0; k < BANDS; k += 1) {
      const row = data.subarray(k * padded, k * padded + count);
      const mean = row.reduce((sum, x) => sum + x, 0) / count;
      const deviation = Math.sqrt(row.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (count - 1)) + CONSTANT;
      for (let n = 0; n < count; n += 1) row[n] = (row[n]! - mean) / deviation;
    }
    return { data, count, padded };
  }
}

/**
 * TitaNet-small of NVIDIA's NeMo, as sherpa-onnx publishes it.
 *
 * @see https://catalog.ngc.nvidia.com/orgs/nvidia/teams/nemo/models/titanet_small
 */
export class TitaNet implements Embedding {
  readonly name = 'titanet';
  readonly rate = RATE;
  readonly dimension = 192;
  /** NeMo's own verification takes 0.7 of a likeness that it moves from −1 … 1 to 0 … 1. */
  readonly threshold = 0.4;
  readonly shortest = 0.5;
  readonly #network: Network;
  readonly #mel = new NemoMel();

  constructor(network: Network) {
    this.#network = network;
  }

  async embed(pcm: Float32Array, mask?: Mask): Promise<Float32Array | undefined> {
    const { data, count, padded } = this.#mel.of(pcm, mask);
    if (count * HOP < this.shortest * RATE) return undefined;
    const { embs } = await this.#network.run({
      audio_signal: floats(data, [1, BANDS, padded]),
      length: { data: BigInt64Array.of(BigInt(count)), dims: [1] },
    });
    return vectorOf(embs?.data, this, 'embs');
  }
}
