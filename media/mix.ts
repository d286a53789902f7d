import { factor } from './decibels.ts';
import { type Span, ms } from './time.ts';

/** How a dub is laid over the original. */
export interface Mix {
  /**
   * What is heard under a clip. `replace`: the background alone, else nothing. `duck`: the background whole where it is
   * known, else the original at `under`. `voice-over`: the original at `under`, voice and all.
   */
  readonly mode: MixMode;
  /** Level of the original under a clip, dB, at most 0; `-Infinity` is silent. */
  readonly under: number;
  /**
   * Two clips at once: `both` are heard alike; `duck`: the one that began first steps back while the other speaks; `pan`:
   * each has its own place between left and right, as the clips say.
   */
  readonly overlap: Overlap;
  /** How long a clip fades in at its start and out at its end. */
  readonly fade: Span;
  /** How long the original takes to go down. It is down when the clip starts: clips are known before they are heard. */
  readonly attack: Span;
  /** How long the original takes to come back after the clip's end. */
  readonly release: Span;
  /** A pause between two clips that is no longer than this is not worth coming back for. */
  readonly hold: Span;
}
export type MixMode = 'replace' | 'duck' | 'voice-over';
export type Overlap = 'both' | 'duck' | 'pan';

/** Level of the original under a clip unless said otherwise, dB. */
const UNDER: Readonly<Record<MixMode, number>> = { replace: -20, duck: -20, 'voice-over': -12 };
/** Level of the voice that began first while another one speaks over it: 8 dB down. */
export const BEHIND = factor(-8);

/** A whole mix from what is given of it. @throws RangeError */
export function mixOf(given: Partial<Mix> = {}): Mix {
  const mode = given.mode ?? 'duck';
  const mix: Mix = {
    mode,
    under: UNDER[mode],
    overlap: 'both',
    fade: ms(20),
    attack: ms(80),
    release: ms(200),
    hold: ms(500),
    ...given,
  };
  if (!(mix.under <= 0)) throw new RangeError(`Cannot mix: under must be 0 dB at most, received ${mix.under}`);
  return mix;
}

/** Raised cosine from 0 (`x` ≤ 0) to 1 (`x` ≥ 1); the rise and its mirror image add up to 1. */
export const rise = (x: number): number => (x <= 0 ? 0 : x >= 1 ? 1 : 0.5 - 0.5 * Math.cos(Math.PI * x));

/** What a sound between left (−1) and right (1) is multiplied by: the same power everywhere, and 1 in the middle. */
export function panned(pan: number): { readonly left: number; readonly right: number } {
  const angle = ((Math.max(-1, Math.min(1, pan)) + 1) * Math.PI) / 4;
  return { left: Math.SQRT2 * Math.cos(angle), right: Math.SQRT2 * Math.sin(angle) };
}

const KNEE = 0.9;
/** Leaves samples up to ±0.9 as they are and bends louder ones towards ±1, so that two voices at once do not clip. */
export const softLimit = (x: number): number => {
  const size = Math.abs(x);
  return size <= KNEE ? x : Math.sign(x) * (KNEE + (1 - KNEE) * Math.tanh((size - KNEE) / (1 - KNEE)));
};
