import { RealFft, type Spectrum, spectrumOf } from './real-fft.ts';

/** The square root of a (periodic) Hann window. */
export const rootHann = (size: number): Float64Array =>
  Float64Array.from({ length: size }, (_, i) => Math.sin((Math.PI * i) / size));

/** Vorbis's window (Vorbis I specification, §4.3.1). */
export const vorbis = (size: number): Float64Array =>
  Float64Array.from({ length: size }, (_, i) => Math.sin((Math.PI / 2) * Math.sin((Math.PI * (i + 0.5)) / size) ** 2));

/**
 * The short-time Fourier transform of one stream, a hop at a time, and back by overlap-add.
 *
 * The window is applied both ways and must be half overlapped and add up to one (`rootHann`, `vorbis`). So the signal
 * comes back as it was, a hop later.
 */
export class Stft {
  readonly hop: number;
  readonly #window: Float64Array;
  readonly #fft: RealFft;
  readonly #heard: Float64Array;
  readonly #frame: Float64Array;
  readonly #overlap: Float64Array;

  constructor(window: Float64Array) {
    this.hop = window.length / 2;
    this.#window = window;
    this.#fft = new RealFft(window.length);
    this.#heard = new Float64Array(window.length);
    this.#frame = new Float64Array(window.length);
    this.#overlap = new Float64Array(this.hop);
  }

  /** A spectrum of zeros of the right size. */
  spectrum(): Spectrum {
    return spectrumOf(this.#window.length);
  }

  /** Takes in `hop` samples; writes the spectrum of the window that ends with them, without a factor. */
  analyse(samples: Float32Array, spectrum: Spectrum): void {
    this.#heard.copyWithin(0, this.hop);
    this.#heard.set(samples, this.hop);
    for (let i = 0; i < this.#frame.length; i += 1) this.#frame[i] = this.#heard[i]! * this.#window[i]!;
    this.#fft.forward(this.#frame, spectrum);
  }

  /** Gives out `hop` samples: those at the beginning of the window that this is the spectrum of. */
  synthesise(spectrum: Spectrum): Float32Array<ArrayBuffer> {
    this.#fft.inverse(spectrum, this.#frame);
    const samples = new Float32Array(this.hop);
    for (let i = 0; i < this.hop; i += 1) {
      samples[i] = this.#overlap[i]! + this.#frame[i]! * this.#window[i]!;
      this.#overlap[i] = this.#frame[i + this.hop]! * this.#window[i + this.hop]!;
    }
    return samples;
  }
}
