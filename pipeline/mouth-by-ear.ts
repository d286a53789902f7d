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

  /** 0 (30 dB below the loud parts) … 1 (as loud as they are), over 50 ms, since lips follow no faster. */
  at(n: number): number {
    let sum = 0;
    for (let k = n - 2; k <= n + 2; k += 1) {
      const level = this.#level[Math.min(this.count - 1, Math.max(0, k))]!;
      sum += Math.min(1.1, Math.max(0, 1 + (level - this.#loud) / RANGE));
    }
    return sum / 5;
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
 * Bands that tell vowels apart, Hz (formants after Peterson & Barney 1952): where the first formant of close vowels is, and
 * that of open ones; everything that rounded vowels have; where other back vowels have their second formant, where
 * front ones do; where only hisses are.
 */
const BANDS = { close: [200, 450], wide: [550, 1_000], low: [200, 950], back: [1_050, 1_600], front: [1_750, 2_800], hiss: [4_000, 7_000] } as const; // prettier-ignore
type Band = keyof typeof BANDS;

/** The mouth as the sound alone lets one guess it, block by block; what it cannot tell is left at rest. */
export function heardMouth(
  pcm: Float32Array,
  loudness: Loudness,
  lead: number,
  put: (block: number, mouth: Mouth) => void,
): void {
  const { count } = loudness;
  const levels = (band: Band) => {
    const [low, high] = BANDS[band];
    const heard = bandpass(bandpass(pcm, low, high), low, high);
    return Float32Array.from({ length: count }, (_, n) => decibels(powerAt(heard, n * BLOCKS.step - lead)));
  };
  const [closes, wides, lows, backs, fronts, hisses] = (Object.keys(BANDS) as Band[]).map(levels) as [Float32Array, Float32Array, Float32Array, Float32Array, Float32Array, Float32Array]; // prettier-ignore
  let [open, spread, round] = [0, 0, 0];
  for (let n = 0; n < count; n += 1) {
    const [back, front, low] = [backs[n]!, fronts[n]!, lows[n]!];
    const quiet = loudness.isSilent(n);
    const hissing = hisses[n]! > low - 3;
    const share = (x: number) => Math.min(1, Math.max(0, x));
    // From 12 dB less (close) to 4 dB more (open) where the first formant of open vowels is.
    const height = share((wides[n]! - closes[n]! + 12) / 16);
    // Rounded vowels have next to nothing above their second formant, which is low: 14 dB less, or 24.
    const rounded = share((low - Math.max(back, front) - 14) / 10);
    const fronted = share((front - back + 2) / 10);
    const wanted = quiet ? 0 : hissing ? 0.18 : loudness.at(n) ** 1.5 * (0.3 + 0.75 * height * (1 - 0.6 * rounded));
    const wide = quiet ? 0 : hissing ? 0.25 : 0.7 * fronted * (1 - 0.5 * height) * (1 - rounded) - 0.5 * rounded;
    // A mouth has mass: it follows within 40 ms, lips within 70.
    open += (wanted - open) * 0.35;
    spread += (wide - spread) * 0.2;
    round += ((quiet || hissing ? 0 : rounded) - round) * 0.2;
    put(Math.max(0, n - AHEAD), {
      open,
      spread,
      round,
      press: 0,
      tuck: 0,
      teeth: hissing ? 0.9 : 0.4 + 0.3 * Math.max(0, wide),
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
