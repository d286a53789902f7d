import type { AudioChunk } from '../../media/audio.ts';
import { type MediaTime, type SampleRate, type Span, samples } from '../../media/time.ts';
import { until } from '../../pipeline/until.ts';
import { type Frame, Frames } from '../dsp/frames.ts';

/** Cleans one stretch of audio, a frame at a time. */
export interface Cleaner {
  /** What was given `lag` frames before, cleaned. The samples are borrowed; the answer is the caller's. */
  clean(samples: Float32Array): Promise<Float32Array>;
}

/** How the audio of a cleaner is cut. */
export interface Framing {
  readonly rate: SampleRate;
  /** Samples of a frame. */
  readonly frame: number;
  /** How many frames a cleaner's output trails its input. */
  readonly lag: number;
}

/** How far cleaned audio trails what was heard: up to a frame waits to be filled, the rest is the cleaner's. */
export const lookaheadOf = ({ rate, frame, lag }: Framing): Span => samples((lag + 1) * frame, rate);

/**
 * Puts what a cleaner makes in the place of what it was made of: as many samples out as in, none of them moved.
 *
 * Every stretch without a gap has a cleaner of its own, which is given silence at the end until everything is out.
 */
export async function* trailing(
  input: AsyncIterable<AudioChunk>,
  signal: AbortSignal,
  { rate, frame, lag }: Framing,
  open: () => Cleaner,
): AsyncGenerator<AudioChunk, void, void> {
  const frames = new Frames(frame, rate);
  const silence = new Float32Array(frame);
  let cleaner: Cleaner | undefined;
  /** Frames that have gone in and not yet come out. */
  let inside: { readonly start: MediaTime; readonly count: number }[] = [];
  /** Frames that the cleaner has been given. */
  let given = 0;

  const clean = async function* (pcm: Float32Array): AsyncGenerator<AudioChunk> {
    const cleaned = await cleaner?.clean(pcm);
    given += 1;
    if (!cleaned || given <= lag) return;
    const place = inside.shift();
    if (place) yield { start: place.start, rate, pcm: cleaned.subarray(0, place.count) };
  };
  const empty = async function* () {
    while (inside.length > 0) yield* clean(silence);
  };
  const cleanAll = async function* (some: Iterable<Frame>): AsyncGenerator<AudioChunk> {
    for (const { start, count, pcm, fresh } of some) {
      if (fresh) {
        yield* empty();
        [cleaner, inside, given] = [open(), [], 0];
      }
      inside.push({ start, count });
      yield* clean(pcm);
    }
  };
  for await (const chunk of until(input, signal)) yield* cleanAll(frames.push(chunk));
  if (signal.aborted) return;
  yield* cleanAll(frames.end());
  yield* empty();
}
