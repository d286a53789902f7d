import { isComplete, isIdr, packetizeH264, parameterSetsIn } from './h264.ts';
import type { Answer, Recoder } from './recoder.ts';
import { type Interval, type MediaTime, type Span, between, later, ms, seconds } from './time.ts';
import type { Patch } from './video-frame.ts';
import type { VideoLineOptions } from './video-line.ts';
import type { AccessUnit, VideoCodec } from './video.ts';

export interface DrivenLineOptions extends VideoLineOptions {
  readonly codec: VideoCodec;
  readonly recoder: Recoder;
  /** How long before the play-head a picture is encoded: patches that come later are too late. */
  readonly lead?: Span;
  /** How much earlier still decoding begins, from the key frame before. */
  readonly ahead?: Span;
  /** How many pictures of an interval must have their patches when its first is encoded; fewer if it has fewer. */
  readonly first?: number;
  /** Driven intervals with less between them are encoded in one go. */
  readonly apart?: Span;
  /** How late an encoded picture may be before the recoder is given up. */
  readonly patience?: Span;
}

export interface DrivenCounts {
  /** Pictures that went out encoded again. */
  readonly pictures: number;
  /** Of those within a driven interval: whose patches had not come in time, so that they went out as they were. */
  readonly late: number;
  /** Times the original was left for encoded pictures. */
  readonly joins: number;
  /** Driven intervals that were not driven, by reason. */
  readonly refused: Readonly<Record<JoinRefusal, number>>;
  /** Intervals left at a key frame before their end because encoding did not keep up. */
  readonly cutShort: number;
  /** Pictures that were not shown because the recoder had died, or could not make them. */
  readonly lost: number;
  /** Times the recoder died, or was given up, at work. */
  readonly deaths: number;
  /** Pictures' patches that were thrown away because too many waited. */
  readonly droppedPatches: number;
}

/**
 * Why an interval was not driven: this codec cannot be encoded; its beginning had passed; the recoder was not there, or
 * not ready by then; there was no key frame to decode from; the first patches had not come; too many lie ahead.
 */
export type JoinRefusal = 'codec' | 'passed' | 'recoder' | 'no key frame' | 'patches' | 'too many';

/**
 * `original`: pictures are as they came. `preparing`: still so, but the recoder is decoding for a join. `driven`:
 * encoded pictures. `waiting`: the recoder has died, and the original goes on at its next key frame.
 */
export type DrivenState = 'original' | 'preparing' | 'driven' | 'waiting';

/** Pictures kept from the last key frame on after they have gone out, to decode from. */
const HISTORY = 1_200;
/** No picture is shown later than so many that come after it (H.264 §A.3.1: 16 frames are held at most). */
const REORDERED = 16;
/** Pictures whose patches wait. */
const PATCHES = 1_200;
/** Driven intervals that lie ahead. */
const INTERVALS = 64;
/** So late is an encoder that does not keep up. */
const LAGGING = ms(100);

/** A stretch that is encoded again: from `begin` to before `end`, the key frame with which the original goes on. */
interface Stretch {
  readonly run: number;
  /** What it was begun for. */
  readonly interval: Interval;
  readonly begin: number;
  readonly starts: MediaTime;
  prepared: boolean;
  /** How the stretch goes: decoding only; its pictures are shown; the recoder has died. */
  phase: 'preparing' | 'driven' | 'waiting';
  /** The first unit that the recoder has not been given. */
  next: number;
  end: number | undefined;
  /** Times of pictures to go out, in order. */
  due: MediaTime[];
  readonly made: Map<MediaTime, AccessUnit>;
  readonly lost: Set<MediaTime>;
  asked: boolean;
  /** The recoder has been told that nothing more comes. */
  finished: boolean;
  shown: MediaTime | undefined;
}

/**
 * The delayed picture of one language whose speaker's lips are driven: original pictures, untouched, but for the
 * intervals in which patches are laid on, which are decoded and encoded again.
 *
 * Pictures go in as they come and out when the play-head reaches them, as with `VideoLine`. What is encoded again begins
 * with a key frame where no picture refers across, and goes on to the first key frame of the original after the
 * interval, so that a decoder never misses what a picture refers to and sees every picture once, each at its own time.
 * Patches are laid on where they are there in time; nothing waits for them.
 *
 * A VP8 or VP9 picture that is encoded again has the picture id of the original in its place, so that the count goes on
 * over both joins without a change to any original. An original H.264 key frame after a driven interval whose parameter
 * sets were sent earlier gets them again before it, as a payload of its own.
 *
 * Call {@link take} every 10 ms or so: it is the line's only clock.
 */
export class DrivenLine {
  readonly #codec: VideoCodec;
  readonly #recoder: Recoder;
  readonly #lead: Span;
  readonly #ahead: Span;
  readonly #first: number;
  readonly #apart: Span;
  readonly #patience: Span;
  #duration: Span;
  #capacity: number;

  /** What has come and what of it has gone out since the last key frame, in the order of decoding. */
  #units: AccessUnit[] = [];
  /** The number of the first of them; all are numbered in the order they came. */
  #base = 0;
  /** The first that has not gone out. */
  #next = 0;
  #broken = true;
  #ended = false;
  #dropped = 0;
  #unfounded = 0;

  #intervals: Interval[] = [];
  readonly #patches = new Map<MediaTime, Patch[]>();
  #stretch: Stretch | undefined;
  #runs = 0;
  /** The parameter sets that hold, and those of key frames that came without. */
  #parameters: readonly Uint8Array[] = [];
  readonly #bare = new WeakMap<AccessUnit, readonly Uint8Array[]>();

  #pictures = 0;
  #late = 0;
  #joins = 0;
  readonly #refused: Record<JoinRefusal, number> = {
    codec: 0,
    passed: 0,
    recoder: 0,
    'no key frame': 0,
    patches: 0,
    'too many': 0,
  };
  #cutShort = 0;
  #lost = 0;
  #deaths = 0;
  #droppedPatches = 0;
  #lastDeath: string | undefined;

  constructor(options: DrivenLineOptions) {
    const { codec, recoder, lead = ms(300), ahead = ms(1_000), first = 5, apart = seconds(1) } = options;
    this.#codec = codec;
    this.#recoder = recoder;
    this.#lead = lead;
    this.#ahead = ahead;
    this.#first = first;
    this.#apart = apart;
    this.#patience = options.patience ?? seconds(1);
    this.#duration = options.duration ?? seconds(10);
    this.#capacity = options.capacity ?? 1_200;
    if (!Number.isInteger(this.#capacity) || this.#capacity < 1) {
      throw new RangeError(
        `Cannot create driven line: capacity must be a positive integer, received ${this.#capacity}`,
      );
    }
    if (!(lead >= 0 && ahead >= 0)) {
      throw new RangeError(
        `Cannot create driven line: lead and ahead must not be negative, received ${lead}, ${ahead}`,
      );
    }
  }

  get duration(): Span {
    return this.#duration;
  }
  get capacity(): number {
    return this.#capacity;
  }
  /** Holds at least so much from now on. */
  grow(duration: Span, capacity: number): void {
    this.#duration = Math.max(this.#duration, duration) as Span;
    this.#capacity = Math.max(this.#capacity, capacity);
  }
  /** Pictures that have not gone out. */
  get size(): number {
    return this.#tail - this.#next;
  }
  /** Pictures lost because the line was full. */
  get dropped(): number {
    return this.#dropped;
  }
  /** Pictures not taken in because they follow no key frame. */
  get refused(): number {
    return this.#unfounded;
  }
  /** Nothing can be shown before the next key frame comes in. */
  get needsKeyFrame(): boolean {
    return this.#broken;
  }
  /** A key frame of the original would help: to begin driving with, or to end it. */
  get wantsKeyFrame(): boolean {
    if (this.#broken) return true;
    const stretch = this.#stretch;
    if (stretch) {
      if (stretch.phase === 'preparing' || stretch.end !== undefined) return false;
      const until = stretch.phase === 'waiting' ? stretch.starts : this.#intervals.at(-1)?.end;
      return !this.#seqs(stretch.begin + 1).some((seq) => this.#isEntry(seq) && this.#at(seq).start >= (until ?? 0));
    }
    return this.#intervals.length > 0 && !this.#seqs(this.#base).some((seq) => this.#isEntry(seq));
  }
  get state(): DrivenState {
    return this.#stretch?.phase ?? 'original';
  }
  /** Why the recoder died last. */
  get lastDeath(): string | undefined {
    return this.#lastDeath;
  }
  get counts(): DrivenCounts {
    return {
      pictures: this.#pictures,
      late: this.#late,
      joins: this.#joins,
      refused: { ...this.#refused },
      cutShort: this.#cutShort,
      lost: this.#lost,
      deaths: this.#deaths,
      droppedPatches: this.#droppedPatches,
    };
  }

  /** Takes a picture in; `false` when it follows no key frame. */
  push(unit: AccessUnit): boolean {
    if (this.#broken && !unit.keyFrame) {
      this.#unfounded += 1;
      return false;
    }
    this.#broken = false;
    this.#units.push(unit);
    if (unit.keyFrame && this.#codec === 'H264') this.#note(unit);
    if (this.size > this.#capacity || this.#held(unit.start) > this.#duration) this.#drop(unit.start);
    return !this.#broken;
  }

  /** No more pictures come: the last ones need not wait for others. */
  end(): void {
    this.#ended = true;
  }

  /**
   * Lips are being driven here. What is not ready when its beginning must be encoded stays as it is, all of it; what
   * overlaps an interval that is being encoded goes with it.
   */
  drive(interval: Interval): void {
    if (interval.end <= interval.start) return;
    if (this.#codec === 'AV1') return this.#refuse('codec', interval);
    if (this.#intervals.length === INTERVALS) return this.#refuse('too many', interval);
    this.#intervals.push(interval);
    this.#intervals.sort((a, b) => a.start - b.start);
  }

  /** Whether the picture at `t` is within an interval that is to be driven, or is being. */
  covers(t: MediaTime): boolean {
    return this.#intervals.some(({ start, end }) => t >= start && t < end);
  }

  /** What is to be laid on the picture at `start`; nothing is an answer too. Several of one picture add up. */
  patches({ start, patches }: { readonly start: MediaTime; readonly patches: readonly Patch[] }): void {
    if (this.#patches.size >= PATCHES && !this.#patches.has(start)) {
      this.#droppedPatches += 1;
      return;
    }
    const there = this.#patches.get(start);
    if (there) there.push(...patches);
    else this.#patches.set(start, [...patches]);
  }

  /** All pictures due at `playhead`, in order. */
  take(playhead: MediaTime): AccessUnit[] {
    for (const answer of this.#recoder.answers()) this.#hear(answer);
    this.#plan(playhead);
    const out: AccessUnit[] = [];
    for (;;) {
      const stretch = this.#stretch;
      if (stretch && stretch.phase !== 'preparing' && this.#next >= stretch.begin) {
        if (!this.#show(stretch, playhead, out)) break;
      } else {
        const unit = this.#units[this.#next - this.#base];
        if (!unit || unit.start > playhead) break;
        if (this.#isEntry(this.#next)) this.#forget(this.#next);
        this.#next += 1;
        out.push(unit);
      }
    }
    // What has been encoded again is not decoded again, but for the order of presentation something is kept.
    if (this.#stretch) this.#forget(Math.max(this.#base, Math.min(this.#next, this.#stretch.next) - REORDERED));
    else if (this.#next - this.#base > HISTORY) this.#forget(this.#next);
    for (const start of this.#patches.keys()) if (start < playhead) this.#patches.delete(start);
    return out;
  }

  /** Forgets everything; goes on with a key frame. */
  clear(): void {
    this.#abandon();
    this.#forget(this.#tail);
    this.#next = this.#base;
    this.#intervals = [];
    this.#patches.clear();
    this.#broken = true;
  }

  get #tail(): number {
    return this.#base + this.#units.length;
  }
  #at(seq: number): AccessUnit {
    const unit = this.#units[seq - this.#base];
    if (!unit) throw new RangeError(`Cannot find picture ${seq}: ${this.#base}…${this.#tail} are there`);
    return unit;
  }
  /** The numbers from `from` on. */
  #seqs(from: number): number[] {
    const first = Math.max(from, this.#base);
    return Array.from({ length: Math.max(0, this.#tail - first) }, (_, i) => first + i);
  }
  #forget(before: number): void {
    this.#units.splice(0, before - this.#base);
    this.#base = before;
  }
  #span(newest: MediaTime): Span {
    const oldest = this.#units[this.#next - this.#base];
    return between(oldest?.start ?? newest, newest);
  }

  /** How much programme waits, up to `newest`; without pictures that are on their way through a decoder. */
  #held(newest: MediaTime): Span {
    const stretch = this.#stretch?.phase === 'driven' ? this.#stretch.next : 0;
    const oldest = this.#units[Math.max(this.#next, stretch) - this.#base];
    return between(oldest?.start ?? newest, newest);
  }

  /** Every picture before `seq` is shown before every picture from it on. */
  #isClean(seq: number): boolean {
    let before = -Infinity;
    for (let i = this.#base; i < seq; i += 1) before = Math.max(before, this.#at(i).start);
    return before < this.#earliestFrom(seq);
  }
  #earliestFrom(seq: number): MediaTime {
    return this.#seqs(seq).reduce((least, i) => Math.min(least, this.#at(i).start), Infinity) as MediaTime;
  }

  /** A decoder that knows nothing can start here, and misses nothing that is shown later. */
  #isEntry(seq: number): boolean {
    const { start, keyFrame, payloads } = this.#at(seq);
    if (!keyFrame) return false;
    if (this.#codec !== 'H264') return true;
    if (!isIdr(payloads)) return false;
    for (let i = seq + 1; i < this.#tail; i += 1) if (this.#at(i).start < start) return false;
    return true;
  }

  #note(unit: AccessUnit): void {
    const sets = parameterSetsIn(unit.payloads);
    if (isComplete(sets)) this.#parameters = sets;
    else this.#bare.set(unit, this.#parameters);
  }

  // ---- planning: what the recoder is given, before the play-head gets there ----

  #plan(playhead: MediaTime): void {
    const horizon = later(playhead, this.#lead);
    if (!this.#stretch) this.#open(later(horizon, this.#ahead), playhead);
    const stretch = this.#stretch;
    if (!stretch) return;
    if (stretch.phase === 'preparing') this.#prepare(stretch, horizon);
    if (stretch.phase === 'driven') this.#encode(stretch, horizon, playhead);
    if (stretch.phase === 'waiting') this.#waitFor(stretch, horizon);
  }

  /** Begins to prepare for the first interval ahead, or refuses it. */
  #open(until: MediaTime, playhead: MediaTime): void {
    for (let [interval] = this.#intervals; interval && interval.start <= until; [interval] = this.#intervals) {
      const begin = this.#beginOf(interval);
      if (begin === 'unknown') {
        if (later(playhead, this.#lead) < interval.start) return;
        this.#refuse('passed', interval);
      } else if (begin === 'passed') this.#refuse('passed', interval);
      else {
        const from = this.#seqs(this.#base).findLast((seq) => seq <= begin && this.#isEntry(seq));
        if (from === undefined) this.#refuse('no key frame', interval);
        else if (!this.#recoder.ready) {
          if (later(playhead, this.#lead) < this.#earliestFrom(begin)) return;
          this.#refuse('recoder', interval);
        } else return this.#openAt(interval, from, begin);
      }
    }
  }

  #openAt(interval: Interval, from: number, begin: number): void {
    const { codec } = this.#coding;
    this.#runs += 1;
    this.#recoder.begin(this.#runs, { codec, ...this.#rates() });
    this.#stretch = {
      ...{
        run: this.#runs,
        interval,
        begin,
        starts: this.#earliestFrom(begin),
        next: from,
        end: undefined,
        shown: undefined,
      },
      ...{
        phase: 'preparing',
        prepared: false,
        asked: false,
        finished: false,
        due: [],
        made: new Map(),
        lost: new Set(),
      },
    };
  }

  get #coding(): { readonly codec: 'VP8' | 'VP9' | 'H264' } {
    if (this.#codec === 'AV1') throw new TypeError('Cannot encode AV1');
    return { codec: this.#codec };
  }

  /** Where encoding begins for an interval: the last clean point at or before its first picture. */
  #beginOf(interval: Interval): number | 'passed' | 'unknown' {
    const first = this.#seqs(this.#next).find((seq) => this.#at(seq).start >= interval.start);
    if (first === undefined) return 'unknown';
    if (this.#at(first).start >= interval.end) return 'passed';
    // Its first picture has gone out already.
    const shown = this.#units[this.#next - 1 - this.#base];
    if (shown && shown.start >= interval.start) return 'passed';
    for (let seq = first; seq >= this.#next; seq -= 1) if (this.#isClean(seq)) return seq;
    return 'passed';
  }

  /** Pictures a second and bit/s of what is held. */
  #rates(): { fps: number; bitrate: number } {
    const span = Math.max(ms(20), this.#span(this.#units.at(-1)?.start ?? (0 as MediaTime))) / seconds(1);
    let bytes = 0;
    for (const seq of this.#seqs(this.#next)) for (const { byteLength } of this.#at(seq).payloads) bytes += byteLength;
    const fps = Math.min(120, Math.max(5, (this.size - 1) / span));
    return { fps: Math.round(fps), bitrate: Math.round((bytes * 8) / span) };
  }

  /** Gives the recoder what it must decode before; at the last moment decides whether the original is left. */
  #prepare(stretch: Stretch, horizon: MediaTime): void {
    for (; stretch.next < stretch.begin; stretch.next += 1) this.#recoder.decode(this.#at(stretch.next));
    if (!stretch.asked) this.#recoder.prepare();
    stretch.asked = true;
    if (stretch.starts > horizon) return;
    const { interval } = stretch;
    const opening = this.#seqs(stretch.begin)
      .map((seq) => this.#at(seq).start)
      .filter((start) => start >= interval.start && start < interval.end)
      .sort((a, b) => a - b)
      .slice(0, this.#first);
    const there = opening.every((start) => this.#patches.has(start));
    if (there && stretch.prepared && this.#next <= stretch.begin && this.#isClean(stretch.begin)) {
      stretch.phase = 'driven';
      this.#joins += 1;
      return;
    }
    this.#abandon();
    this.#refuse(!there ? 'patches' : this.#next > stretch.begin ? 'passed' : 'recoder', interval);
  }

  /** Gives the recoder every picture that comes within the horizon, up to where the original goes on. */
  #encode(stretch: Stretch, horizon: MediaTime, playhead: MediaTime): void {
    if (stretch.end !== undefined) return;
    const last = this.#seqs(stretch.next).findLast((seq) => this.#at(seq).start <= horizon);
    for (; last !== undefined && stretch.next <= last; stretch.next += 1) {
      const seq = stretch.next;
      if (seq > stretch.begin && this.#returnsAt(stretch, seq, playhead)) {
        stretch.end = seq;
        this.#recoder.finish();
        this.#intervals = this.#intervals.filter(({ end }) => end > this.#at(seq).start);
        return;
      }
      const unit = this.#at(seq);
      const patches = this.#patches.get(unit.start);
      if (!patches && this.#intervals.some(({ start, end }) => unit.start >= start && unit.start < end))
        this.#late += 1;
      this.#patches.delete(unit.start);
      this.#recoder.encode(unit, patches ?? []);
      insert(stretch.due, unit.start);
    }
    if (this.#ended && !stretch.finished && stretch.next === this.#tail) {
      stretch.finished = true;
      this.#recoder.finish();
    }
  }

  #returnsAt(stretch: Stretch, seq: number, playhead: MediaTime): boolean {
    if (!this.#isEntry(seq) || !this.#isClean(seq)) return false;
    // A picture that follows in the order of decoding may yet be shown before.
    if (this.#codec === 'H264' && seq === this.#tail - 1) return false;
    const { start } = this.#at(seq);
    const soon = later(start, this.#apart);
    const going = this.#intervals.some((interval) => interval.end > start && interval.start < soon);
    if (!going) return true;
    if (!this.#lags(stretch, playhead)) return false;
    this.#cutShort += 1;
    this.#intervals = this.#intervals.filter((interval) => interval.start >= soon);
    return true;
  }

  #lags({ due, made }: Stretch, playhead: MediaTime): boolean {
    const [first] = due;
    return first !== undefined && !made.has(first) && between(first, playhead) > LAGGING;
  }

  /** After the recoder's death: what cannot be shown any more, and where the original goes on. */
  #waitFor(stretch: Stretch, horizon: MediaTime): void {
    if (stretch.end !== undefined) return;
    const shown = stretch.shown ?? -Infinity;
    stretch.end = this.#seqs(stretch.begin).find(
      (seq) => this.#at(seq).start > shown && this.#isEntry(seq) && this.#isClean(seq),
    );
    const { end } = stretch;
    if (end !== undefined) {
      const from = this.#at(end).start;
      stretch.due = stretch.due.filter((start) => start < from);
      for (; stretch.next < end; stretch.next += 1) insert(stretch.due, this.#at(stretch.next).start);
      return;
    }
    for (; stretch.next < this.#tail && this.#at(stretch.next).start <= horizon; stretch.next += 1) {
      insert(stretch.due, this.#at(stretch.next).start);
    }
  }

  // ---- showing ----

  /** Hands out the next picture of a stretch, or passes its end; `false` when there is nothing to do now. */
  #show(stretch: Stretch, playhead: MediaTime, out: AccessUnit[]): boolean {
    const [start] = stretch.due;
    if (start === undefined) {
      if (stretch.end === undefined) return false;
      this.#close(stretch, stretch.end);
      return true;
    }
    if (start > playhead) return false;
    const unit = stretch.made.get(start);
    if (unit) {
      out.push(unit);
      stretch.shown = start;
      this.#pictures += 1;
    } else if (stretch.phase === 'waiting' || stretch.lost.has(start)) this.#lost += 1;
    else {
      if (between(start, playhead) > this.#patience && !this.#starves(stretch))
        this.#die(stretch, 'it is too slow', true);
      return false;
    }
    stretch.made.delete(start);
    stretch.lost.delete(start);
    stretch.due.shift();
    this.#next += 1;
    return true;
  }

  /** The decoder may be waiting for pictures that have not come: a source that pauses is not the recoder's fault. */
  #starves({ due, end }: Stretch): boolean {
    return this.#codec === 'H264' && end === undefined && due.length <= REORDERED && !this.#ended;
  }

  /** The original goes on at `end`. */
  #close(stretch: Stretch, end: number): void {
    this.#stretch = undefined;
    this.#next = end;
    this.#forget(end);
    const unit = this.#at(end);
    const sets = this.#bare.get(unit);
    if (sets) this.#units[0] = { ...unit, payloads: [...packetizeH264(sets), ...unit.payloads] };
    if (stretch.phase === 'waiting') this.#intervals = this.#intervals.filter(({ start }) => start >= unit.start);
  }

  #hear(answer: Answer): void {
    const stretch = this.#stretch;
    if (!stretch || answer.run !== stretch.run) return;
    if (answer.kind === 'prepared') stretch.prepared = true;
    else if (answer.kind === 'picture') stretch.made.set(answer.unit.start, answer.unit);
    else if (answer.kind === 'lost') stretch.lost.add(answer.start);
    else this.#die(stretch, answer.why, false);
  }

  #die(stretch: Stretch, why: string, stuck: boolean): void {
    this.#lastDeath = why;
    this.#deaths += 1;
    this.#recoder.cancel(stuck);
    if (stretch.phase === 'preparing') {
      this.#stretch = undefined;
      this.#refuse('recoder', stretch.interval);
    } else stretch.phase = 'waiting';
  }

  #abandon(): void {
    if (this.#stretch) this.#recoder.cancel();
    this.#stretch = undefined;
  }

  #refuse(why: JoinRefusal, interval: Interval): void {
    this.#refused[why] += 1;
    this.#intervals = this.#intervals.filter((one) => one !== interval);
  }

  /** Drops what has not gone out until the line is no longer full and begins with a key frame; all of it when there is none. */
  #drop(newest: MediaTime): void {
    this.#abandon();
    const fits = (seq: number) => {
      const { keyFrame, start } = this.#at(seq);
      return keyFrame && this.#tail - seq <= this.#capacity && between(start, newest) <= this.#duration;
    };
    const first = this.#seqs(this.#next).find(fits) ?? this.#tail;
    this.#dropped += first - this.#next;
    this.#next = first;
    this.#forget(first);
    this.#broken = this.#units.length === 0;
  }
}

/** Puts a time in its place. */
function insert(times: MediaTime[], time: MediaTime): void {
  times.splice(times.findLastIndex((one) => one < time) + 1, 0, time);
}
