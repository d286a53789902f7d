import { energy, slaneyBands } from '../speakers/embedding-mel.ts';
import { RealFft, spectrumOf } from '../dsp/real-fft.ts';

export const WHISPER_RATE = 16_000;
/** Samples from one frame to the next: 10 ms. */
export const WHISPER_HOP = 160;
const WINDOW = 400;
/** Whisper's floor, and how far below the loudest band of the window everything is cut off: 80 dB. */
const FLOOR = 1e-10;
const RANGE = 8;
const EMPTY = Math.log10(FLOOR);

/**
 * The audio that Whisper hears at once, as it hears it: the log-mel spectrogram of a window of fixed length, silence
 * behind what has come so far.
 *
 * Audio is pushed at the end and dropped from the beginning. A frame is computed once, when the audio around it is
 * there; only the two at each edge are computed anew, because there the audio is mirrored.
 *
 * @see https://github.com/openai/whisper/blob/main/whisper/audio.py (the numbers, and `log_mel_spectrogram`)
 */
export class MelWindow {
  /** Samples that fit. */
  readonly size: number;
  readonly bands: number;
  readonly #mels: ReturnType<typeof slaneyBands>;
  readonly #fft = new RealFft(WINDOW);
  readonly #spectrum = spectrumOf(WINDOW);
  readonly #power = new Float64Array(WINDOW / 2 + 1);
  readonly #cut = new Float64Array(WINDOW);
  readonly #taper = Float64Array.from({ length: WINDOW }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / WINDOW));
  readonly #pcm: Float32Array;
  #length = 0;
  /** Logarithms of the bands of frames that will not change, by frame; the first and the last two are not among them. */
  #frames: (Float32Array | undefined)[] = [];

  /**
   * @param bands 80, or 128 for large-v3
   * @param frames length of the window in frames, 3000 for the published models
   */
  constructor(bands: number, frames: number) {
    this.bands = bands;
    this.size = frames * WHISPER_HOP;
    this.#mels = slaneyBands(bands, WINDOW, WHISPER_RATE);
    this.#pcm = new Float32Array(this.size);
  }

  /** What has been pushed and not dropped. Borrowed until the next push or drop. */
  get pcm(): Float32Array {
    return this.#pcm.subarray(0, this.#length);
  }

  /** Adds samples; what does not fit is refused. */
  push(pcm: Float32Array): void {
    if (this.#length + pcm.length > this.size) {
      throw new RangeError(`Cannot hear ${this.#length + pcm.length} samples at once: the window has ${this.size}`);
    }
    this.#pcm.set(pcm, this.#length);
    this.#length += pcm.length;
  }

  /** Forgets the first `count` samples, a whole number of frames. */
  drop(count: number): void {
    if (count % WHISPER_HOP !== 0 || count < 0 || count > this.#length) {
      throw new RangeError(`Cannot drop ${count} of ${this.#length} samples: a whole number of frames is dropped`);
    }
    this.#pcm.copyWithin(0, count, this.#length);
    this.#length -= count;
    this.#frames = this.#frames.slice(count / WHISPER_HOP);
    // At the edge there is a mirror now.
    this.#frames.splice(0, 2, undefined, undefined);
  }

  /** Band by band, `bands` × `size / 160` values, as the encoder takes them. */
  features(): Float32Array {
    const frames = this.size / WHISPER_HOP;
    // The window of the frame before last begins before the last sample.
    const sounding = Math.min(frames, Math.ceil((this.#length + WINDOW / 2) / WHISPER_HOP));
    const columns = Array.from({ length: sounding }, (_, n) => this.#frame(n));
    let loudest = EMPTY;
    for (const column of columns) for (const value of column) if (value > loudest) loudest = value;
    const least = loudest - RANGE;
    const scaled = (value: number) => (Math.max(value, least) + 4) / 4;
    const features = new Float32Array(this.bands * frames).fill(scaled(EMPTY));
    for (const [n, column] of columns.entries()) {
      for (let band = 0; band < this.bands; band += 1) features[band * frames + n] = scaled(column[band]!);
    }
    return features;
  }

  #frame(n: number): Float32Array {
    const known = this.#frames[n];
    if (known) return known;
    const from = n * WHISPER_HOP - WINDOW / 2;
    for (let i = 0; i < WINDOW; i += 1) {
      const at = Math.abs(from + i);
      const mirrored = at < this.size ? at : 2 * (this.size - 1) - at;
      this.#cut[i] = (mirrored < this.#length ? this.#pcm[mirrored]! : 0) * this.#taper[i]!;
    }
    this.#fft.forward(this.#cut, this.#spectrum);
    const { re, im } = this.#spectrum;
    for (let k = 0; k < this.#power.length; k += 1) this.#power[k] = re[k]! * re[k]! + im[k]! * im[k]!;
    const column = Float32Array.from(this.#mels, (band) => Math.log10(Math.max(energy(band, this.#power), FLOOR)));
    if (from >= 0 && from + WINDOW <= this.#length) this.#frames[n] = column;
    return column;
  }
}
