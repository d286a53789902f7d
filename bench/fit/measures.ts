import type { Interval, MediaTime } from '../../media/time.ts';
import type { Clip, Cue, Utterance } from '../../pipeline/domain.ts';
import type { LineRecord } from '../../pipeline/ledger.ts';
import { phrasesOf } from './script.ts';

/** What dubbing a programme came to, line by line. */
export interface Dubbed {
  readonly lines: readonly LineRecord[];
  readonly utterances: readonly Utterance[];
  readonly clips: readonly Clip[];
  /** Captions of the language of the dub; the last one of an id counts. */
  readonly cues: readonly Cue[];
}

/** Figures of a set of lines. Times in ms; shares from 0 to 1. */
export interface FitFigures {
  readonly lines: number;
  readonly dubbed: number;
  readonly trimmed: number;
  readonly trimmedWords: number;
  /** Lines left to the caption, by why. */
  readonly left: Readonly<Record<string, number>>;
  /** Playing speed of every phrase of every dubbed line. */
  readonly speeds: readonly number[];
  /** Rates the voice was asked for. */
  readonly rates: readonly number[];
  readonly rungs: Readonly<Record<string, number>>;
  /** Share of the dubbed lines, and of all lines, none of whose phrases is played slower than 0.9 or faster than 1.2. */
  readonly naturalOfDubbed: number | null;
  readonly naturalOfAll: number | null;
  /** Dub start less source start of lines that made their deadline, signed. */
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly overruns: readonly number[];
  readonly borrowed: readonly number[];
  /** Caption end less voice end. */
  readonly captions: readonly number[];
  readonly pauses: PauseFigures;
}
export interface PauseFigures {
  /** Pauses within the utterances that were dubbed whole. */
  readonly inSource: number;
  /** Of these, how many the dub has at the place that the fit maps them to, and how many at the very same instant. */
  readonly mapped: number;
  readonly sameInstant: number;
}

/** Playing speeds a listener does not mind. Half a sample's worth of rounding does not count. */
const SLOWEST = 0.9 - 1e-6;
const FASTEST = 1.2 + 1e-6;
export const isNatural = (speed: number): boolean => speed >= SLOWEST && speed <= FASTEST;

/** A pause in speech, and how far its counterpart may be off. */
const PAUSE = 150_000;
const NEAR = 120_000;

export function figuresOf({ lines, utterances, clips, cues }: Dubbed): FitFigures {
  const clipOf = new Map(clips.map((clip) => [clip.utterance as string, clip]));
  const said = new Map(utterances.map((utterance) => [utterance.id as string, utterance]));
  const dubbed = lines.filter(({ dub }) => dub !== null);
  const left: Record<string, number> = {};
  const rungs: Record<string, number> = {};
  const speeds: number[] = [];
  let natural = 0;
  const counted = { inSource: 0, mapped: 0, sameInstant: 0 };
  const captions: number[] = [];
  for (const line of lines) {
    const { dub, fit } = line;
    if (!dub || !fit) {
      left[line.outcome] = (left[line.outcome] ?? 0) + 1;
      continue;
    }
    rungs[fit.rung] = (rungs[fit.rung] ?? 0) + 1;
    const own = fit.phrases.length > 0 ? fit.phrases.map(({ speed }) => speed) : [fit.speed];
    speeds.push(...own);
    if ([...own, fit.speed].every(isNatural)) natural += 1;
    const end = captionEnd(line.utterance, cues);
    if (end !== undefined) captions.push((end - dub.end) / 1_000);
    const [clip, utterance] = [clipOf.get(line.utterance), said.get(line.utterance)];
    if (!clip || !utterance || line.outcome !== 'dubbed') continue;
    const kept = pausesKept(pausesBetween(utterance.words), clip);
    counted.inSource += kept.inSource;
    counted.mapped += kept.mapped;
    counted.sameInstant += kept.sameInstant;
  }
  const ofDubbed = <T>(read: (line: LineRecord & { fit: NonNullable<LineRecord['fit']> }) => T): T[] =>
    dubbed.flatMap((line) => (line.fit ? [read({ ...line, fit: line.fit })] : []));
  return {
    lines: lines.length,
    dubbed: dubbed.length,
    trimmed: lines.filter(({ outcome }) => outcome === 'trimmed').length,
    trimmedWords: lines.reduce((sum, { trimmedWords }) => sum + trimmedWords, 0),
    left,
    speeds,
    rates: ofDubbed(({ fit }) => fit.rate),
    rungs,
    naturalOfDubbed: dubbed.length > 0 ? natural / dubbed.length : null,
    naturalOfAll: lines.length > 0 ? natural / lines.length : null,
    starts: dubbed.map(({ dub, start }) => ((dub?.start ?? start) - start) / 1_000),
    ends: dubbed.map(({ dub, end }) => ((dub?.end ?? end) - end) / 1_000),
    overruns: ofDubbed(({ fit }) => fit.overrun / 1_000),
    borrowed: ofDubbed(({ fit }) => fit.borrowed / 1_000),
    captions,
    pauses: counted,
  };
}

/** Figures of several sets together. */
export function together(all: readonly FitFigures[]): FitFigures {
  const sum = (read: (each: FitFigures) => number) => all.reduce((total, each) => total + read(each), 0);
  const merged = (read: (each: FitFigures) => Readonly<Record<string, number>>) => {
    const counts: Record<string, number> = {};
    for (const each of all) for (const [name, n] of Object.entries(read(each))) counts[name] = (counts[name] ?? 0) + n;
    return counts;
  };
  const [lines, dubbed] = [sum((each) => each.lines), sum((each) => each.dubbed)];
  const natural = sum((each) => (each.naturalOfDubbed ?? 0) * each.dubbed);
  return {
    lines,
    dubbed,
    trimmed: sum((each) => each.trimmed),
    trimmedWords: sum((each) => each.trimmedWords),
    left: merged((each) => each.left),
    speeds: all.flatMap((each) => each.speeds),
    rates: all.flatMap((each) => each.rates),
    rungs: merged((each) => each.rungs),
    naturalOfDubbed: dubbed > 0 ? natural / dubbed : null,
    naturalOfAll: lines > 0 ? natural / lines : null,
    starts: all.flatMap((each) => each.starts),
    ends: all.flatMap((each) => each.ends),
    overruns: all.flatMap((each) => each.overruns),
    borrowed: all.flatMap((each) => each.borrowed),
    captions: all.flatMap((each) => each.captions),
    pauses: {
      inSource: sum((each) => each.pauses.inSource),
      mapped: sum((each) => each.pauses.mapped),
      sameInstant: sum((each) => each.pauses.sameInstant),
    },
  };
}

/** Where the captions of a line end for good: those whose id is the line's, or begins with it and a sign that no id has within. */
export function captionEnd(utterance: string, cues: readonly Cue[]): MediaTime | undefined {
  const last = new Map<string, Cue>();
  for (const cue of cues) {
    const own =
      cue.id === utterance || (cue.id.startsWith(utterance) && /^[^\p{L}\p{N}]/u.test(cue.id.slice(utterance.length)));
    if (own) last.set(cue.id, cue);
  }
  const ends = [...last.values()].filter(({ text }) => text !== '').map(({ end }) => end);
  return ends.length > 0 ? (Math.max(...ends) as MediaTime) : undefined;
}

/** Pauses between words. */
export function pausesBetween(words: readonly Interval[]): Interval[] {
  const phrases = phrasesOf(words, PAUSE);
  return phrases.slice(1).flatMap((phrase, n) => {
    const [before, after] = [phrases[n]?.at(-1), phrase[0]];
    return before && after ? [{ start: before.end, end: after.start }] : [];
  });
}

/** How many pauses of the source a clip has too. */
export function pausesKept(
  pauses: readonly Interval[],
  clip: Pick<Clip, 'start' | 'end' | 'pcm' | 'fit'>,
): PauseFigures {
  const quiet = quietIn(clip.pcm, 48_000).map(({ start, end }) => ({
    start: clip.start + start,
    end: clip.start + end,
  }));
  const at = (t: number) => quiet.some(({ start, end }) => start - NEAR <= t && t <= end + NEAR);
  const middle = ({ start, end }: Interval) => (start + end) / 2;
  return {
    inSource: pauses.length,
    mapped: pauses.filter((pause) => at(mapped(middle(pause), clip))).length,
    sameInstant: pauses.filter((pause) => at(middle(pause))).length,
  };
}

/** The place of the clip that stands for an instant of its source: phrase by phrase, in between from end to start. */
export function mapped(t: number, { start, end, fit }: Pick<Clip, 'start' | 'end' | 'fit'>): number {
  const { phrases } = fit;
  const [first, last] = [phrases[0], phrases.at(-1)];
  if (!first || !last) return t;
  const corners = phrases.flatMap((phrase) => [
    [phrase.source.start, phrase.start],
    [phrase.source.end, phrase.end],
  ]) as [number, number][];
  if (t <= first.source.start) return Math.max(start, first.start - (first.source.start - t));
  if (t >= last.source.end) return Math.min(end, last.end + (t - last.source.end));
  for (let n = 1; n < corners.length; n += 1) {
    const [a, b] = [corners[n - 1], corners[n]];
    if (a && b && t <= b[0]) return b[0] === a[0] ? b[1] : a[1] + ((t - a[0]) / (b[0] - a[0])) * (b[1] - a[1]);
  }
  return last.end;
}

/** Energy is looked at so finely, seconds. */
const STEP = 0.01;
/** Quieter than this part of the loud passages is a pause (−34 dB), if it lasts this long. */
const SILENT = 0.02;
const SHORTEST = 80_000;

/** Pauses within speech, microseconds from its first sample; what is quiet at either end is none. */
export function quietIn(pcm: Float32Array, rate: number): { readonly start: number; readonly end: number }[] {
  const size = Math.round(rate * STEP);
  const levels = Array.from({ length: Math.floor(pcm.length / size) }, (_, n) => {
    let sum = 0;
    for (let i = n * size; i < (n + 1) * size; i += 1) sum += (pcm[i] ?? 0) ** 2;
    return Math.sqrt(sum / size);
  });
  const loud = levels.toSorted((a, b) => a - b)[Math.floor(levels.length * 0.95)] ?? 0;
  const quiet: { start: number; end: number }[] = [];
  let since: number | undefined;
  for (const [n, level] of levels.entries()) {
    if (level < loud * SILENT) since ??= n;
    else {
      if (since !== undefined && since > 0) quiet.push({ start: since * STEP * 1e6, end: n * STEP * 1e6 });
      since = undefined;
    }
  }
  return quiet.filter(({ start, end }) => end - start >= SHORTEST);
}

/** The value below which `share` of them lie; `null` without any. */
export function percentile(values: readonly number[], share: number): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null;
}
export const sizes = (values: readonly number[]): number[] => values.map(Math.abs);
