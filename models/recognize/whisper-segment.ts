import type { Clock } from '../../media/clock.ts';
import {
  type MediaTime,
  type Span,
  between,
  earliest,
  latest,
  later,
  ms,
  sampleIndex,
  samples,
  seconds,
} from '../../media/time.ts';
import { endsSentence } from '../../pipeline/clauses.ts';
import type { Hypothesis, SpeechChunk, Word } from '../../pipeline/domain.ts';
import { agreeing } from './agreement.ts';
import { attendedBefore } from './align-att.ts';
import { type Doubt, type GuardSettings, SoundMeter, credits, doubt, silent } from './hallucination.ts';
import type { Heard, Listener, Writing } from './whisper-decoder.ts';
import type { SpokenLanguage } from './whisper-language.ts';
import { MelWindow, WHISPER_HOP, WHISPER_RATE } from './whisper-mel.ts';
import type { TokenWord } from './whisper-tokens.ts';

/** How a stream is recognised by a model that hears windows. */
export interface Streaming {
  /** When words are settled: once two hypotheses agree, or once the model has stopped looking at the end of the audio. */
  readonly policy: 'local-agreement' | 'align-att';
  /** New audio between two hypotheses, at least. */
  readonly hop: Span;
  /** With `align-att`: what was heard last, and may still read differently. */
  readonly guard: Span;
  /** A window longer than this is cut at the end of a settled sentence. */
  readonly trim: Span;
  readonly doubts: GuardSettings;
}

/** What goes from one segment of a stream to the next. */
export interface Memory {
  /** Tokens of words to expect; they come first in every prompt. */
  readonly glossary: readonly number[];
  /** The most tokens of earlier text in a prompt. */
  readonly depth: number;
  readonly language: SpokenLanguage;
  /** Tokens of what was said before the segment, newest last. */
  said: readonly number[];
}

/** A settled word with its tokens, as long as its audio is in the window. */
interface Settled {
  readonly word: Word;
  readonly tokens: readonly number[];
}
/** A word of the newest hypothesis behind the settled ones, and how much audio there was when it first appeared. */
interface Drafted extends TokenWord {
  readonly seen: MediaTime;
}

/** Positions of encoder and cross-attention are 20 ms apart. */
const POSITION = ms(20);
const POSITION_SAMPLES = 2 * WHISPER_HOP;
/** Audio missing within a segment is filled with silence up to this, so that word times stay true. */
const LONGEST_GAP = sampleIndex(seconds(10), WHISPER_RATE);
/** How much of the thread's time hypotheses may take: two parts of three. */
const EASE = 1.5;
/** Nobody speaks more tokens in a second; a hypothesis that goes on has lost its way. */
const TOKENS_PER_SECOND = 12;
const TOKENS_AT_LEAST = 8;
const SUFFIX = /^[^\p{L}\p{N}]*$/u;

/**
 * One speech segment, recognised while it is being spoken.
 *
 * Every `hop`, the model writes down the window of audio so far, going on from the words that are settled, so that
 * those can never change. How many of the words behind them are settled next is the policy's: LocalAgreement-2 (two
 * hypotheses in a row agree on them) or AlignAtt (the model did not look at the end of the audio when it wrote them).
 * When the window gets long it is cut behind a settled sentence, and what is cut off goes into the prompt.
 *
 * Nothing is taken over from one hypothesis to the next but text: the audio around a word changes with every hop, for an
 * encoder that hears in both directions, and with it every key and value.
 *
 * @see Macháček, Dabre, Bojar: "Turning Whisper into Real-Time Transcription System", IJCNLP-AACL 2023
 * (LocalAgreement-2, prompt from what was confirmed, trimming at sentences)
 */
export class WhisperSegment {
  readonly number: number;
  readonly start: MediaTime;
  readonly #listener: Listener;
  readonly #rules: Streaming;
  readonly #memory: Memory;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #window: MelWindow;
  readonly #meter = new SoundMeter();
  #dropped = 0;
  #heard = 0;
  #asked = 0;
  /** Samples that come in during one hypothesis, as long as the last one took. */
  #cost = 0;
  #stable: readonly Word[] = [];
  #kept: Settled[] = [];
  #draft: readonly Drafted[] = [];
  #before: MediaTime;
  #told = '';

  constructor(
    listener: Listener,
    rules: Streaming,
    memory: Memory,
    first: SpeechChunk,
    { clock, signal }: { clock: Clock; signal: AbortSignal },
  ) {
    this.number = first.segment;
    this.start = first.start;
    this.#before = first.start;
    this.#listener = listener;
    this.#rules = rules;
    this.#memory = memory;
    this.#clock = clock;
    this.#signal = signal;
    this.#window = new MelWindow(listener.shape.mels, 2 * listener.shape.positions);
  }

  /** Takes audio, and says what is new if it is time to. */
  async hear({ start, pcm }: SpeechChunk): Promise<Hypothesis | undefined> {
    const missing = sampleIndex(between(this.#now(), start), WHISPER_RATE);
    if (missing > WHISPER_RATE / 1_000) await this.#take(new Float32Array(Math.min(missing, LONGEST_GAP)));
    await this.#take(pcm);
    const step = Math.max(sampleIndex(this.#rules.hop, WHISPER_RATE), EASE * this.#cost);
    if (this.#heard - this.#asked < step) return undefined;
    await this.#think(false);
    return this.#news();
  }

  async finish(): Promise<Hypothesis> {
    if (this.#heard > this.#asked || this.#draft.length > 0) await this.#think(true);
    this.#remember(this.#kept.splice(0));
    return { ...this.#place(), stable: this.#stable, draft: '', final: true };
  }

  #place() {
    return { segment: this.number, start: this.start, end: this.#now() };
  }
  #now(): MediaTime {
    return later(this.start, samples(this.#heard, WHISPER_RATE));
  }
  /** Where the window begins. */
  #from(): MediaTime {
    return later(this.start, samples(this.#dropped, WHISPER_RATE));
  }

  #news(): Hypothesis | undefined {
    const draft = this.#draft.map(({ text }) => text).join(' ');
    const told = `${this.#stable.length} ${draft}`;
    if (told === this.#told) return undefined;
    this.#told = told;
    return { ...this.#place(), stable: this.#stable, draft, final: false };
  }

  async #take(pcm: Float32Array): Promise<void> {
    for (let at = 0; at < pcm.length;) {
      const room = this.#window.size - this.#window.pcm.length;
      if (room === 0) await this.#think(false);
      const piece = pcm.subarray(at, at + Math.min(room, pcm.length - at));
      this.#window.push(piece);
      this.#meter.hear(piece);
      this.#heard += piece.length;
      at += piece.length;
    }
  }

  /** One hypothesis about the window: settles what can be settled, drafts the rest, and makes room. */
  async #think(last: boolean): Promise<void> {
    const begun = this.#clock.now();
    this.#asked = this.#heard;
    if (silent(this.#meter.sound, this.#rules.doubts)) return this.#makeRoom(undefined, '');
    const heard = await this.#listener.hear(this.#window.features());
    const language = await this.#memory.language.of(heard, this.#window.pcm.length / WHISPER_RATE);
    const settled = this.#kept.flatMap(({ tokens }) => tokens);
    const most = Math.ceil(this.#window.pcm.length / WHISPER_RATE) * TOKENS_PER_SECOND + TOKENS_AT_LEAST;
    const prompt = { context: this.#context(), language, settled, signal: this.#signal };
    const limit = Math.min(most, Math.floor(this.#listener.shape.context / 2));
    const writing = await heard.write({ ...prompt, most: limit });
    const words = this.#doubted(writing, last) ? [] : this.#words(writing, language);
    const count = last ? words.length : this.#certain(words, writing);
    await this.#settle(words, count, heard, language);
    await this.#makeRoom(heard, language);
    this.#cost = Math.round((between(begun, this.#clock.now()) * WHISPER_RATE) / 1e6);
  }

  /** What the model is told before it writes: words to expect, and what was said before the window. */
  #context(): readonly number[] {
    const { glossary, said, depth } = this.#memory;
    const room = Math.floor(this.#listener.shape.context / 2) - 1;
    const first = glossary.slice(0, room);
    const recent = Math.min(depth, room - first.length);
    return recent > 0 ? [...first, ...said.slice(-recent)] : first;
  }
  #remember(words: readonly Settled[]): void {
    const { said, depth } = this.#memory;
    this.#memory.said = [...said, ...words.flatMap(({ tokens }) => tokens)].slice(-Math.max(1, depth));
  }

  #doubted({ tokens, logprob, noSpeech }: Writing, over: boolean): Doubt | undefined {
    const settled = this.#kept.flatMap((each) => each.tokens);
    const text = this.#listener.tokens.decode([...settled, ...tokens]).trim();
    if (tokens.length === 0) return undefined;
    const why =
      doubt({ text, logprob, noSpeech, over }, this.#meter.sound, this.#rules.doubts) ??
      (credits(this.#listener.tokens.decode(tokens).trim()) ? 'boilerplate' : undefined);
    // What a model invents it likes to continue.
    if (why !== undefined && (over || why !== 'boilerplate')) this.#memory.said = [];
    return why;
  }

  #words(writing: Writing, language: string): Drafted[] {
    const { tokens } = this.#listener;
    const words = tokens.words(writing.tokens, language);
    const [first] = words;
    // A sign behind a word that is settled without it comes too late.
    if (first && this.#kept.length > 0 && !tokens.opens(first.tokens[0]!) && SUFFIX.test(first.text)) words.shift();
    const common = agreeing(this.#draft, words);
    return words.map((word, n) => ({ ...word, seen: n < common ? this.#draft[n]!.seen : this.#now() }));
  }

  /** How many of the words the policy lets be settled. */
  #certain(words: readonly Drafted[], { tokens, focus, ended }: Writing): number {
    if (this.#rules.policy === 'local-agreement') return agreeing(this.#draft, words);
    if (!focus) return 0;
    const positions = Math.floor(this.#window.pcm.length / POSITION_SAMPLES);
    const safe = attendedBefore(focus, positions, Math.round(this.#rules.guard / POSITION));
    let [count, used] = [0, tokens.length - words.reduce((sum, word) => sum + word.tokens.length, 0)];
    for (const word of words) {
      used += word.tokens.length;
      // Only what comes next shows that a word is over.
      if (used > safe || (used === tokens.length && !ended) || (used === safe && used < tokens.length)) break;
      count += 1;
    }
    return count;
  }

  async #settle(words: readonly Drafted[], count: number, heard: Heard, language: string): Promise<void> {
    const fresh = words.slice(0, count);
    if (fresh.length > 0) {
      const places = (await this.#attended(words, heard, language)) ?? this.#spread(fresh);
      const settled = fresh.map(({ text, tokens }, n): Settled => ({ word: { text, ...places[n]! }, tokens }));
      this.#kept.push(...settled);
      this.#stable = [...this.#stable, ...settled.map(({ word }) => word)];
    }
    this.#draft = words.slice(count);
    this.#before = this.#now();
  }

  /** Where words lie by what the model attended to; nothing where it does not tell. */
  async #attended(words: readonly Drafted[], heard: Heard, language: string) {
    const tokens = [...this.#kept, ...words].flatMap((each) => each.tokens);
    const positions = Math.floor(this.#window.pcm.length / POSITION_SAMPLES);
    const begins = await heard.places(tokens, language, positions);
    if (!begins) return undefined;
    let at = this.#kept.reduce((sum, each) => sum + each.tokens.length, 0);
    let edge = this.#edge();
    return words.map((word) => {
      const [from = 0, to = 0] = [begins[at], begins[(at += word.tokens.length)]];
      const place = (position: number) =>
        latest(edge, earliest(this.#now(), later(this.#from(), (position * POSITION) as Span)));
      const start = place(from);
      const end = latest(start, place(to));
      edge = end;
      return { start, end };
    });
  }

  /** Words shared out, by their length, over the audio in which they appeared. */
  #spread(words: readonly Drafted[]) {
    let edge = this.#edge();
    const places: { start: MediaTime; end: MediaTime }[] = [];
    for (let n = 0; n < words.length;) {
      const { seen } = words[n]!;
      const same = words.slice(n).findIndex((word) => word.seen !== seen);
      const run = words.slice(n, same === -1 ? undefined : n + same);
      const from = latest(edge, earliest(this.#before, seen));
      const start = seen > from ? from : edge;
      const span = Math.max(0, between(start, seen));
      const total = run.reduce((sum, { text }) => sum + text.length, 0);
      let written = 0;
      const cut = (characters: number) => later(start, Math.round((span * characters) / total) as Span);
      for (const { text } of run) places.push({ start: cut(written), end: cut((written += text.length)) });
      edge = places.at(-1)!.end;
      n += run.length;
    }
    return places;
  }
  #edge(): MediaTime {
    return this.#stable.at(-1)?.end ?? this.start;
  }

  /** Cuts a window that got long behind a settled sentence; one that is full, wherever it can be cut. */
  async #makeRoom(heard: Heard | undefined, language: string): Promise<void> {
    const length = this.#window.pcm.length;
    const full = length + sampleIndex(this.#rules.hop, WHISPER_RATE) > this.#window.size;
    const long = length > sampleIndex(this.#rules.trim, WHISPER_RATE);
    if (!long && !full) return;
    let count = this.#kept.findLastIndex(({ word }) => endsSentence(word.text)) + 1;
    if (count === 0 && full) {
      if (this.#kept.length === 0 && heard) await this.#settle(this.#draft, this.#draft.length, heard, language);
      count = this.#kept.length;
    }
    if (count === 0 && !full) return;
    const gone = this.#kept.slice(0, count);
    const end = gone.length > 0 && heard ? await this.#endOf(gone, heard, language) : Math.floor(length / 2);
    // Without room a hop would not fit; what is kept is what the next words may need.
    const least = full ? length + sampleIndex(this.#rules.hop, WHISPER_RATE) - this.#window.size : 0;
    const cut = Math.min(length, Math.max(end, least));
    const whole = Math.min(Math.floor(length / WHISPER_HOP), Math.ceil(cut / WHISPER_HOP)) * WHISPER_HOP;
    this.#window.drop(whole);
    this.#dropped += whole;
    this.#kept = this.#kept.slice(count);
    this.#remember(gone);
  }

  /** The sample of the window at which settled words end: by attention, else by the time stamp the model would write. */
  async #endOf(words: readonly Settled[], heard: Heard, language: string): Promise<number> {
    if (this.#listener.attentive) {
      return Math.max(0, sampleIndex(between(this.#from(), words.at(-1)!.word.end), WHISPER_RATE));
    }
    const tokens = words.flatMap((each) => each.tokens);
    return (await heard.endOf(tokens, language)) * POSITION_SAMPLES;
  }
}
