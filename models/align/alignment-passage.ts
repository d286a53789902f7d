import { type MediaTime, between, later, ms, sampleIndex, samples, seconds } from '../../media/time.ts';
import type { Alignment, Phone, Spoken, Word } from '../../pipeline/domain.ts';
import { AROUND, Cepstra, HOP, type Level, RATE, featuresOf } from './alignment-features.ts';
import type { Lexicon, Pronunciation } from './alignment-lexicon.ts';
import { type PhonePlacer, type Sound, lastSettled } from './alignment-phones.ts';

/** A word is settled when this much has been heard after it, in frames. */
const SETTLED = 30;
/** How much is heard before it is tried again to settle words. */
const EVERY = 50;
/** What is not settled may be this long, in frames: half a minute. */
const LONGEST = 3_000;
/** Audio missing within an utterance is filled with silence up to this, so that times stay true. */
const LONGEST_GAP = sampleIndex(seconds(10), RATE);

/** A frame of sound, with its scores once they have been needed. */
interface Heard {
  readonly cepstra: Float32Array;
  features?: Float32Array;
  scores?: Float32Array;
}
interface Asked {
  readonly text: string;
  readonly ways: readonly Pronunciation[];
}
/** Words in their places, with the sounds of each: places in frames. */
type Placed = Asked & { readonly start: number; readonly end: number; readonly sounds: readonly Sound[] };

/** Why an utterance has no alignment. */
type Refusal = 'unpronounceable' | 'too long' | 'does not fit';

/** One utterance on its way through the aligner. */
export class Passage {
  readonly utterance: Spoken['utterance'];
  readonly start: MediaTime;
  readonly #lexicon: Lexicon;
  readonly #placer: PhonePlacer;
  readonly #level: Level;
  readonly #floor: number;
  readonly #cepstra = new Cepstra();
  /** Frames from `#from` on. */
  #frames: Heard[] = [];
  /** The first frame that belongs to no settled word. */
  #from = 0;
  #samples = 0;
  #asked: Asked[] = [];
  #placed: Placed[] = [];
  #refused: Refusal | undefined;
  /** Frames there were when it was last tried to settle words. */
  #tried = 0;

  /**
   * @param level is taught by what is heard
   * @param floor how much worse than any sounds the words' own may fit
   */
  constructor(
    first: Spoken,
    { lexicon, placer, level, floor }: { lexicon: Lexicon; placer: PhonePlacer; level: Level; floor: number },
  ) {
    this.utterance = first.utterance;
    this.start = first.start;
    this.#lexicon = lexicon;
    this.#placer = placer;
    this.#level = level;
    this.#floor = floor;
  }

  /** Takes in a piece, and says what has been settled by it. */
  async hear({ start, pcm, text }: Spoken): Promise<Alignment | undefined> {
    const missing = sampleIndex(between(this.#end(), start), RATE);
    if (missing > RATE / 1_000) this.#listen(new Float32Array(Math.min(missing, LONGEST_GAP)));
    this.#listen(pcm);
    const words = text.split(/\s+/).filter(Boolean);
    for (const word of words) await this.#ask(word);
    const heard = this.#from + this.#frames.length;
    if (this.#refused || this.#asked.length < 2) return undefined;
    if (words.length === 0 && heard - this.#tried < EVERY) return undefined;
    this.#tried = heard;
    return this.#settle(this.#frames.length - AROUND) ? this.#alignment(false) : undefined;
  }

  /** The utterance is over. */
  finish(): Alignment {
    this.#keep(this.#cepstra.end());
    if (!this.#refused && !this.#finish()) this.#refused = 'does not fit';
    // What was settled stays, and the words after it get their share of the time that is left.
    if (this.#refused && this.#placed.length > 0) this.#share();
    return this.#alignment(true);
  }

  #listen(pcm: Float32Array): void {
    this.#samples += pcm.length;
    this.#keep(this.#cepstra.push(pcm));
    if (this.#frames.length > LONGEST) {
      this.#refused ??= 'too long';
      this.#frames = [];
    }
  }
  #keep(frames: Iterable<Float32Array>): void {
    for (const cepstra of frames) {
      if (this.#refused) continue;
      this.#level.hear(cepstra);
      this.#frames.push({ cepstra });
    }
  }
  async #ask(text: string): Promise<void> {
    const ways = this.#refused ? [] : await this.#lexicon.pronounce(text);
    const known = ways?.filter((way) => this.#placer.knows(way));
    if (!known || (known.length === 0 && ways!.length > 0)) this.#refused ??= 'unpronounceable';
    this.#asked.push({ text, ways: known ?? [] });
  }

  /** Places what nothing can change any more. Whether there was something. */
  #settle(count: number): boolean {
    const hearing = this.#place(count, true);
    if (!hearing || !this.#fits(hearing)) return false;
    const { sounds, agreed } = hearing;
    const last = lastSettled(sounds, Math.min(agreed, count - SETTLED));
    if (last === undefined) return false;
    const follows = sounds.find(({ word }) => word > last)?.word;
    const upto = sounds.slice(0, sounds.findLastIndex(({ word }) => word === follows) + 1);
    this.#accept(
      this.#refine(upto).filter(({ word }) => word <= last),
      last + 1,
    );
    return true;
  }
  #finish(): boolean {
    if (this.#asked.every(({ ways }) => ways.length === 0)) {
      if (this.#placed.length === 0) return false;
      this.#accept([], this.#asked.length);
      return true;
    }
    const hearing = this.#place(this.#frames.length, false);
    // What has begun well is carried through.
    if (!hearing || (this.#placed.length === 0 && !this.#fits(hearing))) return false;
    this.#accept(this.#refine(hearing.sounds), this.#asked.length);
    return true;
  }
  #place(count: number, open: boolean) {
    for (let n = 0; n < count; n += 1) this.#scoresAt(n);
    const scores = this.#frames.slice(0, Math.max(0, count)).map((frame) => frame.scores!);
    return this.#placer.place(
      scores,
      this.#asked.map(({ ways }) => ways),
      open,
    );
  }
  #fits({ misfit }: { readonly misfit: Float32Array }): boolean {
    let [sum, count] = [0, 0];
    for (const each of misfit) {
      if (Number.isNaN(each)) continue;
      sum += each;
      count += 1;
    }
    return sum <= this.#floor * count;
  }
  #refine(sounds: readonly Sound[]): readonly Sound[] {
    return this.#placer.refine(sounds, (frame) => this.#featuresAt(frame), this.#before());
  }

  /** The phone that ends where what is not settled begins. */
  #before(): string | undefined {
    const last = this.#placed.findLast(({ sounds }) => sounds.length > 0);
    return last?.sounds.at(-1)?.phone;
  }

  /** Settles the first `count` words that were asked for, by sounds that are counted from `#from` on. */
  #accept(sounds: readonly Sound[], count: number): void {
    let end = 0;
    for (const [n, asked] of this.#asked.slice(0, count).entries()) {
      const own = sounds.filter(({ word }) => word === n);
      // What is not said lies between its neighbours and takes no time.
      const start = own[0]?.start ?? end;
      end = own.at(-1)?.end ?? end;
      this.#placed.push({
        ...asked,
        start: this.#from + start,
        end: this.#from + end,
        sounds: own.map((sound) => ({ ...sound, start: this.#from + sound.start, end: this.#from + sound.end })),
      });
    }
    this.#asked = this.#asked.slice(count);
    const kept = Math.max(0, end - AROUND);
    this.#past = this.#frames.slice(kept, end).map(({ cepstra }) => cepstra);
    this.#frames = this.#frames.slice(end);
    this.#from += end;
  }
  /** Frames just before `#from`. */
  #past: Float32Array[] = [];

  /** Gives each word that is left a share of what is left, by its sounds. */
  #share(): void {
    const first = this.#placed.at(-1)!.end;
    const total = Math.max(0, Math.floor(this.#samples / HOP) - first);
    const sizes = this.#asked.map(({ ways }) => ways[0]?.length ?? 0);
    const all = sizes.reduce((sum, size) => sum + size, 0);
    let passed = 0;
    for (const [n, asked] of this.#asked.entries()) {
      const start = first + Math.round((total * passed) / Math.max(1, all));
      passed += sizes[n]!;
      const end = first + Math.round((total * passed) / Math.max(1, all));
      this.#placed.push({ ...asked, start, end, sounds: [] });
    }
    this.#asked = [];
  }

  #scoresAt(n: number): void {
    const frame = this.#frames[n]!;
    frame.scores ??= this.#placer.scores(this.#featuresAt(n));
  }
  #featuresAt(n: number): Float32Array {
    const frame = this.#frames[n]!;
    const at = (k: number) => {
      const last = this.#frames.length - 1;
      if (k >= 0) return this.#frames[Math.min(k, last)]!.cepstra;
      return this.#past[Math.max(0, this.#past.length + k)] ?? this.#frames[0]!.cepstra;
    };
    frame.features ??= featuresOf(n, at, this.#level.mean());
    return frame.features;
  }

  #alignment(final: boolean): Alignment {
    const end = this.#end();
    const at = (frame: number) => Math.min(end, later(this.start, ms(10 * frame))) as MediaTime;
    const words: Word[] = this.#placed.map(({ text, start, end: stop }) => ({ text, start: at(start), end: at(stop) }));
    const phones: Phone[] = this.#placed.flatMap(({ sounds }, word) =>
      sounds.map(({ phone, start, end: stop }) => ({ text: phone, word, start: at(start), end: at(stop) })),
    );
    return { utterance: this.utterance, start: this.start, end, words, phones, final };
  }
  #end(): MediaTime {
    return later(this.start, samples(this.#samples, RATE));
  }
}
