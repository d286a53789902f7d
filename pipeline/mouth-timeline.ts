import { smoothstep } from '../media/smoothstep.ts';
import { type Interval, type MediaTime, earlier, ms } from '../media/time.ts';
import type { Phoneme, Take } from './face.ts';
import { BLOCKS, Loudness, heardMouth } from './mouth-by-ear.ts';
import { GESTURES, type Gesture, type Mouth, type Viseme, visemesOf } from './visemes.ts';

/** The features of a mouth, in the order in which a timeline keeps them. */
const FEATURES = ['open', 'spread', 'round', 'press', 'tuck', 'teeth', 'tongue'] as const satisfies (keyof Mouth)[];
const WIDTH = FEATURES.length;

/** Kept before and after the clip, where a mouth gets ready and comes to rest. */
const MARGIN = ms(300);
/** Seconds. A gap between sounds of so long is silence. */
const GAP = 0.07;
/** How fast lips close into a silence and open out of it. */
const CLOSING = 0.1;
const OPENING = 0.09;
/**
 * So long, in seconds, lips are closed about a stop. Synthesizers differ in whether a stop's mark stands at the beginning of
 * the closure or at its release: a short one is at the release, and the closure lies before it.
 */
const CLOSURE = 0.06;
const CLOSED_BEFORE = { least: 0.01, most: 0.045 } as const;
const CLOSED_AFTER = 0.015;
const CLOSED_MOST = 0.14;
const RAMP = 0.045;
/** The opening of what is said most softly, against the loudest; a little more than 1 since few sounds are that loud. */
const SOFT = 0.3;
const LOUD = 1.08;

/** A viseme, with when it is heard, seconds from the timeline's first block. */
interface Sounding {
  readonly viseme: Viseme;
  readonly from: number;
  readonly to: number;
}

/**
 * How a mouth moves during a take, sampled every 10 ms, for any time in between.
 *
 * With phonemes: each has a target and a dominance that falls off on both sides, and the mouth is their weighted mean
 * (Cohen & Massaro, "Modeling coarticulation in synthetic visual speech", 1993). The dub's own energy scales the opening.
 * Closures of [p b m] and silences are laid over it, since a mean never closes. Without phonemes the sound alone tells.
 */
export class MouthTimeline {
  readonly start: MediaTime;
  readonly #values: Float32Array;

  constructor({ clip, pcm, phonemes }: Pick<Take, 'clip' | 'pcm' | 'phonemes'>) {
    this.start = earlier(clip.start, MARGIN);
    const count = Math.max(2, Math.ceil((clip.end - clip.start + 2 * MARGIN) / 1e6 / BLOCKS.step));
    const loudness = new Loudness(pcm, MARGIN / 1e6, count);
    this.#values = new Float32Array(count * WIDTH);
    if (phonemes && phonemes.length > 0) this.#fromPhonemes(phonemes, loudness);
    else heardMouth(pcm, loudness, MARGIN / 1e6, (n, mouth) => this.#set(n, mouth));
    this.#close(loudness, phonemes && phonemes.length > 0 ? silencesIn(phonemes, this.start, count) : []);
  }

  /** How the mouth stands at `t`; at rest outside the clip. */
  mouthAt(t: MediaTime): Mouth {
    const count = this.#values.length / WIDTH;
    const place = (t - this.start) / 1e6 / BLOCKS.step;
    if (place <= 0 || place >= count - 1) return REST;
    const n = Math.floor(place);
    const share = place - n;
    const at = (k: number) => this.#values[n * WIDTH + k]! * (1 - share) + this.#values[(n + 1) * WIDTH + k]! * share;
    return { open: at(0), spread: at(1), round: at(2), press: at(3), tuck: at(4), teeth: at(5), tongue: at(6) };
  }

  #set(n: number, mouth: Mouth): void {
    for (const [k, feature] of FEATURES.entries()) this.#values[n * WIDTH + k] = mouth[feature];
  }

  #fromPhonemes(phonemes: readonly Phoneme[], loudness: Loudness): void {
    const sounds = soundings(phonemes, this.start);
    const values = this.#values;
    const count = values.length / WIDTH;
    let first = 0;
    for (let n = 0; n < count; n += 1) {
      const t = n * BLOCKS.step;
      while (first < sounds.length && sounds[first]!.to < t - 0.4) first += 1;
      let [sumOpen, sumShape] = [1e-4, 1e-4];
      const mean = new Float32Array(WIDTH);
      for (let k = first; k < sounds.length && sounds[k]!.from < t + 0.4; k += 1) {
        const sound = sounds[k]!;
        const target = GESTURES[sound.viseme];
        const open = target.insists.open * dominance(sound, t, target.reach.open);
        const shape = target.insists.shape * dominance(sound, t, target.reach.shape);
        sumOpen += open;
        sumShape += shape;
        add(mean, target, open, shape);
      }
      for (let k = 0; k < WIDTH; k += 1) {
        values[n * WIDTH + k] = mean[k]! / (FEATURES[k] === 'spread' || FEATURES[k] === 'round' ? sumShape : sumOpen);
      }
      values[n * WIDTH]! *= SOFT + (LOUD - SOFT) * loudness.at(n);
    }
    for (const { viseme, from, to } of sounds) {
      const closed = viseme === 'lips';
      if (!closed && viseme !== 'lip-teeth') continue;
      const middle = (from + to) / 2;
      const before = Math.max(CLOSED_BEFORE.least, Math.min(CLOSED_BEFORE.most, CLOSURE - (to - from)));
      const begin = closed ? from - before : Math.min(from, middle - 0.03);
      const end = Math.max(middle + CLOSED_AFTER, Math.min(to - 0.01, from + CLOSED_MOST));
      this.#hold(begin, end, closed ? 0 : GESTURES[viseme].open, closed ? 3 : 4);
    }
  }

  /** Keeps the opening at `most` from `begin` to `end` seconds, with ramps, and raises a feature there. */
  #hold(begin: number, end: number, most: number, feature: number): void {
    const values = this.#values;
    const last = Math.min(values.length / WIDTH - 1, Math.ceil((end + RAMP) / BLOCKS.step));
    for (let n = Math.max(0, Math.floor((begin - RAMP) / BLOCKS.step)); n <= last; n += 1) {
      const t = n * BLOCKS.step;
      const held = smoothstep(Math.min((t - begin) / RAMP + 1, (end - t) / RAMP + 1));
      const at = n * WIDTH;
      values[at] = values[at]! * (1 - held) + Math.min(values[at]!, most) * held;
      values[at + feature] = Math.max(values[at + feature]!, held);
    }
  }

  /** Closes the mouth where nothing is heard. */
  #close(loudness: Loudness, silences: readonly (readonly [number, number])[]): void {
    const values = this.#values;
    for (const [from, to] of union([...silences, ...loudness.silences()])) {
      const last = Math.min(values.length / WIDTH - 1, Math.ceil(to / BLOCKS.step));
      for (let n = Math.max(0, Math.floor(from / BLOCKS.step)); n <= last; n += 1) {
        const t = n * BLOCKS.step;
        const rest = smoothstep(Math.min(from <= 0 ? 1 : (t - from) / CLOSING, (to - t) / OPENING));
        for (let k = 0; k < WIDTH; k += 1) values[n * WIDTH + k]! *= 1 - rest;
      }
    }
  }
}

export const REST: Mouth = { open: 0, spread: 0, round: 0, press: 0, tuck: 0, teeth: 0, tongue: 0 };

/** 1 during the middle of a sound, less with the distance from it. */
function dominance({ from, to }: Sounding, t: number, reach: number): number {
  const middle = (from + to) / 2;
  const core = (to - from) * 0.2;
  return Math.exp(-Math.max(0, Math.abs(t - middle) - core) / reach);
}

function add(mean: Float32Array, target: Gesture, open: number, shape: number): void {
  mean[0]! += target.open * open;
  mean[1]! += target.spread * shape;
  mean[2]! += target.round * shape;
  mean[3]! += target.press * open;
  mean[4]! += target.tuck * open;
  mean[5]! += target.teeth * open;
  mean[6]! += target.tongue * open;
}

function soundings(phonemes: readonly Phoneme[], origin: MediaTime): Sounding[] {
  return phonemes.flatMap(({ start, end, text }) => {
    const visemes = visemesOf(text);
    const [from, length] = [(start - origin) / 1e6, (end - start) / 1e6 / Math.max(1, visemes.length)];
    return visemes.map((viseme, n) => ({ viseme, from: from + n * length, to: from + (n + 1) * length }));
  });
}

/** Where no phoneme is, seconds from the timeline's start. */
function silencesIn(phonemes: readonly Phoneme[], origin: MediaTime, count: number): [number, number][] {
  const silences: [number, number][] = [];
  let heard = -Infinity;
  const end = count * BLOCKS.step;
  for (const { start, end: until } of phonemes as readonly Interval[]) {
    const from = (start - origin) / 1e6;
    if (from - heard >= GAP) silences.push([Math.max(0, heard), from]);
    heard = Math.max(heard, (until - origin) / 1e6);
  }
  if (end - heard > 0) silences.push([heard, end + 1]);
  return silences;
}

function union(stretches: readonly (readonly [number, number])[]): [number, number][] {
  const joined: [number, number][] = [];
  for (const [from, to] of stretches.toSorted(([a], [b]) => a - b)) {
    const last = joined.at(-1);
    if (last && from <= last[1]) last[1] = Math.max(last[1], to);
    else joined.push([from, to]);
  }
  return joined;
}
