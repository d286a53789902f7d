import { type Span, samples } from '../../media/time.ts';
import type { SpeakerId, SpeechChunk, Turn } from '../../pipeline/domain.ts';
import type { Embedding } from './embedding.ts';
import { Heard } from './pyannote-heard.ts';
import { LOCALS } from './pyannote-powerset.ts';
import { FIRST, FRAME, FRAMES, WINDOW } from './pyannote-segmentation.ts';
import { type Somebody, SpeakerBank } from './speaker-bank.ts';

const RATE = 16_000;
/** Who speaks in each of `FRAMES` frames of a window of `WINDOW` samples, as bits. */
export type Segmenting = (window: Float32Array) => Promise<Uint8Array>;

export interface Tracking {
  readonly segmenting: Segmenting;
  readonly embedding: Embedding;
  readonly maxSpeakers: number;
  /** Samples from one window to the next, and how far behind what was heard turns are given out; whole frames. */
  readonly hop?: number;
  readonly behind?: number;
}
/** A window a quarter of a second, as whole frames. */
export const HOP = 15 * FRAME;
/** Turns are given out this far behind: what follows a moment tells as much of who spoke as what came before. */
export const BEHIND = 70 * FRAME;

/** So much of the silence between two segments is heard. */
const SILENCE = RATE;
/** Seconds of speech that a voice is made of at most: the last ones. */
const LONGEST = 2;
/** Seconds of a stretch that were given one name, from which on it is not asked again whose voice it is. */
const SURE = 3;
/** Speech in which nobody is heard for so many frames has a speaker nevertheless. */
const UNHEARD = 48;
/** A pause of so many frames ends a stretch of speech. */
const PAUSE = 12;
/** Seconds of a stretch that were given a name, from which on what came before the stretch does not matter. */
const AGREED = 0.3;
/** What came before the stretch counts for so many seconds at most. */
const PAUSED = 1;
/** Seconds of new speech after which a known voice is listened to again. */
const AGAIN = 1;

/** One of the people told apart in a window. */
interface Local extends Somebody {
  readonly bit: number;
}

/**
 * Follows who speaks through the segments of one stream.
 *
 * Every quarter of a second the last ten are segmented. Whoever is told apart there is given a name: the one that the
 * same person had in the windows before, else that of the voice they are most like, else a new one; two people of one
 * window are never one speaker. What lies `behind` is given out as turns, and never changes after that.
 */
export class Tracker {
  readonly #segmenting: Segmenting;
  readonly #embedding: Embedding;
  readonly #bank: SpeakerBank;
  readonly #hop: number;
  readonly #behind: number;
  readonly #heard = new Heard(WINDOW + FRAME, SILENCE);
  readonly #window = new Float32Array(WINDOW);
  /** Who was given each of the last frames, as bits of speakers; frame `n` of the stream lies at `n % length`. */
  readonly #given = new Uint32Array(FRAMES + 64);
  /** Seconds of new speech since a speaker's voice was listened to. */
  readonly #fresh = new Map<number, number>();
  #segment: number | undefined;
  /** Samples that turns were given out for, and that a window has ended at. */
  #until = 0;
  #stepped = 0;
  /** Who spoke last. */
  #floor: number | undefined;
  /** The frame up to which `#given` is written. */
  #written = 0;

  constructor({ segmenting, embedding, maxSpeakers, hop = HOP, behind = BEHIND }: Tracking) {
    this.#segmenting = segmenting;
    this.#embedding = embedding;
    this.#bank = new SpeakerBank({ threshold: embedding.threshold, most: maxSpeakers });
    this.#hop = hop;
    this.#behind = behind;
  }

  /** How far turns trail what was heard. */
  static lookahead(hop = HOP, behind = BEHIND): Span {
    return samples(hop + behind + FRAME, RATE);
  }

  async *hear(chunk: SpeechChunk): AsyncGenerator<Turn, void> {
    if (this.#segment !== undefined && this.#segment !== chunk.segment) yield* this.end();
    if (this.#segment === undefined) {
      this.#heard.begin(chunk.start);
      this.#segment = chunk.segment;
      this.#until = this.#stepped = this.#heard.count;
    }
    // A chunk may be longer than a hop: windows end where they would if it were not.
    for (let from = 0; from < chunk.pcm.length;) {
      const due = this.#stepped + this.#hop - this.#heard.count;
      const to = Math.min(chunk.pcm.length, from + Math.max(1, due));
      this.#heard.hear(chunk, from, to);
      from = to;
      if (this.#heard.count - this.#stepped >= this.#hop) yield* this.#step(this.#heard.count - this.#behind);
    }
    if (chunk.last) yield* this.end();
  }

  /** The segment is over: whatever of it has no turn yet gets one. */
  async *end(): AsyncGenerator<Turn, void> {
    if (this.#segment !== undefined && this.#heard.count > this.#until) yield* this.#step(this.#heard.count);
    this.#segment = undefined;
  }

  /** Listens to the last ten seconds and gives out turns up to sample `to`. */
  async *#step(to: number): AsyncGenerator<Turn, void> {
    const end = this.#heard.count;
    this.#stepped = end;
    // Before anything is due there is nothing to learn that a later window does not know better.
    if (to <= this.#until) return;
    // Windows begin at whole frames of the stream, so that frames of different windows are the same.
    const first = Math.ceil((end - WINDOW) / FRAME);
    this.#heard.copy(first * FRAME, this.#window);
    const speaking = unheard(
      await this.#segmenting(this.#window),
      frameAt(this.#heard.origin) - first,
      frameAt(end) - first,
    );
    const locals = await this.#locals(speaking, first);
    const apart = locals.filter(({ bit }) => bit < 1 << LOCALS);
    const names = this.#bank.name(apart);
    this.#bank.apart(names.filter((name) => name !== undefined));
    // Who was not heard may be one of those who were.
    if (apart.length < locals.length) names.push(...this.#bank.name(locals.slice(apart.length)));
    this.#learn(locals, names);
    yield* this.#give(speaking, first, locals, names, to);
  }

  /** Everybody in the window, and what there is to know them by. */
  async #locals(speaking: Uint8Array, first: number): Promise<Local[]> {
    const locals: Local[] = [];
    const now = Math.min(speaking.length - 1, Math.max(0, frameAt(this.#until) - first));
    for (let n = 0; n <= LOCALS; n += 1) {
      const bit = 1 << n;
      if (!speaking.some((bits) => bits & bit)) continue;
      const [from, to] = stretch(speaking, bit, now);
      let called = this.#called(speaking, bit, first, from, to);
      if (total(called) < AGREED) {
        // They were followed through a pause, which is less certain.
        const before = this.#called(speaking, bit, first, 0, speaking.length);
        const scale = Math.min(1, PAUSED / total(before));
        called = new Map([...before].map(([speaker, seconds]) => [speaker, seconds * scale]));
      }
      const mask = new Uint8Array(speaking.length);
      let alone = 0;
      const take = (i: number) => {
        if (speaking[i] !== bit || alone >= LONGEST) return;
        mask[i] = 1;
        alone += FRAME / RATE;
      };
      // What is to be given now and what follows it tell most; what came before, if that is not enough.
      for (let i = Math.max(from, now); i < to; i += 1) take(i);
      for (let i = Math.min(now, to) - 1; i >= from; i -= 1) take(i);
      const heard = this.#window.subarray(0, FRAMES * FRAME);
      const sure = [...called].some(
        ([speaker, seconds]) => seconds >= SURE && (this.#fresh.get(speaker) ?? AGAIN) < AGAIN,
      );
      const voice = !sure && alone >= this.#embedding.shortest ? await this.#embedding.embed(heard, mask) : undefined;
      locals.push({ bit, voice, seconds: alone, called, past: to <= now });
    }
    return locals;
  }

  /** Seconds of frames `from … to` of the window that were given to each speaker while somebody spoke. */
  #called(speaking: Uint8Array, bit: number, first: number, from: number, to: number): Map<number, number> {
    const called = new Map<number, number>();
    for (let i = from; i < to; i += 1) {
      if (!(speaking[i]! & bit)) continue;
      for (const speaker of this.#at(first + i)) called.set(speaker, (called.get(speaker) ?? 0) + FRAME / RATE);
    }
    return called;
  }

  #learn(locals: readonly Local[], names: readonly (number | undefined)[]): void {
    for (const [n, name] of names.entries()) {
      const { voice, seconds } = locals[n]!;
      if (name === undefined || voice === undefined) continue;
      const fresh = this.#fresh.get(name);
      if (fresh !== undefined && fresh < AGAIN) continue;
      this.#bank.learn(name, voice, Math.min(seconds, AGAIN));
      this.#fresh.set(name, 0);
    }
    for (const [young, old] of this.#bank.merge()) {
      for (const [n, bits] of this.#given.entries()) {
        if (bits & (1 << young)) this.#given[n] = (bits & ~(1 << young)) | (1 << old);
      }
    }
  }

  /** Who was given frame `n` of the stream. */
  #at(n: number): number[] {
    if (n < 0 || n >= this.#written || n < this.#written - FRAMES) return [];
    const bits = this.#given[n % this.#given.length]!;
    return bits === 0 ? [] : this.#bank.active.filter((speaker) => bits & (1 << speaker));
  }

  /** Gives out what lies between what was given out and sample `to`. */
  *#give(
    speaking: Uint8Array,
    first: number,
    locals: readonly Local[],
    names: readonly (number | undefined)[],
    to: number,
  ): Generator<Turn> {
    const known = names.map((name) => (name === undefined ? undefined : this.#bank.resolve(name)));
    const at = (n: number) => {
      const bits = speaking[Math.min(n - first, speaking.length - 1)]!;
      const here = known.filter((name, k): name is number => name !== undefined && (bits & locals[k]!.bit) > 0);
      return [...new Set(here)];
    };
    const [from, last] = [Math.max(first, frameAt(this.#until)), frameAt(to - 1)];
    let floor = this.#floor === undefined ? undefined : this.#bank.resolve(this.#floor);
    // The silence before a segment's first word is whoever's says it.
    if (this.#until === this.#heard.origin) {
      for (let n = from; n < first + speaking.length; n += 1) {
        const [someone] = at(n);
        if (someone === undefined) continue;
        floor = someone;
        break;
      }
    }
    const spans: { readonly from: number; readonly speaker: number | undefined; readonly others: readonly number[] }[] =
      [];
    for (let n = from; n <= last; n += 1) {
      const here = at(n);
      this.#note(n, here);
      if (floor === undefined || !here.includes(floor)) floor = here[0] ?? floor;
      const others = here.filter((name) => name !== floor);
      const before = spans.at(-1);
      if (before && before.speaker === floor && same(before.others, others)) continue;
      spans.push({ from: before ? n * FRAME + FIRST : this.#until, speaker: floor, others });
    }
    this.#floor = floor;
    this.#until = to;
    for (const [n, span] of spans.entries()) {
      const end = spans[n + 1]?.from ?? to;
      if (end <= span.from) continue;
      yield {
        start: this.#heard.timeOf(span.from),
        end: this.#heard.timeOf(end),
        speaker: this.#idOf(span.speaker),
        ...(span.others.length > 0 && { overlap: span.others.map((each) => this.#idOf(each)) }),
      };
    }
  }

  /** Frame `n` of the stream is given to these speakers. */
  #note(n: number, here: readonly number[]): void {
    const size = this.#given.length;
    if (n - this.#written > size) this.#written = n - size;
    while (this.#written < n) this.#given[this.#written++ % size] = 0;
    // The frame that two steps share was given by the first of them.
    if (n < this.#written) return;
    this.#given[this.#written++ % size] = here.reduce((all, name) => all | (1 << name), 0);
    for (const name of here) {
      this.#fresh.set(name, (this.#fresh.get(name) ?? 0) + FRAME / RATE);
      this.#bank.give(name, FRAME / RATE);
    }
  }

  /** Before anybody was heard the first speaker has the floor. */
  #idOf(speaker: number | undefined): SpeakerId {
    return speaker === undefined ? ('s1' as SpeakerId) : this.#bank.idOf(speaker);
  }
}

/** Frame `n` of the stream is the samples from `n * FRAME + FIRST` on. */
const frameAt = (sample: number) => Math.floor((sample - FIRST) / FRAME);
const total = (some: ReadonlyMap<unknown, number>) => [...some.values()].reduce((sum, x) => sum + x, 0);

/**
 * Adds a voice of its own where the segmentation hears nobody for long though there is speech: somebody much quieter than
 * those before is background to it.
 */
function unheard(speaking: Uint8Array, from: number, to: number): Uint8Array {
  const out = speaking.slice();
  for (let i = Math.max(0, from), since = i; i <= Math.min(to, speaking.length); i += 1) {
    if (i < Math.min(to, speaking.length) && speaking[i] === 0) continue;
    if (i - since >= UNHEARD) out.fill(1 << LOCALS, since, i);
    since = i + 1;
  }
  return out;
}

/**
 * From and to which frame somebody speaks without a pause: the stretch at or after frame `now`, or the last before it.
 */
function stretch(speaking: Uint8Array, bit: number, now: number): [number, number] {
  const speaks = (i: number) => (speaking[i]! & bit) > 0;
  let at = now;
  while (at < speaking.length && !speaks(at)) at += 1;
  if (at === speaking.length) for (at = now; at > 0 && !speaks(at);) at -= 1;
  let [from, to] = [at, at + 1];
  for (let i = at, quiet = 0; i >= 0 && quiet < PAUSE; i -= 1) {
    if (speaks(i)) [from, quiet] = [i, 0];
    else quiet += 1;
  }
  for (let i = at, quiet = 0; i < speaking.length && quiet < PAUSE; i += 1) {
    if (speaks(i)) [to, quiet] = [i + 1, 0];
    else quiet += 1;
  }
  return [from, to];
}

const same = (a: readonly number[], b: readonly number[]) => a.length === b.length && a.every((x, i) => x === b[i]);
