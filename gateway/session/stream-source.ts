import { endOf } from '../../media/audio.ts';
import { type Anchor, type Clock, clockAt, mediaAt } from '../../media/clock.ts';
import { Packetizer } from '../../media/packetize.ts';
import type { OpenProgramme, Programme, ProgrammeItem } from '../../media/programme.ts';
import { Refusal } from '../../media/refusal.ts';
import type { Scope } from '../../media/scope.ts';
import {
  type ClockTime,
  type MediaTime,
  type Span,
  at,
  between,
  earlier,
  later,
  ms,
  samples,
  seconds,
} from '../../media/time.ts';
import { type Sink, formatOf } from './source.ts';
import { StreamTimes, type Timed } from './stream-times.ts';
import { Unbroken } from './unbroken.ts';

/** `opening`: it has not come yet. `away`: it has been tried in vain, or came and stopped; it is tried again. */
export type SourceState = 'opening' | 'live' | 'away';
/** `arrival`: it comes in real time. `clock`: it may come in bursts, and is held until its time unless it turns out not to. */
export type Pace = 'arrival' | 'clock';

export interface StreamSourceOptions {
  readonly clock: Clock;
  readonly sink: Sink;
  readonly open: OpenProgramme;
  readonly pace: Pace;
  /** Go on with a programme that began so. */
  readonly resume?: Anchor | undefined;
  /** How late something may come and still be played in its place. */
  readonly behind?: Span;
  /** Called once, before anything is handed to `sink`. */
  readonly onFirst: (anchor: Anchor) => void;
  /** @param reason why it is away: a clause without a full stop */
  readonly onState: (state: SourceState, reason: string | null) => void;
  /** 0…1, for the jitter of retries. */
  readonly random?: () => number;
}

/** An item that comes that much before its time belongs to a new count; pictures without sound may be sparse. */
const AHEAD = seconds(1);
const SPARSE = seconds(10);
const BEHIND = seconds(5);
/** What a source brings at first, in a burst, until its shortest way is known. */
const SETTLE = ms(300);
const GATHERED = 2_000;
/** What has no end and brought no more than that in so long comes in real time; beyond so much of it, it does not. */
const WATCHED = seconds(1);
const REAL_TIME = seconds(1.5);
const FAR = seconds(15);
/** Sound that stopped is followed by so much silence soon, which ends what somebody was saying. */
const SLACK = seconds(1);
/** A source that brings nothing for so long is away; after so long more it is opened again. */
const STALLED = seconds(3);
const GIVEN_UP = seconds(15);
/** A source that was there for so long is tried again at once. */
const LIVED = seconds(5);
const SILENT = 'nothing comes from it';
const SOONEST = seconds(0.5);
const SLOWEST = seconds(15);
const LISTS = /^(hls|dash)\b/;
/** Pictures have different times however they come: more than one tick of RTP's 90 kHz clock apart. */
const INSTANT = ms(1);
/** Picture ids of a process that takes over go on beyond its predecessor's: no camera takes more than 100 a second. */
const PER_PICTURE = ms(10);

interface Gathered {
  readonly item: ProgrammeItem;
  readonly came: ClockTime;
}

/**
 * A programme that comes from elsewhere as a stream, and may stop and come back: it is opened again for as long as the
 * session lasts, and its media time goes on with the clock meanwhile, with silence in it.
 */
export class StreamSource {
  readonly #options: StreamSourceOptions;
  readonly #scope: Scope;
  readonly #times: StreamTimes;
  readonly #behind: Span;
  readonly #sound: Unbroken;
  #packetizer: Packetizer | undefined;
  #formatted = false;
  /** Of the last picture. */
  #picture: MediaTime | undefined;
  /** No picture is of use before a key frame. */
  #broken = true;
  #reading: Scope | undefined;
  /** What has come of a reading whose shortest way is not known yet. */
  #gathered: Gathered[] | undefined;
  #came: ClockTime;
  /** The reading comes in real time. */
  #inTime = false;
  #holding = false;
  #begun = false;
  /** Where sound ended when the source went away. */
  #stopped: MediaTime | undefined;
  #told: { state: SourceState; reason: string | null } = { state: 'opening', reason: null };
  readonly #counts = { reopened: 0, late: 0, unfounded: 0 };

  /** Begins at once, and goes on until `scope` closes. */
  constructor(options: StreamSourceOptions, scope: Scope) {
    const { clock, resume } = options;
    this.#options = options;
    this.#scope = scope;
    this.#behind = options.behind ?? BEHIND;
    this.#times = new StreamTimes({
      ...{ ahead: AHEAD, behind: this.#behind },
      anchor: resume,
    });
    this.#came = clock.now();
    // Nobody knows whether the predecessor's programme had sound; silence does no harm.
    this.#sound = new Unbroken(resume && mediaAt(resume, this.#came));
    this.#begun = resume !== undefined;
    options.onState('opening', null);
    void this.#run();
  }

  /** Which place of the programme comes in when; `undefined` before there was any. */
  get anchor(): Anchor | undefined {
    return this.#times.reading;
  }
  get state(): SourceState {
    return this.#told.state;
  }
  /** Where the programme is by the clock, whether something comes or not. */
  expected(now: ClockTime): MediaTime | undefined {
    const { anchor } = this.#times;
    return anchor && mediaAt(anchor, now);
  }
  /** What was lost, put in or mended, by name. */
  get losses(): Record<string, number> {
    return {
      'source opened again': this.#counts.reopened,
      'jumps of source time': this.#times.jumps,
      'items late': this.#counts.late,
      'pictures before a key frame': this.#counts.unfounded,
      'seconds of silence put in': Math.round(samples(this.#sound.silent, 48_000) / 1e5) / 10,
    };
  }

  /** What time alone brings. Called every few milliseconds. */
  tick(): void {
    const now = this.#options.clock.now();
    const gathered = this.#gathered;
    if (gathered && this.#isSettled(gathered, now)) this.#settle();
    const quiet = this.#holding ? 0 : between(this.#came, now);
    if (this.#told.state === 'live' && quiet > STALLED) this.#tell('away', SILENT);
    // Its predecessor had a source, which has had time to come to us.
    if (this.#told.state === 'opening' && this.#options.resume && quiet > GIVEN_UP) this.#tell('away', SILENT);
    if (this.#reading && this.#told.state === 'away' && this.#told.reason === SILENT) {
      if (quiet > GIVEN_UP) void this.#reading.close().catch(() => {});
    }
    const { anchor } = this.#times;
    if (!anchor || this.#sound.end === undefined) return;
    for (const chunk of this.#sound.fill(this.#silentTo(mediaAt(anchor, now)))) this.#options.sink.audio(chunk);
  }

  /** How far the sound that did not come is silence by now: no further than what comes back late still has its place. */
  #silentTo(now: MediaTime): MediaTime {
    if (this.#told.state === 'live') return earlier(now, (this.#behind + SLACK) as Span);
    const soon = Math.min(earlier(now, SLACK), this.#stopped === undefined ? -Infinity : later(this.#stopped, SLACK));
    return at(Math.max(soon, earlier(now, this.#behind)));
  }

  async #run(): Promise<void> {
    const { clock, open } = this.#options;
    const { signal } = this.#scope;
    for (let failures = 0; !signal.aborted;) {
      const scope = this.#scope.child('reading');
      let since: ClockTime | undefined;
      let failure: unknown;
      try {
        const programme = await open(scope);
        since = clock.now();
        await this.#read(programme, scope);
      } catch (thrown) {
        failure = thrown;
      }
      this.#gathered = undefined;
      this.#reading = undefined;
      this.#holding = false;
      await scope.close().catch(() => {});
      if (signal.aborted) return;
      this.#tell('away', whyOf(failure, this.#told));
      const lived = since !== undefined && between(since, this.#came) >= LIVED;
      failures = lived ? 0 : failures + 1;
      await clock.until(later(clock.now(), this.#wait(failures, failure)), signal).catch(() => {});
      this.#counts.reopened += 1;
    }
  }

  /**
   * Doubled with every failure, and a fifth more or less, so that many sources do not come all at once. What is refused is
   * hopeless only as long as it has never been there: a playlist is gone while its server starts.
   */
  #wait(failures: number, failure: unknown): Span {
    if (failure instanceof Refusal && !this.#begun) return SLOWEST;
    if (failures === 0) return ms(0);
    const random = this.#options.random ?? Math.random;
    const doubled = Math.min(SLOWEST, SOONEST * 2 ** Math.min(10, failures - 1));
    return Math.round(Math.min(SLOWEST, doubled * (0.8 + 0.4 * random()))) as Span;
  }

  async #read(programme: Programme, scope: Scope): Promise<void> {
    const { clock, sink, pace } = this.#options;
    const { video, audio } = programme.info;
    this.#reading = scope;
    this.#came = clock.now();
    this.#broken = true;
    this.#times.allow(pace === 'clock' && !audio ? SPARSE : AHEAD);
    if (video && this.#packetizer?.codec !== video.codec) {
      const now = this.expected(this.#came) ?? at(0);
      this.#packetizer = new Packetizer(video.codec, { pictureId: Math.ceil(now / PER_PICTURE) });
      sink.format(formatOf(video.codec));
    } else if (!video && !this.#formatted) sink.format(null);
    this.#formatted = true;
    // Lists bring a segment at a time.
    const mayBeLive = pace === 'clock' && programme.info.duration === null && !LISTS.test(programme.info.container);
    this.#inTime = pace === 'arrival';
    let begun = false;
    const held = async (item: ProgrammeItem) => {
      const now = clock.now();
      if (!begun) this.#begin(item.start, now - item.start);
      begun = true;
      const start = this.#times.place(timed(item), now, this.#least);
      await this.#hold(item, start, scope);
      this.#give(item, start);
    };
    if (this.#inTime || mayBeLive) this.#gathered = [];
    for await (const item of programme) {
      const now = (this.#came = clock.now());
      const gathered = this.#gathered;
      if (gathered) {
        // Its buffer is borrowed.
        const kept = item.kind === 'audio' ? { ...item, pcm: item.pcm.slice() } : item;
        gathered.push({ item: kept, came: now });
        const enough = gathered.length >= GATHERED || between(gathered[0]!.item.start, item.start) > FAR;
        if (enough && this.#inTime) this.#settle();
        else if (enough) {
          this.#gathered = undefined;
          for (const { item } of gathered) await held(item);
        }
      } else if (this.#inTime) this.#give(item, this.#times.place(timed(item), now, this.#least));
      else await held(item);
    }
    const rest = this.#gathered ?? [];
    if (this.#inTime && rest.length > 0) this.#settle();
    this.#gathered = undefined;
    if (!this.#inTime) for (const { item } of rest) await held(item);
  }

  /** Whether it is known how what has come so far comes. */
  #isSettled(gathered: readonly Gathered[], now: ClockTime): boolean {
    const [first] = gathered;
    if (!first) return false;
    if (this.#inTime) return between(first.came, now) >= SETTLE;
    const before = gathered.findLast(({ came }) => between(came, now) >= WATCHED);
    const last = gathered.at(-1);
    return !!before && !!last && between(timed(before.item).due, timed(last.item).due) <= REAL_TIME;
  }

  /** The shortest way of what has come so far is that of the reading. */
  #settle(): void {
    const gathered = this.#gathered ?? [];
    this.#gathered = undefined;
    const [first] = gathered;
    if (!first) return;
    this.#inTime = true;
    this.#times.allow(AHEAD);
    let [origin, newest, burst] = [Infinity, timed(first.item).due, 0];
    for (const { item, came } of gathered) {
      const { due } = timed(item);
      // Behind a jump times say nothing about those before it.
      if (Math.abs(between(newest, due)) > AHEAD) break;
      [origin, newest, burst] = [Math.min(origin, came - due), due, burst + 1];
    }
    this.#begin(first.item.start, origin);
    for (const [n, { item, came }] of gathered.entries()) {
      this.#give(item, this.#times.place(timed(item), came, this.#least, n < burst));
    }
  }

  #begin(first: MediaTime, origin: number): void {
    this.#times.begin(first, origin, this.#least, this.#options.clock.now(), this.#inTime);
    if (this.#begun) return;
    this.#begun = true;
    const { anchor } = this.#times;
    if (anchor) this.#options.onFirst(anchor);
  }

  async #hold(item: ProgrammeItem, start: MediaTime, scope: Scope): Promise<void> {
    const { clock } = this.#options;
    const { anchor } = this.#times;
    if (!anchor) return;
    this.#holding = true;
    await clock.until(clockAt(anchor, later(start, between(item.start, timed(item).due))), scope.signal);
    this.#holding = false;
    this.#came = clock.now();
  }

  #give(item: ProgrammeItem, start: MediaTime): void {
    const { sink } = this.#options;
    this.#tell('live', null);
    if (item.kind === 'audio') {
      const late = this.#sound.late;
      for (const chunk of this.#sound.push(start, item.pcm)) sink.audio(chunk);
      if (this.#sound.late > late) this.#counts.late += 1;
      return;
    }
    const packetizer = this.#packetizer;
    if (!packetizer || packetizer.codec !== item.codec || (this.#broken && !item.keyFrame)) {
      this.#counts.unfounded += 1;
      return;
    }
    this.#broken = false;
    const payloads = packetizer.packetize(item.data);
    const soonest = this.#picture === undefined ? start : later(this.#picture, INSTANT);
    if (start < soonest) this.#counts.late += 1;
    this.#picture = at(Math.max(start, soonest));
    sink.video({ start: this.#picture, keyFrame: item.keyFrame, payloads });
  }

  /** What comes next belongs behind what has been given. */
  get #least(): MediaTime {
    const picture = this.#picture === undefined ? -Infinity : later(this.#picture, INSTANT);
    const least = Math.max(this.#sound.end ?? -Infinity, picture);
    return (least === -Infinity ? 0 : least) as MediaTime;
  }

  #tell(state: SourceState, reason: string | null): void {
    if (state === this.#told.state && reason === this.#told.reason) return;
    if (this.#told.state === 'live') this.#stopped = this.#sound.end;
    this.#told = { state, reason };
    this.#options.onState(state, reason);
  }
}

/** Sound is there when it has been heard, a picture when it is seen. */
const timed = (item: ProgrammeItem): Timed => ({
  start: item.start,
  due: item.kind === 'audio' ? endOf(item) : item.start,
});

/** As a clause: one line, no full stop. A reading that was given up for its silence was closed by us. */
function whyOf(failure: unknown, told: { readonly state: SourceState; readonly reason: string | null }): string {
  if (told.state === 'away' && told.reason === SILENT && (failure === undefined || isAbort(failure))) return SILENT;
  if (failure === undefined) return 'it has ended';
  const message = failure instanceof Error ? failure.message : 'it broke off';
  return (message.split('\n')[0] ?? '').replace(/[.\s]+$/, '').slice(0, 300) || 'it broke off';
}
const isAbort = (failure: unknown) => failure instanceof Error && failure.name === 'AbortError';
