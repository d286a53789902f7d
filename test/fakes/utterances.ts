import type { Clock } from '../../media/clock.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { at } from '../../media/time.ts';
import type { Language, Line, SpeakerId, Utterance, UtteranceId } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { feed } from './recordings.ts';

/** The `n`th utterance of a programme: 1.5 s of speech every two seconds, unless it is told to take longer. */
export const utterance = (text: string, n = 0, { length = 1.5, speaker = 's1' } = {}): Utterance => ({
  id: `u${n}` as UtteranceId,
  speaker: speaker as SpeakerId,
  language: 'en' as Language,
  start: at(n * 2_000_000),
  end: at(n * 2_000_000 + length * 1e6),
  text,
  words: [],
});

export interface Said {
  readonly lines: readonly Line[];
  readonly faults: readonly Fault[];
}

/**
 * What a translator makes of a programme, run as the session runs it: a fault costs the item that was in hand, and the
 * rest goes into a new run.
 */
export async function translatedBy(
  stage: Stage<'translator'>,
  utterances: readonly Utterance[],
  clock: Clock = new MonotonicClock(),
): Promise<Said> {
  const lines: Line[] = [];
  const faults: Fault[] = [];
  const waiting = feed(utterances);
  // `for await` would close what is left of the input together with the run that failed.
  const rest = { [Symbol.asyncIterator]: () => ({ next: () => waiting.next() }) };
  for (let runs = 0; runs <= utterances.length; runs += 1) {
    try {
      for await (const line of stage.run(rest, { signal: new AbortController().signal, clock })) lines.push(line);
      return { lines, faults };
    } catch (thrown) {
      if (!(thrown instanceof Fault)) throw thrown;
      faults.push(thrown);
    }
  }
  return { lines, faults };
}
