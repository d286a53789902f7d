import {
  type MediaTime,
  type SampleRate,
  type Span,
  earliest,
  later,
  ms,
  sampleIndex,
  samples,
} from '../media/time.ts';
import type { SpeechMark } from './domain.ts';
import type { Phoneme } from './face.ts';
import type { PlannedPart } from './fit.ts';

/** What is quieter than this part of the loudest sample is silence (−40 dB). */
const SILENCE = 0.01;
const STEP = ms(5);
/** A silence of this length behind a phoneme is a pause; shorter ones are the closures of stops. */
const PAUSE = ms(80);
/** What a phoneme keeps before a pause at least, so that an unreleased stop is still one. */
const KEPT = ms(50);
/** The last phoneme of a voice that does not tell its end lasts this at most. */
const LAST = ms(250);

/** A speech sound of a voice: microseconds from its first sample. */
export interface VoicePhoneme {
  readonly text: string;
  readonly from: Span;
  readonly to: Span;
}

/** Marks that name no sound: pauses, and stress or length on their own. */
const SOUNDLESS = /^[\s_:.|ˈˌː‖]*$|^(pau|sil|sp|spn)$/u;

/** The sounds of a voice. Each lasts until the next, or until the voice is silent. `offset` counts from the first sample. */
export function voicePhonemes(marks: readonly SpeechMark[], pcm: Float32Array, rate: SampleRate): VoicePhoneme[] {
  const told = marks.filter(({ type }) => type === 'phoneme').sort((a, b) => a.offset - b.offset);
  if (told.length === 0) return [];
  const length = samples(pcm.length, rate);
  const loudest = pcm.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  const step = Math.max(1, sampleIndex(STEP, rate));
  const silent = (from: number, to: number) => {
    for (let i = from; i < to; i += 1) if (Math.abs(pcm[i]!) > loudest * SILENCE) return false;
    return true;
  };
  return told.flatMap(({ text, offset }, n): VoicePhoneme[] => {
    const from = Math.min(offset, length) as Span;
    const next = Math.min(told[n + 1]?.offset ?? Math.min(length, from + LAST), length) as Span;
    if (SOUNDLESS.test(text) || next <= from) return [];
    const [first, last] = [sampleIndex(from, rate), sampleIndex(next, rate)];
    let quiet = last;
    while (quiet - step >= first && silent(quiet - step, quiet)) quiet -= step;
    const pauses = samples(last - quiet, rate) >= PAUSE;
    const to = pauses ? Math.max(samples(quiet, rate), Math.min(next, from + KEPT)) : next;
    return [{ text, from, to: to as Span }];
  });
}

/** When the sounds of a voice are heard that is played in `parts` until `end`. What is cut off is left out. */
export function phonemeTimes(
  phonemes: readonly VoicePhoneme[],
  parts: readonly PlannedPart[],
  end: MediaTime,
): Phoneme[] {
  return parts.flatMap(({ from, to, at, speed }) => {
    const heard = (span: Span): MediaTime =>
      earliest(end, later(at, Math.round(Math.max(0, span - from) / speed) as Span));
    return phonemes
      .map(({ text, ...phoneme }) => ({
        start: heard(phoneme.from),
        end: heard(Math.min(phoneme.to, to) as Span),
        text,
      }))
      .filter(({ start, end }) => end > start);
  });
}
