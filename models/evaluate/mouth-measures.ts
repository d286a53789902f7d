import { IBUG, centreOf, eyeDistance } from '../../pipeline/ibug.ts';
import { Fft } from '../dsp/fft.ts';

/** How mouths and faces move, from landmarks alone. Landmarks are 68 points of iBUG 300-W as x, y, x, y …. */

/** Nose, brows and eyes: what speech moves little. */
const STEADY = [17, 48] as const;

/** The mouth's points around their own middle, in eye distances: where the head is does not matter, nor its size. */
export function mouthShape(points: Float32Array): Float32Array {
  const [x, y] = centreOf(points, IBUG.mouth);
  const unit = eyeDistance(points) || 1;
  const shape = new Float32Array(2 * (IBUG.mouth[1] - IBUG.mouth[0]));
  for (let n = 0; n < shape.length; n += 2) {
    shape[n] = (points[2 * IBUG.mouth[0] + n]! - x) / unit;
    shape[n + 1] = (points[2 * IBUG.mouth[0] + n + 1]! - y) / unit;
  }
  return shape;
}
/** The mean distance of points that belong together. */
export function meanDistance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let n = 0; n + 1 < a.length; n += 2) sum += Math.hypot(a[n]! - b[n]!, a[n + 1]! - b[n + 1]!);
  return sum / (a.length / 2);
}
export const difference = (a: Float32Array, b: Float32Array): Float32Array => a.map((value, n) => value - b[n]!);

/**
 * How much points tremble: the mean length of their second differences over three pictures, in eye distances. Points of
 * the mouth are taken around the middle of eyes and nose, so that the head's own trembling is not theirs.
 */
export function tremble(before: Float32Array, now: Float32Array, after: Float32Array): { face: number; mouth: number } {
  const unit = eyeDistance(now) || 1;
  const places = [before, now, after].map((points) => centreOf(points, STEADY));
  const second = (of: (points: Float32Array, at: readonly [number, number], n: number) => number, n: number) =>
    of(before, places[0]!, n) - 2 * of(now, places[1]!, n) + of(after, places[2]!, n);
  const mean = ([from, to]: readonly [number, number], around: boolean) => {
    let sum = 0;
    for (let n = from; n < to; n += 1) {
      const x = second((points, at, i) => points[2 * i]! - (around ? at[0] : 0), n);
      const y = second((points, at, i) => points[2 * i + 1]! - (around ? at[1] : 0), n);
      sum += Math.hypot(x, y) / unit;
    }
    return sum / (to - from);
  };
  return { face: mean(STEADY, false), mouth: mean(IBUG.mouth, true) };
}

/** Pearson's correlation of what both know; NaN counts as not known. Nothing where fewer than eight are known, or one is constant. */
export function correlation(a: readonly number[], b: readonly number[]): number | undefined {
  let [count, sa, sb, saa, sbb, sab] = [0, 0, 0, 0, 0, 0];
  for (const [n, x] of a.entries()) {
    const y = b[n] ?? Number.NaN;
    if (Number.isNaN(x) || Number.isNaN(y)) continue;
    count += 1;
    sa += x;
    sb += y;
    saa += x * x;
    sbb += y * y;
    sab += x * y;
  }
  if (count < 8) return undefined;
  const [va, vb] = [saa - (sa * sa) / count, sbb - (sb * sb) / count];
  if (va <= 1e-12 || vb <= 1e-12) return undefined;
  return (sab - (sa * sb) / count) / Math.sqrt(va * vb);
}

/** Where sound goes with a mouth. */
export interface MouthOffset {
  /** By how many steps the sound is late. */
  readonly late: number;
  /** The correlation there. */
  readonly correlation: number;
  /** The correlation where it is. */
  readonly here: number;
}
/** Fewer steps than this tell nothing. */
const LEAST = 50;
/** The best of thirty shifts of what has nothing to do with each other comes to 0.25 or so. */
const SURE = 0.3;

/**
 * Finds by how much sound is late against a mouth: where its level correlates best with how far the mouth is open. The
 * peak is refined by a parabola. Nothing where too little is known, or where the mouth has nothing to do with the sound.
 *
 * @param openings one a step; NaN where no mouth is seen
 * @param levels of the sound, one a step
 * @param most steps to either side
 */
export function mouthOffset(
  openings: readonly number[],
  levels: readonly number[],
  most: number,
): MouthOffset | undefined {
  if (openings.filter((value) => !Number.isNaN(value)).length < LEAST) return undefined;
  const at = (shift: number) =>
    correlation(
      openings,
      openings.map((_, n) => levels[n + shift] ?? Number.NaN),
    );
  const shifts = Array.from({ length: 2 * most + 1 }, (_, n) => at(n - most));
  if (shifts.some((value) => value === undefined)) return undefined;
  const values = shifts as number[];
  const peak = values.indexOf(Math.max(...values));
  const top = values[peak]!;
  if (top < SURE) return undefined;
  const [left, right] = [values[peak - 1], values[peak + 1]];
  const bend = left === undefined || right === undefined ? 0 : left - 2 * top + right;
  const fine = bend < 0 ? (left! - right!) / (2 * bend) : 0;
  return { late: peak - most + fine, correlation: top, here: values[most]! };
}

const RATE = 16_000;
/**
 * How loud speech is, one value a step of `1/rate` s around each step's middle: decibels above a floor 40 dB below the
 * loud passages (the 95th percentile), 0 … 1.
 */
export function soundLevels(pcm: Float32Array, steps: number, rate = 25): number[] {
  const width = RATE / rate;
  // A little wider than a step, as a mouth does not follow single periods.
  const reach = width;
  const powers = Array.from({ length: steps }, (_, n) => {
    const centre = (n + 0.5) * width;
    const [from, to] = [Math.max(0, Math.round(centre - reach)), Math.min(pcm.length, Math.round(centre + reach))];
    let sum = 0;
    for (let i = from; i < to; i += 1) sum += pcm[i]! * pcm[i]!;
    return 10 * Math.log10(sum / (2 * reach) + 1e-10);
  });
  const loud = powers.toSorted((a, b) => a - b)[Math.floor(0.95 * (steps - 1))] ?? 0;
  // What is nowhere louder than this is silence.
  if (loud < -70) return powers.map(() => 0);
  return powers.map((power) => Math.min(1, Math.max(0, (power - loud + 40) / 40)));
}

const BINS = 1_024;
/** The formants of vowels, for which a mouth opens; hum, music's bass and hiss are left out. */
const VOWELS = { from: 500, to: 4_000 };
/**
 * How strong vowels are, one value a step of `1/rate` s: the amplitude of 500 … 4000 Hz around the step's middle. A mouth's
 * opening goes with it better than with the level of everything.
 */
export function vowelLevels(pcm: Float32Array, steps: number, rate = 25): number[] {
  const fft = new Fft(BINS);
  const [taken, power] = [new Float64Array(BINS), new Float64Array(BINS / 2 + 1)];
  const [low, high] = [(VOWELS.from * BINS) / RATE, (VOWELS.to * BINS) / RATE];
  return Array.from({ length: steps }, (_, n) => {
    const from = Math.round(((n + 0.5) * RATE) / rate - BINS / 2);
    for (let i = 0; i < BINS; i += 1) {
      taken[i] = (pcm[from + i] ?? 0) * (0.5 - 0.5 * Math.cos((2 * Math.PI * i) / BINS));
    }
    fft.power(taken, power);
    let sum = 0;
    for (let bin = low; bin <= high; bin += 1) sum += power[bin]!;
    return Math.sqrt(sum);
  });
}

/** The mean of each with its two neighbours, of those that are known. */
export const smooth = (values: readonly number[]): number[] =>
  values.map((value, n) => {
    if (Number.isNaN(value)) return value;
    const known = [values[n - 1], value, values[n + 1]].filter(
      (each): each is number => each !== undefined && !Number.isNaN(each),
    );
    return known.reduce((sum, each) => sum + each, 0) / known.length;
  });

/**
 * How much a mouth moves around each step. A mouth may stand open in silence; what goes with speech, and with the moment at
 * which it is spoken, is that it moves.
 */
export const motion = (openings: readonly number[]): number[] =>
  smooth(smooth(openings.map((value, n) => Math.abs((openings[n + 1] ?? value) - (openings[n - 1] ?? value)))));

/** Whether each step is within a silence of at least five steps. */
export function silences(levels: readonly number[]): boolean[] {
  const quiet = levels.map((level) => level < 0.1);
  const out = quiet.map(() => false);
  for (let n = 0; n < quiet.length;) {
    let end = n;
    while (end < quiet.length && quiet[end]) end += 1;
    if (end - n >= 5) out.fill(true, n, end);
    n = Math.max(end, n + 1);
  }
  return out;
}

/** How far a mouth may be open and count as closed: a fifth of its range, and 0.04 eye distances at least. */
export function closedBelow(openings: readonly number[]): number {
  const known = openings.filter((value) => !Number.isNaN(value)).sort((a, b) => a - b);
  const part = (share: number) => known[Math.floor(share * (known.length - 1))] ?? 0;
  return Math.max(0.04, part(0.05) + 0.2 * (part(0.95) - part(0.05)));
}
