import type { AudioChunk } from '../media/audio.ts';
import { type Interval, type MediaTime, between, later, sampleIndex, samples } from '../media/time.ts';

/** The part of `chunk` that lies in `interval`, as a view on its buffer; empty when there is none. */
export function slice({ start, rate, pcm }: AudioChunk, interval: Interval): AudioChunk {
  const index = (t: MediaTime) => Math.min(pcm.length, Math.max(0, sampleIndex(between(start, t), rate)));
  const from = index(interval.start);
  const to = Math.max(from, index(interval.end));
  return { start: later(start, samples(from, rate)), rate, pcm: pcm.subarray(from, to) };
}
