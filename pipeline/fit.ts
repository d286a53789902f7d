import {
  type Interval,
  type MediaTime,
  type Span,
  between,
  earlier,
  later,
  ms,
  seconds,
  latest,
  earliest,
} from '../media/time.ts';
import type { Fit, FittedPhrase, Rung, SpeakerId } from './domain.ts';

/** What a dub may do to make a line fit. */
export interface Fitting {
  /** Playing speeds a listener does not mind. */
  readonly slowest: number;
  readonly fastest: number;
  /** How much of the pause behind a line its dub may use. */
  readonly borrow: Span;
  /** How much of the pause before a line its dub may use: so much before the speaker's mouth opens the dub may speak. */
  readonly lead: Span;
  /** How far a dub may run into what follows rather than lose a word. Whoever speaks next starts that much later. */
  readonly overrun: Span;
  /** How much too long a dub may be before it is played faster for it: nobody hears it, and playing faster costs quality. */
  readonly slack: Span;
  /** A line that would have to start later than this behind its source is left to its caption. */
  readonly shift: Span;
  /** Silence that is left between two phrases of a line where the source has a pause. */
  readonly breath: Span;
  /** How much faster one phrase of a line may be played than another. */
  readonly uneven: number;
}
/**
 * Lead and overrun are what a dub may be early and late by: sound that is up to 45 ms early or 125 ms late against the
 * picture is not noticed (ITU-R BT.1359-1, detectability), and what is foreign to the lips anyway may be a little more.
 */
export const FITTING: Fitting = {
  slowest: 0.9,
  fastest: 1.2,
  borrow: ms(1_500),
  lead: ms(80),
  overrun: ms(100),
  slack: ms(30),
  shift: seconds(1),
  breath: ms(60),
  uneven: 1.2,
};

/** A line's voice as the synthesizer spoke it, silence at both ends trimmed. Lengths in microseconds. */
export interface Natural {
  readonly length: Span;
  /** Where words begin, in order, counted from the first sample. Empty when the engine does not tell. */
  readonly words: readonly Span[];
  /** How many words the line has. */
  readonly count: number;
  /** The voice phrase by phrase where the source pauses within the line; left out where it does not. */
  readonly phrases?: readonly NaturalPhrase[];
}
/** A stretch of the voice, and the stretch of the programme that it stands for. */
export interface NaturalPhrase {
  readonly from: Span;
  readonly to: Span;
  readonly source: Interval;
}

/** What the line finds around it. */
export interface Surroundings {
  /** Nobody speaks between here and the line's start, as far as is known; the line's start when somebody may. */
  readonly quietFrom?: MediaTime;
  /** Nobody speaks between the line's end and here, as far as is known. */
  readonly quietUntil: MediaTime;
  /** A dub before this one speaks until here. */
  readonly busyUntil: MediaTime;
}

/** A stretch of the voice, `from` … `to`, played from `at` on. */
export interface PlannedPart {
  readonly from: Span;
  readonly to: Span;
  readonly at: MediaTime;
  readonly speed: number;
}
export interface Plan {
  readonly start: MediaTime;
  /** In order, and one after the other has ended. */
  readonly parts: readonly PlannedPart[];
  readonly fit: Fit;
}

/**
 * How to fit a line, or `undefined` when nothing of it can be heard in its place.
 *
 * Where the source pauses within the line, phrase by phrase if that can be done evenly. Else as a whole, in this order:
 * the voice as it is within the line's interval (slower when the line leaves room), with the pause behind it, with a
 * little of the pause before it, faster, and at last without the words that still do not fit. However late a line
 * starts, it ends where it would have ended anyway: that is why lateness is paid back at once and does not add up.
 */
export function plan(
  line: Interval,
  natural: Natural,
  around: Surroundings,
  rules: Fitting = FITTING,
): Plan | undefined {
  const { slowest, fastest, borrow, overrun, slack, shift, lead } = rules;
  const start = latest(line.start, around.busyUntil);
  const shifted = between(line.start, start);
  if (shifted > shift || natural.length <= 0) return undefined;
  const pauseEnd = latest(line.end, earliest(around.quietUntil, later(line.end, borrow)));
  const phrased = shifted === 0 ? phraseByPhrase(line, natural, pauseEnd, rules) : undefined;
  if (phrased) return phrased;

  const slot = between(start, line.end);
  const room = between(start, pauseEnd);
  const { length } = natural;
  const quiet = latest(around.quietFrom ?? line.start, around.busyUntil);
  const early = shifted > 0 ? 0 : Math.max(0, Math.min(lead, between(quiet, line.start), length - room));
  const from = earlier(start, early as Span);
  const wide = (room + early) as Span;
  const most = (wide + overrun) as Span;

  const played = (at: MediaTime, speed: number, keep: Span, rung: Rung, trimmedWords = 0): Plan =>
    planned(line, natural, pauseEnd, [{ from: 0 as Span, to: keep, at, speed }], rung, trimmedWords);

  if (length < slot * slowest) return played(start, slowest, length, 'slowed');
  if (length <= slot + slack) return played(start, 1, length, 'natural');
  if (length <= room + slack) return played(start, 1, length, 'borrowed');
  if (length <= wide + slack) return played(from, 1, length, 'borrowed');
  if (length <= wide * fastest) {
    return played(from, Math.min(fastest, length / Math.max(1, wide)), length, 'stretched');
  }
  if (length <= most * fastest) return played(from, fastest, length, 'stretched');

  const { keep, words } = cut(natural, (most * fastest) as Span);
  if (words === 0) return undefined;
  const speed = Math.min(fastest, Math.max(1, keep / Math.max(1, wide)));
  return played(from, speed, keep, 'trimmed', natural.count - words);
}

/** Each phrase where its source is, or nothing when that takes more than the rules allow or sounds uneven. */
function phraseByPhrase(line: Interval, natural: Natural, pauseEnd: MediaTime, rules: Fitting): Plan | undefined {
  const { slowest, fastest, breath, uneven } = rules;
  const { phrases = [] } = natural;
  if (phrases.length < 2) return undefined;
  const parts = phrases.map(({ from, to, source }, n): PlannedPart => {
    const length = to - from;
    const next = phrases[n + 1];
    const slot = between(source.start, source.end);
    const room = between(source.start, next ? earlier(next.source.start, breath) : pauseEnd);
    const speed = length < slot * slowest ? slowest : length <= room ? 1 : length / Math.max(1, room);
    return { from, to, at: source.start, speed };
  });
  const speeds = parts.map(({ speed }) => speed);
  const [low, high] = [Math.min(...speeds), Math.max(...speeds)];
  if (high > fastest || high / low > uneven) return undefined;
  const spare = phrases.some(({ from, to, source }) => to - from > between(source.start, source.end));
  const rung = high > 1 ? 'stretched' : low < 1 ? 'slowed' : spare ? 'borrowed' : 'natural';
  return planned(line, natural, pauseEnd, parts, rung, 0);
}

/** Where a part ends. */
export const endOfPart = ({ from, to, at, speed }: PlannedPart): MediaTime =>
  later(at, Math.round((to - from) / speed) as Span);

function planned(
  line: Interval,
  natural: Natural,
  pauseEnd: MediaTime,
  parts: readonly PlannedPart[],
  rung: Rung,
  trimmedWords: number,
): Plan {
  const start = parts[0]?.at ?? line.start;
  const end = parts.reduce((latestEnd, part) => latest(latestEnd, endOfPart(part)), start);
  const phrases = parts.map((part, n): FittedPhrase => {
    const source = parts.length > 1 ? natural.phrases?.[n]?.source : undefined;
    const { start: from, end: to } = source ?? line;
    return { start: part.at, end: endOfPart(part), source: { start: from, end: to }, speed: part.speed };
  });
  const furthest = parts.reduce((far, { speed }) => (distance(speed) > distance(far) ? speed : far), 1);
  const fit: Fit = {
    slot: between(line.start, line.end),
    natural: natural.length,
    speed: furthest,
    rate: 1,
    borrowed: Math.max(0, between(line.end, earliest(end, pauseEnd))),
    lead: Math.max(0, between(start, line.start)),
    shifted: Math.max(0, between(line.start, start)),
    overrun: Math.max(0, between(pauseEnd, end)),
    trimmedWords,
    phrases,
    rung,
  };
  return { start, parts, fit };
}
const distance = (speed: number) => Math.abs(Math.log(speed));

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
  return (missing <= rules.slack ? 0 : Math.min(missing, rules.borrow)) as Span;
}
