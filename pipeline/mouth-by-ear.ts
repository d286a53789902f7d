import type { Mouth } from './visemes.ts';

/** What is heard is measured every 10 ms, over 25 ms; seconds. Takes have 16 kHz. */
export const BLOCKS = { step: 0.01, width: 0.025 } as const;
const RATE = 16_000;

/** Loudness below the loud parts of the speech, dB: 0 … 1 of the scale; and where silence begins. */
const RANGE = 30;
const SILENT = 34;
/** Silence is so much above the noise floor at most, dB. */
const ABOVE_NOISE = 8;
/** Shorter silences are the closures of stops; seconds. */
const PAUSE = 0.12;
/** Speech that is shorter than this between two silences is a click; seconds. */
const CLICK = 0.03;

/** Blocks that the mouth's inertia would make it late by. */
const AHEAD = 2;

const decibels = (power: number) => 10 * Math.log10(power + 1e-10);
const quantile = (sorted: Float32Array, q: number) => sorted[Math.round(q * (sorted.length - 1))] ?? -100;

/** How loud a dub is, block by block, against its own loud parts. `lead` seconds of silence stand before it. */
export class Loudness {
  readonly count: number;
  readonly #level: Float32Array;
  readonly #loud: number;
  readonly #silent: number;

  constructor(pcm: Float32Array, lead: number, count: number) {
    this.count = count;
    this.#level = Float32Array.from({ length: count }, (_, n) => decibels(powerAt(pcm, n * BLOCKS.step - lead)));
    const heard = this.#level.filter((level) => level > -70).sort();
    this.#loud = quantile(heard, 0.9);
    const floor = quantile(heard, 0.05);
    // Noise fills pauses: silence is what does not stand out from it, unless the dub never pauses.
    const noisy = this.#loud - floor > 15 ? floor + ABOVE_NOISE : -100;
    this.#silent = Math.min(this.#loud - 12, Math.max(this.#loud - SILENT, noisy));
  }

  /** 0 (30 dB below the loud parts) … 1 (as loud as they are). */
  at(n: number): number {
    return Math.min(1.1, Math.max(0, 1 + (this.#level[n]! - this.#loud) / RANGE));
  }

  level(n: number): number {
    return this.#level[n]!;
  }

  isSilent(n: number): boolean {
    return this.#level[n]! < this.#silent;
  }

  /** Pauses of the dub, seconds from the first block. */
  silences(): [number, number][] {
    const silent = Array.from({ length: this.count }, (_, n) => this.isSilent(n));
    const runs: { from: number; to: number; silent: boolean }[] = [];
    for (const [n, quiet] of silent.entries()) {
      const last = runs.at(-1);
      if (last?.silent === quiet) last.to = n + 1;
      else runs.push({ from: n, to: n + 1, silent: quiet });
    }
    const stretches: [number, number][] = [];
    for (const { from, to, silent: quiet } of runs) {
      const last = stretches.at(-1);
      const begin = from * BLOCKS.step;
      if (!quiet) continue;
      if (last && begin - last[1] <= CLICK) last[1] = to * BLOCKS.step;
      else stretches.push([begin, to * BLOCKS.step]);
    }
    return stretches.filter(([from, to]) => to - from >= PAUSE);
  }
}

function powerAt(pcm: Float32Array, t: number): number {
  const from = Math.max(0, Math.round((t - BLOCKS.width / 2) * RATE));
  const to = Math.min(pcm.length, Math.round((t + BLOCKS.width / 2) * RATE));
  let sum = 0;
  for (let i = from; i < to; i += 1) sum += pcm[i]! * pcm[i]!;
  return sum / (BLOCKS.width * RATE);
}

/**
 * Bands that tell vowels apart, Hz: where the first formant of close and of open vowels is, where the second of back and
 * of front vowels is, and where only hisses are (formants after Peterson & Barney 1952).
 */
const BANDS = [
  [200, 450],
  [550, 1_000],
  [800, 1_300],
  [1_700, 2_800],
  [4_000, 7_000],
] as const;

/** The mouth as the sound alone lets one guess it, block by block; what it cannot tell is left at rest. */
export function heardMouth(
  pcm: Float32Array,
  loudness: Loudness,
  lead: number,
  put: (block: number, mouth: Mouth) => void,
): void {
  const { count } = loudness;
  const bands = BANDS.map(([low, high]) => {
    const band = bandpass(pcm, low, high);
    return Float32Array.from({ length: count }, (_, n) => decibels(powerAt(band, n * BLOCKS.step - lead)));
  });
  let [open, spread, round] = [0, 0, 0];
  for (let n = 0; n < count; n += 1) {
    const [close, wide, back, front, hiss] = bands.map((band) => band[n]!) as [number, number, number, number, number];
    const quiet = loudness.isSilent(n);
    const voiced = Math.max(close, wide);
    const hisses = hiss > voiced - 3;
    // Between −12 dB (close) and +4 dB (open) of the first formant's two places; front against back likewise.
    const height = Math.min(1, Math.max(0, (wide - close + 12) / 16));
    const fronted = Math.min(1, Math.max(-1, (front - back + 10) / 14));
    const energy = loudness.at(n);
    const wanted = quiet ? 0 : hisses ? 0.18 : energy ** 1.5 * (0.3 + 0.75 * height);
    const shape = quiet || hisses ? 0 : fronted * (1 - 0.5 * height);
    // A mouth has mass: it follows within 40 ms, lips within 70.
    open += (wanted - open) * 0.35;
    spread += ((hisses ? 0.25 : Math.max(-0.6, 0.7 * shape)) - spread) * 0.2;
    round += (Math.max(0, -shape) - round) * 0.2;
    put(Math.max(0, n - AHEAD), {
      open,
      spread,
      round,
      press: 0,
      tuck: 0,
      teeth: hisses ? 0.9 : 0.4 + 0.3 * Math.max(0, shape),
      tongue: 0.2,
    });
  }
}

/** A band of the signal: high pass and low pass of second order (RBJ, Audio EQ Cookbook). */
function bandpass(pcm: Float32Array, low: number, high: number): Float32Array {
  return filtered(filtered(pcm, low, 'high'), Math.min(high, RATE * 0.49), 'low');
}
function filtered(pcm: Float32Array, frequency: number, pass: 'low' | 'high'): Float32Array {
  const w = (2 * Math.PI * frequency) / RATE;
  const [cos, alpha] = [Math.cos(w), Math.sin(w) / Math.SQRT2];
  const edge = pass === 'low' ? 1 - cos : 1 + cos;
  const a0 = 1 + alpha;
  const [b0, b1] = [edge / 2 / a0, (pass === 'low' ? edge : -edge) / a0];
  const [a1, a2] = [(-2 * cos) / a0, (1 - alpha) / a0];
  const out = new Float32Array(pcm.length);
  let [x1, x2, y1, y2] = [0, 0, 0, 0];
  for (let i = 0; i < pcm.length; i += 1) {
    const x = pcm[i]!;
    const y = b0 * x + b1 * x1 + b0 * x2 - a1 * y1 - a2 * y2;
    [x2, x1, y2, y1] = [x1, x, y1, y];
    out[i] = y;
  }
  return out;
}
