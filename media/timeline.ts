import type { AudioChunk } from './audio.ts';
import { type Anchor, clockAt, mediaAt } from './clock.ts';
import { DUCKING, type Ducking } from './duck.ts';
import { Ground, indexAt, timeOf } from './ground.ts';
import { Layer } from './layer.ts';
import { type ClockTime, type MediaTime, type SampleRate, type Span, earlier, later, ms, seconds } from './time.ts';

export type { Overlay } from './layer.ts';

/** One Opus frame. Frame k covers [k · 20 ms, (k + 1) · 20 ms) of media time. */
export const FRAME: Span = ms(20);
/**
 * Rendered at once after a stall: one second, which a receiver's jitter buffer takes in one burst and plays off a little
 * faster. What is older is skipped.
 */
const CATCH_UP = 50;

/** A stretch of the programme as it is played: the original, and each dub of the same samples. */
export interface Played extends AudioChunk {
  /**
   * By name. Where no clip touches the stretch it is the very buffer of the original, so `dub === pcm` says "not dubbed
   * here". Only reading is allowed.
   */
  readonly dubs: ReadonlyMap<string, Float32Array>;
}

export interface TimelineOptions {
  readonly delay: Span;
  readonly rate: SampleRate;
  /** When which position of the programme comes in. A process that takes over passes on its predecessor's. */
  readonly anchor: Anchor;
  /** Given by a process that takes over: play on from here. What was due before is not played again. */
  readonly now?: ClockTime;
  readonly ducking?: Partial<Ducking>;
  /** How much original is held ahead of the play-head; the delay and two seconds unless said otherwise. */
  readonly keep?: Span;
}

/**
 * The programme, `delay` late: one original and any number of dubs of it.
 *
 * Original audio goes in as it arrives, clips go in whenever they are ready, and the play-head takes what is there when
 * its time comes. The original is the ground: a clip that is missing, late or half a programme away changes nothing.
 * Every sample is played once and in order, by {@link take} or by {@link frames}.
 */
export class Timeline {
  readonly delay: Span;
  readonly rate: SampleRate;
  readonly anchor: Anchor;
  readonly #ground: Ground;
  readonly #ducking: Ducking;
  readonly #layers = new Map<string, Layer>();
  readonly #frame: number;
  #skipped = 0;

  constructor(options: TimelineOptions) {
    this.delay = options.delay;
    this.rate = options.rate;
    this.anchor = options.anchor;
    this.#ducking = { ...DUCKING, ...options.ducking };
    this.#frame = Math.round((options.rate * FRAME) / 1_000_000);
    const first = options.now === undefined ? this.anchor.media : this.playhead(options.now);
    this.#ground = new Ground({
      rate: options.rate,
      keep: options.keep ?? ((options.delay + seconds(2)) as Span),
      from: indexAt(Math.max(this.anchor.media, first) as MediaTime, options.rate),
    });
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
    return timeOf(this.#ground.position, this.rate);
  }
  playhead(now: ClockTime): MediaTime {
    return earlier(mediaAt(this.anchor, now), this.delay);
  }
  /**
   * The last moment at which a clip starting at `t` still makes it: when the frame is played in which its fade begins.
   * (A picture has until the play-head reaches it, which is a fade later.)
   */
  deadline(t: MediaTime): ClockTime {
    const fade = earlier(t, this.#ducking.fade);
    return later(clockAt(this.anchor, (Math.floor(fade / FRAME) * FRAME) as MediaTime), this.delay);
  }

  pushOriginal(chunk: AudioChunk): void {
    this.#ground.push(chunk);
  }

  /** The dub called `name`, where its clips are placed; made on first use, from the next sample on. */
  dub(name: string): Layer {
    let dub = this.#layers.get(name);
    if (!dub) {
      dub = new Layer({ rate: this.rate, ducking: this.#ducking, from: this.#ground.position });
      this.#layers.set(name, dub);
    }
    return dub;
  }
  /** Ends the dub called `name`; its clips are forgotten. */
  endDub(name: string): void {
    this.#layers.delete(name);
  }

  /** Plays everything due by `now`; silence where even the original is missing. */
  take(now: ClockTime): Played {
    return this.#play(Math.max(0, indexAt(this.playhead(now), this.rate) - this.#ground.position));
  }

  /**
   * Plays whole frames on the 20 ms grid of media time: every frame whose first sample is due by `now`.
   *
   * Called every 20 ms it gives one frame. After a stall it gives at most a second's worth, the latest; older ones are counted in
   * `skipped`. A timeline that starts between two grid points starts with the later one.
   */
  frames(now: ClockTime): Played[] {
    const size = this.#frame;
    const first = Math.ceil(this.#ground.position / size);
    const due = Math.floor(indexAt(this.playhead(now), this.rate) / size) + 1;
    const from = Math.max(first, due - CATCH_UP);
    if (due <= first) return [];
    this.#skipped += from - first;
    this.#skip(from * size - this.#ground.position);
    return Array.from({ length: due - from }, () => this.#play(size));
  }

  #play(count: number): Played {
    const start = this.position;
    const pcm = this.#ground.take(count);
    const dubs = new Map<string, Float32Array>();
    for (const [name, dub] of this.#layers) dubs.set(name, dub.over(pcm));
    return { start, rate: this.rate, pcm, dubs };
  }
  #skip(count: number): void {
    this.#ground.skip(count);
    for (const dub of this.#layers.values()) dub.skip(count);
  }
}
