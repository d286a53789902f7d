import { type Embedding, type Mask, kept } from './embedding.ts';
import { vectorOf } from './embedding-kaldi.ts';
import { energy, evenBands } from './embedding-mel.ts';
import { type Network, floats } from '../runtime/tensor.ts';

const RATE = 16_000;
const SIZE = 400;
const HOP = 160;
const BANDS = 80;
/** Decibels below the loudest band under which nothing is told apart. */
const RANGE = 80;

/** The power of bins 0 … 200 of 400 samples: 400 is no power of two, so the transform is taken as it is written. */
class Spectrum {
  readonly #cos = Float64Array.from({ length: SIZE }, (_, k) => Math.cos((2 * Math.PI * k) / SIZE));
  readonly #sin = Float64Array.from({ length: SIZE }, (_, k) => Math.sin((2 * Math.PI * k) / SIZE));

  power(signal: Float64Array, out: Float64Array): void {
    // Samples that lie opposite each other have the same cosine and the opposite sine.
    for (let bin = 0; bin <= SIZE / 2; bin += 1) {
      let [re, im] = [signal[0]! + signal[SIZE / 2]! * (bin % 2 === 0 ? 1 : -1), 0];
      for (let i = 1, k = bin; i < SIZE / 2; i += 1, k = (k + bin) % SIZE) {
        re += (signal[i]! + signal[SIZE - i]!) * this.#cos[k]!;
        im -= (signal[i]! - signal[SIZE - i]!) * this.#sin[k]!;
      }
      out[bin] = re * re + im * im;
    }
  }
}

/** SpeechBrain's filter bank: 80 bands every 10 ms in decibels, less their mean over the voice. */
export class SpeechBrainFbank {
  readonly #spectrum = new Spectrum();
  readonly #bands = evenBands(BANDS, SIZE, RATE);
  /** Torch's Hamming window, which is periodic. */
  readonly #taper = Float64Array.from({ length: SIZE }, (_, i) => 0.54 - 0.46 * Math.cos((2 * Math.PI * i) / SIZE));
  readonly #frame = new Float64Array(SIZE);
  readonly #power = new Float64Array(SIZE / 2 + 1);

  /** A row for each frame whose middle lies where the mask says, one after the other. */
  of(pcm: Float32Array, mask?: Mask): Float32Array {
    const frames = kept(mask, 1 + Math.floor(pcm.length / HOP), HOP, pcm.length);
    const out = new Float32Array(frames.length * BANDS);
    let loudest = -Infinity;
    for (const [row, n] of frames.entries()) {
      const from = n * HOP - SIZE / 2;
      for (let i = 0; i < SIZE; i += 1) this.#frame[i] = (pcm[from + i] ?? 0) * this.#taper[i]!;
      this.#spectrum.power(this.#frame, this.#power);
      for (const [k, band] of this.#bands.entries()) {
        const level = 10 * Math.log10(Math.max(1e-10, energy(band, this.#power)));
        out[row * BANDS + k] = level;
        loudest = Math.max(loudest, level);
      }
    }
    const mean = new Float64Array(BANDS);
    for (const [i, level] of out.entries())
      mean[i % BANDS]! += (out[i] = Math.max(level, loudest - RANGE)) / frames.length;
    for (let i = 0; i < out.length; i += 1) out[i]! -= mean[i % BANDS]!;
    return out;
  }
}

/**
 * ECAPA-TDNN as SpeechBrain trained it on VoxCeleb, exported by `models/export/embedding_reference.py`.
 *
 * @see https://huggingface.co/speechbrain/spkrec-ecapa-voxceleb
 */
export class Ecapa implements Embedding {
  readonly name = 'ecapa';
  readonly rate = RATE;
  readonly dimension = 192;
  /** As SpeechBrain's own verification has it (`SpeakerRecognition.verify_batch`). */
  readonly threshold = 0.25;
  readonly shortest = 0.5;
  readonly #network: Network;
  readonly #fbank = new SpeechBrainFbank();

  constructor(network: Network) {
    this.#network = network;
  }

  async embed(pcm: Float32Array, mask?: Mask): Promise<Float32Array | undefined> {
    const features = this.#fbank.of(pcm, mask);
    const count = features.length / BANDS;
    if (count * HOP < this.shortest * RATE) return undefined;
    const { embedding } = await this.#network.run({ feats: floats(features, [1, count, BANDS]) });
    return vectorOf(embedding?.data, this, 'embedding');
  }
}
