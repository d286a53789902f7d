import { type Interval, type MediaTime, type Span, at, ms, seconds } from '../media/time.ts';
import { bindsNext, endsClause, endsSentence, joins } from './clauses.ts';
import type { Language, Word } from './domain.ts';
import { writesSpaces } from './writing.ts';

/** What is said, with the times of its words as far as they are known. A word that is never heard has none. */
export interface TimedText extends Interval {
  readonly text: string;
  readonly words: readonly Word[];
}

/** How much of a caption can be read. Characters are graphemes, spaces and punctuation among them. */
export interface Reading {
  /** Characters in a line. */
  readonly width: number;
  /** Lines in a caption. */
  readonly rows: number;
  /** Characters a second. */
  readonly speed: number;
  readonly shortest: Span;
  readonly longest: Span;
}
/** Netflix Timed Text Style Guide, General Requirements: at least 5/6 s, at most 7 s, two lines; 42 characters in Latin script. */
const LATIN: Reading = { width: 42, rows: 2, speed: 17, shortest: ms(833), longest: seconds(7) };
/** Where a script packs more into a character, by primary subtag: the style guides of Netflix for these languages. */
const DENSE: Readonly<Record<string, Pick<Reading, 'width' | 'speed'>>> = {
  zh: { width: 16, speed: 9 },
  yue: { width: 16, speed: 9 },
  ja: { width: 13, speed: 4 },
  ko: { width: 16, speed: 12 },
};
export const readingOf = (language: Language): Reading => ({
  ...LATIN,
  ...DENSE[language.split('-')[0]?.toLowerCase() ?? ''],
});

/** The share of the picture's height that a face takes, from its top: 0 is the picture's upper edge, 1 its lower. */
export interface FaceSpan {
  readonly top: number;
  readonly bottom: number;
}
export type Place = 'top' | 'bottom';

/** A caption with its lines. `end` is when it may go if nothing follows, `voiceEnd` when the voice is through with it. */
export interface LaidOut extends Interval {
  readonly voiceEnd: MediaTime;
  readonly text: string;
  readonly lines: readonly string[];
}

/** Two captions closer than this are joined: a gap so short is a flicker. */
const JOINED = ms(250);
/** How much later than its voice a caption may come for the one before it to be read. */
const PUSHED = ms(500);

/** Costs of a layout; what counts is how they compare. A caption more costs more than any bad break within one. */
const COST = {
  cue: 40,
  row: 4,
  /** A break between captions counts this many times a break between lines. */
  apart: 2.5,
  /** A line or a caption that is emptier than it could be, by the square of what is missing. */
  slack: 12,
  /** Breaks. */
  sentence: 0,
  clause: 1,
  joining: 3,
  beforeBinding: 5,
  word: 8,
  name: 12,
  binding: 18,
  withinWord: 60,
} as const;

/**
 * Captions for a text: as few as hold it, broken where sense allows, each line and each caption about as full as its
 * neighbour.
 *
 * Every character of the text is in exactly one line. Where the lines are broken depends on the text alone: times that
 * become known later move captions, not words.
 *
 * @param shown this many UTF-16 units at the text's beginning are on show in one line already and stay there
 */
export function layout(
  timed: TimedText,
  language: Language,
  options: { readonly reading?: Partial<Reading>; readonly shown?: number } = {},
): LaidOut[] {
  const reading = { ...readingOf(language), ...options.reading };
  const text = timed.text.trim().replaceAll(/\s+/gu, ' ');
  const tokens = tokensOf(text, language, reading.width);
  if (tokens.length === 0) return [];
  const cues =
    arranged(text, tokens, language, reading, options.shown ?? 0) ?? arranged(text, tokens, language, reading, 0) ?? [];
  return placed(text, cues, timed, reading);
}

/** Where captions go: at the bottom, unless a face is there and the top is clearer of it. */
export function placeOf(face: FaceSpan | undefined, rows = 2): Place {
  if (!face) return 'bottom';
  // A line is 5.33 % of the height (WebVTT §7.1: font size 5vh, lines a little more) and the edge as much again.
  const area = 0.06 + rows * 0.06;
  const covered = (from: number, to: number) => Math.max(0, Math.min(to, face.bottom) - Math.max(from, face.top));
  return covered(1 - area, 1) > covered(0, area) ? 'top' : 'bottom';
}

/** Graphemes in a text. */
export function lengthOf(text: string): number {
  // In ASCII every unit is one, except a line break of two.
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  return [...graphemes.segment(text)].length;
}
const graphemes = new Intl.Segmenter(undefined, { granularity: 'grapheme' });

// Tokens: what a line is never broken within.

interface Token {
  readonly from: number;
  readonly to: number;
  readonly size: number;
  /** A space follows. */
  readonly spaced: boolean;
}

function tokensOf(text: string, language: Language, width: number): Token[] {
  const whole = writesSpaces(language);
  const tokens: Token[] = [];
  for (const { index, 0: run } of text.matchAll(/[^ ]+/gu)) {
    const pieces = whole && lengthOf(run) <= width ? [run] : wordsIn(run, language).flatMap((word) => cut(word, width));
    let from = index;
    for (const piece of pieces) {
      const to = from + piece.length;
      tokens.push({ from, to, size: lengthOf(piece), spaced: text[to] === ' ' });
      from = to;
    }
  }
  return tokens;
}

/** Words with the punctuation that belongs to them: what opens goes with the next, everything else with the one before. */
function wordsIn(run: string, language: Language): string[] {
  const words: string[] = [];
  let opening = '';
  for (const { segment, isWordLike } of segmenterOf(language).segment(run)) {
    if (isWordLike) {
      words.push(opening + segment);
      opening = '';
    } else if (/^[\p{Ps}\p{Pi}¿¡]+$/u.test(segment)) opening += segment;
    else if (words.length === 0 || opening !== '') opening += segment;
    else words.push((words.pop() ?? '') + segment);
  }
  if (opening !== '') words.push((words.pop() ?? '') + opening);
  return words;
}
const segmenters = new Map<Language, Intl.Segmenter>();
function segmenterOf(language: Language): Intl.Segmenter {
  let segmenter = segmenters.get(language);
  if (!segmenter) {
    const known = Intl.Segmenter.supportedLocalesOf([language]).length > 0;
    segmenter = new Intl.Segmenter(known ? language : undefined, { granularity: 'word' });
    segmenters.set(language, segmenter);
  }
  return segmenter;
}
/** A word that is longer than a line, in pieces that are not. */
function cut(word: string, width: number): string[] {
  if (lengthOf(word) <= width) return [word];
  const parts = [...graphemes.segment(word)].map(({ segment }) => segment);
  const count = Math.ceil(parts.length / width);
  const size = Math.ceil(parts.length / count);
  return Array.from({ length: count }, (_, n) => parts.slice(n * size, (n + 1) * size).join('')).filter(Boolean);
}

// Breaking.

/** Lines of one caption, each from a token to the one before the next line's first. */
type Rows = readonly (readonly [from: number, to: number])[];
interface Cost {
  readonly cost: number;
  readonly rows: Rows;
}

interface Arranged {
  /** UTF-16 units of the text. */
  readonly from: number;
  readonly to: number;
  readonly lines: readonly string[];
}

/** The cheapest way to spread all tokens over captions, or nothing when what is shown already forbids every one. */
function arranged(
  text: string,
  tokens: readonly Token[],
  language: Language,
  { width, rows }: Reading,
  shown: number,
): Arranged[] | undefined {
  const before = [0];
  for (const { size, spaced } of tokens) before.push((before.at(-1) ?? 0) + size + (spaced ? 1 : 0));
  const sizeOf = (from: number, to: number) =>
    (before[to] ?? 0) - (before[from] ?? 0) - (tokens[to - 1]?.spaced ? 1 : 0);
  const breaks = tokens.map((token, n) =>
    n === 0 ? 0 : token.from < shown ? Infinity : breakCost(text, tokens[n - 1], token, language),
  );

  const wrap = (from: number, to: number, most: number, whole: boolean): Cost | undefined => {
    const size = sizeOf(from, to);
    const slack = whole ? 0 : COST.slack * ((width - size) / width) ** 2;
    let best: Cost | undefined = size <= width ? { cost: slack, rows: [[from, to]] } : undefined;
    // What fits into one line is not broken.
    if (best || most === 1) return best;
    for (let k = from + 1; k < to && sizeOf(from, k) <= width; k += 1) {
      const rest = wrap(k, to, most - 1, false);
      if (!rest) continue;
      const cost =
        COST.slack * ((width - sizeOf(from, k)) / width) ** 2 + (breaks[k] ?? Infinity) + COST.row + rest.cost;
      if (cost < (best?.cost ?? Infinity)) best = { cost, rows: [[from, k], ...rest.rows] };
    }
    return best;
  };

  interface Best {
    readonly cost: number;
    readonly from: number;
    readonly rows: Rows;
  }
  const best: (Best | undefined)[] = [{ cost: 0, from: 0, rows: [] }];
  const full = width * rows;
  for (let to = 1; to <= tokens.length; to += 1) {
    for (let from = to - 1; from >= 0 && sizeOf(from, to) <= full; from -= 1) {
      const until = best[from];
      const rest = until && wrap(from, to, rows, true);
      if (!rest) continue;
      const apart = from === 0 ? 0 : COST.apart * (breaks[from] ?? Infinity);
      const slack = COST.slack * ((full - sizeOf(from, to)) / full) ** 2;
      const cost = until.cost + rest.cost + COST.cue + apart + slack;
      if (cost < (best[to]?.cost ?? Infinity)) best[to] = { cost, from, rows: rest.rows };
    }
  }
  const cues: Arranged[] = [];
  for (let to = tokens.length; to > 0;) {
    const last = best[to];
    if (!last) return undefined;
    const lines = last.rows.map(([a, b]) => text.slice(tokens[a]?.from, tokens[b - 1]?.to));
    cues.unshift({ from: tokens[last.from]?.from ?? 0, to: tokens[to - 1]?.to ?? 0, lines });
    to = last.from;
  }
  return cues;
}

function breakCost(text: string, before: Token | undefined, after: Token, language: Language): number {
  if (!before) return 0;
  const [left, right] = [text.slice(before.from, before.to), text.slice(after.from, after.to)];
  if (/\p{L}$/u.test(left) && !before.spaced && writesSpaces(language)) return COST.withinWord;
  if (bindsNext(left, language)) return COST.binding;
  if (endsSentence(left)) return COST.sentence;
  if (endsClause(left) || /[—–]$/u.test(left)) return COST.clause;
  if (joins(right, language)) return COST.joining;
  // A number and what it counts; a first name and a last name.
  if (/\p{N}$/u.test(left) || /^\p{N}/u.test(right)) return COST.name;
  if (/^\p{Lu}\p{Ll}/u.test(left) && /^\p{Lu}\p{Ll}/u.test(right) && !language.startsWith('de')) return COST.name;
  if (bindsNext(right, language)) return COST.beforeBinding;
  return COST.word;
}

// Times.

function placed(
  text: string,
  cues: readonly Arranged[],
  timed: TimedText,
  { speed, shortest, longest }: Reading,
): LaidOut[] {
  const heard = hearing(text, timed.words);
  const end = Math.max(timed.end, timed.start + 1);
  /** Where each caption begins, as far as one of its words has a time; after the last, where the voice ends. */
  const known = cues.map(({ from, to }, n) => (n === 0 ? timed.start : heard(from, to)?.start));
  const sizes = cues.map(({ lines }) => lines.reduce((sum, line) => sum + lengthOf(line), lines.length - 1));
  const starts: number[] = [];
  for (let n = 0; n < cues.length; n += 1) {
    const given = known[n];
    const next = known.findIndex((start, k) => k > n && start !== undefined);
    const until = next < 0 ? end : (known[next] ?? end);
    const floor = starts[n - 1] ?? timed.start;
    if (given !== undefined) starts.push(Math.min(end, Math.max(floor, given)));
    else {
      // Its share of the time up to what is known next, by how much there is to read.
      const own = sizes[n - 1] ?? 0;
      const rest = sizes.slice(n, next < 0 ? undefined : next).reduce((sum, size) => sum + size, 0);
      starts.push(floor + ((Math.max(floor, until) - floor) * own) / Math.max(1, own + rest));
    }
  }
  const needed = sizes.map((size) => Math.min(longest, Math.max(shortest, (size / speed) * 1_000_000)));
  for (let n = 1; n < starts.length; n += 1) {
    const [before = 0, start = 0] = starts.slice(n - 1);
    // What is said too fast to be read stays on where the caption behind it has time to spare.
    const spare = (starts[n + 1] ?? end) - (needed[n] ?? 0);
    const wanted = Math.min(before + (needed[n - 1] ?? 0), start + PUSHED, spare);
    starts[n] = Math.max(start, wanted);
  }
  return cues.map(({ from, to, lines }, n) => {
    const start = at(starts[n] ?? timed.start);
    const next = starts[n + 1];
    const until = next === undefined ? end : at(next);
    const spoken = next === undefined ? end : Math.min(until, heard(from, to)?.end ?? until);
    const voiceEnd = at(Math.max(start, spoken));
    const wanted = Math.max(voiceEnd, start + (needed[n] ?? 0));
    const stays = next === undefined ? wanted : until - wanted < JOINED ? until : wanted;
    return { start, end: at(Math.max(start + 1, stays)), voiceEnd, text: text.slice(from, to), lines };
  });
}

/** When a stretch of the text is heard, by the letters of its words: what a word is written with may differ. */
function hearing(
  text: string,
  words: readonly Word[],
): (from: number, to: number) => { readonly start: number; readonly end: number } | undefined {
  const letters = lettersOf(text);
  const key = letters.map(({ letter }) => letter).join('');
  const times: { readonly at: number; readonly start: number; readonly end: number }[] = [];
  let searched = 0;
  for (const word of words) {
    const own = lettersOf(word.text)
      .map(({ letter }) => letter)
      .join('');
    const found = own === '' ? -1 : key.indexOf(own, searched);
    // A word that is not written as it was said is passed over; one far ahead is another word.
    if (found < 0 || found - searched > PASSED_OVER) continue;
    const each = (word.end - word.start) / own.length;
    for (let n = 0; n < own.length; n += 1) {
      const start = word.start + n * each;
      times.push({ at: letters[found + n]?.at ?? 0, start, end: start + each });
    }
    searched = found + own.length;
  }
  return (from, to) => {
    const first = times.find((time) => time.at >= from && time.at < to);
    const last = times.findLast((time) => time.at >= from && time.at < to);
    return first && last && { start: first.start, end: last.end };
  };
}
/** Letters between a word and where the next one is looked for. */
const PASSED_OVER = 30;

/** One entry for each UTF-16 unit of the letters and digits in lower case, with its place in the text. */
function lettersOf(text: string): { readonly letter: string; readonly at: number }[] {
  return [...text.matchAll(/[\p{L}\p{N}\p{M}]/gu)].flatMap(({ 0: letter, index }) =>
    letter
      .toLowerCase()
      .split('')
      .map((unit) => ({ letter: unit, at: index })),
  );
}

// Captions after each other.

interface Following extends Interval {
  readonly voiceEnd: MediaTime;
  readonly speaker: string;
  readonly language?: Language;
  readonly text?: string;
}
/** Captions that may still be on show when another comes. */
const ON_SHOW = 8;

/**
 * Captions of one language as they are shown after each other, in order of their start: one goes when the next comes,
 * except while two people speak at once. One that is too short, or that cannot be read so quickly while the next has time to spare,
 * holds up the next by half a second at most.
 */
export function seamless<C extends Following>(cues: readonly C[], shortest: Span = LATIN.shortest): C[] {
  const out: C[] = [];
  for (const cue of [...cues].sort((a, b) => a.start - b.start)) follow(out, cue, shortest);
  return out;
}

/** Puts one more caption behind those of `out`, which it may shorten. */
export function follow<C extends Following>(out: C[], cue: C, shortest: Span = LATIN.shortest): void {
  const first = Math.max(0, out.length - ON_SHOW);
  let start: number = Math.max(cue.start, out.at(-1)?.start ?? cue.start);
  for (const before of out.slice(first)) {
    if (together(before, cue)) continue;
    const least = Math.min(before.end, Math.max(before.voiceEnd, before.start + shortest));
    const most = Math.min(cue.start + PUSHED, cue.end - shortest);
    // To be seen at all, or to be read whole where the next has time to spare.
    const spare = Math.min(cue.start + PUSHED, cue.end - toRead(cue));
    start = Math.max(start, Math.min(least, most), Math.min(before.end, spare));
  }
  for (const [n, before] of out.slice(first).entries()) {
    const end = together(before, cue) ? before.voiceEnd : before.end;
    const until = !together(before, cue) && start - end < JOINED && start > before.start ? start : end;
    if (until !== before.end) out[first + n] = { ...before, end: at(until) };
  }
  out.push(start === cue.start ? cue : { ...cue, start: at(start), end: at(Math.max(cue.end, start + 1)) });
}

/** How long it takes to read a caption; all of its time where its text is not known. */
function toRead({ start, end, text, language }: Following): number {
  if (text === undefined || language === undefined) return end - start;
  const { speed, shortest, longest } = readingOf(language);
  return Math.min(longest, Math.max(shortest, (lengthOf(text) / speed) * 1_000_000));
}

/** Whether two people are heard at once. */
export const together = (before: Following, cue: Following) =>
  before.speaker !== cue.speaker && cue.start < before.voiceEnd && before.start < cue.voiceEnd;
