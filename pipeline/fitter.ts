import { Observable, type OperatorFunction } from 'rxjs';
import { joined } from '../media/audio.ts';
import type { Clock } from '../media/clock.ts';
import { rise } from '../media/mix.ts';
import { resample } from '../media/resample.ts';
import type { Stretcher } from '../media/stretch.ts';
import {
  type ClockTime,
  type MediaTime,
  type SampleRate,
  type Span,
  between,
  earlier,
  later,
  ms,
  sampleIndex,
  samples,
} from '../media/time.ts';
import type { Clip, FittedPhrase, Line, Rung, Speech, SpeechMark, UtteranceId, Word } from './domain.ts';
import { FITTING, type Fitting, Floor, type Natural, type PlannedPart, endOfPart, plan, wants } from './fit.ts';
import type { Gauge } from './load.ts';
import type { Pauses } from './pauses.ts';
import { type VoicePhoneme, phonemeTimes, voicePhonemes } from './phoneme-times.ts';
import { type VoiceWord, pairPhrases, sourcePhrases, voiceWords } from './phrasing.ts';
import type { Part } from './rx.ts';

/** A line's speech, complete, silence at both ends trimmed. */
export interface SpokenLine {
  readonly line: Line;
  readonly rate: SampleRate;
  readonly pcm: Float32Array;
  readonly natural: Natural;
  /** Words with where the voice can be parted before them. */
  readonly words: readonly VoiceWord[];
  /** Its sounds, where the engine tells. */
  readonly phonemes?: readonly VoicePhoneme[];
  /** The rate it was said at, 1 = the voice's own. */
  readonly pace: number;
}
/** Speech in its place, about to be a clip. `pcm` may be written to. */
export interface Placed {
  readonly line: Line;
  readonly pcm: Float32Array;
  readonly start: MediaTime;
  readonly phrases: readonly FittedPhrase[];
}
/** What a clip takes over from its source. */
export interface About {
  /** Where they pause, the dub pauses. */
  readonly words: readonly Word[];
  /** Where the speaker sits between left (−1) and right (1). */
  readonly seat: number;
  /** Gives the speech the level and the movement of the original's. */
  readonly finish: (placed: Placed) => void;
}
/** What became of a line: a clip, or nothing when it cannot be heard in its place. */
export interface Fitted {
  readonly line: Line;
  readonly clip: Clip | undefined;
  /** Clock time the work took, without waiting for the pause to become known. */
  readonly took: Span;
}

export interface FitterOptions {
  readonly stretcher: Stretcher;
  readonly pauses: Pauses;
  readonly rules?: Partial<Fitting>;
  /** The last moment at which a clip starting at `t` still makes it; left out, there is no hurry. */
  readonly deadline?: (t: MediaTime) => ClockTime;
  /** How long before the deadline a line stops waiting to learn how long the pause behind it is. */
  readonly margin?: Span;
  /** To 48 kHz. */
  readonly resample?: (pcm: Float32Array, from: SampleRate) => Float32Array;
  readonly gauge?: Gauge;
  /** Who has the floor; one of its own unless given. */
  readonly floor?: Floor;
  /** What is known of a line's source; asked for once a line. */
  readonly about?: (utterance: UtteranceId) => About | undefined;
}

/** Where clips are heard. */
const RATE = 48_000;
/** Kept around the voice when silence is trimmed: onsets and decays are quieter than the threshold. */
const KEPT = ms(20);
/** From a clip being fitted to its being in place. */
const PLACING = ms(50);
/** What is quieter than this part of the loudest sample is silence (−40 dB). */
const SILENCE = 0.01;
/** A word that is cut off fades out over this, and a phrase that is parted from the next in and out over that. */
const FADE = ms(15);
const PART_FADE = ms(8);

/**
 * Puts lines' speech in its place: decides by `plan`, stretches, converts to 48 kHz. One per language.
 *
 * Lines come out in order. A line that could use the pause behind it waits until that pause is known, or until it must go.
 */
export function fitter(options: FitterOptions): Part<SpokenLine, Fitted> {
  const { stretcher, pauses, deadline, margin = ms(400), gauge, floor = new Floor(), about } = options;
  const { resample = toClipRate } = options;
  const rules = { ...FITTING, ...options.rules };

  const fit = async (spoken: SpokenLine, clock: Clock, signal: AbortSignal): Promise<Fitted> => {
    const { line, rate, pcm, words } = spoken;
    const source = about?.(line.utterance);
    const phrases = pairPhrases(sourcePhrases(source?.words ?? []), words, spoken.natural.length);
    const natural = phrases ? { ...spoken.natural, phrases } : spoken.natural;
    const busyUntil = floor.busyUntil(line);
    const reach = wants(line, natural, busyUntil, rules);
    const giveUp = deadline && earlier(deadline(line.start), margin);
    const quietUntil =
      reach > 0 ? await pauseAfter(line.end, reach, { pauses, clock, signal, giveUp, gauge }) : line.end;
    const began = clock.now();
    const early = earlier(line.start, rules.lead);
    const inTime = !deadline || deadline(early) > later(began, PLACING);
    const quietFrom = inTime ? pauses.before(line.start, rules.lead) : line.start;
    const decided = plan(line, natural, { quietFrom, quietUntil, busyUntil }, rules);
    if (!decided) return { line, clip: undefined, took: ms(0) };

    const { start, parts } = decided;
    const heard = await rendered(parts, { pcm, rate, start, stretcher, resample, signal });
    if (decided.fit.rung === 'trimmed') fadeOut(heard, sampleIndex(FADE, RATE));
    const end = later(start, samples(heard.length, RATE));
    const fit = { ...decided.fit, rate: spoken.pace, rung: rungOf(decided.fit.rung, spoken) };
    source?.finish({ line, pcm: heard, start, phrases: fit.phrases });
    floor.take(line, { start, end });
    const { utterance, language } = line;
    const pan = source?.seat ?? 0;
    const clip: Clip = {
      utterance,
      language,
      start,
      end,
      pcm: heard,
      pan,
      fit,
      words: wordTimes(spoken, parts),
      ...(spoken.phonemes ? { phonemes: phonemeTimes(spoken.phonemes, parts, end) } : {}),
    };
    return { line, clip, took: between(began, clock.now()) };
  };
  return {
    kind: 'synthesizer',
    async *run(input, { signal, clock }) {
      for await (const spoken of input) yield await fit(spoken, clock, signal);
    },
  };
}

/** The furthest step: a shorter line is asked for where all others would not do, short of a cut; a rate before them. */
function rungOf(rung: Rung, { pace, line }: Pick<SpokenLine, 'pace' | 'line'>): Rung {
  if (rung !== 'trimmed' && line.shortened) return 'shortened';
  return rung === 'natural' && pace !== 1 ? 'rate' : rung;
}

interface Rendering {
  readonly pcm: Float32Array;
  readonly rate: SampleRate;
  readonly start: MediaTime;
  readonly stretcher: Stretcher;
  readonly resample: (pcm: Float32Array, from: SampleRate) => Float32Array;
  readonly signal: AbortSignal;
}

/** The parts of a voice, each stretched and in its place, at the clips' rate; silence between them. */
async function rendered(parts: readonly PlannedPart[], { pcm, rate, start, ...how }: Rendering): Promise<Float32Array> {
  const pieces: { readonly at: number; readonly pcm: Float32Array }[] = [];
  for (const { from, to, at, speed } of parts) {
    const [first, last] = [sampleIndex(from, rate), Math.min(pcm.length, sampleIndex(to, rate))];
    const kept = pcm.subarray(first, last);
    const stretched = speed === 1 ? kept : await how.stretcher.stretch(kept, rate, speed, how.signal);
    const piece = how.resample(stretched, rate);
    // Where the voice is parted it has no edge of its own. Last of all: what stretches smears edges.
    if (first > 0) fadeIn(piece, sampleIndex(PART_FADE, RATE));
    if (parts.length > 1 && last < pcm.length) fadeOut(piece, sampleIndex(PART_FADE, RATE));
    pieces.push({ at: sampleIndex(between(start, at), RATE), pcm: piece });
  }
  const [only] = pieces;
  if (only && pieces.length === 1) return only.pcm;
  const whole = new Float32Array(Math.max(0, ...pieces.map((piece) => piece.at + piece.pcm.length)));
  for (const piece of pieces) piece.pcm.forEach((x, i) => (whole[piece.at + i]! += x));
  return whole;
}

/** When the words are heard. */
function wordTimes({ words }: SpokenLine, parts: readonly PlannedPart[]): Word[] {
  const heard: { start: MediaTime; text: string; part: PlannedPart }[] = [];
  for (const { offset, text } of words) {
    const part =
      parts.find(({ from, to }) => offset < to && (offset >= from || from === parts[0]?.from)) ?? parts.at(-1);
    if (!part || offset >= part.to) continue;
    heard.push({ start: later(part.at, Math.round(Math.max(0, offset - part.from) / part.speed) as Span), text, part });
  }
  return heard.map(({ start, text, part }, n) => {
    const next = heard[n + 1];
    const end = next && next.part === part ? next.start : endOfPart(part);
    return { start, end: Math.max(start, end) as MediaTime, text };
  });
}

interface Patience {
  readonly pauses: Pauses;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly giveUp: ClockTime | undefined;
  readonly gauge: Gauge | undefined;
}

/** Until when nobody speaks after `t`, waiting to learn it until `giveUp`. */
async function pauseAfter(t: MediaTime, reach: Span, patience: Patience): Promise<MediaTime> {
  const { pauses, clock, signal, giveUp, gauge } = patience;
  let pause = pauses.after(t, reach);
  if (pause.settled) return pause.until;
  const done = new AbortController();
  let up = false;
  let wake = () => {};
  const timeUp = () => {
    up = true;
    wake();
  };
  signal.addEventListener('abort', timeUp, { once: true, signal: done.signal });
  if (giveUp !== undefined) clock.until(giveUp, done.signal).then(timeUp, () => {});
  gauge?.wait(true);
  try {
    while (!pause.settled && !up && !(giveUp !== undefined && clock.now() >= giveUp)) {
      let forget = () => {};
      await new Promise<void>((resolve) => {
        wake = resolve;
        forget = pauses.once(resolve);
      });
      forget();
      pause = pauses.after(t, reach);
    }
    return pause.until;
  } finally {
    gauge?.wait(false);
    done.abort();
  }
}

/** Collects each line's speech until its last chunk. A line that never finishes is never emitted. */
export function wholeLines(): OperatorFunction<Speech, SpokenLine> {
  return (source) =>
    new Observable((out) => {
      let line: Line | undefined;
      let parts: Float32Array[] = [];
      let marks: SpeechMark[] = [];
      return source.subscribe({
        next: (speech) => {
          // A line that begins again was interrupted: what it said before does not count. Lines are told apart by their
          // utterance, since an engine in another thread gives out copies.
          const again = parts.length > 0 && speech.chunk.start === 0;
          if (again || speech.line.utterance !== line?.utterance) [line, parts, marks] = [speech.line, [], []];
          if (speech.chunk.pcm.length > 0) parts.push(speech.chunk.pcm.slice());
          marks.push(...speech.marks);
          if (!speech.last) return;
          out.next(spoken(speech.line, joined(parts), speech.chunk.rate, marks, speech.rate));
          [line, parts, marks] = [undefined, [], []];
        },
        error: (e) => out.error(e),
        complete: () => out.complete(),
      });
    });
}

/** Trims silence at both ends and moves the marks along. */
export function spoken(
  line: Line,
  pcm: Float32Array,
  rate: SampleRate,
  marks: readonly SpeechMark[],
  pace = line.delivery?.rate ?? 1,
): SpokenLine {
  const loudest = pcm.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const audible = (x: number) => Math.abs(x) > loudest * SILENCE;
  const kept = sampleIndex(KEPT, rate);
  const from = Math.max(0, pcm.findIndex(audible) - kept);
  const to = Math.min(pcm.length, pcm.findLastIndex(audible) + 1 + kept);
  const voice = loudest > 0 ? pcm.subarray(from, to) : pcm.subarray(0, 0);
  const lead = samples(from, rate);
  const moved = marks.map((mark) => ({ ...mark, offset: Math.max(0, mark.offset - lead) }));
  const phonemes = voicePhonemes(moved, voice, rate);
  const words = voiceWords(line.text, moved, voice, rate);
  const natural = {
    length: samples(voice.length, rate),
    words: words.map(({ offset }) => offset),
    count: countWords(line.text, line.language),
  };
  return { line, rate, pcm: voice, natural, words, pace, ...(phonemes.length > 0 ? { phonemes } : {}) };
}

const segmenters = new Map<string, Intl.Segmenter>();
/** Words as the language counts them, also where it writes no spaces. */
export function countWords(text: string, language: string): number {
  let segmenter = segmenters.get(language);
  if (!segmenter) {
    segmenter = new Intl.Segmenter(language, { granularity: 'word' });
    segmenters.set(language, segmenter);
  }
  let count = 0;
  for (const { isWordLike } of segmenter.segment(text)) if (isWordLike) count += 1;
  return Math.max(1, count);
}

const toClipRate = (pcm: Float32Array, from: SampleRate): Float32Array => resample(pcm, from, RATE);

function fadeIn(pcm: Float32Array, length: number): void {
  const count = Math.min(length, pcm.length);
  for (let i = 0; i < count; i += 1) pcm[i] = (pcm[i] ?? 0) * rise(i / count);
}

function fadeOut(pcm: Float32Array, length: number): void {
  const count = Math.min(length, pcm.length);
  const from = pcm.length - count;
  for (let i = 0; i < count; i += 1) pcm[from + i] = (pcm[from + i] ?? 0) * rise(1 - (i + 1) / count);
}
