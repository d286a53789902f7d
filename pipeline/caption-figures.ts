import { lengthOf, readingOf } from './cue-layout.ts';
import type { Clip, Cue } from './domain.ts';
import { following } from './webvtt.ts';

/** How captions of one language turned out. Spans in microseconds. */
export interface CaptionFigures {
  readonly cues: number;
  /** Share of cues that can be read at the language's speed (`readingOf`), and share of lines that are no longer than its width. */
  readonly readable: number;
  readonly fitting: number;
  /** Lines in the tallest cue. */
  readonly rows: number;
  /** How long after the voice of their clip captions go; negative when they go before it. */
  readonly end: { readonly p5: number; readonly p50: number; readonly p95: number } | null;
  /** Cues that begin before the one before them is gone, though one person speaks. */
  readonly overlapping: number;
  /** Versions of a cue that take back a word or put one on another line, or come after the final one. */
  readonly flickers: number;
}

/**
 * @param cues of one language, drafts too, in the order they came
 * @param clips of that language: what was heard
 */
export function captionFigures(
  cues: readonly Cue[],
  clips: readonly Pick<Clip, 'utterance' | 'start' | 'end'>[],
): CaptionFigures {
  const shown = following(cues);
  const lines = shown.flatMap((cue) => cue.lines.map((line) => ({ line, most: readingOf(cue.language).width })));
  const readable = shown.filter(({ text, start, end, language }) => {
    const most = readingOf(language).speed;
    // A millisecond is what files round to.
    return lengthOf(text) <= (most * (end - start + 1_000)) / 1e6;
  });
  const offsets = clips
    .flatMap((clip) => {
      const own = shown.filter(({ id }) => id === clip.utterance || id.startsWith(`${clip.utterance}/`));
      const last = own.reduce((end, cue) => Math.max(end, cue.end), Number.NEGATIVE_INFINITY);
      return own.length > 0 ? [last - clip.end] : [];
    })
    .sort((a, b) => a - b);
  const rank = (share: number) => offsets[Math.min(offsets.length - 1, Math.floor(share * offsets.length))] ?? 0;
  return {
    cues: shown.length,
    readable: share(readable.length, shown.length),
    fitting: share(lines.filter(({ line, most }) => lengthOf(line) <= most).length, lines.length),
    rows: Math.max(0, ...shown.map((cue) => cue.lines.length)),
    end: offsets.length > 0 ? { p5: rank(0.05), p50: rank(0.5), p95: rank(0.95) } : null,
    overlapping: shown.filter((cue, n) => {
      const before = shown[n - 1];
      return before?.speaker === cue.speaker && cue.start < before.end;
    }).length,
    flickers: flickersIn(cues),
  };
}
const share = (part: number, all: number) => (all === 0 ? 1 : part / all);

/** Whether a viewer who sees every version of every cue would see a word go or move. */
export function flickersIn(cues: readonly Cue[]): number {
  const last = new Map<string, Cue>();
  let count = 0;
  for (const cue of cues) {
    const key = `${cue.language} ${cue.id}`;
    const before = last.get(key);
    last.set(key, cue);
    if (before && !grows(before, cue)) count += 1;
  }
  return count;
}
const grows = (before: Cue, cue: Cue): boolean =>
  before.draft &&
  cue.text.startsWith(before.text) &&
  before.lines.every((line, n) =>
    n < before.lines.length - 1 ? cue.lines[n] === line : cue.lines[n]?.startsWith(line),
  );
