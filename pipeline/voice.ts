import { EMPTY, type Observable, Subject, Subscription, ignoreElements, map, merge, share } from 'rxjs';
import type { Stretcher } from '../media/stretch.ts';
import { type ClockTime, type MediaTime, type SampleRate, type Span, earlier, ms } from '../media/time.ts';
import { type FaceAt, LineCaptions } from './captions.ts';
import { Planner } from './delivery.ts';
import type { Clip, Cue, Guide, Language, Line, Reference, SpeakerId, Utterance, UtteranceId } from './domain.ts';
import { type Fitting, Floor } from './fit.ts';
import { type About, type Fitted, type SpokenLine, fitter, wholeLines } from './fitter.ts';
import { guideFor } from './guide.ts';
import type { Vital } from './health.ts';
import type { Ledger } from './ledger.ts';
import type { Loss } from './load.ts';
import type { Syllables } from './pace.ts';
import type { Pauses } from './pauses.ts';
import { shortening } from './shorter.ts';
import type { HowSaid } from './speakers.ts';
import type { Stage } from './stage.ts';
import type { Wiring } from './wiring.ts';

/** What speaks one target language. Without a synthesizer there are captions, without a translator there is nothing. */
export interface LanguageStages {
  readonly translator?: Stage<'translator'>;
  readonly synthesizer?: Stage<'synthesizer'>;
}

export interface VoiceOptions {
  /** Spoken in the programme. */
  readonly from: Language;
  readonly wiring: Wiring;
  readonly ledger: Ledger;
  readonly pauses: Pauses;
  readonly stall: Span;
  readonly stretcher: Stretcher;
  /** Puts a clip in its place; `false` when it came too late. */
  readonly place: (clip: Clip) => boolean;
  /** Left out when there is no hurry. */
  readonly deadline?: ((t: MediaTime) => ClockTime) | undefined;
  readonly fitting?: Partial<Fitting> | undefined;
  readonly resample?: ((pcm: Float32Array, from: SampleRate) => Float32Array) | undefined;
  readonly syllables: Syllables;
  /** The speaker's own voice, once there is enough of it. */
  readonly referenceOf: (speaker: SpeakerId) => Reference | undefined;
  /** How an utterance was said, for whoever says its line. */
  readonly howSaid: (utterance: UtteranceId) => HowSaid | undefined;
  /** What the speaker's face showed, for whoever says the line. */
  readonly guideOf?: ((utterance: UtteranceId) => Guide | undefined) | undefined;
  /** What is known of an utterance, for whoever fits its line. */
  readonly about: (utterance: UtteranceId) => About | undefined;
  /** Where a face is that captions had better leave clear. */
  readonly faceAt?: FaceAt | undefined;
  /** All that was said has come out. */
  readonly onEnd: () => void;
}

/** From a clip being fitted to its being in place. */
const PLACING = ms(50);

/** The half of the graph that speaks, in one language: from utterances to clips and captions. */
export class Voice {
  readonly language: Language;
  readonly clips$ = new Subject<Clip>();
  readonly cues$ = new Subject<Cue>();
  /** How far the dub trails the words when models cost nothing. */
  readonly lookahead: Span;
  ended = false;
  readonly #options: VoiceOptions;
  readonly #running = new Subscription();
  readonly #captions: LineCaptions;
  /** What still works here: a stage that was given up does not come back. */
  readonly #able: { tell: boolean; speak: boolean };
  readonly #floor = new Floor();
  readonly #planner: Planner;

  constructor(language: Language, stages: LanguageStages, options: VoiceOptions) {
    this.language = language;
    this.#options = options;
    this.#captions = new LineCaptions(options.faceAt);
    this.#able = { tell: stages.translator !== undefined, speak: stages.synthesizer !== undefined };
    const { from, syllables, pauses, fitting: rules } = options;
    const rates = stages.synthesizer?.caps.rates;
    this.#planner = new Planner({ from, to: language, syllables, pauses, floor: this.#floor, rates, rules });
    this.lookahead = ((stages.translator?.caps.lookahead ?? 0) + (stages.synthesizer?.caps.lookahead ?? 0)) as Span;
  }

  /** Speaks what is said from now on. Both streams end with `said$`. */
  speak(said$: Observable<Utterance>, { translator, synthesizer }: LanguageStages): void {
    const { wiring, stretcher } = this.#options;
    const { language } = this;
    const telling = translator && wiring.vital(translator, language);
    const speaking = synthesizer && wiring.vital(synthesizer, language);
    const fitting = synthesizer && wiring.vital({ kind: 'synthesizer', engine: stretcher.name }, language, 'fit');

    wiring.refresh();

    const lines$ = telling ? said$.pipe(this.#told(translator, telling, [speaking, fitting]), share()) : EMPTY;
    const spoken$ = speaking ? lines$.pipe(this.#spoken(synthesizer, speaking, [fitting]), share()) : EMPTY;
    const fitted$ = fitting ? spoken$.pipe(this.#fitted(fitting), share()) : EMPTY;

    // From the last to the first, so that nothing is said before everybody listens.
    this.#running.add(
      merge(fitted$, lines$, said$)
        .pipe(ignoreElements())
        .subscribe({ complete: () => this.#end() }),
    );
    this.#running.add(
      fitted$.subscribe({
        next: (fitted) => this.#onFitted(fitted, fitting),
        complete: () => (this.#able.speak = false),
      }),
    );
    this.#running.add(spoken$.subscribe((spoken) => this.#onSpoken(spoken, speaking)));
    this.#running.add(
      lines$.subscribe({
        next: (line) => this.#onLine(line, telling, speaking),
        complete: () => (this.#able.tell = false),
      }),
    );
    this.#running.add(said$.subscribe((utterance) => this.#onSaid(utterance, telling)));
  }

  /** A line of this language is over. */
  settle(line: Line, clip: Clip | undefined): void {
    for (const cue of this.#captions.settled(line, clip)) this.cues$.next(cue);
  }

  /** Stops at once; what is under way is lost. */
  close(): void {
    this.#running.unsubscribe();
    this.cues$.complete();
    this.clips$.complete();
  }

  #told(stage: Stage<'translator'>, vital: Vital, later: readonly (Vital | undefined)[]) {
    const { wiring, stall } = this.#options;
    const planner = this.#planner;
    const brief = shortening(stage, {
      tooLong: (line) => planner.tooLong(line),
      shorter: (a, b) => planner.shorter(a, b),
      // A second answer takes as long as the first.
      until: ({ start }) => earlier(this.#due(start, later), vital.usual(wiring.clock.now())),
    });
    const through = wiring.sentences(brief, vital, {
      stall,
      onServed: (span, now) => vital.service.add(span, now),
      expires: ({ start }) => this.#due(start, [vital, ...later]),
      onLost: ({ id }, why) => this.#onLost(id, why),
    });
    const budgeted = (said: Utterance): Utterance =>
      stage.caps.budgets === true ? { ...said, budget: planner.budget(said) } : said;
    // A translator may name its language differently ("es" for "es-419"); here it has one name.
    return (said$: Observable<Utterance>) =>
      said$.pipe(
        map(budgeted),
        through,
        map((line): Line => ({ ...line, language: this.language })),
      );
  }

  #spoken(stage: Stage<'synthesizer'>, vital: Vital, later: readonly (Vital | undefined)[]) {
    const { wiring, stall } = this.#options;
    const through = wiring.sentences(stage, vital, {
      stall,
      onServed: (span, now) => vital.service.add(span, now),
      expires: ({ start }) => this.#due(start, [vital, ...later]),
      onLost: ({ utterance }, why) => this.#onLost(utterance, why),
    });
    const { referenceOf, howSaid, guideOf, from } = this.#options;
    const guide = (line: Line): Guide | undefined => {
      const seen = stage.caps.guides === true ? guideOf?.(line.utterance) : undefined;
      return seen && guideFor(seen, from, this.language);
    };
    const voiced = (line: Line): Line => {
      const reference = stage.caps.clonesVoice ? referenceOf(line.speaker) : undefined;
      const { casting, energy = 0, pitch = 0 } = howSaid(line.utterance) ?? {};
      const delivery = { ...this.#planner.delivery(line), energy, pitch };
      const seen = guide(line);
      return {
        ...line,
        delivery,
        ...(casting && { casting }),
        ...(reference && { reference }),
        ...(seen && { guide: seen }),
      };
    };
    return (lines$: Observable<Line>): Observable<SpokenLine> => lines$.pipe(map(voiced), through, wholeLines());
  }

  #fitted(vital: Vital) {
    const { wiring, stretcher, pauses, deadline, fitting, resample, about } = this.#options;
    const part = fitter({
      stretcher,
      pauses,
      floor: this.#floor,
      about,
      gauge: vital.gauge,
      ...(deadline && { deadline }),
      ...(fitting && { rules: fitting }),
      ...(resample && { resample }),
    });
    return wiring.sentences(part, vital, {
      expires: ({ line }) => this.#due(line.start, [vital]),
      onLost: ({ line }, why) => this.#onLost(line.utterance, why),
    });
  }

  /** When something for `t` must be under way at the latest, for it to pass through these stages and still be in time. */
  #due(t: MediaTime, stages: readonly (Vital | undefined)[]): ClockTime {
    const { deadline, wiring } = this.#options;
    if (!deadline) return Number.POSITIVE_INFINITY as ClockTime;
    const now = wiring.clock.now();
    return earlier(
      deadline(t),
      stages.reduce((sum, vital) => sum + (vital?.usual(now) ?? 0), PLACING as number) as Span,
    );
  }

  #onSaid(utterance: Utterance, telling: Vital | undefined): void {
    const { ledger, wiring } = this.#options;
    const now = wiring.clock.now();
    telling?.watch.begin(utterance.id, now);
    ledger.said(utterance, this.language, now);
    if (!this.#able.tell) ledger.lost(this.language, utterance.id, 'refused');
  }
  #onLine(line: Line, telling: Vital | undefined, speaking: Vital | undefined): void {
    const { ledger, wiring } = this.#options;
    const now = wiring.clock.now();
    telling?.watch.end(line.utterance, now);
    speaking?.watch.begin(line.utterance, now);
    // A line that was given up on the way has its caption at once.
    if (!ledger.translated(line, now)) return this.settle(line, undefined);
    for (const cue of this.#captions.told(line)) this.cues$.next(cue);
    if (!this.#able.speak) ledger.lost(this.language, line.utterance, 'refused');
  }
  #onSpoken({ line, natural, pace }: SpokenLine, speaking: Vital | undefined): void {
    const { ledger, wiring } = this.#options;
    this.#planner.learn(line, natural.length, pace);
    const now = wiring.clock.now();
    speaking?.watch.end(line.utterance, now);
    ledger.synthesised(line, now);
  }
  #onFitted({ line, clip, took }: Fitted, fitting: Vital | undefined): void {
    const { ledger, wiring, place } = this.#options;
    const now = wiring.clock.now();
    fitting?.watch.latency.add(took, now);
    fitting?.service.add(took, now);
    if (!clip) {
      ledger.lost(this.language, line.utterance, 'refused');
      return;
    }
    const accepted = place(clip);
    ledger.placed(clip, accepted, wiring.clock.now());
    if (accepted) this.clips$.next(clip);
  }
  #onLost(utterance: UtteranceId, why: Loss): void {
    this.#options.ledger.lost(this.language, utterance, why === 'failed' ? 'refused' : 'expired');
  }
  #end(): void {
    this.#options.ledger.end(this.language);
    this.ended = true;
    this.cues$.complete();
    this.clips$.complete();
    this.#options.onEnd();
  }
}
