import { Observable, type OperatorFunction } from 'rxjs';
import type { Clock } from '../media/clock.ts';
import { Resampler } from '../media/resample.ts';
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
import type { Clip, Line, Speech, SpeechMark } from './domain.ts';
import { FITTING, type Fitting, Floor, type Natural, plan, wants } from './fit.ts';
import type { Gauge } from './load.ts';
import type { Pauses } from './pauses.ts';
import type { Part } from './rx.ts';

/** A line's speech, complete, silence at both ends trimmed. */
export interface SpokenLine {
  readonly line: Line;
  readonly rate: SampleRate;
  readonly pcm: Float32Array;
  readonly natural: Natural;
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
}

/** Where clips are heard. */
const RATE = 48_000;
/** Kept around the voice when silence is trimmed: onsets and decays are quieter than the threshold. */
const KEPT = ms(20);
/** What is quieter than this part of the loudest sample is silence (−40 dB). */
const SILENCE = 0.01;
/** A word that is cut off fades out over this. */
const FADE = ms(15);

/**
 * Puts lines' speech in its place: decides by `plan`, stretches, converts to 48 kHz. One per language.
 *
 * Lines come out in order. A line that could use the pause behind it waits until that pause is known, or until it must go.
 */
export function fitter(options: FitterOptions): Part<SpokenLine, Fitted> {
  const { stretcher, pauses, deadline, margin = ms(400), gauge } = options;
  const { resample = toClipRate } = options;
  const rules = { ...FITTING, ...options.rules };
  const floor = new Floor();

  const fit = async ({ line, rate, pcm, natural }: SpokenLine, clock: Clock, signal: AbortSignal): Promise<Fitted> => {
    const busyUntil = floor.busyUntil(line);
    const reach = wants(line, natural, busyUntil, rules);
    const giveUp = deadline && earlier(deadline(line.start), margin);
    const quietUntil =
      reach > 0 ? await pauseAfter(line.end, reach, { pauses, clock, signal, giveUp, gauge }) : line.end;
    const began = clock.now();
    const decided = plan(line, natural, { quietUntil, busyUntil }, rules);
    if (!decided) return { line, clip: undefined, took: ms(0) };

    const { start, speed, keep, fit } = decided;
    const kept = pcm.subarray(0, Math.min(pcm.length, sampleIndex(keep, rate)));
    const stretched = speed === 1 ? kept : await stretcher.stretch(kept, rate, speed, signal);
    const heard = resample(stretched, rate);
    if (fit.rung === 'trimmed') fadeOut(heard, sampleIndex(FADE, RATE));
    const end = later(start, samples(heard.length, RATE));
    floor.take(line, { start, end });
    const clip = { utterance: line.utterance, language: line.language, start, end, pcm: heard, fit };
    return { line, clip, took: between(began, clock.now()) };
  };
  return {
    kind: 'synthesizer',
    async *run(input, { signal, clock }) {
      for await (const spoken of input) yield await fit(spoken, clock, signal);
    },
  };
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
          out.next(spoken(speech.line, joined(parts), speech.chunk.rate, marks));
          [line, parts, marks] = [undefined, [], []];
        },
        error: (e) => out.error(e),
        complete: () => out.complete(),
      });
    });
}

/** Trims silence at both ends and moves the marks along. */
export function spoken(line: Line, pcm: Float32Array, rate: SampleRate, marks: readonly SpeechMark[]): SpokenLine {
  const loudest = pcm.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const audible = (x: number) => Math.abs(x) > loudest * SILENCE;
  const kept = sampleIndex(KEPT, rate);
  const from = Math.max(0, pcm.findIndex(audible) - kept);
  const to = Math.min(pcm.length, pcm.findLastIndex(audible) + 1 + kept);
  const voice = loudest > 0 ? pcm.subarray(from, to) : pcm.subarray(0, 0);
  const lead = samples(from, rate);
  const words = marks.filter(({ type }) => type === 'word').map(({ offset }) => Math.max(0, offset - lead) as Span);
  const natural = { length: samples(voice.length, rate), words, count: countWords(line.text, line.language) };
  return { line, rate, pcm: voice, natural };
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

function toClipRate(pcm: Float32Array, from: SampleRate): Float32Array {
  const resampler = new Resampler(from, RATE);
  return joined([resampler.push(pcm), resampler.flush()]);
}

function fadeOut(pcm: Float32Array, length: number): void {
  const count = Math.min(length, pcm.length);
  const from = pcm.length - count;
  for (let i = 0; i < count; i += 1) pcm[from + i] = (pcm[from + i] ?? 0) * (1 - (i + 1) / count);
}

function joined(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((n, part) => n + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    whole.set(part, offset);
    offset += part.length;
  }
  return whole;
}
