import { type Interval, type MediaTime, type Span, between, later, ms, seconds } from '../media/time.ts';
import { endsClause, endsSentence, startsClause } from './clauses.ts';
import type { Hypothesis, Language, SpeakerId, Turn, Utterance, UtteranceId, Word } from './domain.ts';
import { written } from './writing.ts';

export interface Closing {
  /** A silence between two words that is longer than this ends an utterance. */
  readonly pause: Span;
  /** An utterance of at least this many words may end before a word that begins a clause, or after a comma. */
  readonly clauseWords: number;
  /** None gets longer than this, in time or in words. */
  readonly longest: Span;
  readonly mostWords: number;
}
export const CLOSING: Closing = { pause: ms(350), clauseWords: 6, longest: seconds(5), mostWords: 14 };

/** Turns are remembered this many at a time; an utterance is closed long before. */
const REMEMBERED = 256;
/** What is left on either side of a cut made for length. */
const FEWEST = 3;
/** How many of `count` words go at least when there are too many. */
const earliestCut = (count: number) => Math.max(FEWEST, Math.ceil(count / 2));

export interface UtteranceOptions {
  readonly language: Language;
  /** How often the session was started before: keeps ids apart across restarts. */
  readonly generation?: number;
  readonly closing?: Partial<Closing>;
}

/** What has been said since the last utterance closed. */
export interface Unfinished {
  readonly language: Language;
  /** The id it will have when it closes. */
  readonly id: UtteranceId;
  readonly speaker: SpeakerId;
  readonly words: readonly Word[];
  /** How many of them will be in it whatever comes: one that gets too long is cut in its latter half. */
  readonly sure: number;
}

/**
 * Cuts recognised words into utterances, each word into exactly one, in order.
 *
 * Everything after this waits for an utterance to close, so it closes as soon as stable words allow, without waiting
 * for the segment to be over.
 */
export class Utterances {
  readonly #language: Language;
  readonly #generation: number;
  readonly #rules: Closing;
  #count = 0;
  #words: Word[] = [];
  #segment = -1;
  /** Words of the segment taken so far, and the last of them. */
  #taken = 0;
  #last: Word | undefined;
  #turns: Turn[] = [];
  #speaker = 's1' as SpeakerId;

  constructor({ language, generation = 0, closing = {} }: UtteranceOptions) {
    this.#language = language;
    this.#generation = generation;
    this.#rules = { ...CLOSING, ...closing };
  }

  get unfinished(): Unfinished {
    const words = this.#words;
    const sure = Math.min(words.length, earliestCut(words.length));
    return { language: this.#language, id: this.#id(), speaker: this.#speakerOf(words), words, sure };
  }

  turn(turn: Turn): void {
    this.#turns.push(turn);
    if (this.#turns.length > REMEMBERED) this.#turns.shift();
  }

  push({ segment, stable, final }: Hypothesis): Utterance[] {
    const out: Utterance[] = [];
    if (segment !== this.#segment) {
      out.push(...this.end());
      this.#segment = segment;
      this.#taken = 0;
      this.#last = undefined;
    }
    const seen = stable[this.#taken - 1];
    // A recogniser that was restarted within the segment counts its words from where it came back.
    if (this.#taken > 0 && (seen?.start !== this.#last?.start || seen?.text !== this.#last?.text)) this.#taken = 0;
    for (const word of stable.slice(this.#taken)) {
      this.#last = word;
      if (word.text.trim() !== '') out.push(...this.#add(word));
    }
    this.#taken = stable.length;
    if (final) out.push(...this.end());
    return out;
  }

  /** Closes what is open. */
  end(): Utterance[] {
    return this.#words.length > 0 ? [this.#close(this.#words.length)] : [];
  }

  #add(word: Word): Utterance[] {
    const { pause, clauseWords, longest, mostWords } = this.#rules;
    const out: Utterance[] = [];
    const last = this.#words.at(-1);
    if (last) {
      const long = this.#words.length >= clauseWords;
      const boundary =
        between(last.end, word.start) > pause ||
        endsSentence(last.text) ||
        this.#changesSpeaker(word) ||
        (long && (endsClause(last.text) || startsClause(word.text, this.#language)));
      if (boundary) out.push(...this.end());
    }
    while (this.#tooLong(word, longest, mostWords)) out.push(this.#close(this.#cut()));
    this.#words.push(word);
    if (endsSentence(word.text)) out.push(...this.end());
    return out;
  }

  #tooLong(word: Word, longest: Span, mostWords: number): boolean {
    const first = this.#words[0];
    return first !== undefined && (this.#words.length >= mostWords || between(first.start, word.end) > longest);
  }

  /** How many words go when the open ones are too many: up to a clause's beginning or the longest silence, late rather than early. */
  #cut(): number {
    const words = this.#words;
    let best = words.length;
    let most = 0;
    for (let i = earliestCut(words.length); i <= words.length - FEWEST; i += 1) {
      const [before, word] = [words[i - 1], words[i]];
      if (!before || !word) continue;
      const clause = startsClause(word.text, this.#language) || endsClause(before.text);
      const score = between(before.end, word.start) + (clause ? ms(200) : 0) + i;
      // A silence shorter than this is within speech: then the limit is as good a place.
      if (score > most && score > ms(60)) [best, most] = [i, score];
    }
    return best;
  }

  #close(count: number): Utterance {
    const words = this.#words.splice(0, count);
    const id = this.#id();
    this.#count += 1;
    this.#speaker = this.#speakerOf(words);
    const start = Math.min(...words.map((word) => word.start)) as MediaTime;
    const end = Math.max(later(start, ms(1)), ...words.map((word) => word.end)) as MediaTime;
    const text = written(
      words.map((word) => word.text),
      this.#language,
    );
    return { id, speaker: this.#speaker, language: this.#language, start, end, text, words };
  }

  #id(): UtteranceId {
    return `u${this.#generation}.${this.#count}` as UtteranceId;
  }

  /** Whoever is known to speak longest during `words`; when nobody is known to, whoever spoke last. */
  #speakerOf(words: readonly Interval[]): SpeakerId {
    return this.#known(words) ?? this.#speaker;
  }

  #known(words: readonly Interval[]): SpeakerId | undefined {
    const first = words[0];
    const final = words.at(-1);
    if (!first || !final) return undefined;
    const overlap = new Map<SpeakerId, number>();
    for (const { start, end, speaker } of this.#turns) {
      const common = Math.min(end, final.end) - Math.max(start, first.start);
      if (common > 0) overlap.set(speaker, (overlap.get(speaker) ?? 0) + common);
    }
    let best: SpeakerId | undefined;
    for (const [speaker, span] of overlap) if (best === undefined || span > (overlap.get(best) ?? 0)) best = speaker;
    return best;
  }

  /** Only where both sides are known: guesses do not cut sentences. */
  #changesSpeaker(word: Word): boolean {
    const next = this.#known([word]);
    const open = this.#known(this.#words);
    return next !== undefined && open !== undefined && next !== open;
  }
}
