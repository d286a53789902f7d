import { Fft } from '../dsp/fft.ts';
import { type Band, hertz, mel } from '../dsp/mel.ts';

/** The front end's rate, and how far one frame is from the next, in samples. */
export const RATE = 16_000;
export const HOP = 160;
/** 25.625 ms. */
const WINDOW = 410;
const BINS = 512;
const BANDS = 25;
const LOWEST = 130;
const HIGHEST = 6_800;
const EMPHASIS = 0.97;
const LIFTER = 22;
/** Coefficients of a frame; the first is its level. */
export const CEPSTRA = 13;
/** Full scale of the samples the model was made from. */
const FULL_SCALE = 32_768;
const FLOOR = 1e-4;

/** Triangles of equal area whose corners lie on bins. */
function bands(): Band[] {
  const step = (mel(HIGHEST) - mel(LOWEST)) / (BANDS + 1);
  const spacing = RATE / BINS;
  const corner = (n: number) => Math.floor(hertz(mel(LOWEST) + step * n) / spacing + 0.5);
  return Array.from({ length: BANDS }, (_, n) => {
    const [left, top, right] = [corner(n), corner(n + 1), corner(n + 2)];
    const height = 2 / ((right - left) * spacing);
    const weights = Float64Array.from({ length: right - left + 1 }, (_, i) =>
      Math.min((height * i) / (top - left), (height * (right - left - i)) / (right - top)),
    );
    return { from: left, weights };
  });
}

/** Numbers of the noise tracker; the names are those of the source. */
const NOISE = { lambdaPower: 0.7, lambdaA: 0.995, lambdaB: 0.5, lambdaT: 0.85, muT: 0.2, maxGain: 20, smooth: 4 };

/** Takes steady noise out of the bands of one stream, frame by frame (pocketsphinx, `fe_noise.c`). */
class Quieter {
  readonly #power = new Float64Array(BANDS);
  readonly #noise = new Float64Array(BANDS);
  readonly #floor = new Float64Array(BANDS);
  readonly #peak = new Float64Array(BANDS);
  readonly #gain = new Float64Array(BANDS);
  #begun = false;

  /** Changes `levels` in place. */
  quiet(levels: Float64Array): void {
    const { lambdaPower, lambdaT, muT, maxGain, smooth } = NOISE;
    for (let n = 0; n < BANDS; n += 1) {
      const level = levels[n]!;
      if (!this.#begun) {
        this.#power[n] = level;
        this.#noise[n] = level / maxGain;
        this.#floor[n] = level / maxGain;
      }
      const power = lambdaPower * this.#power[n]! + (1 - lambdaPower) * level;
      this.#power[n] = power;
      this.#noise[n] = envelope(this.#noise[n]!, power);
      let signal = Math.max(1, power - this.#noise[n]!);
      this.#floor[n] = envelope(this.#floor[n]!, signal);
      // A sound hides what comes soon after it.
      const loud = signal;
      const peak = this.#peak[n]! * lambdaT;
      if (signal < lambdaT * peak) signal = peak * muT;
      this.#peak[n] = Math.max(loud, peak);
      signal = Math.max(signal, this.#floor[n]!);
      this.#gain[n] = Math.max(1 / maxGain, signal < maxGain * power ? signal / power : maxGain);
    }
    this.#begun = true;
    for (let n = 0; n < BANDS; n += 1) {
      const [from, to] = [Math.max(0, n - smooth), Math.min(BANDS - 1, n + smooth)];
      let sum = 0;
      for (let i = from; i <= to; i += 1) sum += this.#gain[i]!;
      levels[n]! *= sum / (to - from + 1);
    }
  }
}
/** Follows the lower edge of a level: slowly upwards, quickly downwards. */
function envelope(edge: number, level: number): number {
  const keep = level >= edge ? NOISE.lambdaA : NOISE.lambdaB;
  return keep * edge + (1 - keep) * level;
}

/**
 * Mel cepstra of one stream of 16 kHz samples, frame by frame: what the en-us model of PocketSphinx was made from.
 *
 * Frame n is about the 410 samples from sample 160·n on.
 *
 * @see https://github.com/cmusphinx/pocketsphinx, `fe_sigproc.c`, with the settings of the model's `feat.params`
 */
export class Cepstra {
  readonly #fft = new Fft(BINS);
  readonly #bands = bands();
  readonly #taper = Float64Array.from(
    { length: WINDOW },
    (_, i) => 0.54 - 0.46 * Math.cos((2 * Math.PI * i) / (WINDOW - 1)),
  );
  readonly #cosines = Array.from({ length: CEPSTRA }, (_, k) => {
    const scale = Math.sqrt((k === 0 ? 1 : 2) / BANDS) * (1 + (LIFTER / 2) * Math.sin((k * Math.PI) / LIFTER));
    return Float64Array.from({ length: BANDS }, (_, n) => scale * Math.cos((Math.PI / BANDS) * k * (n + 0.5)));
  });
  readonly #quieter = new Quieter();
  readonly #power = new Float64Array(BINS / 2 + 1);
  readonly #levels = new Float64Array(BANDS);
  readonly #windowed = new Float64Array(WINDOW);
  /** Samples of the frame in the making. */
  readonly #pcm = new Float32Array(WINDOW);
  #filled = 0;
  /** The sample before the frame. */
  #prior = 0;

  /** The frames that `pcm` (±1) completes. */
  *push(pcm: Float32Array): Generator<Float32Array> {
    for (let from = 0; from < pcm.length;) {
      const take = Math.min(WINDOW - this.#filled, pcm.length - from);
      this.#pcm.set(pcm.subarray(from, from + take), this.#filled);
      this.#filled += take;
      from += take;
      if (this.#filled < WINDOW) return;
      yield this.#frame();
      this.#prior = this.#pcm[HOP - 1]!;
      this.#pcm.copyWithin(0, HOP);
      this.#filled = WINDOW - HOP;
    }
  }
  /** The frame that is partly filled, if there is something new in it. What is pushed next is another stretch. */
  *end(): Generator<Float32Array> {
    this.#pcm.fill(0, this.#filled);
    if (this.#filled > 0) yield this.#frame();
    this.#filled = 0;
    this.#prior = 0;
  }

  #frame(): Float32Array {
    let prior = this.#prior;
    for (let i = 0; i < WINDOW; i += 1) {
      const sample = this.#pcm[i]!;
      this.#windowed[i] = i < this.#filled ? FULL_SCALE * (sample - EMPHASIS * prior) * this.#taper[i]! : 0;
      prior = sample;
    }
    this.#fft.power(this.#windowed, this.#power);
    for (const [n, { from, weights }] of this.#bands.entries()) {
      let sum = 0;
      for (let i = 0; i < weights.length; i += 1) sum += weights[i]! * this.#power[from + i]!;
      this.#levels[n] = sum;
    }
    this.#quieter.quiet(this.#levels);
    for (let n = 0; n < BANDS; n += 1) this.#levels[n] = Math.log(this.#levels[n]! + FLOOR);
    return Float32Array.from(this.#cosines, (cosine) => {
      let sum = 0;
      for (let n = 0; n < BANDS; n += 1) sum += cosine[n]! * this.#levels[n]!;
      return sum;
    });
  }
}

/** How far a frame's slopes and bends look to either side. */
export const AROUND = 3;
/** A level is worth as many frames as this when it is all that is known. */
const WORTH = 50;

/**
 * The mean of the cepstra of a voice and its channel, learned while it speaks.
 *
 * @see https://github.com/cmusphinx/pocketsphinx, `cmn_live.c`
 */
export class Level {
  readonly #sum = new Float64Array(CEPSTRA);
  #count: number;

  /** @param prior the mean of what was heard before */
  constructor(prior: ArrayLike<number>) {
    this.#count = WORTH;
    for (let n = 0; n < CEPSTRA; n += 1) this.#sum[n] = prior[n]! * WORTH;
  }

  hear(frame: Float32Array): void {
    // Digital silence says nothing about the channel.
    if (frame[0]! < 0) return;
    this.#count += 1;
    for (let n = 0; n < CEPSTRA; n += 1) this.#sum[n]! += frame[n]!;
  }
  mean(): Float64Array {
    return this.#sum.map((sum) => sum / this.#count);
  }
}
/** The mean that Debian's en-us model starts from (`-cmninit` of its `feat.params`). */
export const USUAL_LEVEL: readonly number[] = [
  41, -5.29, -0.12, 5.09, 2.48, -4.07, -1.37, -1.78, -5.08, -2.05, -6.45, -1.42, 1.17,
];

/**
 * What the acoustic model hears of a frame: its cepstra less the mean, their slope, and the slope's slope.
 *
 * @param at the cepstra of a frame, from `AROUND` before to `AROUND` after this one
 * @see https://github.com/cmusphinx/pocketsphinx, `feat.c`, type `1s_c_d_dd`
 */
export function featuresOf(frame: number, at: (frame: number) => Float32Array, mean: Float64Array): Float32Array {
  const features = new Float32Array(3 * CEPSTRA);
  const [a, b, c, d, e, f, g] = [-3, -2, -1, 0, 1, 2, 3].map((by) => at(frame + by));
  for (let n = 0; n < CEPSTRA; n += 1) {
    features[n] = d![n]! - mean[n]!;
    features[CEPSTRA + n] = f![n]! - b![n]!;
    features[2 * CEPSTRA + n] = g![n]! - c![n]! - (e![n]! - a![n]!);
  }
  return features;
}
