import type { SpeakerId } from '../../pipeline/domain.ts';
import { cosine } from './embedding.ts';

export interface Banking {
  /** Two voices at least this like are one speaker's (cosine). */
  readonly threshold: number;
  /** How many speakers there are at most. */
  readonly most: number;
  /** Seconds after which a speaker is settled: whoever has been called a name for so long is never merged into another. */
  readonly settled?: number;
}

/** Somebody who is heard at present and must be given a name. */
export interface Somebody {
  /** Their voice, once there is enough of it, and of how many seconds it is. */
  readonly voice?: Float32Array | undefined;
  readonly seconds: number;
  /** Seconds that were already given to each speaker while this same somebody spoke. */
  readonly called: ReadonlyMap<number, number>;
  /** They have stopped: everything of them was given a name already. */
  readonly past?: boolean;
}

interface Speaker {
  readonly id: SpeakerId;
  /** The sum of the voice's embeddings, each counting for as many seconds as it was made of. */
  readonly sum: Float64Array;
  /** Seconds of voice in the sum. */
  learned: number;
  /** Seconds of turns given out under the name. */
  given: number;
  /** Speakers who have been heard beside this one, and so are not the same. */
  readonly beside: Set<number>;
  mergedInto: number | undefined;
}

/** What a name that was used a moment ago counts for, against a likeness of voices between −1 and 1. */
const CALLED = 1.5;
/** Seconds for which a name is tried on; after that it stays for as long as the same somebody is followed. */
const SETTLED = 3;
/** Seconds of voice from which a likeness counts in full. */
const SURE = 2;
/** How much less like than the threshold somebody must be to be somebody new: less is certain of a short piece. */
const doubt = (seconds: number) => Math.max(0.1, Math.min(0.3, 0.08 / Math.max(seconds, 0.1) ** 2));
/** How much less still, for somebody not to be who they were taken for a moment ago. */
const REJECT = 0.02;
/** Above the threshold, for two names to be taken for one speaker's. */
const MERGE = 0.1;
/** Seconds of voice of a name that may be merged. */
const MERGE_FROM = 1.5;
/** How much more like one speaker than like any other a voice must be to be clearly theirs. */
const CLEARLY = 0.15;
/** Names there can be, those that were merged included: as many as the bits by which they are remembered. */
const NAMES = 31;
/** Seconds of speech from which somebody can be a new speaker by being heard beside all the others. */
const NEW_FROM = 0.5;

/**
 * The voices of everybody heard so far, and the rule that gives somebody who is heard now one of their names or a new
 * one. Names are `s1`, `s2`, … in the order in which they were first given.
 *
 * A name that was given out is not taken back: a speaker who has been called one for `settled` seconds keeps it. Before
 * that, two names that turn out to be one speaker's are merged, and the older name is used from then on.
 */
export class SpeakerBank {
  readonly #threshold: number;
  readonly #most: number;
  readonly #settled: number;
  readonly #speakers: Speaker[] = [];

  constructor({ threshold, most, settled = SETTLED }: Banking) {
    this.#threshold = threshold;
    this.#most = most;
    this.#settled = settled;
  }

  /** Names given so far; those that were merged count. */
  get size(): number {
    return this.#speakers.length;
  }
  /** Names in use. */
  get active(): number[] {
    return this.#speakers.flatMap((each, n) => (each.mergedInto === undefined ? [n] : []));
  }
  idOf(speaker: number): SpeakerId {
    return this.#speakers[speaker]!.id;
  }
  /** Who a name stands for by now. */
  resolve(speaker: number): number {
    let now = speaker;
    for (let next = this.#speakers[now]?.mergedInto; next !== undefined; next = this.#speakers[now]?.mergedInto)
      now = next;
    return now;
  }
  voiceOf(speaker: number): Float64Array {
    return this.#speakers[speaker]!.sum;
  }

  /**
   * Who everybody told apart at the same time is: one speaker each, and nobody twice, unless one has stopped and the
   * other's voice is clearly theirs. Nothing for whom there is no telling yet, as when there is too little of them to be
   * a new speaker.
   */
  name(heard: readonly Somebody[]): (number | undefined)[] {
    const known = this.active;
    let best = { score: -Infinity, names: [] as (number | 'new' | undefined)[] };
    const room = Math.min(this.#most - known.length, NAMES - this.size);
    const choose = (n: number, score: number, names: (number | 'new' | undefined)[]): void => {
      if (n === heard.length) {
        if (score > best.score) best = { score, names: [...names] };
        return;
      }
      const somebody = heard[n]!;
      const next = (name: number | 'new' | undefined, worth: number) => {
        names.push(name);
        choose(n + 1, score + worth, names);
        names.pop();
      };
      for (const speaker of known) {
        const taken = heard.filter((_, i) => i < n && names[i] === speaker);
        if (taken.every((other) => this.#again(somebody, other, speaker)))
          next(speaker, this.#worth(somebody, speaker));
      }
      const newcomers = names.filter((name) => name === 'new').length;
      if (newcomers < room && somebody.seconds >= NEW_FROM) next('new', this.#worthOfNew(somebody));
      // Of a moment of somebody nothing can be said; of more it can, if there is a name left.
      next(undefined, somebody.seconds < NEW_FROM ? -0.2 : -3);
    };
    choose(0, 0, []);
    return best.names.map((name) => (name === 'new' ? this.#open() : name));
  }

  /** `speaker` sounds like this, for so many seconds. What is unlike them is not learned: it may be somebody else. */
  learn(speaker: number, voice: Float32Array, seconds: number): void {
    const one = this.#speakers[speaker]!;
    if (one.learned > 0 && this.#likeness(voice, speaker) < 0) return;
    for (const [i, x] of voice.entries()) one.sum[i]! += x * seconds;
    one.learned += seconds;
  }
  /** So many seconds of turns were given out under the name. */
  give(speaker: number, seconds: number): void {
    this.#speakers[speaker]!.given += seconds;
  }
  /** These are heard at the same time, told apart by more than their voices: no two of them are one. */
  apart(speakers: readonly number[]): void {
    for (const one of speakers) for (const other of speakers) if (one !== other) this.#speakers[one]!.beside.add(other);
  }

  /** Takes names that are not settled yet and prove to be an older speaker's for theirs. Returns what has changed. */
  merge(): Map<number, number> {
    const merged = new Map<number, number>();
    for (const young of this.active.toReversed()) {
      const one = this.#speakers[young]!;
      if (one.given >= this.#settled || one.learned < MERGE_FROM) continue;
      for (const old of this.active) {
        const other = this.#speakers[old]!;
        if (old >= young || one.beside.has(old) || other.learned < MERGE_FROM) continue;
        if (cosine(one.sum, other.sum) < this.#threshold + MERGE) continue;
        one.mergedInto = old;
        for (const [i, x] of one.sum.entries()) other.sum[i]! += x;
        other.learned += one.learned;
        for (const each of one.beside) this.apart([old, each]);
        merged.set(young, old);
        break;
      }
    }
    return merged;
  }

  #open(): number {
    this.#speakers.push({
      id: `s${this.#speakers.length + 1}` as SpeakerId,
      sum: new Float64Array(512),
      learned: 0,
      given: 0,
      beside: new Set(),
      mergedInto: undefined,
    });
    return this.#speakers.length - 1;
  }

  #worth({ voice, seconds, called }: Somebody, speaker: number): number {
    const sure = Math.min(1, seconds / SURE);
    const like = voice && this.#speakers[speaker]!.learned > 0 ? this.#likeness(voice, speaker) : 0;
    const before = called.get(speaker) ?? 0;
    if (before >= SETTLED) return 5 + before;
    // However they were followed, a voice so unlike is not theirs.
    if (like < -REJECT - doubt(seconds)) return -2 + like;
    let total = 0.5;
    for (const each of called.values()) total += each;
    return (CALLED * before) / total + like * sure;
  }
  #worthOfNew({ voice, seconds }: Somebody): number {
    if (this.active.length === 0) return 0;
    return voice ? -doubt(seconds) * Math.min(1, seconds / SURE) : -1;
  }
  /** One of two who are told apart has stopped, and the voice of the other is so clearly the same that they are one. */
  #again(one: Somebody, other: Somebody, speaker: number): boolean {
    const [now, before] = one.past ? [other, one] : [one, other];
    if (now.past || !before.past || !now.voice) return false;
    const voice = now.voice;
    const others = this.active.filter((each) => each !== speaker && this.#speakers[each]!.learned > 0);
    const next = Math.max(...others.map((each) => this.#likeness(voice, each)));
    const like = this.#likeness(voice, speaker);
    return others.length > 0 && like > 0 && like - next > CLEARLY;
  }
  /** How much more like than a stranger. */
  #likeness(voice: Float32Array, speaker: number): number {
    return cosine(voice, this.#speakers[speaker]!.sum) - this.#threshold;
  }
}
