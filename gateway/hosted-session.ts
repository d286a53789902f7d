import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../media/clock.ts';
import type { Scope } from '../media/scope.ts';
import { ms, seconds, toMs } from '../media/time.ts';
import { nameOf } from '../models/languages.ts';
import type { Language } from '../pipeline/domain.ts';
import { Archive } from './archive.ts';
import { type Config, type SessionSpec, delayOf } from './config.ts';
import { HostedOutlets, type OutletsOptions } from './hosted-outlets.ts';
import type { Log } from './log.ts';
import type {
  ApiError,
  Event,
  LanguageTag,
  SessionState,
  SessionView,
  StatsView,
  TrackId,
  TrackView,
} from './protocol.ts';
import { audioTrack, languageTracks, sameCodec, videoTrack } from './output-tracks.ts';
import { Refusal, refuse } from './refusal.ts';
import { Relay } from './relay.ts';
import type { RtmpDoor } from './rtmp/door.ts';
import type { IngestState, RtmpIngest } from './rtmp/ingest.ts';
import { RestartPolicy } from './restart-policy.ts';
import { Room } from './room.ts';
import { isStream, shown } from './source-spec.ts';
import { SessionProcess, type Exit } from './session-process.ts';
import type { FromSession, InputTrack, OutputTrack, Resume, ToSession } from './session/ipc.ts';
import type { Sfu } from './sfu.ts';

/** What every session of a gateway shares. */
export interface House {
  readonly sfu: Sfu;
  readonly rtc: Config['rtc'];
  readonly rtmp: RtmpDoor;
  readonly clock: Clock;
  readonly log: Log;
  /** The built module that is run as session process. */
  readonly program: string;
  readonly outlets: Pick<OutletsOptions, 'recordings' | 'program' | 'onDeath'>;
}

/** Somebody at a socket, as the session sees them. */
export interface Audience {
  event(event: Event): void;
  /** The SFU's worker has died: everything made with {@link HostedSession.room} so far is gone. */
  lost(reason: string): void;
  /** Nothing more will come. */
  over(reason: string): void;
}

/** A publisher is asked for a key frame this often, ms, so that whoever joins the delayed stream soon meets one. */
const KEY_FRAME_EVERY = 1_500;
/** The relay keeps this much more than the delay may come to, seconds: what a successor needs to refill its decoders. */
const RELAY_EXTRA = 4;
/** Memory for it, bytes: two minutes and four seconds of 4 Mbit/s. */
const RELAY_BYTES = 64 * 1024 * 1024;
/** A process that has not said `ready` by then is taken for dead, ms. It loads models first. */
const READY_WITHIN = 30_000;
/** A process that reports every second and has not for so long hangs, ms. */
const SILENT_FOR = 15_000;
/** Wait before a room is tried again when no worker takes it, ms. */
const ROOM_AGAIN = 500;

type Phase = 'starting' | 'up' | 'restarting' | 'ended' | 'failed';

/** Where the session process listens; zeros let it choose. */
type Ports = { readonly input: number; readonly output: number };

/**
 * One session as the gateway keeps it: its place in the SFU, its relay, its process, and what was said so far.
 *
 * The process may die and the SFU's worker may die; both are replaced here and the other stays up, so that viewers see
 * a gap of a second or two at most. What must stay the same over that (SSRCs, payload types, RTP bases, ports) is
 * chosen once, here.
 */
export class HostedSession {
  readonly id: string;
  readonly createdAt = new Date();
  readonly archive = new Archive();
  /** Settles when the process has first said whether it can do what is asked. */
  readonly started: Promise<void>;
  readonly #house: House;
  readonly #log: Log;
  readonly #scope: Scope;
  readonly #policy = new RestartPolicy();
  readonly #audience = new Set<Audience>();
  /** Tracks that viewers can have. */
  readonly #offered = new Map<TrackId, OutputTrack>();
  #spec: SessionSpec;
  /** The file's real path, when it is a file. */
  readonly #path: string | undefined;
  /** Their SSRCs, payload types and RTP bases are fixed; the codec is the process's to say, and whether there are any. */
  readonly #videos = new Map<TrackId, OutputTrack>();
  #relay: Relay | undefined;
  #room: Promise<Room> = new Promise(() => {});
  #roomScope: Scope | undefined;
  #process: SessionProcess | undefined;
  #ports: Ports = { input: 0, output: 0 };
  #resume: Resume | null = null;
  #generation = 0;
  #restarts = 0;
  #phase: Phase = 'starting';
  #reason: string | null = null;
  #told: { state: SessionState; reason: string | null } = { state: 'starting', reason: null };
  /** The process has sent something since it was started; a predecessor had. */
  #sending = false;
  #wasLive = false;
  #inputs: readonly InputTrack[] = [];
  /** What the process says of a source that is a stream. */
  #source: Pick<Extract<FromSession, { type: 'source' }>, 'state' | 'reason'> = { state: 'opening', reason: null };
  /** Of a source that is published by RTMP. */
  #rtmp: { readonly ingest: RtmpIngest; readonly port: number } | undefined;
  /** Why the last RTMP publisher was turned away, if it was: a clause. */
  #unfit: string | null = null;
  /** `input` messages that the process has not acted on yet. */
  #unanswered = 0;
  #inputUntil = -Infinity;
  #publisher: Audience | undefined;
  #viewers = 0;
  #stats: StatsView | null = null;
  readonly #outlets: HostedOutlets;
  readonly #timers: { input?: NodeJS.Timeout; spawn?: NodeJS.Timeout; watchdog?: NodeJS.Timeout } = {};
  /** Killed on purpose: its death is no crash. */
  #replacing = false;
  #work: Promise<void> = Promise.resolve();
  #start!: { readonly ok: () => void; readonly refused: (refusal: Refusal) => void };

  private constructor(id: string, spec: SessionSpec, path: string | undefined, house: House, scope: Scope) {
    this.id = id;
    this.#spec = spec;
    this.#path = path;
    this.#house = house;
    this.#log = house.log.child({ session: id });
    this.#scope = scope;
    const { outlets, clock } = house;
    this.#outlets = new HostedOutlets(this, { ...outlets, clock, log: house.log }, scope.child('outlets'));
    this.started = new Promise((ok, refused) => (this.#start = { ok, refused }));
    this.started.catch(() => {});
    this.#offered.set('original', audioTrack('original', spec.from));
    for (const track of spec.to.flatMap((language) => languageTracks(language, spec.mix)))
      this.#offered.set(track.id, track);
    for (const track of [videoTrack(), ...spec.to.flatMap((language) => this.#drivenTracks(language))])
      this.#videos.set(track.id, track);
  }

  /** @param path real path of the file to play, when the source is a file */
  static async open(
    id: string,
    spec: SessionSpec,
    path: string | undefined,
    house: House,
    scope: Scope,
  ): Promise<HostedSession> {
    const session = new HostedSession(id, spec, path, house, scope);
    if (spec.source.kind === 'webrtc') {
      const span = seconds(delayOf(spec).most + RELAY_EXTRA);
      session.#relay = await Relay.open({ span, bytes: RELAY_BYTES }, house.clock, scope);
    }
    if (spec.source.kind === 'rtmp' && spec.source.key !== undefined) {
      const onState = (state: IngestState, reason: string | null) => session.#published(state, reason);
      session.#rtmp = await house.rtmp.admit(spec.source.key, { session: id, onState }, scope);
    }
    session.#room = session.#openRoom();
    await session.#room;
    const timer = setInterval(() => void session.#requestKeyFrames(), KEY_FRAME_EVERY);
    scope.defer(() => {
      clearInterval(timer);
      for (const each of Object.values(session.#timers)) clearTimeout(each);
    });
    scope.defer(() => session.#stopProcess());
    session.#spawn();
    const { hls, record, push } = spec.outputs;
    if (hls.enabled === 'on' || record || push.length > 0) session.#outlets.start();
    return session;
  }

  get state(): SessionState {
    if (this.#phase !== 'up') return this.#phase;
    if (this.#sending && this.#hasInput) return 'live';
    if (this.#spec.source.kind === 'file') return this.#wasLive ? 'restarting' : 'starting';
    return this.#hasInput && this.#wasLive ? 'restarting' : 'waiting';
  }
  /** Why it is not as it should be: a sentence for a person. */
  get reason(): string | null {
    const { state, reason } = this.#source;
    if (this.#reason !== null || state === 'live') return this.#reason;
    if (this.#unfit !== null) return `The source is away: ${this.#unfit}.`;
    if (state !== 'away') return null;
    if (reason === null) return 'The source is away.';
    return `The source is away: ${reason}. ${this.#rtmp ? 'It may come back at any time.' : 'It is tried again.'}`;
  }
  /** Nothing more will come of it. */
  get over(): boolean {
    return this.#phase === 'ended' || this.#phase === 'failed';
  }
  get spec(): SessionSpec {
    return this.#spec;
  }
  get viewers(): number {
    return this.#viewers;
  }
  get restarts(): number {
    return this.#restarts;
  }
  get relay(): Relay | undefined {
    return this.#relay;
  }
  get stats(): StatsView | null {
    return this.#stats;
  }
  /** Where RTMP encoders publish, when that is this session's source. */
  get rtmpPort(): number | undefined {
    return this.#rtmp?.port;
  }
  /** Where the programme goes besides WebRTC. */
  get outlets(): HostedOutlets {
    return this.#outlets;
  }
  /** Process id of the session process. */
  get pid(): number | undefined {
    return this.#process?.pid;
  }
  /** The place in the SFU; a new one after {@link Audience.lost}, once there is one. */
  get room(): Promise<Room> {
    return this.#room;
  }

  get tracks(): TrackView[] {
    return [...this.#offered.values()].map(({ id, kind, language, rtpBase, clockRate }) => ({
      id,
      kind,
      language,
      label: language === null ? null : nameOf(language as Language),
      rtp: { base: rtpBase, rate: clockRate },
    }));
  }
  get view(): SessionView {
    const { name, source, from, to } = this.#spec;
    const createdAt = this.createdAt.toISOString();
    return {
      id: this.id,
      name,
      state: this.state,
      reason: this.reason,
      source: shown(source),
      ingest: null,
      from,
      to,
      createdAt,
      tracks: this.tracks,
      stats: this.#stats,
    };
  }

  /** Hears of everything until the returned function is called. */
  attend(audience: Audience, role: 'viewer' | 'publisher' | 'reader'): () => void {
    if (role === 'publisher') {
      if (this.#spec.source.kind !== 'webrtc') {
        throw refuse(
          'conflict',
          'This session has another source; nothing can be published to it.',
          'role',
          'Join as a viewer.',
        );
      }
      if (this.#publisher) {
        throw refuse(
          'conflict',
          'Somebody else is publishing to this session.',
          'role',
          'Join as a viewer, or wait until they have left.',
        );
      }
      this.#publisher = audience;
    } else if (role === 'viewer') this.#viewers += 1;
    this.#audience.add(audience);
    return () => {
      if (!this.#audience.delete(audience)) return;
      if (role === 'viewer') this.#viewers -= 1;
      if (role === 'publisher') this.#publisher = undefined;
    };
  }

  /** Dubs into one more language from now on. */
  async addLanguage(language: LanguageTag): Promise<void> {
    const tracks = languageTracks(language, this.spec.mix);
    if (this.over) throw refuse('conflict', 'The session has ended.');
    if (tracks.some(({ id }) => this.#offered.has(id)))
      throw refuse('conflict', `The session is already dubbed into '${language}'.`, 'to');
    for (const track of tracks) this.#offered.set(track.id, track);
    const driven = this.#drivenTracks(language);
    for (const track of driven) this.#videos.set(track.id, track);
    this.#spec = { ...this.#spec, to: [...this.#spec.to, language] };
    await this.#process?.send({ type: 'add-language', tracks: [...tracks, ...driven] });
    const room = await this.#room;
    for (const track of tracks) await room.offer(track);
    this.tell({ event: 'tracks', data: this.tracks });
  }

  async removeLanguage(language: LanguageTag): Promise<void> {
    if (this.over) throw refuse('conflict', 'The session has ended.');
    if (!this.#offered.delete(`dub:${language}`))
      throw refuse('not_found', `The session is not dubbed into '${language}'.`, 'to');
    const others: TrackId[] = [`voice:${language}`, `video:${language}`];
    for (const id of others) this.#offered.delete(id);
    this.#videos.delete(`video:${language}`);
    this.#spec = { ...this.#spec, to: this.#spec.to.filter((each) => each !== language) };
    await this.#process?.send({ type: 'remove-language', language });
    const room = await this.#room;
    for (const id of [`dub:${language}` as const, ...others]) room.withdraw(id);
    this.tell({ event: 'tracks', data: this.tracks });
  }

  /** Ends the session in an orderly way. Its archive stays readable. */
  async close(reason = 'The session was ended.'): Promise<void> {
    await this.#finish('ended', reason);
  }

  // The SFU's side.

  async #openRoom(output?: number): Promise<Room> {
    const scope = (this.#roomScope = this.#scope.child('room'));
    let open = false;
    const room = await Room.open(
      {
        sfu: this.#house.sfu,
        rtc: this.#house.rtc,
        relay: this.#relay?.port,
        output,
        onInput: (tracks) => this.#input(tracks),
        onReport: (report) => void this.#process?.send({ type: 'report', report }),
        // While it opens, whoever opens it sees the failure.
        onLost: () => open && this.#lost('The media server was restarted.'),
      },
      scope,
    );
    for (const track of this.#offered.values()) await room.offer(track);
    if (this.#ports.output !== 0) await room.connect(this.#ports.output);
    if (room.router.closed) throw new Error('the worker died meanwhile');
    if (room.inputPort !== undefined) this.#relay?.from(room.inputPort);
    open = true;
    return room;
  }

  /** The room is gone: a new one on another worker, at the same port, with the same tracks. */
  #lost(reason: string): void {
    if (this.#scope.signal.aborted) return;
    const before = this.#room;
    this.#log.warn({ reason }, 'room lost');
    this.#room = this.#reopened(before);
    // Fails when the session closes; whoever waits for the room then sees it.
    this.#room.catch(() => {});
    this.#input([]);
    for (const one of [...this.#audience]) one.lost(reason);
  }

  async #reopened(before: Promise<Room>): Promise<Room> {
    const port = (await before).outputPort;
    for (;;) {
      this.#scope.signal.throwIfAborted();
      await this.#roomScope?.close();
      try {
        const room = await this.#openRoom(port);
        // The old port was taken meanwhile: only a new process can be told another one.
        if (room.outputPort !== port) this.#replaceProcess();
        return room;
      } catch (error) {
        this.#log.error({ err: error }, 'room does not open');
        await sleep(ROOM_AGAIN, undefined, { signal: this.#scope.signal });
      }
    }
  }

  #input(tracks: readonly InputTrack[]): void {
    if (this.#inputs.length > 0 && tracks.length === 0) {
      this.#inputEnds();
    }
    this.#inputs = tracks;
    this.#log.info({ tracks: tracks.map(({ mimeType, ssrc }) => ({ mimeType, ssrc })) }, 'input changed');
    this.#announceInput();
    this.#settle();
  }

  /** What came last is still being shown for as long as the delay. */
  #inputEnds(): void {
    const delay = seconds(this.#stats?.delay.measured ?? delayOf(this.#spec).start);
    this.#inputUntil = this.#house.clock.now() + delay;
    clearTimeout(this.#timers.input);
    this.#timers.input = setTimeout(() => this.#settle(), toMs(delay) + 1);
  }

  #sourceIs({ state, reason }: Extract<FromSession, { type: 'source' }>): void {
    // A process that takes over opens what its predecessor had: the source is as it was until it is known otherwise.
    if (state === 'opening' && this.#wasLive) return;
    if (this.#source.state === 'live' && state === 'away') this.#inputEnds();
    if (this.#source.state !== state || this.#source.reason !== reason) {
      this.#log.info({ state, reason }, 'source');
    }
    this.#source = { state, reason };
    this.#settle();
  }

  #published(state: IngestState, reason: string | null): void {
    this.#unfit = state === 'publishing' ? null : reason;
    this.#settle();
  }

  /** Packets of a new track wait until the process knows of it. */
  #announceInput(): void {
    this.#relay?.pause();
    this.#unanswered += 1;
    void this.#process?.send({ type: 'input', tracks: this.#inputs });
  }

  #listening(process: SessionProcess | undefined): void {
    if (this.#process !== process) return;
    this.#unanswered -= 1;
    if (this.#unanswered === 0 && this.#phase === 'up') this.#relay?.resume();
  }

  get #hasInput(): boolean {
    const { source } = this.#spec;
    const comes = isStream(source) ? this.#source.state === 'live' : this.#inputs.length > 0;
    return source.kind === 'file' || comes || this.#house.clock.now() < this.#inputUntil;
  }

  async #requestKeyFrames(): Promise<void> {
    if (!this.#inputs.some(({ kind }) => kind === 'video')) return;
    const room = await this.#room.catch(() => undefined);
    await room?.requestKeyFrames();
  }

  // The process's side.

  #spawn(): void {
    if (this.#scope.signal.aborted) return;
    const process: SessionProcess = new SessionProcess(this.#house.program, (message) => {
      if (this.#process === process) this.#hear(message);
    });
    this.#process = process;
    this.#unanswered = 0;
    this.#sending = false;
    void process.exited.then((exit) => this.#exited(process, exit));
    this.#watch(READY_WITHIN);
    const source =
      this.#spec.source.kind === 'file' && this.#path !== undefined
        ? { ...this.#spec.source, path: this.#path }
        : this.#spec.source;
    const resume = this.#resume && { ...this.#resume, generation: this.#generation };
    this.#generation += 1;
    void this.#room.then(
      ({ outputPort }) => {
        const start: ToSession = {
          type: 'start',
          session: this.id,
          spec: { ...this.#spec, source },
          ports: this.#ports,
          sfu: { address: '127.0.0.1', port: outputPort },
          outputs: [...[...this.#offered.values()].filter(({ kind }) => kind !== 'video'), ...this.#videos.values()],
          resume,
        };
        return process.send(start);
      },
      () => {},
    );
    this.#log.info({ process: process.pid, generation: this.#generation }, 'session process started');
  }

  #hear(message: FromSession): void {
    if (this.#phase !== 'starting' && this.#phase !== 'restarting') this.#watch(SILENT_FOR);
    switch (message.type) {
      case 'ready':
        return this.#then(() => this.#ready(message.ports, message.feed));
      case 'listening': {
        const process = this.#process;
        return this.#then(async () => this.#listening(process));
      }
      case 'video':
        return this.#then(() => this.#offerVideos(message.tracks));
      case 'source':
        return this.#sourceIs(message);
      case 'live':
        this.#sending = true;
        this.#wasLive = true;
        return this.#settle();
      case 'cue':
        this.archive.cue(message.cue);
        return this.tell({ event: 'cue', data: message.cue });
      case 'clip':
        return this.tell({ event: 'clip', data: message.clip });
      case 'line':
        return this.archive.line(message.line);
      case 'mode':
        return this.tell({ event: 'mode', data: message.mode });
      case 'fault':
        return this.#log.warn({ stage: message.stage, kind: message.kind, detail: message.message }, 'stage fault');
      case 'pulse':
        this.#resume = message.resume;
        return;
      case 'stats':
        this.#stats = {
          ...message.stats,
          drops: { ...message.stats.drops, ...this.#rtmp?.ingest.losses },
          viewers: this.#viewers,
          outputs: this.#outlets.counts,
          process: { ...message.stats.process, restarts: this.#restarts },
        };
        return this.tell({ event: 'stats', data: this.#stats });
      case 'ended':
        return void this.#finish('ended', 'The programme is over.');
      case 'failed':
        return this.#refused({ code: message.code, message: message.message, field: message.field, fix: message.fix });
    }
  }

  async #ready(ports: Ports, feed: number | undefined): Promise<void> {
    const process = this.#process;
    const room = await this.#room;
    this.#ports = ports;
    // An SFU transport listens to one port only. A process that could not have its old one back needs a new room.
    if (!(await room.connect(ports.output))) this.#lost('The session process moved.');
    if (this.#process !== process || this.over) return;
    this.#relay?.to(ports.input);
    this.#relay?.rewind();
    this.#rtmp?.ingest.to(feed);
    this.#announceInput();
    this.#phase = 'up';
    this.#reason = null;
    this.#watch(SILENT_FOR);
    this.#start.ok();
    this.#settle();
  }

  async #offerVideos(tracks: readonly Omit<OutputTrack, 'ssrc' | 'rtpBase'>[]): Promise<void> {
    const room = await this.#room;
    let changed = false;
    for (const id of this.#videos.keys()) {
      if (tracks.some((track) => track.id === id) || !this.#offered.delete(id)) continue;
      room.withdraw(id);
      changed = true;
    }
    for (const codec of tracks) {
      const before = this.#videos.get(codec.id);
      if (!before) continue; // its language was removed meanwhile
      const track = { ...codec, ssrc: before.ssrc, rtpBase: before.rtpBase };
      const same = this.#offered.has(track.id) && sameCodec(track, before);
      this.#videos.set(track.id, track);
      if (same) continue;
      this.#offered.set(track.id, track);
      await room.offer(track);
      changed = true;
    }
    if (changed) this.tell({ event: 'tracks', data: this.tracks });
  }

  /** Where mouths are driven there is a picture per language. */
  #drivenTracks(language: LanguageTag): OutputTrack[] {
    return this.#spec.lips === 'off' ? [] : [videoTrack(language)];
  }

  #exited(process: SessionProcess, { code, signal }: Exit): void {
    if (this.#process !== process || this.over || this.#scope.signal.aborted) return;
    clearTimeout(this.#timers.watchdog);
    this.#relay?.pause();
    this.#rtmp?.ingest.to(undefined);
    const planned = this.#replacing;
    this.#replacing = false;
    const wait = planned ? ms(0) : this.#policy.died(this.#house.clock.now());
    if (wait === undefined) {
      const { most, within } = this.#policy;
      const message = `The session process died ${most} times within ${Math.round(toMs(within) / 1_000)} s.`;
      return this.#refused({
        code: 'internal',
        message,
        field: null,
        fix: 'See the gateway’s log for why, then create the session again.',
      });
    }
    this.#restarts += 1;
    this.#log.warn({ process: process.pid, code, signal, wait: toMs(wait) }, 'session process died');
    this.#phase = 'restarting';
    this.#reason = 'The session process is being replaced; the programme resumes by itself.';
    this.#settle();
    if (wait === 0) return this.#spawn();
    this.#timers.spawn = setTimeout(() => this.#spawn(), toMs(wait));
  }

  #replaceProcess(): void {
    this.#replacing = true;
    this.#process?.kill();
  }

  #watch(patience: number): void {
    clearTimeout(this.#timers.watchdog);
    const process = this.#process;
    this.#timers.watchdog = setTimeout(() => {
      this.#log.error({ process: process?.pid, patience }, 'session process hangs');
      process?.kill();
    }, patience);
  }

  async #stopProcess(): Promise<void> {
    clearTimeout(this.#timers.watchdog);
    const process = this.#process;
    this.#process = undefined;
    await process?.stop();
  }

  #refused({ code, message, field, fix }: ApiError): void {
    const sentence = message.replace(/[^.!?]$/, '$&.');
    this.#start.refused(new Refusal({ code, message: sentence, field, fix }));
    void this.#finish('failed', fix === null ? sentence : `${sentence} ${fix}`);
  }

  async #finish(phase: 'ended' | 'failed', reason: string): Promise<void> {
    if (!this.over) {
      this.#phase = phase;
      this.#reason = reason;
      this.#log.info({ phase, reason }, 'session over');
      this.#start.refused(refuse('conflict', reason));
      this.#settle();
      for (const one of [...this.#audience]) one.over(reason);
    }
    await this.#scope.close();
  }

  // Telling.

  /** Says the state if it has changed. */
  #settle(): void {
    const [state, reason] = [this.state, this.reason];
    if (state === this.#told.state && reason === this.#told.reason) return;
    this.#told = { state, reason };
    this.tell({ event: 'state', data: { state, reason } });
  }
  /** Says it to everybody who attends. */
  tell(event: Event): void {
    for (const one of this.#audience) one.event(event);
  }
  /** One after the other, in the order in which the process said it. */
  #then(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch((error: unknown) => {
      if (!this.#scope.signal.aborted) this.#log.error({ err: error }, 'session message not carried out');
    });
  }
}
