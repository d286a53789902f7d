import { type SampleRate, type Span, samples } from './time.ts';

/** Voices between these are found, hertz: below a bass's creak and above a small child's cry. */
export const LOWEST = 60;
export const HIGHEST = 500;
/** Audio at a higher rate is averaged down to this or just above: half a sample of it is 1 % of the highest voice's period. */
const ENOUGH = 16_000;
/** How unlike the next one a period may be: the normalised difference at its dip. */
const VOICED = 0.3;
/**
 * Of the dips that are nearly as deep as the deepest, the first is the period. Measured against the deepest and not
 * against a fixed threshold, because a telephone leaves harmonics that dip by themselves.
 */
const NEARLY = 0.08;
/** What is this much quieter than the loudest frame is no part of the speech: −30 dB. */
const QUIET = 1e-3;
/** A voice that lies this far from the others', as a ratio, is a slip of an octave. */
const OCTAVE = 1.7;

/** The pitch at one instant. */
export interface PitchFrame {
  /** From the first sample to the middle of the frame. */
  readonly offset: Span;
  readonly hertz: number;
}

export interface MedianPitch {
  readonly hertz: number;
  /** How much of the audio has a pitch. */
  readonly voiced: Span;
}

/**
 * Where a voice sounds, and how high: a frame each `hop`, in order, those without a pitch left out.
 *
 * YIN (de Cheveigné & Kawahara: "YIN, a fundamental frequency estimator for speech and music", JASA 111(4), 2002), steps
 * 1–5: the cumulative mean normalised difference, its first dip below a threshold, and a parabola through it. The
 * difference is taken over 2.5 periods of the lowest voice, since that is what noise and telephones leave most of.
 *
 * @param hop microseconds from frame to frame
 */
export function pitches(pcm: Float32Array, rate: SampleRate, hop: Span): PitchFrame[] {
  const factor = Math.max(1, Math.floor(rate / ENOUGH));
  const coarse = factor === 1 ? pcm : averaged(pcm, factor);
  const hertz = rate / factor;
  const longest = Math.ceil(hertz / LOWEST);
  const shortest = Math.max(2, Math.floor(hertz / HIGHEST));
  const window = Math.round(1.5 * longest);
  const step = Math.max(1, Math.round((hop * hertz) / 1e6));
  const starts: number[] = [];
  for (let start = 0; start + window + longest <= coarse.length; start += step) starts.push(start);
  const powers = starts.map((start) => energy(coarse, start, window + longest));
  const floor = powers.reduce((most, power) => Math.max(most, power), 0) * QUIET;
  const unlike = new Float64Array(longest + 1);
  const frames: PitchFrame[] = [];
  for (const [n, start] of starts.entries()) {
    const power = powers[n] ?? 0;
    if (power <= floor || power === 0) continue;
    differences(coarse, start, window, unlike);
    const period = periodIn(unlike, shortest);
    if (period === undefined) continue;
    const middle = (start + (window + longest) / 2) * factor;
    frames.push({ offset: samples(Math.round(middle), rate), hertz: hertz / period });
  }
  return frames;
}

/**
 * How high a voice is: the median of its pitch over all of the audio, or nothing where nothing is voiced.
 *
 * Frames an octave off the others do not count. `voiced` says how much the answer rests on.
 */
export function medianPitch(pcm: Float32Array, rate: SampleRate): MedianPitch | undefined {
  const hop = 20_000 as Span;
  const found = pitches(pcm, rate, hop)
    .map(({ hertz }) => hertz)
    .sort((a, b) => a - b);
  const rough = found[found.length >> 1];
  if (rough === undefined) return undefined;
  const kept = found.filter((hertz) => hertz < rough * OCTAVE && hertz > rough / OCTAVE);
  return { hertz: kept[kept.length >> 1] ?? rough, voiced: (found.length * hop) as Span };
}

/** The cumulative mean normalised difference of a frame with itself, for each lag that `unlike` has room for. */
function differences(pcm: Float32Array, start: number, window: number, unlike: Float64Array): void {
  let total = 0;
  unlike[0] = 1;
  for (let lag = 1; lag < unlike.length; lag += 1) {
    let sum = 0;
    for (let i = start; i < start + window; i += 1) {
      const difference = pcm[i]! - pcm[i + lag]!;
      sum += difference * difference;
    }
    total += sum;
    unlike[lag] = total > 0 ? (sum * lag) / total : 1;
  }
}

/** The period in samples, or nothing where there is none. */
function periodIn(unlike: Float64Array, shortest: number): number | undefined {
  const last = unlike.length - 1;
  let least = Infinity;
  for (let lag = shortest; lag <= last; lag += 1) least = Math.min(least, unlike[lag]!);
  if (least > VOICED) return undefined;
  for (let lag = shortest; lag < last; lag += 1) {
    const here = unlike[lag]!;
    if (here <= least + NEARLY && here <= unlike[lag - 1]! && here <= unlike[lag + 1]!) return refined(unlike, lag);
  }
  return undefined;
}

/** The bottom of the parabola through a dip and its neighbours. */
function refined(unlike: Float64Array, lag: number): number {
  const [a, b, c] = [unlike[lag - 1]!, unlike[lag]!, unlike[lag + 1]!];
  const bend = a - 2 * b + c;
  return bend > 0 ? lag + (a - c) / (2 * bend) : lag;
}

function averaged(pcm: Float32Array, factor: number): Float32Array {
  const out = new Float32Array(Math.floor(pcm.length / factor));
  for (let i = 0; i < out.length; i += 1) {
    let sum = 0;
    for (let k = 0; k < factor; k += 1) sum += pcm[i * factor + k]!;
    out[i] = sum / factor;
  }
  return out;
}

function energy(pcm: Float32Array, start: number, length: number): number {
  let sum = 0;
  for (let i = start; i < start + length; i += 1) sum += pcm[i]! * pcm[i]!;
  return sum;
}
