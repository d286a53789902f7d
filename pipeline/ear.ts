import { EMPTY, Observable, type Subscribable, Subscription, share, tap } from 'rxjs';
import type { AudioChunk } from '../media/audio.ts';
import { type ClockTime, type MediaTime, type Span, earlier, later, ms, seconds } from '../media/time.ts';
import type { Activity, Hypothesis, SpeechChunk, Turn } from './domain.ts';
import { gapless } from './gapless.ts';
import { Gate } from './gate.ts';
import type { Ledger } from './ledger.ts';
import { Patch } from './patch.ts';
import type { Pauses } from './pauses.ts';
import { toRate } from './rate.ts';
import type { Segmenting } from './segmenter.ts';
import { wholeSegments } from './segments.ts';
import type { Stage } from './stage.ts';
import type { Wiring } from './wiring.ts';

/** What listens to the programme, once for all languages. Whatever is left out is missing from what the viewer gets. */
export interface SharedStages {
  readonly enhancer?: Stage<'enhancer'>;
  readonly vad?: Stage<'vad'>;
  readonly diarizer?: Stage<'diarizer'>;
  readonly recognizer?: Stage<'recognizer'>;
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
/** How long cleaned audio is waited for before the audio is taken as it came. */
const CLEANING = ms(400);

/** The half of the graph that listens: from the programme to words and speakers. */
export function listen(came$: Observable<AudioChunk>, stages: SharedStages, options: EarOptions): Ear {
  const { wiring, ledger, pauses, stall, deadline, segmenting = {} } = options;
  const { enhancer, vad, diarizer, recognizer } = stages;
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
  const hasten = (t: MediaTime): ClockTime => {
    const patience = later(ledger.arrival(t) ?? clock.now(), BEHIND);
    return deadline ? (Math.max(earlier(deadline(t), SENTENCE), patience) as ClockTime) : patience;
  };

  const raw$ = came$.pipe(toRate(EAR_RATE), share());
  const heard$ = (enhancer ? cleaned(enhancer) : raw$).pipe(share());
  const speech$ = (vad ? gated(heard$, heard$.pipe(watched(vad)), gate, pauses) : EMPTY).pipe(share());
  const trails = (stage: Stage | undefined) => stage?.caps.lookahead ?? 0;
  return {
    gate,
    lookahead: (trails(enhancer) + trails(vad) + Math.max(trails(recognizer), trails(diarizer))) as Span,
    words$: recognizer ? recognized(recognizer) : EMPTY,
    turns$: diarizer ? diarized(diarizer) : EMPTY,
  };

  function cleaned(stage: Stage<'enhancer'>): Observable<AudioChunk> {
    const patch = new Patch(CLEANING);
    // While it is known to be down there is nothing to wait for.
    const onState = (state: 'up' | 'down') => void (patch.patience = state === 'up' ? CLEANING : ms(0));
    const clean$ = came$.pipe(
      toRate(stage.caps.rate),
      wiring.audio(gapless(stage), wiring.vital(stage), { stall, onState }),
      toRate(EAR_RATE),
    );
    return merged(
      raw$,
      clean$,
      (chunk) => patch.raw(chunk),
      (chunk) => patch.cleaned(chunk),
      () => patch.end(),
    );
  }

  function watched(stage: Stage<'vad'>) {
    const vital = wiring.vital(stage);
    // What the gate no longer waits for need not be judged: a VAD that fell behind catches up.
    const expires = ({ start }: AudioChunk) => later(ledger.arrival(start) ?? clock.now(), JUDGED);
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
