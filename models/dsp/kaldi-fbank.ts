import { Fft } from './fft.ts';
import { type Tensor, floats } from '../runtime/tensor.ts';

/** How a filter bank is computed; what is left out is as Kaldi has it for 16 kHz speech. */
export interface FbankOptions {
  /** Hertz. 16 000 unless told. */
  readonly rate?: number;
  /** How many mel bands. 80 unless told. */
  readonly bands?: number;
  /** Milliseconds of a window and between windows. 25 and 10 unless told. */
  readonly length?: number;
  readonly shift?: number;
  /** `povey`, Kaldi's own, unless told: a Hann window to the power 0.85. */
  readonly window?: 'povey' | 'hamming' | 'hanning';
  /** The lowest band's lower edge, hertz. 20 unless told. */
  readonly lowest?: number;
  /** The highest band's upper edge, hertz; 0 or less counts from half the rate down. 0 unless told. */
  readonly highest?: number;
  /** 0.97 unless told. */
  readonly preemphasis?: number;
  /**
   * Whether windows lie inside the signal only (`true` unless told); otherwise there is one window per shift, centred,
   * and the signal is mirrored at its ends.
   */
  readonly snipEdges?: boolean;
  /** What samples of ±1 are multiplied by. 32 768 unless told: Kaldi counts as 16-bit integers do; 1 leaves them. */
  readonly scale?: number;
}

/** Where a logarithm begins: the smallest `float` that changes 1. */
const FLOOR = 1.1920928955078125e-7;

const mel = (hertz: number) => 1_127 * Math.log(1 + hertz / 700);

/** One mel band: its first bin of the spectrum and the weights from there on. */
interface Band {
  readonly from: number;
  readonly weights: Float64Array;
}
function bandsOf(count: number, size: number, rate: number, lowest: number, highest: number): Band[] {
  const top = highest > 0 ? highest : rate / 2 + highest;
  if (!(lowest >= 0 && lowest < top && top <= rate / 2)) {
    throw new RangeError(`Cannot make a filter bank: ${lowest} … ${top} Hz does not lie in 0 … ${rate / 2} Hz`);
  }
  const [low, step] = [mel(lowest), (mel(top) - mel(lowest)) / (count + 1)];
  return Array.from({ length: count }, (_, n) => {
    const [left, centre, right] = [low + n * step, low + (n + 1) * step, low + (n + 2) * step];
    const weights: number[] = [];
    let from = 0;
    // Kaldi leaves the bin at half the rate out.
    for (let bin = 0; bin < size / 2; bin += 1) {
      const here = mel((bin * rate) / size);
      if (here <= left || here >= right) continue;
      if (weights.length === 0) from = bin;
      weights.push(here <= centre ? (here - left) / (centre - left) : (right - here) / (right - centre));
    }
    return { from, weights: Float64Array.from(weights) };
  });
}

const SHAPES = {
  povey: (phase: number) => (0.5 - 0.5 * Math.cos(phase)) ** 0.85,
  hamming: (phase: number) => 0.54 - 0.46 * Math.cos(phase),
  hanning: (phase: number) => 0.5 - 0.5 * Math.cos(phase),
};

/**
 * Log mel filter bank energies as Kaldi computes them, without dither, of a signal that comes piece by piece.
 *
 * One row of `bands` per window: mean taken off, pre-emphasis, window, power spectrum (the next power of two), triangles
 * on the mel scale, natural logarithm.
 *
 * @see https://github.com/kaldi-asr/kaldi/blob/master/src/feat/feature-window.cc
 * @see https://github.com/kaldi-asr/kaldi/blob/master/src/feat/mel-computations.cc
 */
export class KaldiFbank {
  readonly bands: number;
  /** Samples of a window and between windows. */
  readonly length: number;
  readonly shift: number;
  readonly #snip: boolean;
  readonly #scale: number;
  readonly #preemphasis: number;
  readonly #taper: Float64Array;
  readonly #fft: Fft;
  readonly #filters: readonly Band[];
  readonly #frame: Float64Array;
  readonly #power: Float64Array;
  /** Samples that windows to come still need, and where in the signal the first of them lies. */
  #kept = new Float32Array(0);
  #origin = 0;
  #rows = 0;

  constructor(options: FbankOptions = {}) {
    const { rate = 16_000, bands = 80, length = 25, shift = 10, window = 'povey' } = options;
    const { lowest = 20, highest = 0, preemphasis = 0.97, snipEdges = true, scale = 32_768 } = options;
    this.bands = bands;
    this.length = Math.floor(rate * 0.001 * length);
    this.shift = Math.floor(rate * 0.001 * shift);
    this.#snip = snipEdges;
    this.#scale = scale;
    this.#preemphasis = preemphasis;
    const step = (2 * Math.PI) / (this.length - 1);
    this.#taper = Float64Array.from({ length: this.length }, (_, i) => SHAPES[window](step * i));
    const size = 2 ** Math.ceil(Math.log2(this.length));
    this.#fft = new Fft(size);
    this.#filters = bandsOf(bands, size, rate, lowest, highest);
    this.#frame = new Float64Array(size);
    this.#power = new Float64Array(size / 2 + 1);
  }

  /** The rows that have become whole with these samples, which lie in ±1. */
  push(pcm: Float32Array): Float32Array<ArrayBuffer>[] {
    const kept = new Float32Array(this.#kept.length + pcm.length);
    kept.set(this.#kept);
    kept.set(pcm, this.#kept.length);
    this.#kept = kept;
    const rows: Float32Array<ArrayBuffer>[] = [];
    while (this.#startOf(this.#rows) + this.length <= this.#origin + this.#kept.length) rows.push(this.#next());
    // Enough for mirroring, too: no window reaches further past the end than half of itself.
    const drop = Math.min(this.#startOf(this.#rows) - this.#origin, this.#kept.length);
    if (drop > 0) {
      this.#kept = this.#kept.slice(drop);
      this.#origin += drop;
    }
    return rows;
  }

  /** The rows that only the end of the signal makes whole. What is pushed next is a new signal. */
  end(): Float32Array<ArrayBuffer>[] {
    const rows: Float32Array<ArrayBuffer>[] = [];
    const total = this.#origin + this.#kept.length;
    const count = this.#snip ? 0 : Math.floor((total + this.shift / 2) / this.shift);
    while (this.#rows < count) rows.push(this.#next());
    this.#kept = new Float32Array(0);
    this.#origin = 0;
    this.#rows = 0;
    return rows;
  }

  #startOf(row: number): number {
    return row * this.shift + (this.#snip ? 0 : Math.floor(this.shift / 2) - Math.floor(this.length / 2));
  }

  #next(): Float32Array<ArrayBuffer> {
    const start = this.#startOf(this.#rows++);
    const frame = this.#frame;
    let mean = 0;
    for (let i = 0; i < this.length; i += 1) mean += frame[i] = this.#sample(start + i) * this.#scale;
    mean /= this.length;
    let before = frame[0]! - mean;
    for (let i = 0; i < this.length; i += 1) {
      const here = frame[i]! - mean;
      frame[i] = (here - this.#preemphasis * before) * this.#taper[i]!;
      before = here;
    }
    this.#fft.power(frame, this.#power);
    const row = new Float32Array(this.bands);
    for (const [n, { from, weights }] of this.#filters.entries()) {
      let energy = 0;
      for (let i = 0; i < weights.length; i += 1) energy += weights[i]! * this.#power[from + i]!;
      row[n] = Math.log(Math.max(energy, FLOOR));
    }
    return row;
  }

  /** A sample of the signal, which is mirrored at its ends. */
  #sample(at: number): number {
    const total = this.#origin + this.#kept.length;
    let i = at;
    while (i < 0 || i >= total) i = i < 0 ? -i - 1 : 2 * total - 1 - i;
    return this.#kept[i - this.#origin] ?? 0;
  }
}

/** The filter bank of a whole signal (samples in ±1): `[rows, bands]`. */
export function fbank(pcm: Float32Array, options: FbankOptions = {}): Tensor {
  const bank = new KaldiFbank(options);
  const rows = [...bank.push(pcm), ...bank.end()];
  const data = new Float32Array(rows.length * bank.bands);
  for (const [n, row] of rows.entries()) data.set(row, n * bank.bands);
  return floats(data, [rows.length, bank.bands]);
}
