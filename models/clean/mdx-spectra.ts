import { RealFft, spectrumOf } from '../dsp/real-fft.ts';

/** How an MDX-Net hears: what its makers publish beside it. */
export interface MdxShape {
  /** Samples of a window of the Fourier transform, and how far one is from the next. */
  readonly fft: number;
  readonly hop: number;
  /** Bins from 0 on that the network hears, and windows at a time. */
  readonly bins: number;
  readonly frames: number;
}
/** Samples that the network hears at a time. */
export const lengthOf = ({ hop, frames }: MdxShape): number => hop * (frames - 1);

/** The lowest bins are not given to the network, as in Ultimate Vocal Remover. */
const DEAF = 3;

/** Reflects an index at the ends of `length` samples. */
const reflected = (n: number, length: number) => (n < 0 ? -n : n >= length ? 2 * (length - 1) - n : n);

/** One window's bins. */
interface Column {
  readonly re: Float32Array;
  readonly im: Float32Array;
}

/**
 * The short-time spectra of a stretch of sound that moves on, there and back.
 *
 * As PyTorch's `stft` and `istft` with a periodic Hann window, `center` and reflection, which MDX-Net was trained with.
 * Windows that were heard whole before are not transformed again.
 */
export class MdxSpectra {
  readonly #shape: MdxShape;
  readonly #fft: RealFft;
  readonly #window: Float64Array;
  readonly #spectrum;
  readonly #signal: Float64Array;
  #columns: Column[] = [];

  constructor(shape: MdxShape) {
    this.#shape = shape;
    this.#fft = new RealFft(shape.fft);
    this.#spectrum = spectrumOf(shape.fft);
    this.#signal = new Float64Array(shape.fft);
    this.#window = Float64Array.from(
      { length: shape.fft },
      (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / shape.fft),
    );
  }

  /**
   * The network's input for a mono stretch, heard on both ears: left real, left imaginary, right real, right imaginary;
   * of each, bins by windows.
   *
   * @param moved by how many windows the stretch has moved on since the last call
   */
  forward(pcm: Float32Array, moved: number): Float32Array {
    const { fft, hop, bins, frames } = this.#shape;
    const length = lengthOf(this.#shape);
    const isWhole = (t: number) => t * hop >= fft / 2 && t * hop + fft / 2 <= length;
    const before = this.#columns;
    this.#columns = Array.from({ length: frames }, (_, t) => {
      const same = isWhole(t) && isWhole(t + moved) ? before[t + moved] : undefined;
      return same ?? this.#column(pcm, t * hop - fft / 2);
    });
    const ear = bins * frames;
    const input = new Float32Array(4 * ear);
    for (const [t, { re, im }] of this.#columns.entries()) {
      for (let bin = DEAF; bin < bins; bin += 1) {
        input[bin * frames + t] = re[bin]!;
        input[ear + bin * frames + t] = im[bin]!;
      }
    }
    input.copyWithin(2 * ear, 0, 2 * ear);
    return input;
  }

  /** The sound from sample `from` to `to` of what the network made, both ears mixed. */
  inverse(output: Float32Array, from: number, to: number): Float32Array {
    const { fft, hop, bins, frames } = this.#shape;
    const sum = new Float64Array(to - from);
    const weight = new Float64Array(to - from);
    const first = Math.max(0, Math.ceil((from - fft / 2) / hop));
    const last = Math.min(frames - 1, Math.floor((to + fft / 2) / hop));
    const ear = bins * frames;
    const { re, im } = this.#spectrum;
    for (let t = first; t <= last; t += 1) {
      re.fill(0);
      im.fill(0);
      for (let bin = 0; bin < bins; bin += 1) {
        const at = bin * frames + t;
        re[bin] = (output[at]! + output[2 * ear + at]!) / 2;
        im[bin] = (output[ear + at]! + output[3 * ear + at]!) / 2;
      }
      this.#fft.inverse(this.#spectrum, this.#signal);
      const start = t * hop - fft / 2 - from;
      for (let i = Math.max(0, -start); i < fft && start + i < sum.length; i += 1) {
        const window = this.#window[i]!;
        sum[start + i]! += this.#signal[i]! * window;
        weight[start + i]! += window * window;
      }
    }
    return Float32Array.from(sum, (value, i) => (weight[i]! > 1e-11 ? value / weight[i]! : 0));
  }

  #column(pcm: Float32Array, start: number): Column {
    const { bins } = this.#shape;
    const length = lengthOf(this.#shape);
    for (const [i, window] of this.#window.entries()) {
      this.#signal[i] = pcm[reflected(start + i, length)]! * window;
    }
    this.#fft.forward(this.#signal, this.#spectrum);
    const { re, im } = this.#spectrum;
    return { re: Float32Array.from(re.subarray(0, bins)), im: Float32Array.from(im.subarray(0, bins)) };
  }
}
