import type { AudioChunk } from './audio.ts';
import type { Anchor } from './clock.ts';
import { Drift } from './drift.ts';
import { type Finisher, Finishing } from './finish.ts';
import { Ground, type Stretch, indexAt, timeOf } from './ground.ts';
import { Layer, type Sound, silence } from './layer.ts';
import { type Mix, mixOf, rise } from './mix.ts';
import { Playhead } from './playhead.ts';
import { Quiet } from './quiet.ts';
import {
  type ClockTime,
  type MediaTime,
  type SampleRate,
  type Span,
  between,
  later,
  ms,
  sampleIndex,
  seconds,
} from './time.ts';

export type { Finisher, Sides } from './finish.ts';
export type { Overlay, Sound } from './layer.ts';

/** One Opus frame. Frame k covers [k · 20 ms, (k + 1) · 20 ms) of media time. */
export const FRAME: Span = ms(20);
/**
 * Rendered at once after a stall: one second, which a receiver's jitter buffer takes in one burst and plays off a little
 * faster. What is older is skipped.
 */
const CATCH_UP = 50;
/** How long a hole in the original fades at its edges, and what is skipped over is cross-faded: too short to be heard as a fade. */
const EDGE = ms(5);
/** How long the background and the lowered original are cross-faded where one takes over from the other. */
const EXCHANGE = ms(20);
/** How much original is held ahead of the play-head beyond the delay. */
const SPARE = seconds(2);
/** A deadline that was given is kept that far ahead of the play-head, beyond the delay. */
const KEPT = seconds(10);
/** The lag is not corrected for less: it is within what the arrival is known to. */
const TOLERATED = ms(10);
/** So far off because of the source's clock, the lag is corrected though nobody pauses, and until only so much is left. */
const UNBEARABLE = ms(90);
const BEARABLE = ms(40);
/** For how long a pause is waited for before that. */
const PATIENCE = seconds(10);

/** A stretch of the programme as it is played: the original, and each dub of the same samples. Only reading is allowed. */
export interface Played extends AudioChunk {
  /**
   * By name. Where no clip touches the stretch, `left` and `right` are the very buffer of the original (`pcm`), so
   * identity says "not dubbed here", unless each track is finished by itself.
   */
  readonly dubs: ReadonlyMap<string, Sound>;
}

export interface TimelineOptions {
  /** How late it is played. A process that takes over passes on its predecessor's. */
  readonly delay: Span;
  readonly rate: SampleRate;
  /** When which position of the programme comes in. A process that takes over passes on its predecessor's. */
  readonly anchor: Anchor;
  /** Given by a process that takes over: play on from here. What was due before is not played again. */
  readonly now?: ClockTime;
  readonly mix?: Partial<Mix>;
  /** How much original is held ahead of the play-head; the delay and two seconds unless said otherwise. */
  readonly keep?: Span;
  /** What finishes a dub (by name), or the original (`null`); made once for each. */
  readonly finish?: (track: string | null) => Finisher;
}

interface Dub {
  readonly layer: Layer;
  readonly finishing: Finishing | undefined;
  /** Ended; what sounds fades out. */
  ending: boolean;
}

/**
 * The programme, `delay` late: one original and any number of dubs of it.
 *
 * Original audio goes in as it arrives, clips go in whenever they are ready, and the play-head takes what is there when
 * its time comes. The original is the ground: a clip that is missing, late or half a programme away changes nothing.
 * Every sample is played once and in order, by {@link take} or by {@link frames}.
 *
 * The lag is a controlled quantity: {@link aim} says how late the programme is wanted, {@link follow} when it comes in,
 * and the play-head goes there in pauses, by 100 ms a second at most. Without either it keeps step with the clock.
 */
export class Timeline {
  readonly rate: SampleRate;
  readonly mix: Mix;
  readonly #ground: Ground;
  #background: Ground | undefined;
  readonly #dubs = new Map<string, Dub>();
  /** Samples. */
  readonly #frame: number;
  readonly #edge: number;
  readonly #fade: number;

  readonly #finish: TimelineOptions['finish'];
  readonly #finishing: Finishing | undefined;
  readonly #lookahead: number;
  /** What the original was in the last `lookahead` samples before it was finished; `undefined` while nothing is under way. */
  #recent: Float32Array | undefined;

  /** Next sample to be played. */
  #next: number;
  #begun = false;
  #skipped = 0;
  /** What would have come if nothing had been skipped. */
  #unheard: Played | undefined;

  readonly #playhead: Playhead;
  readonly #quiet: Quiet;
  readonly #drift = new Drift();
  readonly #spare: Span;
  #keep: Span;
  #wanted: Span;
  /** Clock time less media time at which the programme comes in, µs: as it is followed, and as it was last measured. */
  #arrival: number;
  #measured: number;
  /** How much of what the lag has to change is the source's doing, µs. */
  #drifted = 0;
  #hurrying = false;
  #paused: ClockTime | undefined;

  constructor(options: TimelineOptions) {
    const { delay, rate, anchor, finish } = options;
    this.rate = rate;
    this.mix = mixOf(options.mix);
    this.#wanted = delay;
    this.#arrival = this.#measured = between(0 as ClockTime, anchor.clock) - anchor.media;
    this.#playhead = new Playhead(anchor.media, later(anchor.clock, delay));
    this.#frame = Math.round((rate * FRAME) / 1_000_000);
    this.#edge = sampleIndex(EDGE, rate);
    this.#fade = sampleIndex(this.mix.fade, rate);
    const first = options.now === undefined ? anchor.media : this.#playhead.at(options.now);
    const from = (this.#next = indexAt(Math.max(anchor.media, first) as MediaTime, rate));
    this.#keep = options.keep ?? ((delay + SPARE) as Span);
    this.#spare = Math.max(0, this.#keep - delay) as Span;
    this.#ground = new Ground({ rate, keep: this.#keep, from, fade: EDGE });
    this.#quiet = new Quiet({ rate, from });
    this.#finish = finish;
    const finisher = finish?.(null);
    this.#finishing = finisher && new Finishing(finisher);
    this.#lookahead = finisher?.lookahead ?? 0;
  }

  /** How late the programme is played, behind {@link anchor}. On its way to {@link wanted} it changes slowly. */
  get delay(): Span {
    return Math.round(this.#playhead.lag - this.#arrival) as Span;
  }
  /** How late it shall be played. */
  get wanted(): Span {
    return this.#wanted;
  }
  /** How late it is played behind its arrival as last measured: {@link delay} and what is left of the source's drift. */
  get lag(): Span {
    return Math.round(this.#playhead.lag - this.#measured) as Span;
  }
  /** By how many millionths the source's clock is fast; `undefined` while that is not known. */
  get drift(): number | undefined {
    return this.#drift.ppm;
  }
  /** Which position of the programme comes in when, as far as it is followed. */
  get anchor(): Anchor {
    const media = this.position;
    return { media, clock: Math.round(media + this.#arrival) as ClockTime };
  }

  /** Samples played as silence because even the original was missing. */
  get missing(): number {
    return this.#ground.missing;
  }
  /** Original samples that came after their place was played. */
  get late(): number {
    return this.#ground.late;
  }
  /** Original samples dropped because they lie further ahead than the timeline holds. */
  get early(): number {
    return this.#ground.early;
  }
  /** Frames that were not played because the caller stalled for longer than a receiver bridges. */
  get skipped(): number {
    return this.#skipped;
  }
  /** Where the next sample to be played is. */
  get position(): MediaTime {
    return timeOf(this.#next, this.rate);
  }
  /** What is played at `now`, which lies after the last call of {@link take} or {@link frames}. */
  playhead(now: ClockTime): MediaTime {
    return this.#playhead.at(now);
  }
  /**
   * The last moment at which a clip starting at `t` still makes it: when the frame is played in which its fade begins.
   * (A picture has until the play-head reaches it, which is a fade later.)
   *
   * It can turn out to be later, where the delay is raised meanwhile; it never turns out to be earlier, whatever is
   * aimed at, for what lies up to the delay and ten seconds ahead.
   */
  deadline(t: MediaTime): ClockTime {
    const frame = Math.floor((indexAt(t, this.rate) - this.#fade - this.#lookahead) / this.#frame);
    return this.#playhead.earliest((frame * FRAME) as MediaTime, (this.#wanted + KEPT) as Span);
  }

  /** Says how late the programme is wanted from now on. What was promised with {@link deadline} is kept. */
  aim(delay: Span): void {
    if (!(delay > 0)) throw new RangeError(`Cannot aim timeline: delay must be positive, received ${delay} µs`);
    this.#wanted = Math.round(delay) as Span;
    this.#hold((this.#wanted + this.#spare) as Span);
    this.#playhead.aim(Math.round(this.#arrival + this.#wanted));
  }

  /**
   * Says which place of the programme comes in when, by the shortest way: the newest reading, a few times a second. The
   * lag behind arrival stays what it was however wrong the source's clock goes.
   */
  follow(reading: Anchor): void {
    if (!this.#drift.push(reading)) return;
    const anchor = this.#drift.anchor;
    if (!anchor) return;
    this.#measured = anchor.clock - anchor.media;
    const moved = this.#measured - this.#arrival;
    if (Math.abs(moved) <= TOLERATED) return;
    this.#drifted += moved;
    this.#arrival = this.#measured;
    this.#playhead.aim(Math.round(this.#arrival + this.#wanted));
  }

  pushOriginal(chunk: AudioChunk): void {
    this.#ground.push(chunk);
  }

  /**
   * The original without its voices, in any order, with any holes: where there is some it is heard under clips, as
   * `mix.mode` says. The same rate as the original.
   */
  pushBackground(chunk: AudioChunk): void {
    this.#background ??= new Ground({
      rate: this.rate,
      keep: this.#keep,
      from: this.#ground.position,
      fade: EXCHANGE,
      opens: true,
    });
    this.#background.push(chunk);
  }

  /** The dub called `name`, where its clips are placed; made on first use, from the next sample on. */
  dub(name: string): Layer {
    let dub = this.#dubs.get(name);
    if (!dub) {
      const limit = this.#finish === undefined;
      const layer = new Layer({ rate: this.rate, mix: this.mix, from: this.#ground.position, limit });
      dub = { layer, finishing: this.#finishingOf(name), ending: false };
      this.#dubs.set(name, dub);
    }
    dub.ending = false;
    return dub.layer;
  }
  /** Ends the dub called `name`: its clips are forgotten, and it is gone when what sounds has faded out. */
  endDub(name: string): void {
    const dub = this.#dubs.get(name);
    if (!dub) return;
    dub.ending = true;
    dub.layer.stop();
    if (dub.layer.flat) this.#dubs.delete(name);
  }

  /** Plays everything due by `now`; silence where even the original is missing. */
  take(now: ClockTime): Played {
    const played = this.#play(Math.max(0, indexAt(this.playhead(now), this.rate) - this.#next));
    this.#turn(now);
    return played;
  }

  /**
   * Plays whole frames on the 20 ms grid of media time: every frame whose first sample is due by `now`.
   *
   * Called every 20 ms or more often it gives one frame at a time. After a stall it gives at most a second's worth, the
   * latest; older ones are counted in `skipped`. A timeline that starts between two grid points starts with the later one.
   */
  frames(now: ClockTime): Played[] {
    const size = this.#frame;
    const first = Math.ceil(this.#next / size);
    const due = Math.floor(indexAt(this.playhead(now), this.rate) / size) + 1;
    const from = Math.max(first, due - CATCH_UP);
    const frames: Played[] = [];
    if (due > first) {
      this.#skipped += from - first;
      this.#skip(from * size - this.#next);
      for (let frame = from; frame < due; frame += 1) frames.push(this.#play(size));
    }
    this.#turn(now);
    return frames;
  }

  /** Decides whether the lag may change before the next call. */
  #turn(now: ClockTime): void {
    const { rate } = this;
    const from = this.#next;
    const ground = this.#ground;
    let until = this.#quiet.until(from, ground.position, (index, count) => ground.power(index, count));
    for (const { layer } of this.#dubs.values()) until = Math.min(until, layer.next(from) - this.#fade);
    this.#paused ??= now;
    if (until > from) this.#paused = now;

    const due = Math.sign(this.#drifted) === Math.sign(this.#playhead.aimed - this.#playhead.lag);
    this.#hurrying = due && Math.abs(this.#drifted) > (this.#hurrying ? BEARABLE : UNBEARABLE);
    const slowly = this.#hurrying && between(this.#paused, now) > PATIENCE;
    const pause = until > from ? timeOf(until, rate) : undefined;
    const changed = this.#playhead.turn(now, pause, slowly);
    const drifted = this.#drifted;
    if (drifted > 0) this.#drifted = Math.max(0, drifted - Math.max(0, changed));
    else this.#drifted = Math.min(0, drifted - Math.min(0, changed));
  }

  #hold(keep: Span): void {
    if (keep <= this.#keep) return;
    this.#keep = keep;
    this.#ground.grow(keep);
    this.#background?.grow(keep);
  }

  /** Plays the next `count` samples. */
  #play(count: number): Played {
    this.#begun ||= count > 0;
    if (this.#finishing && !this.#recent && count > 0) {
      this.#recent = new Float32Array(this.#lookahead);
      this.#render(this.#lookahead);
    }
    const start = this.position;
    const { pcm, dubs } = this.#render(count);
    this.#next += count;
    const played: Played = { start, rate: this.rate, pcm, dubs };
    const unheard = this.#unheard;
    if (!unheard || count === 0) return played;
    this.#unheard = undefined;
    return crossed(unheard, played);
  }

  /** Makes the next `count` samples, and gives those that come out of the finishers meanwhile. */
  #render(count: number): { pcm: Float32Array; dubs: Map<string, Sound> } {
    const at = this.#ground.position;
    const { pcm } = this.#ground.take(count);
    let background: Stretch | undefined;
    if (this.#background) {
      let needed = false;
      for (const { layer } of this.#dubs.values()) needed ||= layer.touched(count);
      if (needed) background = this.#background.take(count);
      else this.#background.skip(count);
    }
    const dubs = new Map<string, Sound>();
    for (const [name, { layer, finishing, ending }] of this.#dubs) {
      const sound = layer.over(pcm, background);
      dubs.set(name, finishing ? finishing.process(sound, at) : sound);
      if (ending && layer.flat) this.#dubs.delete(name);
    }
    if (!this.#finishing) return { pcm, dubs };
    const { left } = this.#finishing.process({ left: pcm, right: pcm, voice: silence(count) }, at);
    if (this.#recent) this.#recent = lastOf(this.#recent, pcm);
    return { pcm: left, dubs };
  }

  /** Moves on without playing: what comes then is cross-faded with what would have come. */
  #skip(count: number): void {
    if (count === 0) return;
    const to = this.#next + count;
    const edge = Math.min(this.#edge, count);
    if (this.#begun) {
      this.#unheard = undefined;
      const unheard = this.#play(edge);
      // Where finishers look further ahead than is skipped, all of it is on its way already.
      if (this.#ground.position > to) this.#play(to - this.#next);
      this.#unheard = unheard;
    }
    const rest = to - this.#ground.position;
    if (rest < 0) this.#next = to;
    else {
      this.#ground.skip(rest);
      this.#background?.skip(rest);
      for (const { layer } of this.#dubs.values()) layer.skip(rest);
      this.#recent = undefined;
    }
    this.#next = to;
  }

  /** A finisher that has heard what the original's has. */
  #finishingOf(name: string): Finishing | undefined {
    const finisher = this.#finish?.(name);
    if (!finisher) return undefined;
    if (finisher.lookahead !== this.#lookahead) {
      throw new RangeError(
        `Cannot add dub: its finisher looks ${finisher.lookahead} samples ahead, the original's ${this.#lookahead}`,
      );
    }
    const finishing = new Finishing(finisher);
    const recent = this.#recent;
    if (recent) {
      const at = this.#ground.position - recent.length;
      finishing.process({ left: recent, right: recent, voice: silence(recent.length) }, at);
    }
    return finishing;
  }
}

/** The last samples of `before` and `after`, as many as `before` has. */
function lastOf(before: Float32Array, after: Float32Array): Float32Array {
  const size = before.length;
  if (after.length >= size) return after.slice(after.length - size);
  const last = new Float32Array(size);
  last.set(before.subarray(after.length));
  last.set(after, size - after.length);
  return last;
}

/** `to`, coming out of `from`, which is as long as the cross-fade and did not end there. */
function crossed(from: Played, to: Played): Played {
  const pcm = mixed(from.pcm, to.pcm);
  const dubs = new Map<string, Sound>();
  for (const [name, sound] of to.dubs) {
    const before = from.dubs.get(name) ?? { left: from.pcm, right: from.pcm, voice: silence(from.pcm.length) };
    const plain =
      before.left === from.pcm && before.right === from.pcm && sound.left === to.pcm && sound.right === to.pcm;
    const left = plain ? pcm : mixed(before.left, sound.left);
    const right =
      plain || (before.left === before.right && sound.left === sound.right) ? left : mixed(before.right, sound.right);
    const voice = plain ? sound.voice : mixed(before.voice, sound.voice);
    dubs.set(name, { left, right, voice });
  }
  return { ...to, pcm, dubs };
}

function mixed(from: Float32Array, to: Float32Array): Float32Array {
  const pcm = to.slice();
  const count = Math.min(from.length, to.length);
  for (let i = 0; i < count; i += 1) {
    const level = rise((i + 1) / (from.length + 1));
    pcm[i] = (from[i] ?? 0) * (1 - level) + (to[i] ?? 0) * level;
  }
  return pcm;
}
