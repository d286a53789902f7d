import type { SampleRate } from './time.ts';

/**
 * Changes how long audio lasts and keeps its pitch.
 *
 * Work is cut into slices of a few milliseconds with a turn of the event loop between them, so that RTP keeps flowing.
 */
export interface Stretcher {
  readonly name: string;
  /**
   * @param pcm mono, not kept
   * @param speed playing speed: 1.2 makes it shorter; within 0.5–2
   * @returns exactly `Math.round(pcm.length / speed)` samples, start-aligned with the input (no added latency)
   */
  stretch(pcm: Float32Array, rate: SampleRate, speed: number, signal: AbortSignal): Promise<Float32Array>;
}

export const stretchedLength = (length: number, speed: number) => Math.round(length / speed);

/** Every stretcher refuses the same speeds. */
export function checkSpeed(speed: number): void {
  if (!(speed >= 0.5 && speed <= 2))
    throw new RangeError(`Cannot stretch: speed must be within 0.5 and 2, received ${speed}`);
}
