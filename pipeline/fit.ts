import {
  type Interval,
  type MediaTime,
  type Span,
  between,
  later,
  ms,
  seconds,
  latest,
  earliest,
} from '../media/time.ts';
import type { Fit, SpeakerId } from './domain.ts';

/** What a dub may do to make a line fit. */
export interface Fitting {
  /** Playing speeds a listener does not mind. */
  readonly slowest: number;
  readonly fastest: number;
  /** How much of the pause behind a line its dub may use. */
  readonly borrow: Span;
  /** How far a dub may run into what follows rather than lose a word. Whoever speaks next starts that much later. */
  readonly overrun: Span;
  /** A line that would have to start later than this behind its source is left to its caption. */
  readonly shift: Span;
}
export const FITTING: Fitting = {
  slowest: 0.9,
  fastest: 1.2,
  borrow: ms(1_500),
  overrun: ms(250),
  shift: seconds(1),
};

/** A line's voice as the synthesizer spoke it, silence at both ends trimmed. Lengths in microseconds. */
export interface Natural {
  readonly length: Span;
  /** Where words begin, in order, counted from the first sample. Empty when the engine does not tell. */
  readonly words: readonly Span[];
  /** How many words the line has. */
  readonly count: number;
}

/** What the line finds around it. */
export interface Surroundings {
  /** Nobody speaks between the line's end and here, as far as is known. */
  readonly quietUntil: MediaTime;
  /** A dub before this one speaks until here. */
  readonly busyUntil: MediaTime;
}

export interface Plan {
  readonly start: MediaTime;
  readonly speed: number;
  /** How much of the voice is played, counted at its own speed. */
  readonly keep: Span;
  readonly fit: Fit;
}

/**
 * How to fit a line, or `undefined` when nothing of it can be heard in its place.
 *
 * In this order: the voice's own speed within the line's interval (slower when the line leaves room), with the pause
 * behind it, faster, and at last without the words that still do not fit. However late a line starts, it ends where it
 * would have ended anyway: that is why lateness is paid back at once and does not add up.
 */
export function plan(
  line: Interval,
  natural: Natural,
  around: Surroundings,
  rules: Fitting = FITTING,
): Plan | undefined {
  const { slowest, fastest, borrow, overrun, shift } = rules;
  const start = latest(line.start, around.busyUntil);
  const shifted = between(line.start, start);
  if (shifted > shift || natural.length <= 0) return undefined;
  const pauseEnd = latest(line.end, earliest(around.quietUntil, later(line.end, borrow)));
  const slot = between(start, line.end);
  const room = between(start, pauseEnd);
  const most = between(start, later(pauseEnd, overrun));

  const played = (speed: number, keep: Span, rung: Fit['rung'], trimmedWords = 0): Plan => {
    const end = later(start, Math.round(keep / speed) as Span);
    const borrowed = Math.max(0, between(line.end, earliest(end, pauseEnd)));
    const fit: Fit = {
      slot: between(line.start, line.end),
      natural: natural.length,
      speed,
      rate: 1,
      borrowed,
      lead: 0,
      shifted,
      overrun: Math.max(0, between(pauseEnd, end)),
      trimmedWords,
      phrases: [{ start, end, source: { start: line.start, end: line.end }, speed }],
      rung,
    };
    return { start, speed, keep, fit };
  };

  const { length } = natural;
  if (length < slot * slowest) return played(slowest, length, 'slowed');
  if (length <= slot) return played(1, length, 'natural');
  if (length <= room) return played(1, length, 'borrowed');
  if (length <= room * fastest) return played(Math.min(fastest, length / Math.max(1, room)), length, 'stretched');
  if (length <= most * fastest) return played(fastest, length, 'stretched');

  const { keep, words } = cut(natural, (most * fastest) as Span);
  if (words === 0) return undefined;
  const speed = Math.min(fastest, Math.max(1, keep / Math.max(1, room)));
  return played(speed, keep, 'trimmed', natural.count - words);
}

/** The longest beginning of whole words within `budget`. Without marks, words are taken to be equally long. */
function cut({ length, words, count }: Natural, budget: Span): { keep: Span; words: number } {
  // Engines mark fewer words than are written ("2026") or more ("e.g."): shares are what can be compared.
  if (words.length > 1) {
    const kept = words.findLastIndex((offset) => offset <= budget);
    const keep = words[kept];
    const share = Math.min(count - 1, Math.floor((kept * count) / words.length));
    return keep === undefined || keep <= 0 || kept < 1 ? NOTHING : { keep, words: Math.max(share, count > 1 ? 1 : 0) };
  }
  const whole = Math.min(count - 1, Math.floor((budget / length) * count));
  return whole < 1 ? NOTHING : { keep: Math.round((whole / count) * length) as Span, words: whole };
}
const NOTHING = { keep: 0 as Span, words: 0 };

/** Where a dub was put, and over what. */
interface Put extends Interval {
  readonly speaker: SpeakerId;
  readonly source: Interval;
}
/** Dubs that may still be speaking when the next one starts. */
const REMEMBERED = 8;

/**
 * Who has the floor in one language. Nobody speaks two lines at once, and two people speak at once only if they did.
 */
export class Floor {
  #put: Put[] = [];

  busyUntil(line: Interval & { readonly speaker: SpeakerId }): MediaTime {
    const before = this.#put.filter(
      ({ speaker, source }) => speaker === line.speaker || !(source.start < line.end && line.start < source.end),
    );
    return before.reduce((until, { end }) => latest(until, end), Number.NEGATIVE_INFINITY as MediaTime);
  }
  take(line: Interval & { readonly speaker: SpeakerId }, heard: Interval): void {
    this.#put.push({ start: heard.start, end: heard.end, speaker: line.speaker, source: line });
    if (this.#put.length > REMEMBERED) this.#put.shift();
  }
}

/** How much of the pause behind it a line could make use of. */
export function wants(line: Interval, natural: Natural, busyUntil: MediaTime, rules: Fitting = FITTING): Span {
  const missing = natural.length - between(latest(line.start, busyUntil), line.end);
  return Math.max(0, Math.min(missing, rules.borrow)) as Span;
}
