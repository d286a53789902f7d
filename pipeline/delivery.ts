import { type Span, between, earliest, later, latest } from '../media/time.ts';
import type { Budget, Delivery, Language, Line, Overlong, SpeakerId, Utterance } from './domain.ts';
import { FITTING, type Fitting, type Floor } from './fit.ts';
import { Pace, type Syllables } from './pace.ts';
import type { Pauses } from './pauses.ts';
import type { Rates } from './stage.ts';

/** A voice that cannot speak faster or slower. */
const ONE_RATE: Rates = { slowest: 1, fastest: 1 };
/** A voice is left at its own rate where it would change by less than this. */
const CALM = 0.04;
/** How much of its slot a line need not fill. */
const SHORT = 0.9;
/** How far the speaker's own tempo is followed. */
const TEMPO = { slowest: 0.9, fastest: 1.1 };
/** Nothing with fewer syllables can be said more briefly. */
const FEWEST = 4;
/** Texts whose syllables are remembered: a line is counted when it is translated, spoken and learned from. */
const REMEMBERED = 64;

export interface PlannerOptions {
  readonly from: Language;
  readonly to: Language;
  readonly syllables: Syllables;
  readonly pauses: Pauses;
  readonly floor: Floor;
  /** Rates of the voice. */
  readonly rates?: Rates | undefined;
  readonly rules?: Partial<Fitting> | undefined;
}

/** Of whom and when: what utterances and lines have in common. */
type Spoken = Pick<Utterance, 'start' | 'end' | 'speaker'>;

/**
 * Decides before anything is spoken how long a line may be and how fast it is to be said, from what is known by then:
 * its interval, the pauses around it, the dub that still speaks, and how long the voice takes for a syllable.
 */
export class Planner {
  readonly #options: PlannerOptions;
  readonly #rules: Fitting;
  readonly #rates: Rates;
  readonly #pace: Pace;
  readonly #counted = new Map<string, number>();

  constructor(options: PlannerOptions) {
    this.#options = options;
    this.#rules = { ...FITTING, ...options.rules };
    this.#rates = options.rates ?? ONE_RATE;
    this.#pace = new Pace(options.syllables.usual(options.to));
  }

  /** How many syllables the utterance's translation may have. */
  budget(utterance: Utterance): Budget {
    const { from, syllables } = this.#options;
    const { slot, room } = this.#room(utterance);
    const spoken = this.#count(utterance.text, from);
    const seconds = Math.max(1, between(utterance.start, utterance.end)) / 1e6;
    const tempo = clamp(spoken / seconds / syllables.usual(from), TEMPO.slowest, TEMPO.fastest);
    const who = voiceOf(utterance.speaker);
    const aim = Math.max(FEWEST, this.#pace.fitting(slot, tempo, who));
    return { aim, most: Math.max(aim, this.#most(room, who)) };
  }

  /** How much too long a line is for its place when everything is done that a listener does not mind. */
  tooLong(line: Line): Overlong | undefined {
    const syllables = this.#count(line.text, this.#options.to);
    const { room } = this.#room(line);
    const most = Math.max(FEWEST, this.#most(room, voiceOf(line.speaker)));
    return syllables > most ? { text: line.text, syllables } : undefined;
  }
  /** Of two lines the one with fewer syllables; of equals the later. */
  shorter(first: Line, second: Line): Line {
    const { to } = this.#options;
    return this.#count(first.text, to) < this.#count(second.text, to) ? first : second;
  }

  /** How the line is to be said: at a rate that fills its slot, within what sounds natural in this voice. */
  delivery(line: Line): Delivery {
    const { slot } = this.#room(line);
    const predicted = this.#pace.predict(this.#count(line.text, this.#options.to), voiceOf(line.speaker));
    const { slowest, fastest } = this.#rates;
    const exact = slot <= 0 ? fastest : predicted > slot ? predicted / slot : Math.min(1, predicted / (slot * SHORT));
    const rate = Math.abs(exact - 1) < CALM ? 1 : clamp(exact, slowest, fastest);
    return { rate, aim: Math.max(0, slot) as Span, energy: 0, pitch: 0 };
  }

  /** A line was spoken: `length` without the silence around it, at `rate`. */
  learn(line: Line, length: Span, rate: number): void {
    this.#pace.learn(this.#count(line.text, this.#options.to), length, rate, voiceOf(line.speaker));
  }

  #most(room: Span, who: string): number {
    return this.#pace.fitting(room, this.#rates.fastest * this.#rules.fastest, who);
  }

  /** What there is for the line: its interval, and that with as much around it as may be used, as far as is known. */
  #room(spoken: Spoken): { readonly slot: Span; readonly room: Span } {
    const { pauses, floor } = this.#options;
    const { borrow, lead, overrun } = this.#rules;
    const start = latest(spoken.start, floor.busyUntil(spoken));
    const quiet = latest(spoken.end, earliest(pauses.after(spoken.end, borrow).until, later(spoken.end, borrow)));
    const before = start > spoken.start ? start : pauses.before(spoken.start, lead);
    return {
      slot: Math.max(0, between(start, spoken.end)) as Span,
      room: Math.max(0, between(before, later(quiet, overrun))) as Span,
    };
  }

  #count(text: string, language: Language): number {
    const key = `${language} ${text}`;
    let count = this.#counted.get(key);
    if (count === undefined) {
      count = this.#options.syllables.count(text, language);
      this.#counted.set(key, count);
      const oldest = this.#counted.size > REMEMBERED ? this.#counted.keys().next() : undefined;
      if (oldest && !oldest.done) this.#counted.delete(oldest.value);
    }
    return count;
  }
}

/** Each speaker has a voice. */
const voiceOf = (speaker: SpeakerId): string => speaker;
const clamp = (x: number, least: number, most: number) => Math.min(most, Math.max(least, x));
