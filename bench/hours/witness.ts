import type { ClockTime, MediaTime } from '../../media/time.ts';
import type { Clip } from '../../pipeline/domain.ts';
import type { Output } from './chain.ts';
import type { Inspector } from './inspectors.ts';
import { PingEar } from './ping.ts';
import { isMarked } from './publisher.ts';

const FRAME = 20_000;
/** Positions come from samples and are rounded. */
const ROUNDING = 2;
/** A clip is recognised by its first half second, without the fade; samples at 48 kHz. */
const FADE = 1_920;
const HEARD = 24_000;
/** Likeness (correlation) above which it is that clip: the original is still there, ten times softer. */
const LIKE = 0.5;
/** A fifth of a second of a clip, in samples. */
const ENOUGH = 9_600;
/** Clips that were not heard are told one by one up to so many. */
const MISSED = 20;
export interface Missed {
  readonly utterance: string;
  readonly start: number;
  readonly end: number;
  readonly rung: string;
  readonly loudest: number;
  /** How like it what was heard is, −1 … 1. */
  readonly like: number;
}
const missedOf = ({ utterance, start, end, fit, pcm }: Clip) => ({
  utterance,
  start,
  end,
  rung: fit.rung,
  loudest: pcm.reduce((most, x) => Math.max(most, Math.abs(x)), 0),
});
/** Clips watched at once, and frames and marks remembered. */
const WATCHED = 256;
const REMEMBERED = 64;

/** A ping heard at the ear, with the picture that was taken at the same instant. */
export interface Ping {
  /** When it sounded, clock time µs. */
  readonly heard: number;
  /** Position heard less position seen, ms; `null` when the picture is missing. */
  readonly avMs: number | null;
}

interface Watched {
  readonly clip: Clip;
  readonly first: number;
  readonly end: number;
  /** Samples compared so far. */
  n: number;
  xy: number;
  xx: number;
  yy: number;
}

/**
 * Takes in everything that is played, once and in order, and keeps a bounded amount of it, however long it goes on.
 */
export class Witness {
  readonly #inspectors: readonly Inspector[];
  readonly #language: string;
  /** What the ping's own onset is heard late by, µs. */
  readonly #pingOffset: number;
  readonly #onPing: (ping: Ping) => void;
  readonly #ear = new PingEar();
  #last: MediaTime | undefined;
  #played = 0;
  #breaks = 0;
  #recent: { readonly start: number; readonly now: number }[] = [];
  #marks: number[] = [];
  #clips: Watched[] = [];
  readonly missed: Missed[] = [];
  #heard = 0;
  #unheard = 0;
  #again = 0;
  readonly #said: string[] = [];
  /** While nobody can dub: how much the dub is the original. */
  readonly #alike = { xy: 0, xx: 0, yy: 0 };
  #watchOriginal = false;
  #busyUntil = 0;

  constructor(options: {
    readonly language: string;
    readonly pingOffset: number;
    readonly inspectors: readonly Inspector[];
    readonly onPing: (ping: Ping) => void;
  }) {
    this.#language = options.language;
    this.#pingOffset = options.pingOffset;
    this.#inspectors = options.inspectors;
    this.#onPing = options.onPing;
  }

  /** Frames played. */
  get played(): number {
    return this.#played;
  }
  /** Frames that did not begin where the one before them ended. */
  get breaks(): number {
    return this.#breaks;
  }
  /** Clips of which the beginning was heard in its place, and of which it was not. */
  get heard(): number {
    return this.#heard;
  }
  get unheard(): number {
    return this.#unheard;
  }
  /** Lines placed a second time. */
  get again(): number {
    return this.#again;
  }
  /** How alike dub and original were while {@link original} was on and no clip sounded, 1 for the same sound; `null` when that never was. */
  get likeness(): number | null {
    const { xy, xx, yy } = this.#alike;
    return xx > 0 && yy > 0 ? xy / Math.sqrt(xx * yy) : null;
  }

  /** Whether the original is what should be heard from now on. */
  original(on: boolean): void {
    this.#watchOriginal = on;
  }

  /** A clip that was placed and is going to be heard. */
  clip(clip: Clip): void {
    if (this.#said.includes(clip.utterance)) this.#again += 1;
    this.#said.push(clip.utterance);
    if (this.#said.length > WATCHED) this.#said.shift();
    const first = Math.round((clip.start * 48) / 1_000);
    this.#clips.push({ clip, first, end: first + Math.min(clip.pcm.length, HEARD), n: 0, xy: 0, xx: 0, yy: 0 });
    if (this.#clips.length > WATCHED) this.#clips.shift();
  }

  take({ frames, units }: Output, now: ClockTime): void {
    for (const { start, payloads } of units) if (isMarked(payloads[0])) this.#marks.push(start);
    if (this.#marks.length > REMEMBERED) this.#marks.shift();
    for (const { start, pcm, dubs } of frames) {
      this.#played += 1;
      if (this.#last !== undefined && Math.abs(start - this.#last - FRAME) > ROUNDING) this.#breaks += 1;
      this.#last = start;
      this.#recent.push({ start, now });
      if (this.#recent.length > REMEMBERED) this.#recent.shift();
      const dub = dubs.get(this.#language)?.left ?? pcm;
      for (const inspector of this.#inspectors) {
        inspector.frame('original', start, pcm);
        inspector.frame('dub', start, dub);
      }
      this.#listen(start, dub);
      this.#compare(start, dub, pcm);
      const ping = this.#ear.hear(start, pcm);
      if (ping !== undefined) this.#ping(ping);
    }
  }

  #ping(onset: number): void {
    const frame = this.#recent.findLast(({ start }) => start <= onset);
    if (!frame) return;
    const place = onset - this.#pingOffset;
    const near = this.#marks
      .filter((mark) => Math.abs(mark - place) < 5e6)
      .sort((a, b) => Math.abs(a - place) - Math.abs(b - place));
    const mark = near[0];
    this.#onPing({
      heard: frame.now + (place - frame.start),
      avMs: mark === undefined ? null : (place - mark) / 1_000,
    });
  }

  #listen(start: MediaTime, dub: Float32Array): void {
    if (this.#clips.length === 0) return;
    const from = Math.round((start * 48) / 1_000);
    const until = from + dub.length;
    let over = false;
    for (const watched of this.#clips) {
      const { clip, first, end } = watched;
      if (first >= until) continue;
      if (end <= from) {
        over = true;
        continue;
      }
      this.#busyUntil = Math.max(this.#busyUntil, clip.end + 1_000_000);
      // Where two sound at once neither is like what is heard.
      const others = this.#clips.filter((other) => other !== watched);
      if (others.some((other) => other.first < until && other.first + other.clip.pcm.length > from)) continue;
      for (let i = Math.max(from, first + FADE); i < Math.min(until, end); i += 1) {
        const [x, y] = [clip.pcm[i - first] ?? 0, dub[i - from] ?? 0];
        watched.n += 1;
        watched.xy += x * y;
        watched.xx += x * x;
        watched.yy += y * y;
      }
    }
    if (!over) return;
    this.#clips = this.#clips.filter(({ clip, end, n, xy, xx, yy }) => {
      if (end > from) return true;
      // What is hardly longer than its fades, or hardly ever sounds alone, cannot be told.
      if (n >= ENOUGH && xx > 0) {
        const like = xy / Math.sqrt(xx * yy || 1);
        if (like > LIKE) this.#heard += 1;
        else {
          this.#unheard += 1;
          if (this.missed.length < MISSED) this.missed.push({ ...missedOf(clip), like });
        }
      }
      return false;
    });
  }

  #compare(start: MediaTime, dub: Float32Array, original: Float32Array): void {
    const sums = this.#alike;
    if (!this.#watchOriginal || start < this.#busyUntil) return;
    // A clip that begins soon has the original go down already.
    if (this.#clips.some(({ clip }) => clip.start < start + 1_000_000)) return;
    for (const [i, x] of original.entries()) {
      const y = dub[i] ?? 0;
      sums.xy += x * y;
      sums.xx += x * x;
      sums.yy += y * y;
    }
  }
}
