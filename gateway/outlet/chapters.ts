import { type MediaTime, type Span, between, seconds } from '../../media/time.ts';
import { type CueView, speakerName } from '../protocol.ts';

/** A stretch in which one person speaks, from the beginning of the file. */
export interface Chapter {
  readonly start: Span;
  readonly end: Span;
  readonly title: string;
}

/** Who speaks for less than this only interrupts. */
const MOMENT = seconds(3);

/**
 * Chapters by speaker: one begins when another person than before speaks for more than a moment. They follow each other
 * without a gap, from the beginning of the file to its end.
 *
 * @param cues final captions of the language of the programme
 */
export function chaptersOf(cues: readonly CueView[], origin: MediaTime, duration: Span): Chapter[] {
  const turns: { speaker: string; start: number; end: number; spoken: number }[] = [];
  for (const { speaker, start, end, voiceEnd = end } of [...cues].sort((a, b) => a.start - b.start)) {
    const last = turns.at(-1);
    if (last?.speaker === speaker) {
      last.end = Math.max(last.end, voiceEnd);
      last.spoken += voiceEnd - start;
    } else turns.push({ speaker, start, end: voiceEnd, spoken: voiceEnd - start });
  }
  const begun: { speaker: string; start: Span }[] = [];
  for (const { speaker, start, spoken } of turns) {
    const from = Math.max(0, between(origin, start as MediaTime)) as Span;
    if (spoken <= MOMENT || begun.at(-1)?.speaker === speaker || from >= duration) continue;
    begun.push({ speaker, start: begun.length === 0 ? (0 as Span) : from });
  }
  return begun.map(({ speaker, start }, n) => ({
    start,
    end: begun[n + 1]?.start ?? duration,
    title: speakerName(speaker),
  }));
}

/** Chapters as FFmpeg reads them (FFMETADATA1, "Metadata" in FFmpeg's formats documentation). */
export const ffmetadata = (chapters: readonly Chapter[]): string =>
  [
    ';FFMETADATA1',
    ...chapters.flatMap(({ start, end, title }) => [
      '[CHAPTER]',
      'TIMEBASE=1/1000000',
      `START=${start}`,
      `END=${end}`,
      `title=${title.replace(/[=;#\\\n]/g, '\\$&')}`,
    ]),
    '',
  ].join('\n');
