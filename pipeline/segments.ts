import { endOf } from '../media/audio.ts';
import type { Clock } from '../media/clock.ts';
import { type ClockTime, type MediaTime, later, ms } from '../media/time.ts';
import type { SpeechChunk } from './domain.ts';
import type { Part } from './rx.ts';

export interface WholeSegments {
  readonly clock: Clock;
  /** A segment that begins at `t` is not worth starting from this reading on. */
  readonly startBy?: (t: MediaTime) => ClockTime;
  /** Called for each chunk that the stage does not get to hear. */
  readonly onSkip?: (chunk: SpeechChunk) => void;
}

const ROUNDING = ms(1);

/**
 * The same stage behind a promise: every segment it hears is gapless and ends with exactly one `last` chunk, whatever a
 * full mailbox lost or wherever a restart cut in.
 *
 * Half a segment makes half a sentence, so what is lost is lost whole: a segment that comes too late is skipped, and one
 * with a hole in it ends at the hole. That is how a recogniser that fell behind catches up.
 */
export function wholeSegments<Out>(
  part: Part<SpeechChunk, Out>,
  { clock, startBy, onSkip }: WholeSegments,
): Part<SpeechChunk, Out> {
  const whole = async function* (input: AsyncIterable<SpeechChunk>): AsyncGenerator<SpeechChunk, void> {
    let open: SpeechChunk | undefined;
    let skipped: number | undefined;
    for await (const chunk of input) {
      const torn = open && (chunk.segment !== open.segment || chunk.start > later(endOf(open), ROUNDING));
      if (open && torn) {
        yield ending(open);
        if (chunk.segment === open.segment) skipped = chunk.segment;
        open = undefined;
      }
      if (!open && chunk.segment !== skipped && startBy && clock.now() >= startBy(chunk.start)) skipped = chunk.segment;
      if (chunk.segment === skipped) {
        onSkip?.(chunk);
        continue;
      }
      open = chunk.last ? undefined : chunk;
      yield chunk;
    }
    if (open) yield ending(open);
  };
  return { kind: part.kind, run: (input, scope) => part.run(whole(input), scope) };
}

const ending = (chunk: SpeechChunk): SpeechChunk => ({
  ...chunk,
  start: endOf(chunk),
  pcm: new Float32Array(0),
  last: true,
});
