import { Subject } from 'rxjs';
import { type AudioChunk, endOf } from '../../media/audio.ts';
import { type Anchor, type Clock, clockAt, mediaAt, pace } from '../../media/clock.ts';
import { rubberband } from '../../media/rubberband.ts';
import type { Scope } from '../../media/scope.ts';
import { type MediaTime, type Span, between, later, ms, seconds, toMs } from '../../media/time.ts';
import { Timeline } from '../../media/timeline.ts';
import type { AccessUnit } from '../../media/video.ts';
import { wsola } from '../../media/wsola.ts';
import { registry } from '../../models/index.ts';
import { spendingReports } from '../../models/service/spending.ts';
import { syllables, usualRate } from '../../models/translate/syllables.ts';
import type { Clip, Cue, Language, UtteranceId } from '../../pipeline/domain.ts';
import { type Dubbing, dub } from '../../pipeline/dub.ts';
import type { Fault } from '../../pipeline/fault.ts';
import { Lag, type LagBounds } from '../../pipeline/lag.ts';
import type { Mode } from '../../pipeline/mode.ts';
import { toRate } from '../../pipeline/rate.ts';
import { delayOf, mixFor } from '../config.ts';
import { drivesLips } from '../lip-engines.ts';
import { FitCounts } from '../fit-counts.ts';
import { type StreamSpec, isStream } from '../source-spec.ts';
import type { ModeView, StatsView } from '../protocol.ts';
import { Desk } from './desk.ts';
import { drivenPictures } from './driven-pictures.ts';
import { Engines } from './engines.ts';
import { FileSource } from './file-source.ts';
import type { FromSession, InputTrack, OutputTrack, Resume, SenderReport, ToSession } from './ipc.ts';
import { LiveSource } from './live-source.ts';
import { Mouths } from './mouths.ts';
import { networkViews } from './network-views.ts';
import { type Opened, openProgramme } from './open.ts';
import { Output } from './output.ts';
import { ProcessLoad } from './process-load.ts';
import { RECEIPT_EVERY, writeReceipt } from './receipt.ts';
import { Slate } from './slate.ts';
import { MediaSocket } from './socket.ts';
import { type Sink, type VideoFormat } from './source.ts';
import { StreamSource } from './stream-source.ts';
import { within } from './within.ts';

type Start = Extract<ToSession, { type: 'start' }>;

/** What a session is made with; the product's own unless told. The programs are built files. */
export interface SessionPrograms {
  /** The picture process. */
  readonly lips?: string;
  /** The thread that encodes driven pictures. */
  readonly recoder?: string;
  /** How streams are opened. */
  readonly stream?: (source: StreamSpec, session: Scope) => Opened | Promise<Opened>;
}

/** Sending runs on this grid. Opus frames are 20 ms, pictures come every 17 to 40 ms. */
const TICK = ms(10);
const PULSE_EVERY = 200;
const STATS_EVERY = 1_000;
/** Audio that waits for the engines to load: more than any delay is worth. */
const WAITING = 1_500;
/** A source may run that much ahead of the clock: a key frame's worth of video, a burst of the network. */
const AHEAD = seconds(3);

/**
 * One programme being dubbed, from its packets to its packets.
 *
 * The original flows from the first moment on, whatever becomes of the rest; the dub joins when its engines are there.
 */
export class Session implements Sink {
  readonly #start: Start;
  readonly #clock: Clock;
  readonly #tell: (message: FromSession) => void;
  readonly #scope: Scope;
  readonly #socket: { readonly input: MediaSocket; readonly output: MediaSocket };
  readonly #live: LiveSource | undefined;
  #stream: StreamSource | undefined;
  readonly #streams: NonNullable<SessionPrograms['stream']>;
  /** Of sources that may stop and come back. */
  #slate: Slate | undefined;
  readonly #load = new ProcessLoad();
  readonly #fits = new FitCounts();
  readonly #mouths: Mouths | undefined;
  readonly #desk: Desk;
  readonly #lag: Lag;
  readonly #audio$ = new Subject<AudioChunk>();
  readonly #languages = new Map<string, Scope>();
  /** Until the engines are there. */
  #waiting: AudioChunk[] | undefined = [];
  #unheard = 0;
  #engines: Engines;
  #dubbing: Dubbing | undefined;
  #timeline: Timeline | undefined;
  #output: Output | undefined;
  #format: VideoFormat | null = null;
  #mode: Mode = { audio: 'original', video: 'original', text: 'none', quality: 'full' };
  /** Where input comes from, and where RTCP about it goes. */
  #relay: { readonly address: string; readonly port: number } | undefined;
  /** Datagrams of the relay. */
  #received = 0;
  #told = '';
  #said = false;
  /** The picture as it is, and one with driven mouths for each language that has one. */
  readonly #videos = new Map<string, OutputTrack>();
  readonly #audio = new Map<string, OutputTrack>();

  private constructor(
    start: Start,
    socket: { input: MediaSocket; output: MediaSocket },
    clock: Clock,
    tell: (message: FromSession) => void,
    scope: Scope,
    { lips, recoder, stream = openProgramme }: SessionPrograms,
  ) {
    this.#streams = stream;
    this.#start = start;
    this.#clock = clock;
    this.#tell = tell;
    this.#scope = scope;
    this.#socket = socket;
    this.#desk = new Desk(start.spec.mix);
    this.#lag = new Lag(lagOf(start));
    for (const track of start.outputs) this.#tracks(track.kind).set(track.id, track);
    if (drivesLips(start.spec, registry())) {
      this.#mouths = new Mouths(
        {
          spec: start.spec,
          clock,
          keep: seconds(delayOf(start.spec).most + toMs(AHEAD) / 1_000),
          onFault: ({ stage, kind, message }) => tell({ type: 'fault', stage, kind, message }),
          onChange: () => this.#showMode(),
          line: (codec, hold) => drivenPictures(codec, hold, clock, recoder),
          ...(lips !== undefined && { program: lips }),
        },
        scope,
      );
    }
    this.#engines = new Engines(
      { registry: registry(), spec: start.spec, onFault: (fault) => this.#fault(fault) },
      scope,
    );
    if (start.spec.source.kind === 'webrtc') {
      const { anchor, inputs } = start.resume ?? {};
      const reply = (rtcp: Uint8Array) => this.#reply(rtcp);
      this.#live = new LiveSource({ clock, sink: this, reply, anchor, resume: inputs }, scope);
    }
  }

  /** Opens ports and says `ready`; the programme begins with its first packet. */
  static async open(
    start: Start,
    clock: Clock,
    tell: (message: FromSession) => void,
    scope: Scope,
    programs: SessionPrograms = {},
  ): Promise<Session> {
    const input = await MediaSocket.open(start.ports.input, scope);
    const output = await MediaSocket.open(start.ports.output, scope);
    const session = new Session(start, { input, output }, clock, tell, scope, programs);
    const feed = await session.#begin();
    const ports = { input: input.port, output: output.port };
    tell({ type: 'ready', ports, ...(feed !== undefined && { feed }) });
    return session;
  }

  input(tracks: readonly InputTrack[]): void {
    this.#live?.tracks(tracks);
  }

  report(report: SenderReport): void {
    this.#live?.report(report);
  }

  /** @param tracks of one language */
  async addLanguage(tracks: readonly OutputTrack[]): Promise<void> {
    for (const track of tracks) {
      this.#tracks(track.kind).set(track.id, track);
      if (track.kind === 'audio') this.#output?.addAudio(track);
    }
    if (this.#output) this.#offer(this.#output);
    const language = tracks[0]?.language;
    if (this.#dubbing && language) await this.#dub(this.#dubbing, language as Language);
  }

  async removeLanguage(language: string): Promise<void> {
    for (const id of [`dub:${language}`, `voice:${language}`]) {
      this.#audio.delete(id);
      this.#output?.removeAudio(id);
    }
    this.#videos.delete(`video:${language}`);
    this.#output?.removeVideo(`video:${language}`);
    this.#mouths?.forget(language as Language);
    this.#dubbing?.removeLanguage(language as Language);
    this.#timeline?.endDub(language);
    this.#desk.forget(language);
    const scope = this.#languages.get(language);
    this.#languages.delete(language);
    await scope?.close();
  }

  // What the source brings.

  audio(chunk: AudioChunk): void {
    const timeline = this.#programme();
    timeline?.pushOriginal(chunk);
    this.#desk.hear(chunk);
    this.#mouths?.audio(chunk);
    // What a process that takes over has already missed cannot be dubbed any more.
    if (timeline && endOf(chunk) < timeline.position) return;
    if (!this.#waiting) return this.#audio$.next(chunk);
    this.#waiting.push({ ...chunk, pcm: chunk.pcm.slice() });
    if (this.#waiting.length > WAITING) {
      this.#waiting.shift();
      this.#unheard += 1;
    }
  }

  video(unit: AccessUnit): void {
    this.#programme();
    const picture = this.#slate ? this.#slate.picture(unit) : unit;
    if (!picture) return;
    this.#output?.push(picture);
    this.#mouths?.picture(picture);
  }

  format(format: VideoFormat | null): void {
    this.#format = format;
    if (this.#start.spec.source.kind !== 'file' && format && this.#slate?.codec !== format.codec) {
      const onFault = (message: string) => this.#tell({ type: 'fault', stage: 'slate', kind: 'lost', message });
      this.#slate = new Slate({ codec: format.codec, onFault });
    }
    if (this.#output) this.#offer(this.#output);
  }

  // The programme.

  /** Returns where the gateway hands over what is published to it, of a source that comes so. */
  async #begin(): Promise<number | undefined> {
    const { spec, resume } = this.#start;
    const { signal } = this.#scope;
    if (resume) this.#open(resume.anchor);
    if (spec.source.kind === 'file') {
      const { path, loop } = spec.source;
      const delay = this.#lag.wanted;
      const source = await FileSource.open(
        { path, loop, delay, clock: this.#clock, resume: resume?.anchor },
        this.#scope,
      );
      void source
        .play(this, (anchor) => this.#open(anchor))
        .then(() => this.#over(source.end))
        .catch((failure: unknown) => {
          if (!signal.aborted) throw failure;
        });
    }
    const opened = isStream(spec.source) ? await this.#streams(spec.source, this.#scope) : undefined;
    if (opened) this.#pull(opened);
    this.#socket.input.receive((data, from) => {
      this.#relay = from;
      this.#live?.datagram(data);
      this.#received += 1;
      if (this.#received % RECEIPT_EVERY === 0) this.#reply(writeReceipt(this.#received >>> 0));
    });
    void pace(this.#clock, TICK, signal, () => this.#tick());
    for (const [every, work] of [
      [PULSE_EVERY, () => this.#pulse()],
      [STATS_EVERY, () => this.#stats()],
    ] as const) {
      const timer = setInterval(work, every);
      this.#scope.defer(() => clearInterval(timer));
    }
    void this.#listen();
    return opened?.feed;
  }

  #pull({ open, pace: comes }: Opened): void {
    this.#stream = new StreamSource(
      {
        clock: this.#clock,
        sink: this,
        open,
        pace: comes,
        resume: this.#start.resume?.anchor,
        behind: patience(this.#lag.wanted),
        onFirst: (anchor) => this.#open(anchor),
        onState: (state, reason) => this.#tell({ type: 'source', state, reason }),
      },
      this.#scope,
    );
  }

  /** The timeline, as soon as it is known when the programme began. */
  #programme(): Timeline | undefined {
    if (!this.#timeline && this.#live?.anchor) this.#open(this.#live.anchor);
    return this.#timeline;
  }

  #open(anchor: Anchor): void {
    if (this.#timeline) return;
    const { spec, resume, sfu, session } = this.#start;
    const hold = seconds(delayOf(spec).most + toMs(AHEAD) / 1_000);
    const timeline = (this.#timeline = new Timeline({
      delay: this.#lag.wanted,
      rate: 48_000,
      anchor,
      mix: mixFor(spec.mix),
      keep: hold,
      finish: (track) => this.#desk.finish(track),
      ...(resume && { now: this.#clock.now() }),
    }));
    const output = new Output(
      {
        clock: this.#clock,
        timeline,
        send: (datagram) => this.#socket.output.send(datagram, sfu),
        cname: session,
        hold,
        videoSequences: resume?.videoSequences,
      },
      this.#scope,
    );
    this.#output = output;
    for (const track of this.#audio.values()) output.addAudio(track);
    this.#offer(output);
  }

  #offer(output: Output): void {
    const format = this.#format;
    const mouths = this.#mouths;
    if (!format) return;
    mouths?.codec(Mouths.drives(format.codec) ? format.codec : undefined);
    const tracks: OutputTrack[] = [];
    for (const track of this.#videos.values()) {
      const language = track.language as Language | null;
      if (language === null) tracks.push(output.setVideo(track, format));
      else if (mouths && Mouths.drives(format.codec)) {
        tracks.push(output.setVideo(track, format, (hold) => mouths.open(language, format.codec, hold)));
      }
    }
    this.#tell({
      type: 'video',
      tracks: tracks.map(({ id, kind, language, payloadType, mimeType, clockRate, channels, parameters }) => {
        return { id, kind, language, payloadType, mimeType, clockRate, channels, parameters };
      }),
    });
    this.#showMode();
  }

  #tick(): void {
    this.#live?.tick();
    this.#stream?.tick();
    this.#bridge();
    this.#output?.tick();
    if (this.#said || !this.#output?.live) return;
    this.#said = true;
    this.#tell({ type: 'live' });
  }

  /** Where pictures are missing a slate is shown; no mouth is looked for in it. */
  #bridge(): void {
    const anchor = this.#arrival;
    if (!this.#slate || !anchor) return;
    for (const unit of this.#slate.tick(mediaAt(anchor, this.#clock.now()))) this.#output?.push(unit);
  }

  /** Which place of the programme comes in when, of a source whose clock is not ours. */
  get #arrival(): Anchor | undefined {
    return this.#live?.anchor ?? this.#stream?.anchor;
  }

  /** A recorded programme has come in whole: it is over when it has been played. */
  async #over(end: MediaTime): Promise<void> {
    const timeline = this.#timeline;
    this.#audio$.complete();
    if (timeline) {
      await this.#clock.until(later(clockAt(timeline.anchor, end), timeline.delay), this.#scope.signal).catch(() => {});
    }
    if (!this.#scope.signal.aborted) this.#tell({ type: 'ended' });
  }

  // The dub.

  async #listen(): Promise<void> {
    const { spec, resume } = this.#start;
    const { signal } = this.#scope;
    const [shared, stretcher] = await Promise.all([this.#engines.shared(), rubberband().catch(() => wsola)]);
    if (signal.aborted) return;
    const mouths = this.#mouths;
    const dubbing = dub(this.#audio$, shared, {
      from: spec.from as Language,
      clock: this.#clock,
      pace: 'live',
      deadline: (t) => this.#timeline?.deadline(t) ?? later(this.#clock.now(), this.#lag.wanted),
      stretcher,
      syllables: { count: syllables, usual: usualRate },
      expression: spec.voices.expression,
      cloning: spec.voices.cloning === 'consented',
      place: (clip) => this.#place(clip),
      ...(mouths && {
        faceAt: (t: MediaTime) => mouths.faceAt(t),
        guideOf: (utterance: UtteranceId) => mouths.guideOf(utterance),
      }),
      generation: resume?.generation ?? 0,
      ...within(this.#lag.wanted),
    });
    this.#scope.defer(() => dubbing.close());
    if (mouths) {
      dubbing.speech$.subscribe((chunk) => mouths.speech(chunk));
      dubbing.utterances$.subscribe((utterance) => mouths.said(utterance));
    }
    dubbing.cues$.subscribe((cue) => this.#cue(cue));
    dubbing.lines$.subscribe((line) => {
      this.#fits.add(line);
      if (this.#timeline) this.#lag.line(line, this.#timeline.delay, this.#clock.now());
      this.#tell({ type: 'line', line });
    });
    dubbing.accompaniment$.pipe(toRate(48_000)).subscribe((chunk) => this.#timeline?.pushBackground(chunk));
    dubbing.faults$.subscribe(({ fault }) => this.#fault(fault));
    dubbing.mode$.subscribe((mode) => {
      this.#mode = mode;
      this.#showMode();
    });
    await this.#dubAll(dubbing);
    if (signal.aborted) return;
    this.#dubbing = dubbing;
    dubbing.start();
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const chunk of waiting) this.#audio$.next(chunk);
    // Languages that were added while engines loaded.
    await this.#dubAll(dubbing);
  }

  /** Begins with every language that there is a track for and that is not dubbed yet. */
  async #dubAll(dubbing: Dubbing): Promise<void> {
    const languages = [...this.#audio.values()].flatMap(({ id, language }) =>
      id === 'original' || !language ? [] : [language as Language],
    );
    await Promise.all(languages.map((language) => this.#dub(dubbing, language)));
  }

  async #dub(dubbing: Dubbing, language: Language): Promise<void> {
    if (this.#languages.has(language)) return;
    const scope = this.#scope.child(`dub:${language}`);
    this.#languages.set(language, scope);
    const stages = await this.#engines.language(language, scope);
    if (scope.signal.aborted) return;
    if (stages.synthesizer?.caps.guides) this.#mouths?.guide();
    const { cues$ } = dubbing.addLanguage(language, stages);
    cues$.subscribe((cue) => this.#cue(cue));
  }

  #place(clip: Clip): boolean {
    const { language, utterance, start, end } = clip;
    if (!this.#timeline?.dub(language).place(clip)) return false;
    this.#mouths?.placed(clip);
    this.#tell({ type: 'clip', clip: { language, utterance, start, end } });
    return true;
  }

  // What the gateway hears.

  #cue(cue: Cue): void {
    this.#tell({ type: 'cue', cue });
  }
  #fault({ stage, kind, message }: Fault): void {
    this.#tell({ type: 'fault', stage, kind, message });
  }

  get #modeView(): ModeView {
    const driven = this.#mode.audio === 'dubbed' && this.#mouths?.able === true;
    return { ...this.#mode, video: this.#format ? (driven ? 'driven' : 'original') : 'none' };
  }
  #showMode(): void {
    const mode = this.#modeView;
    const told = JSON.stringify(mode);
    if (told === this.#told) return;
    this.#told = told;
    this.#tell({ type: 'mode', mode });
  }

  /** Keeps the programme as late as its lines need it, however its source's clock goes. */
  #steer(timeline: Timeline): void {
    const comes = this.#arrival;
    if (comes) timeline.follow(comes);
    const now = this.#clock.now();
    if (this.#mode.audio !== 'dubbed') this.#lag.unable(now);
    const wanted = this.#lag.update(timeline.delay, this.#dubbing?.lookahead ?? ms(0), now);
    if (wanted !== timeline.wanted) timeline.aim(wanted);
    this.#mouths?.schedule(timeline.anchor, timeline.delay);
  }

  #pulse(): void {
    const timeline = this.#timeline;
    if (!timeline || !this.#output) return;
    this.#steer(timeline);
    const resume: Resume = {
      anchor: timeline.anchor,
      delay: timeline.delay,
      inputs: this.#live?.positions ?? [],
      videoSequences: this.#output.videoSequences,
      generation: this.#start.resume?.generation ?? 0,
    };
    this.#tell({ type: 'pulse', resume });
  }

  #stats(): void {
    const { spec } = this.#start;
    const timeline = this.#timeline;
    const dubbing = this.#dubbing;
    const now = this.#clock.now();
    const measured =
      timeline && this.#output?.live ? between(clockAt(timeline.anchor, timeline.position), now) : undefined;
    const { least, most } = delayOf(spec);
    const drift = timeline?.drift;
    const totals = dubbing?.totals ?? { dubbed: 0, trimmed: 0, late: 0, captionOnly: 0 };
    const stats: StatsView = {
      delay: {
        configured: spec.delay,
        wanted: round(toMs(this.#lag.wanted) / 1_000),
        measured: measured === undefined ? null : round(toMs(measured) / 1_000),
        lookahead: round(toMs(dubbing?.lookahead ?? ms(0)) / 1_000),
        least,
        most,
        drift: drift === undefined ? null : Math.round(drift * 10) / 10,
      },
      loudness: this.#desk.levels,
      fit: this.#fits.view,
      lips: this.#mouths?.view ?? null,
      mode: this.#modeView,
      stages: [...(dubbing?.stages ?? []), ...(this.#mouths?.stages ?? [])].map(
        ({ name, engine, standIn, state, latency, dropped, faults }) => ({
          kind: name,
          engine,
          standIn,
          state,
          latency,
          dropped,
          faults,
        }),
      ),
      networks: [...networkViews(), ...(this.#mouths?.networks ?? [])],
      spending: spendingReports().map(({ kind, tokensIn, tokensOut, ...used }) => ({
        ...used,
        stage: kind,
        tokens: tokensIn + tokensOut,
      })),
      lines: { ...totals, dubbed: totals.dubbed + totals.trimmed },
      drops: {
        ...this.#live?.losses,
        ...this.#stream?.losses,
        ...this.#slate?.counts,
        'datagrams of no track': this.#live?.strangers ?? 0,
        ...this.#output?.dropped,
        'audio frames skipped': timeline?.skipped ?? 0,
        'audio before engines': this.#unheard,
        'datagrams not sent': this.#socket.output.failed,
      },
      viewers: 0,
      outputs: {},
      process: { ...this.#load.read(), restarts: 0 },
    };
    this.#tell({ type: 'stats', stats });
  }

  #tracks(kind: OutputTrack['kind']): Map<string, OutputTrack> {
    return kind === 'audio' ? this.#audio : this.#videos;
  }

  #reply(datagram: Uint8Array): void {
    if (this.#relay) this.#socket.input.send(datagram, this.#relay);
  }
}

/** Within what the delay is chosen; a process that takes over goes on where its predecessor was. */
function lagOf({ spec, resume }: Start): LagBounds {
  const { start, least, most } = delayOf(spec);
  const bounds = { least: seconds(least), most: seconds(most) };
  const begin = resume ? Math.min(bounds.most, Math.max(bounds.least, resume.delay)) : seconds(start);
  return { ...bounds, start: begin as Span };
}

/** How late something of a stream may come: later than the programme is played it is not heard any more. */
const patience = (delay: Span) => Math.min(seconds(5), Math.max(seconds(1), delay - seconds(1))) as Span;

const round = (value: number) => Math.round(value * 1_000) / 1_000;
