import { type AudioChunk, endOf } from '../media/audio.ts';
import { type MediaTime, ms } from '../media/time.ts';
import type { Part } from './rx.ts';

/** Positions that come from different counts of samples differ by less than this. */
const ROUNDING = ms(1);

/**
 * The same stage behind a promise: what one run hears is gapless. After a hole (packets that were lost, a full mailbox,
 * a source that jumped) the stage is run anew, so that counting samples tells it the time.
 */
export function gapless<Out>(part: Part<AudioChunk, Out>): Part<AudioChunk, Out> {
  return {
    kind: part.kind,
    async *run(input, scope) {
      const chunks = input[Symbol.asyncIterator]();
      let next: AudioChunk | undefined;
      let ended = false;
      let torn = true;
      const stretch = async function* (): AsyncGenerator<AudioChunk, void> {
        let expected: MediaTime | undefined;
        for (;;) {
          if (next === undefined) {
            const result = await chunks.next();
            if (result.done) {
              ended = true;
              return;
            }
            next = result.value;
          }
          torn = expected !== undefined && Math.abs(next.start - expected) > ROUNDING;
          if (torn) return;
          const chunk = next;
          next = undefined;
          expected = endOf(chunk);
          yield chunk;
        }
      };
      // A run that ends for another reason than a hole ends this one, too.
      while (torn && !ended && !scope.signal.aborted) {
        torn = false;
        yield* part.run(stretch(), scope);
      }
    },
  };
}
