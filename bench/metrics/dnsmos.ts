import { join } from 'node:path';
import type { Scope } from '../../media/scope.ts';
import { openOnnx } from '../../models/runtime/onnx.ts';
import { floats, floatsOf } from '../../models/runtime/tensor.ts';

/** 16 kHz; the networks hear 9.01 s at a time, a second apart. */
const RATE = 16_000;
const LENGTH = 144_160;

/** What a listener would say, 1 (bad) … 5 (excellent), as networks have learnt to guess it. */
export interface Opinion {
  /** ITU-T P.835: of the speech, of the background, and of both. */
  readonly signal: number;
  readonly background: number;
  readonly overall: number;
  /** ITU-T P.808: of everything. */
  readonly quality: number;
}

/** What the P.835 network says becomes an opinion by a parabola: factors of x², x and 1. */
const PARABOLAS = {
  signal: [-0.08397278, 1.22083953, 0.0052439],
  background: [-0.13166888, 1.60915514, -0.39604546],
  overall: [-0.06766283, 1.11546468, 0.04602535],
} as const;
const parabola = ([a, b, c]: readonly [number, number, number], x: number) => (a * x + b) * x + c;

/** The P.808 network hears 900 frames of 120 mel bands. */
const FRAMES = 900;
const BANDS = 120;
const HOP = 160;
const WINDOW = 321;
const BINS = (WINDOW + 1) / 2;
/** Slaney's mel scale: linear up to 1 kHz, logarithmic above. */
const hertz = (mel: number) => (mel < 15 ? (mel * 200) / 3 : 1_000 * 6.4 ** ((mel - 15) / 27));
const HIGHEST = 15 + (27 * Math.log(8)) / Math.log(6.4);

function melBands(): Float64Array[] {
  const edges = Array.from({ length: BANDS + 2 }, (_, n) => hertz((n * HIGHEST) / (BANDS + 1)));
  return Array.from({ length: BANDS }, (_, n) => {
    const [left, middle, right] = [edges[n]!, edges[n + 1]!, edges[n + 2]!];
    return Float64Array.from({ length: BINS }, (_, bin) => {
      const here = (bin * RATE) / WINDOW;
      const height = Math.min((here - left) / (middle - left), (right - here) / (right - middle));
      return (2 / (right - left)) * Math.max(0, height);
    });
  });
}

/** The levels of mel bands, in 40 dB below the loudest one and above −1, `[900, 120]`, as librosa computes them. */
class MelLevels {
  readonly #bands = melBands();
  readonly #cos = Float64Array.from({ length: WINDOW }, (_, k) => Math.cos((2 * Math.PI * k) / WINDOW));
  readonly #sin = Float64Array.from({ length: WINDOW }, (_, k) => Math.sin((2 * Math.PI * k) / WINDOW));
  readonly #power = new Float64Array(BINS);

  of(pcm: Float32Array): Float32Array {
    const levels = new Float64Array(FRAMES * BANDS);
    for (let frame = 0; frame < FRAMES; frame += 1) {
      this.#spectrum(pcm, frame * HOP - (WINDOW - 1) / 2);
      for (const [band, weights] of this.#bands.entries()) {
        let sum = 0;
        for (let bin = 0; bin < BINS; bin += 1) sum += weights[bin]! * this.#power[bin]!;
        levels[frame * BANDS + band] = 10 * Math.log10(Math.max(1e-10, sum));
      }
    }
    const loudest = levels.reduce((most, level) => Math.max(most, level), -Infinity);
    return Float32Array.from(levels, (level) => (Math.max(level - loudest, -80) + 40) / 40);
  }

  /** By the definition: 321 is no power of anything. What lies outside of the signal is silence. */
  #spectrum(pcm: Float32Array, from: number): void {
    for (let bin = 0; bin < BINS; bin += 1) {
      let [re, im] = [0, 0];
      for (let i = 0; i < WINDOW; i += 1) {
        const sample = (pcm[from + i] ?? 0) * (0.5 - 0.5 * this.#cos[i]!);
        const turn = (bin * i) % WINDOW;
        re += sample * this.#cos[turn]!;
        im -= sample * this.#sin[turn]!;
      }
      this.#power[bin] = re * re + im * im;
    }
  }
}

/**
 * Loads DNSMOS: `sig_bak_ovr.onnx` and `model_v8.onnx` of a directory. Closes with `scope`.
 *
 * What it returns takes 16 kHz audio of any length (short audio is repeated) and blocks while it computes.
 *
 * @see C. Reddy et al., "DNSMOS P.835: A Non-Intrusive Perceptual Objective Speech Quality Metric", ICASSP 2022
 * @see https://github.com/microsoft/DNS-Challenge/blob/master/DNSMOS/dnsmos_local.py
 */
export async function openDnsmos(directory: string, scope: Scope): Promise<(pcm: Float32Array) => Promise<Opinion>> {
  const p835 = await openOnnx(join(directory, 'sig_bak_ovr.onnx'), scope);
  const p808 = await openOnnx(join(directory, 'model_v8.onnx'), scope);
  const mel = new MelLevels();
  const hear = async (pcm: Float32Array): Promise<Opinion> => {
    const three = floatsOf((await p835.run({ input_1: floats(pcm, [1, LENGTH]) }))['Identity:0'], 'Identity:0');
    const levels = floats(mel.of(pcm.subarray(0, -HOP)), [1, FRAMES, BANDS]);
    const one = floatsOf((await p808.run({ input_1: levels }))['Identity:0'], 'Identity:0');
    return {
      signal: parabola(PARABOLAS.signal, three[0]!),
      background: parabola(PARABOLAS.background, three[1]!),
      overall: parabola(PARABOLAS.overall, three[2]!),
      quality: one[0]!,
    };
  };
  return async (pcm) => {
    let audio = pcm;
    while (audio.length < LENGTH) {
      const twice = new Float32Array(2 * audio.length);
      twice.set(audio);
      twice.set(audio, audio.length);
      audio = twice;
    }
    const opinions: Opinion[] = [];
    // As the original counts: whole seconds, of which the first excerpt needs nine and every further one another.
    const count = Math.max(1, Math.floor(audio.length / RATE) - 9);
    for (let n = 0; n < count && n * RATE + LENGTH <= audio.length; n += 1) {
      opinions.push(await hear(audio.slice(n * RATE, n * RATE + LENGTH)));
    }
    const mean = (key: keyof Opinion) => opinions.reduce((sum, each) => sum + each[key], 0) / opinions.length;
    return {
      signal: mean('signal'),
      background: mean('background'),
      overall: mean('overall'),
      quality: mean('quality'),
    };
  };
}
