import { keepNewest } from '../../media/newest.ts';
import { type MediaTime, between, sampleIndex } from '../../media/time.ts';
import type { Take } from '../../pipeline/face.ts';

/** Networks that listen want 16 kHz mono. */
export const RATE = 16_000;
/** Takes whose features are kept: several speakers, or two takes that follow each other. */
const KEPT = 4;

/** What is heard over a whole take: its dub in its place, silence around it. */
export function soundOf({ start, end, clip, pcm }: Take): Float32Array {
  const out = new Float32Array(Math.max(0, sampleIndex(between(start, end), RATE)));
  const at = sampleIndex(between(start, clip.start), RATE);
  const from = Math.max(0, -at);
  const begin = Math.max(0, at);
  out.set(pcm.subarray(from, Math.max(from, from + out.length - begin)), Math.min(begin, out.length));
  return out;
}

/** How far into a take a picture is, microseconds. */
export const into = (take: Take, start: MediaTime): number => between(take.start, start);

/** The features of the last few takes, each made once. */
export class TakeSounds<T> {
  readonly #make: (pcm: Float32Array) => Promise<T>;
  readonly #known = new Map<string, Promise<T>>();

  constructor(make: (pcm: Float32Array) => Promise<T>) {
    this.#make = make;
  }

  of(take: Take): Promise<T> {
    const { utterance, language, start, end, clip, pcm } = take;
    const key = [utterance, language, start, end, clip.start, pcm.length].join(' ');
    const known = this.#known.get(key);
    if (known) return known;
    const made = this.#make(soundOf(take));
    this.#known.set(key, made);
    // What failed may be tried again by the next picture.
    made.catch(() => this.#known.delete(key));
    keepNewest(this.#known, KEPT);
    return made;
  }
}
