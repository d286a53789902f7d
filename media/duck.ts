import type { Span } from './time.ts';
import { ms } from './time.ts';

/** How a dub is laid over the original. */
export interface Ducking {
  /** Level of the original under a clip, 0 (silent) … 1 (as it was). */
  readonly underDub: number;
  /** How long a clip fades in at its start and out at its end. */
  readonly fade: Span;
  /** How long the original takes to go down. It is down when the clip starts: clips are known before they are heard. */
  readonly attack: Span;
  /** How long the original takes to come back after the clip's end. */
  readonly release: Span;
}
export const DUCKING: Ducking = { underDub: 0.1, fade: ms(20), attack: ms(80), release: ms(200) };

/** Raised cosine from 0 (`x` ≤ 0) to 1 (`x` ≥ 1); the rise and its mirror image add up to 1. */
export const rise = (x: number): number => (x <= 0 ? 0 : x >= 1 ? 1 : 0.5 - 0.5 * Math.cos(Math.PI * x));

const KNEE = 0.9;
/** Leaves samples up to ±0.9 as they are and bends louder ones towards ±1, so that two voices at once do not clip. */
export const softLimit = (x: number): number => {
  const size = Math.abs(x);
  return size <= KNEE ? x : Math.sign(x) * (KNEE + (1 - KNEE) * Math.tanh((size - KNEE) / (1 - KNEE)));
};
