import type { AudioChunk } from '../media/audio.ts';
import type { Overlay } from '../media/timeline.ts';
import type { Interval, MediaTime, SampleRate, Span } from '../media/time.ts';
import type { Phoneme } from './face.ts';

export type SpeakerId = string & { readonly kind: 'speaker' };
export type UtteranceId = string & { readonly kind: 'utterance' };
/** BCP 47. */
export type Language = string & { readonly kind: 'language' };

/** A stretch of analysis audio handed to a model: `pcm` covers the interval, `fresh` is what no window had before. */
export interface Window extends Interval {
  readonly seq: number;
  readonly pcm: Float32Array;
  readonly fresh: Interval;
}

/** How likely it is that somebody speaks during the interval. Activities of one stream are gapless and in order. */
export interface Activity extends Interval {
  /** 0 (nobody) … 1 (somebody). */
  readonly probability: number;
}

/** Audio of one speech segment, in order. Every segment ends with exactly one chunk that is `last` (it may be empty). */
export interface SpeechChunk extends AudioChunk {
  /** Counts speech segments from 0. */
  readonly segment: number;
  readonly last: boolean;
}

/** Who speaks during the interval. */
export interface Turn extends Interval {
  readonly speaker: SpeakerId;
  /** Who else speaks during all of it. Left out when nobody does, or when the diarizer cannot tell. */
  readonly overlap?: readonly SpeakerId[];
}

export interface Word extends Interval {
  readonly text: string;
}

/** A speech sound of a word. */
export interface Phone extends Interval {
  /** ARPAbet without stress, or IPA; what the aligner's `caps` say. */
  readonly text: string;
  /** Which word of the utterance it belongs to, from 0. */
  readonly word: number;
}

/**
 * What was said, with how it sounded: audio of one utterance, in order, and the words that are certain by now.
 *
 * `text` holds words that no earlier piece of the utterance had. Every utterance ends with exactly one `last` piece.
 */
export interface Spoken extends AudioChunk {
  readonly utterance: UtteranceId;
  readonly language: Language;
  readonly text: string;
  readonly last: boolean;
}

/** Where words and their sounds lie in an utterance. Every word so far, in order; what was there does not change. */
export interface Alignment extends Interval {
  readonly utterance: UtteranceId;
  readonly words: readonly Word[];
  readonly phones: readonly Phone[];
  /** The utterance is over. An alignment that could not be made is final and has no words. */
  readonly final: boolean;
}

/** A recogniser's current belief about one speech segment. `stable` words will not change; `draft` may. */
export interface Hypothesis extends Interval {
  readonly segment: number;
  /** Every stable word of the segment so far, in order (not only the new ones). */
  readonly stable: readonly Word[];
  readonly draft: string;
  /** The segment is over: nothing more will come of it, and `draft` is empty. */
  readonly final: boolean;
}

/** One speaker's finished clause or sentence: the unit everything after recognition works on. */
export interface Utterance extends Interval {
  readonly id: UtteranceId;
  readonly speaker: SpeakerId;
  readonly language: Language;
  readonly text: string;
  readonly words: readonly Word[];
  /** Where an aligner found them. */
  readonly phones?: readonly Phone[];
  /** How long its translation may be in the time there is. Translators whose `caps.budgets` is set heed it. */
  readonly budget?: Budget;
  /** A translation that turned out too long for its place: a shorter one is wanted. Only where `caps.shortens` is set. */
  readonly tooLong?: Overlong;
}

/** How long a line may be, in syllables: what suits its place, and what can still be made to fit it. */
export interface Budget {
  readonly aim: number;
  readonly most: number;
}
export interface Overlong {
  readonly text: string;
  /** Syllables it has. */
  readonly syllables: number;
}

/**
 * Which voice speaks for somebody: decided once a session by the pitch of the speaker's own voice, and the same in every
 * language.
 */
export interface Casting {
  readonly register: Register;
  /** Counts the speakers of one register from 0, so that no two need share a voice. */
  readonly place: number;
  /** The speaker's own median F0, Hz; left out where too little was heard. */
  readonly pitch?: number;
}
export type Register = 'male' | 'female' | 'child';

/** How a line is to be said, against the voice's own manner. */
export interface Delivery {
  /** Speaking rate, 1 = the voice's own; within the engine's `caps.rates`. */
  readonly rate: number;
  /** How long the speech should last, for an engine that can measure it before it speaks. */
  readonly aim?: Span;
  /** How much louder than usual the speaker was, dB, within ±6. */
  readonly energy: number;
  /** How much higher than usual the speaker was, semitones, within ±3. */
  readonly pitch: number;
}

/** What the face of whoever speaks shows of how something was said, for a voice that is to go with the picture. */
export interface Guide {
  /**
   * When the mouth is open, in the programme's time, in order, apart from each other. Given only where the dub is in the
   * language of the programme: the mouth of another language opens for other sounds.
   */
  readonly mouth?: readonly Interval[];
  /** How lively brows, jaw and head move against the speaker's usual: 0 (still), 0.5 (as usual), towards 1. */
  readonly expression: number;
}

/** An utterance in the target language, over the same interval of the programme. */
export interface Line extends Interval {
  readonly utterance: UtteranceId;
  readonly speaker: SpeakerId;
  readonly language: Language;
  readonly text: string;
  /** The speaker's own voice, once there is enough of it; given to synthesizers that clone. */
  readonly reference?: Reference;
  readonly casting?: Casting;
  readonly delivery?: Delivery;
  /** What is seen of the speaker's face; given to synthesizers whose `caps.guides` is set. */
  readonly guide?: Guide;
  /** It is the shorter of two, since the first would not have fitted. */
  readonly shortened?: boolean;
}

/** Something a synthesizer says at an instant of its own output, counted from the line's first sample. */
export interface SpeechMark {
  readonly type: 'word' | 'phoneme';
  /** Microseconds from the first sample of the line's speech. */
  readonly offset: number;
  /** The word as it stands in the line, or the phoneme in IPA. */
  readonly text: string;
}

/**
 * Speech for a line, chunk by chunk, not yet fitted to its interval.
 *
 * `chunk.start` counts from 0 at the line's first sample. The last chunk of a line has `last` and may be empty.
 */
export interface Speech {
  readonly line: Line;
  readonly chunk: AudioChunk;
  readonly marks: readonly SpeechMark[];
  readonly last: boolean;
  /** The rate at which it was said, 1 = the voice's own; given by engines that choose it themselves. */
  readonly rate?: number;
}

/** Audio taken apart: who speaks, and everything else. Together they are the input, sample for sample. */
export interface Stems {
  readonly start: MediaTime;
  readonly rate: SampleRate;
  readonly speech: Float32Array;
  readonly rest: Float32Array;
}

/** A stretch of one speaker's own voice, for engines that clone. */
export interface Reference {
  /** Changes whenever the sound does. */
  readonly id: string;
  readonly speaker: SpeakerId;
  readonly rate: SampleRate;
  readonly pcm: Float32Array;
  /** What is said in it, where that is known. */
  readonly text: string;
}

/** Dubbed audio with its place in the programme, 48 kHz. */
export interface Clip extends Overlay {
  readonly utterance: UtteranceId;
  readonly language: Language;
  readonly fit: Fit;
  /** The words that are heard and when, where the voice tells; words left to the caption are not among them. */
  readonly words?: readonly Word[];
  /** The speech sounds that are heard and when, where the voice tells. */
  readonly phonemes?: readonly Phoneme[];
}

/** What fitting did to a line. Lengths in microseconds. */
export interface Fit {
  /** The source's interval. */
  readonly slot: number;
  /** The voice's own duration before fitting. */
  readonly natural: number;
  /** Playing speed, 1 = as the voice said it; always within 0.9–1.2. Of several phrases, the one furthest from 1. */
  readonly speed: number;
  /** The rate that the voice was asked for, 1 = its own. */
  readonly rate: number;
  /** How much of the following pause was used. */
  readonly borrowed: number;
  /** How much of the preceding pause was used: so much before its source the clip starts. */
  readonly lead: number;
  /** How late after its source the clip starts because the previous one still spoke. */
  readonly shifted: number;
  /** How far the clip runs into what follows. */
  readonly overrun: number;
  /** Words left to the caption because they did not fit. */
  readonly trimmedWords: number;
  /** Phrase by phrase where pauses within the source were kept; one for the whole line elsewhere. */
  readonly phrases: readonly FittedPhrase[];
  readonly rung: Rung;
}
/**
 * What it took to make a line fit, the furthest step taken: nothing, the voice's own rate, the pause around it, slower or
 * faster playing, a shorter line, a cut.
 */
export type Rung = 'natural' | 'rate' | 'borrowed' | 'slowed' | 'stretched' | 'shortened' | 'trimmed';

/** A stretch of a clip, spoken without a break, with the stretch of the source that it stands for. */
export interface FittedPhrase extends Interval {
  readonly source: Interval;
  readonly speed: number;
}

/**
 * A caption. `end` is when it may go if nothing follows: with the voice, or later when there is more to read.
 *
 * Draft cues may be replaced by a later cue with the same id, whose text begins with theirs; others never change. A cue
 * without text takes back a draft of which nothing will come.
 */
export interface Cue extends Interval {
  readonly id: string;
  readonly language: Language;
  readonly speaker: SpeakerId;
  readonly text: string;
  /** The text as it is broken into lines. */
  readonly lines: readonly string[];
  /** When the voice is through with it. */
  readonly voiceEnd: MediaTime;
  readonly draft: boolean;
  /** Where it does not cover a face; at the bottom unless told. */
  readonly place?: 'top' | 'bottom';
}
