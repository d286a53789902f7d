import type { Clock } from '../../media/clock.ts';
import { aacChannels, adts } from '../../media/aac.ts';
import { backOff } from '../../media/recoder.ts';
import type { Scope } from '../../media/scope.ts';
import { type ClockTime, type MediaTime, type Span, between, later, seconds } from '../../media/time.ts';
import { TransportStream } from '../../media/ts.ts';
import type { TrackId } from '../protocol.ts';
import type { PushSpec } from '../source-spec.ts';
import type { OutPicture, OutSound, OutTrack, Outlet, OutletContext, Wants } from './outlet.ts';
import { type LineEnd, PushLine, isMissing, linesOf } from './push-line.ts';
import { type PushPlan, planOf, pushArguments, reasonIn, samePlan, shownAddress } from './push-plan.ts';

/** Bytes that may wait for a slow server: 8 s of 4 Mbit/s. Beyond it pictures are dropped up to a key frame. */
export const MOST_WAITING = 4 << 20;
/** A server that takes nothing for that long is tried anew. */
const STALLED = seconds(15);
/** A connection that held that long counts as working: what ends it is news. */
const HELD = seconds(10);
/** How long the first sound of every language is waited for. */
const COMPLETE = seconds(2);
/** How long FFmpeg may say goodbye. */
const GOODBYE = seconds(3);

/** A connection while it lasts: what it carries, and from where on. */
interface Current {
  readonly line: PushLine;
  readonly stream: TransportStream;
  readonly plan: PushPlan;
  readonly size: string;
  readonly from: MediaTime;
  connectedAt: ClockTime | null;
  /** When FFmpeg last took something. */
  movedAt: ClockTime;
  taken: number;
  /** Until the next key frame, because too much waits. */
  dropping: boolean;
}

/**
 * Sends the programme to another server by RTMP or SRT. FFmpeg is started for each connection, at a key frame; when it ends, or
 * the tracks change, the next begins at a key frame too, after 1 s, 2 s, 4 s … 30 s where it failed.
 */
export class Push implements Outlet {
  readonly wants: Wants = { pictures: 'H264', sound: 'AAC' };
  readonly #spec: PushSpec;
  readonly #context: OutletContext;
  readonly #clock: Clock;
  readonly #scope: Scope;
  readonly #jitter: () => number;
  #plan: PushPlan | null = null;
  #current: Current | undefined;
  /** Connections that say goodbye. */
  readonly #leaving = new Set<Promise<void>>();
  readonly #heard = new Map<TrackId, { last: MediaTime; channels: 1 | 2 }>();
  #wantedSince: MediaTime | null = null;
  #retryAt: ClockTime;
  #failures = 0;
  #complained = false;
  #closed = false;
  #sentBefore = 0;
  readonly #counts = { starts: 0, failures: 0, 'dropped pictures': 0, 'dropped sounds': 0 };

  private constructor(spec: PushSpec, context: OutletContext, clock: Clock, scope: Scope, jitter: () => number) {
    this.#spec = spec;
    this.#context = context;
    this.#clock = clock;
    this.#scope = scope;
    this.#jitter = jitter;
    this.#retryAt = clock.now();
  }

  /** `jitter` gives what waits are multiplied with, 0.75 to 1.25 unless told. */
  static open(
    spec: PushSpec,
    context: OutletContext,
    clock: Clock,
    scope: Scope,
    { jitter = () => 0.75 + Math.random() / 2 }: { jitter?: () => number } = {},
  ): Push {
    return new Push(spec, context, clock, scope.child('push'), jitter);
  }

  get counts(): Readonly<Record<string, number>> {
    const { starts, ...counts } = this.#counts;
    const line = this.#current?.line;
    return {
      connected: line && line.sent > 0 ? 1 : 0,
      restarts: Math.max(0, starts - 1),
      ...counts,
      'sent bytes': this.#sentBefore + (line?.sent ?? 0),
      'push waiting': line?.waiting ?? 0,
    };
  }

  tracks(tracks: readonly OutTrack[]): void {
    const plan = planOf(tracks, this.#spec, this.#context.from);
    if (samePlan(plan, this.#plan)) return;
    this.#plan = plan;
    this.#wantedSince = null;
    for (const id of this.#heard.keys()) if (!plan?.sounds.some((sound) => sound.id === id)) this.#heard.delete(id);
    if (plan === null && tracks.length > 0) {
      this.#context.complain(
        `Nothing is sent to ${shownAddress(this.#spec.url)}: the session has no ${this.#spec.language ?? 'sound or picture'} yet.`,
      );
    }
    // A plan that only grew goes on until the next key frame; what it no longer has, ends now.
    const kept = plan && this.#current?.plan.sounds.every(({ id }) => plan.sounds.some((sound) => sound.id === id));
    if (!kept || plan.picture !== this.#current?.plan.picture) this.#leave();
  }

  picture(picture: OutPicture): void {
    if (this.#closed || picture.track !== this.#plan?.picture || picture.codec !== 'H264') return;
    if (picture.keyFrame) this.#renew(picture.start, `${picture.width}x${picture.height}`);
    const current = this.#current;
    if (!current || !this.#takes(current, picture.keyFrame)) this.#counts['dropped pictures'] += 1;
    else current.line.write(current.stream.write(0, picture.start, picture.data, picture.keyFrame));
  }

  sound({ track, start, data }: OutSound): void {
    if (this.#closed || !this.#plan?.sounds.some(({ id }) => id === track)) return;
    const channels = aacChannels(data) ?? this.#heard.get(track)?.channels ?? 2;
    this.#heard.set(track, { last: start, channels });
    this.#wantedSince ??= start;
    if (this.#plan.picture === null) this.#renew(start, '');
    const current = this.#current;
    const index = current?.plan.sounds.findIndex(({ id }) => id === track) ?? -1;
    if (!current || index < 0 || start < current.from) return;
    if (!this.#takes(current, this.#plan.picture === null)) this.#counts['dropped sounds'] += 1;
    else current.line.write(current.stream.write(index + (current.plan.picture ? 1 : 0), start, adts(data, channels)));
  }

  cue(): void {}

  tick(now: ClockTime): void {
    const current = this.#current;
    if (!current) return;
    const { line } = current;
    if (line.sent > 0) current.connectedAt ??= now;
    if (current.connectedAt !== null && between(current.connectedAt, now) >= HELD) {
      this.#failures = 0;
      this.#complained = false;
    }
    if (line.taken !== current.taken || line.waiting === 0) {
      current.taken = line.taken;
      current.movedAt = now;
    }
    if (between(current.movedAt, now) < STALLED) return;
    this.#current = undefined;
    this.#sentBefore += line.sent;
    this.#leaving.add(line.close());
    this.#failed('it takes nothing any more');
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#leave();
    await Promise.allSettled([...this.#leaving]);
    await this.#scope.close();
  }

  /** Whether what comes now is sent, or dropped because too much waits. */
  #takes(current: Current, start: boolean): boolean {
    const { waiting } = current.line;
    if (waiting > MOST_WAITING) current.dropping = true;
    else if (current.dropping && start && waiting <= MOST_WAITING / 2) current.dropping = false;
    return !current.dropping;
  }

  /** At a place where a connection can begin: begins one, or another where this one carries something else. */
  #renew(start: MediaTime, size: string): void {
    const plan = this.#plan;
    if (!plan) return;
    this.#wantedSince ??= start;
    const sounds = plan.sounds.filter(({ id }) => this.#speaks(id, start));
    const whole = sounds.length === plan.sounds.length;
    const now: PushPlan = { picture: plan.picture, sounds };
    const current = this.#current;
    if (current) {
      const added = sounds.some(({ id }) => !current.plan.sounds.some((sound) => sound.id === id));
      if (!added && current.size === size) return;
      this.#leave();
    }
    if (this.#clock.now() < this.#retryAt || (sounds.length === 0 && plan.sounds.length > 0)) return;
    if (!whole && start - this.#wantedSince < COMPLETE) return;
    this.#start(now, start, size);
  }

  #speaks(id: TrackId, at: MediaTime): boolean {
    const last = this.#heard.get(id)?.last;
    return last !== undefined && at - last < COMPLETE;
  }

  #start(plan: PushPlan, from: MediaTime, size: string): void {
    const picture = plan.picture === null ? [] : [{ kind: 'H264' as const, language: null }];
    const sounds = plan.sounds.map(({ language }) => ({ kind: 'AAC' as const, language }));
    const line = PushLine.start(pushArguments(this.#spec), this.#scope);
    const stream = new TransportStream([...picture, ...sounds]);
    const movedAt = this.#clock.now();
    const current = { line, stream, plan, size, from, connectedAt: null, movedAt, taken: 0, dropping: false };
    this.#current = current;
    this.#counts.starts += 1;
    void line.ended.then((end) => this.#ended(current, end));
  }

  #ended(current: Current, end: LineEnd): void {
    void current.line.close();
    if (this.#current !== current) return;
    this.#current = undefined;
    this.#sentBefore += current.line.sent;
    if (this.#closed || this.#scope.signal.aborted) return;
    const held = current.connectedAt !== null && between(current.connectedAt, this.#clock.now()) >= HELD;
    if (held) this.#failures = 0;
    if (end.kind === 'finished') this.#failed('FFmpeg ended');
    else if (isMissing(end.cause)) this.#failed('FFmpeg is not installed');
    else this.#failed(reasonIn(linesOf(end.cause)));
  }

  #failed(why: string): void {
    this.#failures += 1;
    this.#counts.failures += 1;
    const wait = Math.min(seconds(30), Math.max(seconds(1), backOff(this.#failures) * this.#jitter()));
    this.#retryAt = later(this.#clock.now(), Math.round(wait) as Span);
    if (this.#complained) return;
    this.#complained = true;
    this.#context.complain(
      `The push to ${shownAddress(this.#spec.url)} does not work: ${why}. It is tried again; check the address, the key and whether the server is up.`,
    );
  }

  /** Ends the connection in good order, without waiting for it here. */
  #leave(): void {
    const current = this.#current;
    if (!current) return;
    this.#current = undefined;
    const { line } = current;
    line.finish();
    const patience = new AbortController();
    const late = this.#clock.until(later(this.#clock.now(), GOODBYE), patience.signal).catch(() => {});
    const gone = Promise.race([line.ended, late]).then(async () => {
      patience.abort();
      this.#sentBefore += line.sent;
      await line.close();
    });
    this.#leaving.add(gone);
    void gone.finally(() => this.#leaving.delete(gone));
  }
}
