import { type Interval, type MediaTime, type Span, at, sampleIndex } from '../media/time.ts';

const RATE = 48_000;
/** How finely an onset is told: 5 ms at 48 kHz. */
const STEP = 240;
/** How far before its place a dub is looked for: 400 ms. */
const SEARCH = 19_200;
/** How many steps early an onset may be, 80 ms; what sounds before that is something else. */
const EARLY = 16;
/** A voice is there where it has at least this part of its own mean power. */
const SHARE = 0.1;
/** Two encodings of the same speech correlate by 0.9 and more, a dub with the original under it by the half at most. */
const SAME = 0.7;
/** −60 dBFS: nobody speaks. */
const SILENT = 1e-6;

/** Where a dub was found in what was received. */
export interface Heard {
  /** What sounds in the dub's place is not the original. */
  readonly heard: boolean;
  /** When it begins after it was to begin, µs; `null` when it was not heard, or sounds into another dub's end. */
  readonly offset: number | null;
}

/**
 * Finds out by listening alone whether and when a dub sounds: what is in the dub's track and not in the original's.
 *
 * Both are 48 kHz mono whose first sample is at media time 0 of `clip`. Where nothing is dubbed both tracks are the same
 * sound, encoded twice, and correlate almost fully; under a dub the original is down and they hardly do. For the onset
 * the original is taken out of the dub's track, every 5 ms at the level that it has there.
 *
 * @param underDub level of the original under a clip: the lowest it is taken out at
 * @param since where the dub before this one ends: it is looked for from there on
 */
export function listenFor(
  clip: Interval,
  dub: Float32Array,
  original: Float32Array,
  underDub: number,
  since: MediaTime = at(0),
): Heard {
  const index = (t: number) => sampleIndex(t as Span, RATE);
  const [start, end] = [index(clip.start), index(clip.end)];
  if (likeness(dub, original, start, end) > SAME || power(dub, start, end) < SILENT)
    return { heard: false, offset: null };

  const from = Math.max(0, index(since), start - SEARCH);
  const left: number[] = [];
  for (let i = from; i + STEP <= Math.min(dub.length, end); i += STEP) left.push(leftOf(i, dub, original, underDub));
  const first = Math.max(0, Math.ceil((start - from) / STEP));
  const loud = SHARE * mean(left.slice(first));
  // Another dub, or an original that two encoders made too differently of, hides the onset.
  if (mean(left.slice(0, Math.max(0, first - EARLY))) > loud) return { heard: true, offset: null };
  const onset = left.findIndex((each) => each > loud);
  return { heard: true, offset: onset < 0 ? null : Math.round(((from + onset * STEP - start) * 1e6) / RATE) };
}

/** Power of one step of the dub without the original, which is in it at a level between `underDub` and 1. */
function leftOf(from: number, dub: Float32Array, original: Float32Array, underDub: number): number {
  let [dd, oo, product] = [0, 0, 0];
  for (let i = from; i < from + STEP; i += 1) {
    const [d, o] = [dub[i] ?? 0, original[i] ?? 0];
    dd += d * d;
    oo += o * o;
    product += d * o;
  }
  const level = oo === 0 ? 0 : Math.min(1, Math.max(underDub, product / oo));
  return Math.max(0, dd - 2 * level * product + level * level * oo) / STEP;
}

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);

/** Correlation of two sounds, −1 to 1; 0 where either is silent. */
function likeness(a: Float32Array, b: Float32Array, from: number, to: number): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = Math.max(0, from); i < to; i += 1) {
    const [x, y] = [a[i] ?? 0, b[i] ?? 0];
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  return aa > 0 && bb > 0 ? ab / Math.sqrt(aa * bb) : 0;
}

function power(pcm: Float32Array, from: number, to: number): number {
  const [first, last] = [Math.max(0, from), Math.min(pcm.length, to)];
  let sum = 0;
  for (let i = first; i < last; i += 1) sum += (pcm[i] ?? 0) ** 2;
  return last > first ? sum / (last - first) : 0;
}
