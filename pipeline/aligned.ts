import { Observable, Subject, Subscription } from 'rxjs';
import { type MediaTime, type Span, earlier, later, ms, seconds } from '../media/time.ts';
import type { AudioMemory } from './audio-memory.ts';
import type { Alignment, Spoken, Utterance, UtteranceId } from './domain.ts';
import type { Stage } from './stage.ts';
import type { Wiring } from './wiring.ts';

/** How far the recogniser's times may be off. */
const MARGIN = ms(150);
/** How long an utterance waits for its alignment beyond what the aligner looks ahead. */
const PATIENCE = ms(600);
/** More are not waited for at once. */
const WAITING = 16;

interface Waiting {
  readonly utterance: Utterance;
  /** What it is when it may go. */
  ready: Utterance | undefined;
}

/**
 * Utterances with the times that alignment found, in order, each exactly once: as it came when alignment fails, is late
 * or finds nothing.
 */
export class Aligned {
  #waiting: Waiting[] = [];

  /** @returns what may go now: more than a few are never held back */
  said(utterance: Utterance): Utterance[] {
    this.#waiting.push({ utterance, ready: undefined });
    const [oldest] = this.#waiting;
    if (this.#waiting.length > WAITING && oldest) oldest.ready ??= oldest.utterance;
    return this.#go();
  }
  found({ utterance, words, phones, final }: Alignment): Utterance[] {
    if (!final) return [];
    return this.#settle(utterance, (said) => {
      const [first, last] = [words[0], words.at(-1)];
      // Words that are not the utterance's words are somebody's mistake.
      if (!first || !last || words.length !== said.words.length) return said;
      const placed = words.map((word, n) => ({ ...word, text: said.words[n]?.text ?? word.text }));
      return { ...said, start: first.start, end: last.end, words: placed, phones };
    });
  }
  /** No alignment will come, or it is not waited for any longer. */
  without(utterance: UtteranceId): Utterance[] {
    return this.#settle(utterance, (said) => said);
  }
  /** Everything that is still held back. */
  end(): Utterance[] {
    for (const each of this.#waiting) each.ready ??= each.utterance;
    return this.#go();
  }

  #settle(id: UtteranceId, make: (said: Utterance) => Utterance): Utterance[] {
    const entry = this.#waiting.find(({ utterance }) => utterance.id === id);
    if (entry) entry.ready ??= make(entry.utterance);
    return this.#go();
  }
  #go(): Utterance[] {
    const count = this.#waiting.findIndex(({ ready }) => !ready);
    return this.#waiting
      .splice(0, count === -1 ? this.#waiting.length : count)
      .flatMap(({ ready }) => (ready ? [ready] : []));
  }
}

/** What an aligner is given of an utterance: all of it, and a little around it that is nobody else's. */
export function spokenOf(said: Utterance, after: MediaTime, memory: AudioMemory): Spoken {
  const { start, end } = memory.within({
    start: Math.max(Math.min(after, said.start), earlier(said.start, MARGIN)) as MediaTime,
    end: later(said.end, MARGIN),
  });
  const text = said.words.map((word) => word.text).join(' ');
  return {
    utterance: said.id,
    language: said.language,
    start,
    rate: 16_000,
    pcm: memory.cut({ start, end }),
    text,
    last: true,
  };
}

/** Sends utterances through an aligner. What they wait for it is bounded, and none is lost. */
export function alignedBy(stage: Stage<'aligner'>, memory: AudioMemory, wiring: Wiring, stall: Span) {
  const vital = wiring.vital(stage);
  const { clock, pace } = wiring;
  return (said$: Observable<Utterance>): Observable<Utterance> =>
    new Observable((out) => {
      const aligned = new Aligned();
      let over = { said: false, stage: false };
      const end = (what: Partial<typeof over>) => {
        over = { ...over, ...what };
        // Without the stage there is nothing to wait for, and without the programme nothing more to come.
        if (over.stage) give(aligned.end());
        if (over.stage && over.said) out.complete();
      };
      const life = new AbortController();
      const give = (utterances: readonly Utterance[]) => {
        for (const utterance of utterances) out.next(utterance);
      };
      const patience = (stage.caps.lookahead + PATIENCE) as Span;
      let before = Number.NEGATIVE_INFINITY as MediaTime;
      // Not one below the other: a stage that is given up lets go of its input, and the programme goes on.
      const spoken$ = new Subject<Spoken>();
      const onLost = ({ utterance }: Spoken) => give(aligned.without(utterance));
      const running = new Subscription();
      const found$ = spoken$.pipe(wiring.sentences(stage, vital, { stall, onLost }));
      running.add(
        found$.subscribe({
          next: (alignment) => {
            if (alignment.final) vital.watch.end(alignment.utterance, clock.now());
            give(aligned.found(alignment));
          },
          complete: () => end({ stage: true }),
        }),
      );
      running.add(
        said$.subscribe({
          next: (said) => {
            give(aligned.said(said));
            if (over.stage) return give(aligned.end());
            vital.watch.begin(said.id, clock.now());
            // In recorded pace there is time.
            const due = later(clock.now(), pace === 'live' ? patience : seconds(30));
            clock.until(due, life.signal).then(
              () => give(aligned.without(said.id)),
              () => {},
            );
            spoken$.next(spokenOf(said, before, memory));
            before = said.end;
          },
          complete: () => {
            end({ said: true });
            spoken$.complete();
          },
        }),
      );
      return () => {
        life.abort();
        running.unsubscribe();
      };
    });
}
