import {
  EMPTY,
  Observable,
  type OperatorFunction,
  Subject,
  type Subscribable,
  Subscription,
  map,
  share,
  tap,
} from 'rxjs';
import { type AudioChunk, endOf } from '../media/audio.ts';
import { type ClockTime, type MediaTime, type Span, earlier, later, ms, seconds } from '../media/time.ts';
import { AudioMemory } from './audio-memory.ts';
import type { Activity, Hypothesis, SpeechChunk, Stems, Turn } from './domain.ts';
import { gapless } from './gapless.ts';
import { Gate } from './gate.ts';
import type { Ledger } from './ledger.ts';
import { Patch } from './patch.ts';
import type { Pauses } from './pauses.ts';
import { toRate } from './rate.ts';
import type { Part } from './rx.ts';
import type { Segmenting } from './segmenter.ts';
import { wholeSegments } from './segments.ts';
import type { Stage } from './stage.ts';
import type { Wiring } from './wiring.ts';

/** What listens to the programme, once for all languages. Whatever is left out is missing from what the viewer gets. */
export interface SharedStages {
  readonly separator?: Stage<'separator'>;
  readonly enhancer?: Stage<'enhancer'>;
  readonly vad?: Stage<'vad'>;
  readonly diarizer?: Stage<'diarizer'>;
  readonly recognizer?: Stage<'recognizer'>;
  /** Works on utterances, so the graph asks it later than the rest. */
  readonly aligner?: Stage<'aligner'>;
}

export interface EarOptions {
  readonly wiring: Wiring;
  readonly ledger: Ledger;
  readonly pauses: Pauses;
  readonly stall: Span;
  /** Left out when there is no hurry. */
  readonly deadline?: ((t: MediaTime) => ClockTime) | undefined;
  readonly segmenting?: Partial<Segmenting> | undefined;
}

export interface Ear {
  readonly words$: Observable<Hypothesis>;
  readonly turns$: Observable<Turn>;
  readonly gate: Gate;
  /** What was heard of late, as the recogniser heard it. */
  readonly memory: AudioMemory;
  /** Speech by segments, as the recogniser hears it. */
  readonly speech$: Observable<SpeechChunk>;
  /** The programme without its speech, where a separator takes them apart; empty else. */
  readonly accompaniment$: Observable<AudioChunk>;
  /** How far words trail the programme when models cost nothing. */
  readonly lookahead: Span;
}

/** What analysis hears. */
export const EAR_RATE = 16_000;
/** From the beginning of an utterance to its dub when all goes well: an utterance, its translation, its voice. */
const SENTENCE = seconds(3);
/** However short the delay, a recogniser may fall behind by this much before it skips a segment. */
const BEHIND = seconds(1);
/** How long audio waits to be told whether it is speech, and when it is too late to begin telling. */
const PATIENCE = seconds(2);
const JUDGED = ms(1_500);
/** How long cleaned audio is waited for, beyond what its engine looks ahead, before the audio is taken as it came. */
const CLEANING = ms(400);
/** Longer than the longest segment and what comes after it. */
const MEMORY = seconds(40);

/** The half of the graph that listens: from the programme to words and speakers. */
export function listen(came$: Observable<AudioChunk>, stages: SharedStages, options: EarOptions): Ear {
  const { wiring, ledger, pauses, stall, deadline, segmenting = {} } = options;
  const { separator, enhancer, vad, diarizer, recognizer, aligner } = stages;
  const { clock } = wiring;
  for (const stage of [vad, diarizer, recognizer]) {
    if (!stage || stage.caps.rate === EAR_RATE) continue;
    throw new RangeError(`Cannot listen: ${stage.kind} ${stage.engine} wants ${stage.caps.rate} Hz, not ${EAR_RATE}`);
  }
  const gate = new Gate({
    segmenting,
    // Without a deadline the feeder waits for the VAD, so it is never late.
    patience: deadline ? PATIENCE : seconds(86_400),
    onStretch: (stretch) => pauses.speech(stretch),
    onBlind: (interval) => pauses.blind(interval),
  });
  const trails = (stage: Stage | undefined) => stage?.caps.lookahead ?? 0;
  /** When the programme at `t` was heard at the earliest: what cleans it looks ahead. */
  const heardAt = (t: MediaTime): ClockTime =>
    later(ledger.arrival(t) ?? clock.now(), (trails(separator) + trails(enhancer)) as Span);
  const hasten = (t: MediaTime): ClockTime => {
    const patience = later(heardAt(t), BEHIND);
    return deadline ? (Math.max(earlier(deadline(t), SENTENCE), patience) as ClockTime) : patience;
  };

  const memory = new AudioMemory(EAR_RATE, MEMORY);
  const accompaniment$ = new Subject<AudioChunk>();
  const voices$ = separator ? came$.pipe(separated(separator)) : came$;
  const clean$ = enhancer ? voices$.pipe(enhanced(enhancer)) : voices$;
  const heard$ = clean$.pipe(
    toRate(EAR_RATE),
    tap((chunk) => memory.push(chunk)),
    share(),
  );
  const speech$ = (vad ? gated(heard$, heard$.pipe(watched(vad)), gate, pauses) : EMPTY).pipe(share());
  return {
    gate,
    memory,
    speech$,
    accompaniment$,
    lookahead: (trails(separator) +
      trails(enhancer) +
      trails(vad) +
      Math.max(trails(recognizer), trails(diarizer)) +
      trails(aligner)) as Span,
    words$: recognizer ? recognized(recognizer) : EMPTY,
    turns$: diarizer ? diarized(diarizer) : EMPTY,
  };

  function separated(stage: Stage<'separator'>) {
    const keep = ({ start, rate, rest }: Stems) => accompaniment$.next({ start, rate, pcm: rest });
    return improved(stage, (raw$, through) =>
      raw$.pipe(
        through(gapless(stage)),
        tap(keep),
        map(({ start, rate, speech }): AudioChunk => ({ start, rate, pcm: speech })),
      ),
    );
  }
  function enhanced(stage: Stage<'enhancer'>) {
    return improved(stage, (raw$, through) => raw$.pipe(through(gapless(stage))));
  }

  /** Audio that a stage made better; as it came wherever the stage is late or down. */
  function improved(
    stage: Stage<'separator' | 'enhancer'>,
    improve: (
      raw$: Observable<AudioChunk>,
      through: <Out>(part: Part<AudioChunk, Out>) => OperatorFunction<AudioChunk, Out>,
    ) => Observable<AudioChunk>,
  ) {
    const vital = wiring.vital(stage);
    const patience = (stage.caps.lookahead + CLEANING) as Span;
    const patch = new Patch(patience);
    // While it is known to be down there is nothing to wait for.
    const onState = (state: 'up' | 'down') => void (patch.patience = state === 'up' ? patience : ms(0));
    return (audio$: Observable<AudioChunk>): Observable<AudioChunk> => {
      const raw$ = audio$.pipe(toRate(stage.caps.rate), share());
      const better$ = improve(raw$, (part) => wiring.audio(part, vital, { stall, onState })).pipe(
        tap((chunk) => vital.watch.latency.add(ledger.since(endOf(chunk), clock.now()), clock.now())),
      );
      return merged(
        raw$,
        better$,
        (chunk) => patch.raw(chunk),
        (chunk) => patch.cleaned(chunk),
        () => patch.end(),
      );
    };
  }

  function watched(stage: Stage<'vad'>) {
    const vital = wiring.vital(stage);
    // What the gate no longer waits for need not be judged: a VAD that fell behind catches up.
    const expires = ({ start }: AudioChunk) => later(heardAt(start), JUDGED);
    return (audio$: Observable<AudioChunk>): Observable<Activity> =>
      audio$.pipe(
        wiring.audio(gapless(stage), vital, { stall, ...(deadline && { expires }) }),
        tap(({ end }) => vital.watch.latency.add(ledger.since(end, clock.now()), clock.now())),
      );
  }

  function recognized(stage: Stage<'recognizer'>): Observable<Hypothesis> {
    const vital = wiring.vital(stage);
    const onSkip = () => void (vital.gauge.lost.expired += 1);
    const whole = wholeSegments(stage, { clock, onSkip, ...(deadline && { startBy: hasten }) });
    return speech$.pipe(
      tap(({ last, segment }) => last && vital.watch.begin(segment, clock.now())),
      wiring.audio(whole, vital, { stall }),
      tap(({ final, segment }) => final && vital.watch.end(segment, clock.now())),
    );
  }

  function diarized(stage: Stage<'diarizer'>): Observable<Turn> {
    const vital = wiring.vital(stage);
    return speech$.pipe(
      wiring.audio(wholeSegments(stage, { clock }), vital, { stall }),
      tap(({ end }) => vital.watch.latency.add(ledger.since(end, clock.now()), clock.now())),
    );
  }
}

/** Audio and what is known about it, through the gate. Ends with the knowledge. */
function gated(audio$: Observable<AudioChunk>, activity$: Observable<Activity>, gate: Gate, pauses: Pauses) {
  return new Observable<SpeechChunk>((out) => {
    const give = (chunks: readonly SpeechChunk[]) => {
      pauses.settle(gate.settled);
      for (const chunk of chunks) out.next(chunk);
    };
    // Side by side, not one below the other: audio ends before what is known about it.
    const listening = new Subscription();
    listening.add(audio$.subscribe((chunk) => give(gate.audio(chunk))));
    listening.add(
      activity$.subscribe({
        next: (activity) => give(gate.activity(activity)),
        complete: () => {
          give(gate.end());
          out.complete();
        },
      }),
    );
    return listening;
  });
}

/** Two streams through one rule. Ends when both have. */
function merged<T>(
  a$: Subscribable<T>,
  b$: Subscribable<T>,
  fromA: (item: T) => T[],
  fromB: (item: T) => T[],
  end: () => T[],
): Observable<T> {
  return new Observable((out) => {
    let open = 2;
    const give = (items: readonly T[]) => items.forEach((item) => out.next(item));
    const complete = () => {
      if ((open -= 1) > 0) return;
      give(end());
      out.complete();
    };
    const both = [
      a$.subscribe({ next: (a) => give(fromA(a)), complete }),
      b$.subscribe({ next: (b) => give(fromB(b)), complete }),
    ];
    return () => both.forEach((one) => one.unsubscribe());
  });
}
