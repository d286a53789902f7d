import { DUCKING, rise } from '../media/duck.ts';
import { type Interval, sampleIndex, type Span } from '../media/time.ts';

const RATE = 48_000;
/** How finely an onset is told: 5 ms at 48 kHz. */
const STEP = 240;
/** How far from its place a dub is looked for: 400 ms. */
const SEARCH = 19_200;
/** A voice is there where it has at least this part of its own mean power. */
const SHARE = 0.1;

/** Where a dub was found in what was received. */
export interface Heard {
  /** Something is in the dub's place that is not the original. */
  readonly heard: boolean;
  /** When it begins after it was to begin, µs; `null` when it was not heard. */
  readonly offset: number | null;
}

/**
 * Finds out by listening alone whether and when a dub sounds: what is in the dub's track and not in the original's.
 *
 * Both are 48 kHz mono whose first sample is at media time 0 of `clip`. The original goes down under a dub as
 * `DUCKING` says and is subtracted accordingly; what is left besides the voice is what two encoders made differently
 * of the same sound.
 *
 * @param underDub level of the original under a clip
 */
export function listenFor(clip: Interval, dub: Float32Array, original: Float32Array, underDub: number): Heard {
  const at = (t: number) => sampleIndex(t as Span, RATE);
  const [start, end] = [at(clip.start), at(clip.end)];
  const attack = at(DUCKING.attack);
  const from = Math.max(0, start - SEARCH);
  const left = new Float32Array(Math.max(0, Math.min(dub.length, end) - from));
  for (let i = 0; i < left.length; i += 1) {
    const down = rise((from + i - (start - attack)) / attack);
    left[i] = (dub[from + i] ?? 0) - (original[from + i] ?? 0) * (1 - (1 - underDub) * down);
  }
  const voice = power(left, start - from, left.length);
  const before = power(left, 0, start - attack - from);
  const around = power(dub, start, end);
  // Encoders differ by some −20 dB; a voice in its place is about as loud as everything there.
  if (!(voice > 0.25 * around && voice > 4 * before)) return { heard: false, offset: null };
  for (let i = 0; i + STEP <= left.length; i += STEP) {
    if (power(left, i, i + STEP) > SHARE * voice)
      return { heard: true, offset: Math.round(((from + i - start) * 1e6) / RATE) };
  }
  return { heard: false, offset: null };
}

function power(pcm: Float32Array, from: number, to: number): number {
  const [first, last] = [Math.max(0, from), Math.min(pcm.length, to)];
  let sum = 0;
  for (let i = first; i < last; i += 1) sum += (pcm[i] ?? 0) ** 2;
  return last > first ? sum / (last - first) : 0;
}
