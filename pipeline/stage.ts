import type { AudioChunk } from '../media/audio.ts';
import type { Clock } from '../media/clock.ts';
import type { SampleRate, Span } from '../media/time.ts';
import type { VideoFrame } from '../media/video-frame.ts';
import type {
  Activity,
  Alignment,
  Hypothesis,
  Language,
  Line,
  Speech,
  SpeechChunk,
  Spoken,
  Stems,
  Turn,
  Utterance,
} from './domain.ts';
import type { Driven, Pair, Rough, Scene, Seen, Shot, Speaking } from './face.ts';

interface Common {
  /** Algorithmic delay: how far output trails input when the model costs nothing. */
  readonly lookahead: Span;
}
interface Listens {
  /** The sample rate that `run` expects of its input. */
  readonly rate: SampleRate;
}
interface Speaks {
  readonly languages: readonly Language[] | 'any';
}

export interface Rates {
  readonly slowest: number;
  readonly fastest: number;
}

/** Another engine that does a stage's work while the chosen one cannot. */
export interface StandIn {
  /** The engine that works at present when it is not the chosen one. */
  readonly engine: string | undefined;
  /** Calls `changed` whenever that changes. */
  watch(changed: () => void): void;
}

/** What each kind of stage eats, makes, and can say about itself. */
export interface StageMap {
  /** Same length out as in: audio `lookahead` later in the output than in the input is already compensated in `start`. */
  enhancer: { in: AudioChunk; out: AudioChunk; caps: Common & Listens };
  /** Same length out as in, both stems; together they are the input. */
  separator: { in: AudioChunk; out: Stems; caps: Common & Listens };
  vad: { in: AudioChunk; out: Activity; caps: Common & Listens };
  diarizer: {
    in: SpeechChunk;
    out: Turn;
    caps: Common & Listens & { readonly maxSpeakers: number; readonly overlap: boolean };
  };
  recognizer: {
    in: SpeechChunk;
    out: Hypothesis;
    caps: Common & Listens & Speaks & { readonly drafts: boolean; readonly wordTimes: boolean };
  };
  /** Each utterance ends with one alignment that is `final`. */
  aligner: {
    in: Spoken;
    out: Alignment;
    caps: Common & Listens & Speaks & { readonly phones: 'arpabet' | 'ipa' | 'none' };
  };
  /** One line at most per utterance, in order; an utterance that cannot be translated costs a `rejected` fault. */
  translator: {
    in: Utterance;
    out: Line;
    caps: Common & {
      readonly from: readonly Language[] | 'any';
      readonly to: readonly Language[] | 'any';
      /** Heeds `budget`. */
      readonly budgets?: boolean;
      /** Makes a shorter line of an utterance that comes again with `tooLong`. */
      readonly shortens?: boolean;
    };
  };
  synthesizer: {
    in: Line;
    out: Speech;
    caps: Common &
      Speaks & {
        readonly streams: boolean;
        readonly clonesVoice: boolean;
        readonly marks: readonly ('word' | 'phoneme')[];
        /** How many speakers can be told apart by their voice. */
        readonly voices: number;
        /** Speaking rates at which it sounds natural, 1 = its own. Left out, it has one rate. */
        readonly rates?: Rates;
        /** Heeds `guide`. */
        readonly guides?: true;
      };
  };
  /** What is seen in each picture, in order. */
  faceTracker: {
    in: VideoFrame;
    out: Seen;
    caps: Common & { readonly mostFaces: number; readonly embeddings: boolean };
  };
  /** One answer per scene, in order, about the scene's faces. */
  activeSpeaker: { in: Scene; out: Speaking; caps: Common };
  /** One driven picture per shot, in order. */
  lipDriver: {
    in: Shot;
    out: Driven;
    caps: Common & {
      /** Wants to see faces also while nobody speaks for them. */
      readonly watches: boolean;
      /** Takes `phonemes`; others go by the sound alone. */
      readonly phonemes: boolean;
    };
  };
  /** One driven picture per rough one, in order. */
  restorer: { in: Rough; out: Driven; caps: Common };
  /** `count` pictures per pair, in order, at even distances between the two. */
  interpolator: { in: Pair; out: VideoFrame; caps: Common };
}
export type StageKind = keyof StageMap;

export interface StageScope {
  readonly signal: AbortSignal;
  readonly clock: Clock;
}

/**
 * A model behind one interface, whatever hosts it.
 *
 * `run` is one stream's worth of work: it ends when `input` ends or `signal` aborts, throws a `Fault` when it cannot
 * go on, keeps at most `caps.lookahead` of input, and may be called again after any of these.
 */
export interface Stage<K extends StageKind = StageKind> {
  readonly kind: K;
  readonly engine: string;
  readonly caps: StageMap[K]['caps'];
  /** Of a stage that has two engines, one for when the other cannot. */
  readonly standIn?: StandIn;
  run(input: AsyncIterable<StageMap[K]['in']>, scope: StageScope): AsyncIterable<StageMap[K]['out']>;
}
