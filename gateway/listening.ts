import { DUCKING, rise } from '../media/duck.ts';
import { type Interval, sampleIndex, type Span } from '../media/time.ts';

const RATE = 48_000;
/** How finely an onset is told: 5 ms at 48 kHz. */
const STEP = 240;
/** How far from its place a dub is looked for: 400 ms. */
const SEARCH = 19_200;
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
 * the original, which goes down as `DUCKING` says, is subtracted.
 *
 * @param underDub level of the original under a clip
 */
export function listenFor(clip: Interval, dub: Float32Array, original: Float32Array, underDub: number): Heard {
  const at = (t: number) => sampleIndex(t as Span, RATE);
  const [start, end] = [at(clip.start), at(clip.end)];
  if (likeness(dub, original, start, end) > SAME || power(dub, start, end) < SILENT)
    return { heard: false, offset: null };

  const attack = at(DUCKING.attack);
  const from = Math.max(0, start - SEARCH);
  const left = new Float32Array(Math.max(0, Math.min(dub.length, end) - from));
  for (let i = 0; i < left.length; i += 1) {
    const down = rise((from + i - (start - attack)) / attack);
    left[i] = (dub[from + i] ?? 0) - (original[from + i] ?? 0) * (1 - (1 - underDub) * down);
  }
  const voice = power(left, start - from, left.length);
  // Another dub, or an original that two encoders made too differently of, hides the onset.
  if (power(left, 0, start - attack - from) > SHARE * voice) return { heard: true, offset: null };
  for (let i = 0; i + STEP <= left.length; i += STEP) {
    if (power(left, i, i + STEP) > SHARE * voice)
      return { heard: true, offset: Math.round(((from + i - start) * 1e6) / RATE) };
  }
  return { heard: true, offset: null };
}

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
