import type { Pronunciation } from './alignment-lexicon.ts';
import { type PhoneModel, type Position, STATES } from './alignment-model.ts';
import { type Ends, FROM_START, Trellis, type Unit, type Walk } from './alignment-trellis.ts';

/** A pause between two words is this likely, as in PocketSphinx. */
const PAUSE = Math.log(0.005);
/** Natural logarithms below the best way at which a way is given up. */
const BEAM = 400;
/** Natural logarithms below the best way at which nobody thinks any more that a way will be the best. */
const DOUBT = 60;
/**
 * How much worse than any phone something unknown fits, per frame.
 *
 * The right words of read speech fit 1.3 to 2 worse than any phone would, other words 5 to 7.
 */
const UNKNOWN = 3.5;
/** Frames by which a boundary may move when phones are heard between their neighbours. */
const BAND = 12;
/** Marks what is no word. */
export const PAUSED = -1;
export const UNHEARD = -2;

/** A phone in its place, in frames. `word` counts the words that were asked for, or is {@link PAUSED} or {@link UNHEARD}. */
export interface Sound {
  readonly phone: string;
  readonly word: number;
  readonly start: number;
  readonly end: number;
}
/** Where the words of a text are heard. */
export interface Hearing {
  readonly sounds: readonly Sound[];
  /** Up to this frame nothing that comes later can change it. */
  readonly agreed: number;
  /** How much worse than any phone each frame of a word fits; NaN elsewhere. */
  readonly misfit: Float32Array;
}

/**
 * The last word that is settled: it is over before anything is in doubt, and another that is known has begun after it.
 *
 * @param sure the frame from which on ways differ
 */
export function lastSettled(sounds: readonly Sound[], sure: number): number | undefined {
  const doubt = sounds.find(({ end }) => end > sure)?.word ?? UNHEARD;
  const newest = Math.max(...sounds.map(({ word }) => word));
  const over = sounds.filter(({ end, word }) => word >= 0 && word < newest && end <= sure && word !== doubt);
  return over.at(-1)?.word;
}

/** Places phones in sound, by a model of how phones sound. */
export class PhonePlacer {
  readonly #model: PhoneModel;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #silence: number;
  /** Where a frame's scores hold that of something unknown. */
  readonly #unknown: number;

  constructor(model: PhoneModel) {
    this.#model = model;
    this.#ids = new Map(model.phones.map((phone, id) => [phone, id]));
    this.#silence = this.#id('SIL');
    this.#unknown = model.phones.length * STATES;
  }

  /** Whether the model knows every sound. */
  knows(sounds: Pronunciation): boolean {
    return sounds.every((sound) => this.#ids.has(sound));
  }

  /** The scores of a frame, as {@link place} takes them. */
  scores(features: Float32Array): Float32Array {
    const scores = new Float32Array(this.#unknown + 1);
    this.#model.score(features, scores);
    let best = -Infinity;
    for (const [id, phone] of this.#model.phones.entries()) {
      if (phone.startsWith('+')) continue;
      for (let n = id * STATES; n < (id + 1) * STATES; n += 1) best = Math.max(best, scores[n]!);
    }
    scores[this.#unknown] = best - UNKNOWN;
    return scores;
  }

  /**
   * Places words in sound, phones taken without their neighbours; chooses how each was pronounced and where pauses were.
   *
   * @param frames from {@link scores}
   * @param words the ways to say each; a word without any is not said
   * @param open other words may follow
   */
  place(
    frames: readonly Float32Array[],
    words: readonly (readonly Pronunciation[])[],
    open: boolean,
  ): Hearing | undefined {
    const trellis = new Trellis();
    const heard: { readonly phone: string; readonly word: number }[] = [];
    let ends: Ends = FROM_START;
    const pause = () => {
      const after = new Map([...ends].map(([unit, weight]) => [unit, weight + PAUSE]));
      const unit = trellis.add(this.#unit(this.#silence), after);
      heard[unit] = { phone: 'SIL', word: PAUSED };
      ends = new Map([...ends, [unit, 0]]);
    };
    for (const [word, ways] of words.entries()) {
      if (ways.length === 0) continue;
      pause();
      const next = new Map<number, number>();
      for (const way of ways) {
        let before = ends;
        for (const phone of way) {
          const unit = trellis.add(this.#unit(this.#id(phone)), before);
          heard[unit] = { phone, word };
          before = new Map([[unit, 0]]);
        }
        for (const unit of before.keys()) next.set(unit, 0);
      }
      ends = next;
    }
    pause();
    if (open) {
      const unit = trellis.add({ scores: [this.#unknown], stay: [0], leave: [0] }, ends);
      heard[unit] = { phone: '', word: UNHEARD };
    } else trellis.end(ends);
    const walk = trellis.walk(frames, BEAM, DOUBT);
    if (!walk) return undefined;
    const sounds = walk.visits.map(({ unit, start, end }) => ({ ...heard[unit]!, start, end }));
    return { sounds, agreed: walk.agreed, misfit: this.#misfit(frames, walk, sounds) };
  }

  /**
   * Moves the boundaries of phones to where they are when each is heard between its neighbours.
   *
   * @param sounds without gaps from frame 0 on
   * @param featuresAt what was heard at a frame
   * @param before the phone before the first
   */
  refine(sounds: readonly Sound[], featuresAt: (frame: number) => Float32Array, before = 'SIL'): readonly Sound[] {
    const length = sounds.at(-1)?.end ?? 0;
    const width = sounds.length * STATES;
    const frames = Array.from({ length }, () => new Float32Array(width).fill(-Infinity));
    const trellis = new Trellis();
    let entry: Ends = FROM_START;
    for (const [n, { phone, word, start, end }] of sounds.entries()) {
      const id = this.#id(phone);
      const [previous, next] = [sounds[n - 1], sounds[n + 1]];
      const begins = word === PAUSED || previous?.word !== word;
      const ends = word === PAUSED || next?.word !== word;
      const position: Position = begins ? (ends ? 'alone' : 'begins') : ends ? 'ends' : 'inside';
      const left = previous ? this.#idOf(previous) : this.#id(before);
      const densities = this.#model.between(left, id, this.#idOf(next), position);
      for (let frame = Math.max(0, start - BAND); frame < Math.min(length, end + BAND); frame += 1) {
        this.#model.fit(featuresAt(frame), id, densities, 0, frames[frame]!, n * STATES);
      }
      entry = new Map([[trellis.add(this.#unit(id, n * STATES), entry), 0]]);
    }
    trellis.end(entry);
    const walk = trellis.walk(frames, Infinity);
    return walk ? walk.visits.map(({ unit, start, end }) => ({ ...sounds[unit]!, start, end })) : sounds;
  }

  #misfit(frames: readonly Float32Array[], { columns }: Walk, sounds: readonly Sound[]): Float32Array {
    const misfit = new Float32Array(frames.length).fill(NaN);
    for (const { word, start, end } of sounds) {
      for (let t = start; word >= 0 && t < end; t += 1) {
        misfit[t] = frames[t]![this.#unknown]! + UNKNOWN - frames[t]![columns[t]!]!;
      }
    }
    return misfit;
  }
  #unit(id: number, scores = id * STATES): Unit {
    const from = id * STATES;
    return {
      scores: Array.from({ length: STATES }, (_, n) => scores + n),
      stay: [...this.#model.stay.subarray(from, from + STATES)],
      leave: [...this.#model.leave.subarray(from, from + STATES)],
    };
  }
  #idOf(sound: Sound | undefined): number {
    return sound && sound.word !== UNHEARD ? this.#id(sound.phone) : this.#silence;
  }
  #id(phone: string): number {
    const id = this.#ids.get(phone);
    if (id === undefined) throw new TypeError(`Cannot place '${phone}': the acoustic model has no such phone`);
    return id;
  }
}
