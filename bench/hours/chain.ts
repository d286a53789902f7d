import { Subject } from 'rxjs';
import { SessionSpec } from '../../gateway/config.ts';
import { Desk } from '../../gateway/session/desk.ts';
import { LiveSource } from '../../gateway/session/live-source.ts';
import { within } from '../../gateway/session/within.ts';
import type { AudioChunk } from '../../media/audio.ts';
import type { Clock } from '../../media/clock.ts';
import { rubberband } from '../../media/rubberband.ts';
import type { Scope } from '../../media/scope.ts';
import { type Span, later, ms, seconds } from '../../media/time.ts';
import { type Played, Timeline } from '../../media/timeline.ts';
import { VideoLine } from '../../media/video-line.ts';
import type { AccessUnit } from '../../media/video.ts';
import { syllables, usualRate } from '../../models/translate/syllables.ts';
import type { Clip, Language } from '../../pipeline/domain.ts';
import { type Dubbing, dub } from '../../pipeline/dub.ts';
import type { SharedStages } from '../../pipeline/ear.ts';
import { Lag } from '../../pipeline/lag.ts';
import type { LineRecord } from '../../pipeline/ledger.ts';
import type { LanguageStages } from '../../pipeline/voice.ts';
import { AUDIO_SSRC, VIDEO_SSRC } from './publisher.ts';

/** A source may run that much ahead of the clock, as in a session. */
const AHEAD = seconds(3);
/** Ticks between two looks at the delay. */
const STEERED = 20;

export interface ChainOptions {
  readonly clock: Clock;
  readonly delay: Span;
  readonly from: Language;
  readonly to: Language;
  readonly shared: SharedStages;
  readonly stages: LanguageStages;
  readonly onLine: (line: LineRecord) => void;
  /** A clip that the timeline took. */
  readonly onClip: (clip: Clip) => void;
}

/** What is played at one tick. */
export interface Output {
  readonly frames: readonly Played[];
  readonly units: readonly AccessUnit[];
}

/**
 * A session's insides without its process, its sockets and its Opus encoder: from RTP packets to what is played.
 *
 * Put together as gateway/session/session.ts and gateway/session/output.ts do it; what they do otherwise has to be done
 * here, too. Nothing in it knows that its clock is moved by hand.
 */
export class Chain {
  readonly #options: ChainOptions;
  readonly #dubbing: Dubbing;
  readonly #live: LiveSource;
  readonly #line: VideoLine;
  readonly #faults = new Map<string, number>();
  readonly #desk = new Desk(SessionSpec.parse({}).mix);
  readonly #lag: Lag;
  #ticks = 0;
  /** Samples of the first frame before the publisher's first packet. */
  #before: number | undefined;
  /** Nothing that it takes to dub is down. */
  #able = true;
  #timeline: Timeline | undefined;

  static async open(options: ChainOptions, scope: Scope): Promise<Chain> {
    return new Chain(options, await rubberband(), scope);
  }

  private constructor(options: ChainOptions, stretcher: Awaited<ReturnType<typeof rubberband>>, scope: Scope) {
    this.#options = options;
    const { clock, delay, from, to } = options;
    const audio$ = new Subject<AudioChunk>();
    this.#lag = new Lag({ start: delay, least: delay, most: (2 * delay) as Span });
    this.#line = new VideoLine({
      duration: (2 * delay + AHEAD) as Span,
      capacity: Math.ceil((2 * delay + AHEAD) / ms(10)),
    });
    this.#live = new LiveSource(
      {
        clock,
        sink: {
          audio: (chunk) => {
            this.#open()?.pushOriginal(chunk);
            this.#desk.hear(chunk);
            audio$.next(chunk);
          },
          video: (unit) => {
            this.#open();
            this.#line.push(unit);
          },
          format: () => {},
        },
        reply: () => {},
      },
      scope,
    );
    this.#live.tracks([
      { kind: 'audio', ssrc: AUDIO_SSRC, payloadType: 111, mimeType: 'audio/opus', clockRate: 48_000, channels: 2 },
      { kind: 'video', ssrc: VIDEO_SSRC, payloadType: 96, mimeType: 'video/VP8', clockRate: 90_000, channels: 1 },
    ]);
    this.#dubbing = dub(audio$, options.shared, {
      from,
      clock,
      pace: 'live',
      deadline: (t) => this.#timeline?.deadline(t) ?? later(clock.now(), delay),
      stretcher,
      syllables: { count: syllables, usual: usualRate },
      place: (clip) => this.#place(clip),
      ...within(delay),
    });
    scope.defer(() => this.#dubbing.close());
    this.#dubbing.lines$.subscribe((line) => {
      if (this.#timeline) this.#lag.line(line, this.#timeline.delay, clock.now());
      options.onLine(line);
    });
    this.#dubbing.mode$.subscribe(({ audio }) => (this.#able = audio === 'dubbed'));
    this.#dubbing.faults$.subscribe(({ name, fault }) => {
      const key = `${name}: ${fault.message}`;
      // Bounded: what fails in ever new words is not worth listing.
      if (this.#faults.size < 100 || this.#faults.has(key)) this.#faults.set(key, (this.#faults.get(key) ?? 0) + 1);
    });
    this.#dubbing.addLanguage(to, options.stages);
    this.#dubbing.start();
  }

  datagram(data: Uint8Array): void {
    this.#live.datagram(data);
  }
  /** Every 10 ms. */
  tick(): Output {
    this.#live.tick();
    const timeline = this.#timeline;
    if (!timeline) return { frames: [], units: [] };
    const now = this.#options.clock.now();
    this.#ticks += 1;
    if (this.#ticks % STEERED === 0) this.#steer(timeline);
    const frames = timeline.frames(now);
    if (frames.length > 0) this.#before ??= timeline.missing;
    return { frames, units: this.#line.take(timeline.playhead(now)) };
  }

  /** As a session does five times a second. */
  #steer(timeline: Timeline): void {
    const { anchor } = this.#live;
    if (anchor) timeline.follow(anchor);
    const now = this.#options.clock.now();
    if (!this.#able) this.#lag.unable(now);
    const wanted = this.#lag.update(timeline.delay, this.#dubbing.lookahead, now);
    if (wanted !== timeline.wanted) timeline.aim(wanted);
  }

  /** Items that some stage could work on without the clock going on, but for the stages named in `waiting`. */
  busy(waiting: readonly string[] = []): number {
    const { load } = this.#dubbing;
    // The translator takes its time by the clock.
    const translator = `translator:${this.#options.to}`;
    return [translator, ...waiting].reduce((left, name) => left - load.gauge(name).pending, load.pending);
  }
  /** Stages that wait for their next attempt, by the clock. Costs much more than {@link busy}. */
  get down(): string[] {
    return this.#dubbing.stages.filter(({ state }) => state === 'down').map(({ name }) => name);
  }

  get faults(): ReadonlyMap<string, number> {
    return this.#faults;
  }
  /** What went missing, by name; all 0 when nothing did. */
  get losses(): Record<string, number> {
    const timeline = this.#timeline;
    return {
      'samples missing': (timeline?.missing ?? 0) - (this.#before ?? 0),
      'samples late': timeline?.late ?? 0,
      'samples early': timeline?.early ?? 0,
      'frames skipped': timeline?.skipped ?? 0,
      'pictures dropped': this.#line.dropped,
      ...this.#live.losses,
    };
  }
  /** Items lost in queues, by queue. */
  get dropped(): Readonly<Record<string, number>> {
    return this.#dubbing.load.lost;
  }
  /** Microseconds nobody listened to. */
  get unheard(): number {
    return this.#dubbing.unheard;
  }

  #open(): Timeline | undefined {
    const { anchor } = this.#live;
    if (this.#timeline || !anchor) return this.#timeline;
    const { delay, to } = this.#options;
    this.#timeline = new Timeline({
      delay,
      rate: 48_000,
      anchor,
      keep: (2 * delay + AHEAD) as Span,
      finish: (track) => this.#desk.finish(track),
    });
    this.#timeline.dub(to);
    return this.#timeline;
  }
  #place(clip: Clip): boolean {
    if (!this.#timeline?.dub(clip.language).place(clip)) return false;
    this.#options.onClip(clip);
    return true;
  }
}
