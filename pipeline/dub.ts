import { type Observable, Subject, Subscription, tap } from 'rxjs';
import { type AudioChunk, endOf } from '../media/audio.ts';
import type { Clock } from '../media/clock.ts';
import type { Stretcher } from '../media/stretch.ts';
import { type ClockTime, type MediaTime, type SampleRate, type Span, seconds } from '../media/time.ts';
import { alignedBy } from './aligned.ts';
import { type FaceAt, SourceCaptions } from './captions.ts';
import type { Clip, Cue, Guide, Hypothesis, Language, Utterance, UtteranceId } from './domain.ts';
import { EAR_RATE, type SharedStages, listen } from './ear.ts';
import { Fault } from './fault.ts';
import type { Fitting } from './fit.ts';
import type { About } from './fitter.ts';
import type { StageReport } from './health.ts';
import { Ledger, type LineRecord, type Totals } from './ledger.ts';
import type { Load } from './load.ts';
import type { Mode } from './mode.ts';
import { ROUGHLY, type Syllables } from './pace.ts';
import { Pauses } from './pauses.ts';
import { ReferenceVoices } from './reference-voice.ts';
import type { Segmenting } from './segmenter.ts';
import { Speakers } from './speakers.ts';
import { type Closing, Utterances } from './utterances.ts';
import { type LanguageStages, Voice } from './voice.ts';
import { type FaultReport, type Pace, Wiring } from './wiring.ts';

export interface DubOptions {
  /** Spoken in the programme. */
  readonly from: Language;
  readonly clock: Clock;
  readonly pace: Pace;
  /** The last moment at which a clip starting at `t` still makes it. Heeded in `live` pace alone. */
  readonly deadline?: (t: MediaTime) => ClockTime;
  readonly stretcher: Stretcher;
  /** Puts a clip in its place; `false` when it came too late. Clips that are refused do not come out. */
  readonly place?: (clip: Clip) => boolean;
  /** How often the session was started before: keeps utterance ids apart. */
  readonly generation?: number;
  readonly segmenting?: Partial<Segmenting>;
  readonly closing?: Partial<Closing>;
  readonly fitting?: Partial<Fitting>;
  /** Doubling from 250 ms to 10 s, unless given. */
  readonly retryAfter?: (fault: Fault, failures: number) => Span | undefined;
  /** A stage that sits on an item for this long is started again; 10 s unless given. */
  readonly stall?: Span;
  /** 0 … 1: how much of the speakers' loudness and pitch movement their dubs take over; all of it unless given. */
  readonly expression?: number;
  /** Whether a dub is as loud as what it stands for (unless said otherwise), or as its voice is by itself. */
  readonly level?: 'matched' | 'own';
  /**
   * Lets synthesizers that clone speak with the speakers' own voices. Only with the consent of everybody who speaks;
   * without it nobody's voice is collected.
   */
  readonly cloning?: boolean;
  /** What the speaker's face showed during an utterance (pipeline/guide.ts); given to synthesizers that take it. */
  readonly guideOf?: (utterance: UtteranceId) => Guide | undefined;
  /** How syllables are counted; by groups of vowels unless given. */
  readonly syllables?: Syllables;
  /** Where a face is that captions had better leave clear, as far as that is known. */
  readonly faceAt?: FaceAt;
  /** To 48 kHz; media/resample.ts unless given. */
  readonly resample?: (pcm: Float32Array, from: SampleRate) => Float32Array;
}

/** What one target language makes of the programme. Every stream may stay empty; none ever errors. */
export interface LanguageDub {
  readonly language: Language;
  readonly clips$: Observable<Clip>;
  /** Translated captions: a draft as soon as there is a text, final once it is known how long the voice takes. */
  readonly cues$: Observable<Cue>;
  readonly mode$: Observable<Mode>;
}

/** A programme being dubbed. All streams are hot: subscribe before `start`. None ever errors. */
export interface Dubbing {
  /** What is heard, as it becomes certain. */
  readonly words$: Observable<Hypothesis>;
  readonly utterances$: Observable<Utterance>;
  /** Speech by segments, 16 kHz mono, as soon as it is known to be speech; buffers are borrowed. */
  readonly speech$: Observable<AudioChunk>;
  /** Captions in the language of the programme. */
  readonly cues$: Observable<Cue>;
  /** The programme without its speech, where a separator takes them apart. */
  readonly accompaniment$: Observable<AudioChunk>;
  /** Each line of each language once, when it is over. */
  readonly lines$: Observable<LineRecord>;
  readonly faults$: Observable<FaultReport>;
  /** What the viewer can get at present: as good as the worst language, starting with how it is now. */
  readonly mode$: Observable<Mode>;
  readonly languages: readonly Language[];
  readonly load: Load;
  readonly totals: Totals;
  /** Microseconds of audio nobody listened to because the VAD was missing or late. */
  readonly unheard: number;
  /** The smallest delay that the stages' algorithms allow. */
  readonly lookahead: Span;
  readonly stages: readonly StageReport[];
  /** What clips take over from an utterance, while it is remembered: for whoever fits lines once more. */
  about(utterance: UtteranceId): About | undefined;
  /** Resolves when the programme has ended and everything made of it has come out, or on `close`. */
  readonly done: Promise<void>;
  /** Dubs what is said from now on into one more language. */
  addLanguage(language: Language, stages: LanguageStages): LanguageDub;
  /** Ends a language's streams at once. */
  removeLanguage(language: Language): void;
  start(): void;
  close(): void;
}

/**
 * Dubs a programme.
 *
 * ```
 * audio$ ─▶ separator ─▶ enhancer ─▶ vad ─▶ gate ─▶ recognizer ─▶ utterances ─▶ aligner ─┬▶ translator ─▶ synthesizer ─▶ fitter ─▶ clips$   es
 *      └─────────(as it came)───────────────▶┘  └─▶ diarizer ───────▶┘   └▶ cues$         └▶ translator ─▶ …                                 fr
 * ```
 *
 * Audio of any rate goes in as it comes; the buffers are borrowed. In `recorded` pace the feeder awaits
 * `load.below(n)`, with n about 64, before each chunk: then nothing overflows and nothing expires.
 */
export function dub(audio$: Observable<AudioChunk>, shared: SharedStages, options: DubOptions): Dubbing {
  const { clock, pace, from, generation = 0, closing = {}, stretcher, stall = seconds(10) } = options;
  const { place = () => true, segmenting, fitting, resample, syllables = ROUGHLY } = options;
  const deadline = pace === 'live' ? options.deadline : undefined;
  const wiring = new Wiring(clock, pace, options.retryAfter);
  const pauses = new Pauses();
  const utterances = new Utterances({ language: from, generation, closing });
  const captions = new SourceCaptions(options.faceAt);
  const voices = new Map<Language, Voice>();

  const came$ = new Subject<AudioChunk>();
  const words$ = new Subject<Hypothesis>();
  /** Utterances as recognition closed them, and as everything after it gets them. */
  const closed$ = new Subject<Utterance>();
  const said$ = new Subject<Utterance>();
  const cues$ = new Subject<Cue>();
  const lines$ = new Subject<LineRecord>();
  const ledger = new Ledger({
    deadline,
    onSettled: ({ record, line, clip }) => {
      lines$.next(record);
      if (line) voices.get(line.language)?.settle(line, clip);
    },
  });
  const ear = listen(came$, shared, { wiring, ledger, pauses, stall, deadline, segmenting });
  const { aligner } = shared;
  const placed$ = aligner ? closed$.pipe(alignedBy(aligner, ear.memory, wiring, stall)) : closed$;
  wiring.refresh();

  // Nobody's voice is kept unless everybody agreed and an engine needs it.
  const references = new ReferenceVoices();
  let cloning = false;

  const speakers = new Speakers({
    memory: ear.memory,
    rate: EAR_RATE,
    expression: options.expression ?? 1,
    level: options.level ?? 'matched',
  });
  const speech$ = new Subject<AudioChunk>();
  const running = new Subscription();
  let finish = () => {};
  const done = new Promise<void>((resolve) => (finish = resolve));
  // The programme and its words; then the languages.
  let open = 2;
  const check = () => {
    if (open === 0 && [...voices.values()].every((voice) => voice.ended)) finish();
  };
  const over = () => {
    open -= 1;
    check();
  };
  came$.subscribe({ complete: over });
  said$.subscribe({ complete: over });

  const onWords = (words: Hypothesis) => {
    pauses.heard(words);
    const closed = utterances.push(words);
    words$.next(words);
    for (const cue of captions.push(words, closed, utterances.unfinished)) cues$.next(cue);
    for (const utterance of closed) closed$.next(utterance);
  };
  const onLastWord = () => {
    const closed = utterances.end();
    for (const cue of captions.end(closed)) cues$.next(cue);
    for (const utterance of closed) closed$.next(utterance);
    pauses.end();
    for (const subject of [closed$, words$, cues$]) subject.complete();
  };

  return {
    words$,
    utterances$: said$,
    speech$,
    cues$,
    accompaniment$: ear.accompaniment$,
    lines$,
    faults$: wiring.faults$,
    mode$: wiring.mode$(),
    load: wiring.load,
    done,
    get languages() {
      return [...voices.keys()];
    },
    get totals() {
      return ledger.totals;
    },
    get unheard() {
      return ear.gate.unheard;
    },
    get lookahead() {
      const speaking = Math.max(0, ...[...voices.values()].map((voice) => voice.lookahead));
      return (ear.lookahead + speaking) as Span;
    },
    get stages() {
      return wiring.reports();
    },
    about: (utterance) => speakers.about(utterance),
    addLanguage(language, stages) {
      if (voices.has(language)) throw new TypeError(`Cannot add language: ${language} is already there`);
      const voice = new Voice(language, stages, {
        wiring,
        ledger,
        pauses,
        stall,
        stretcher,
        place,
        deadline,
        fitting,
        resample,
        from,
        syllables,
        referenceOf: (speaker) => references.of(speaker),
        howSaid: (utterance) => speakers.howSaid(utterance),
        guideOf: options.guideOf,
        about: (utterance) => speakers.about(utterance),
        faceAt: options.faceAt,
        onEnd: check,
      });
      voices.set(language, voice);
      cloning ||= options.cloning === true && stages.synthesizer?.caps.clonesVoice === true;
      voice.speak(said$, stages);
      const { clips$, cues$ } = voice;
      return { language, clips$, cues$, mode$: wiring.mode$(language) };
    },
    removeLanguage(language) {
      voices.get(language)?.close();
      voices.delete(language);
      ledger.drop(language);
      wiring.forget(language);
      check();
    },
    start() {
      // First, so that whoever is told of an utterance can ask about it.
      running.add(placed$.pipe(tap((utterance) => speakers.hears(utterance))).subscribe(said$));
      running.add(
        ear.turns$.subscribe((turn) => {
          utterances.turn(turn);
          speakers.turn(turn);
          if (cloning) references.turn(turn);
        }),
      );
      running.add(
        ear.speech$.subscribe((chunk) => {
          if (cloning) references.speech(chunk);
          speech$.next(chunk);
        }),
      );
      running.add(said$.subscribe((utterance) => cloning && references.utterance(utterance)));
      running.add(ear.words$.subscribe({ next: onWords, complete: onLastWord }));
      running.add(
        audio$.subscribe({
          next: (chunk) => {
            const now = clock.now();
            ledger.arrived(endOf(chunk), now);
            ledger.sweep(now);
            came$.next(chunk);
          },
          error: (error) => {
            wiring.faults$.next({ name: 'programme', fault: Fault.from('vad', error) });
            came$.complete();
          },
          complete: () => came$.complete(),
        }),
      );
    },
    close() {
      running.unsubscribe();
      references.close();
      for (const voice of voices.values()) voice.close();
      for (const subject of [came$, closed$, said$, words$, cues$, lines$, speech$]) subject.complete();
      wiring.close();
      finish();
    },
  };
}
