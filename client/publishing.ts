import type { SessionState, SessionView, StatsView } from '../gateway/protocol.ts';
import { getSession } from './api.ts';
import { type Capture, captureCamera, captureFile, captureScreen } from './capture.ts';
import { Failure, failureOf, sentences } from './failure.ts';
import { type Conversion } from './ffmpeg.ts';
import { token } from './storage.ts';
import { openDevice, openSending, type Outgoing, type Sending, type TransportState } from './sfu.ts';
import { Signalling } from './signalling.ts';
import { openSocket } from './socket.ts';
import { Store } from './store.ts';

/** What to publish, as the page's form says it. */
export type Choice =
  | { readonly kind: 'camera'; readonly camera: string | null; readonly microphone: string | null }
  | { readonly kind: 'screen'; readonly microphone: string | null }
  | { readonly kind: 'file'; readonly file: File | string; readonly player: HTMLVideoElement };

export interface PublishingState {
  /** `offline`: live, but the gateway is away; it comes back by itself. */
  readonly state: 'idle' | 'opening' | 'preparing' | 'live' | 'offline' | 'failed';
  readonly problem: string | null;
  /** The refusal's code, for the page to offer the way out: `conflict`, `not_found`, `unauthorized`, … */
  readonly code: string | null;
  readonly conversion: Conversion | null;
  readonly session: SessionView | null;
  readonly sessionState: SessionState | null;
  readonly stats: StatsView | null;
  readonly stream: MediaStream | null;
}

/** What goes out, since the last reading. */
export interface Sent {
  readonly videoKbps: number;
  readonly audioKbps: number;
  readonly fps: number;
  readonly size: string | null;
  readonly framesSent: number;
  readonly audioPacketsSent: number;
  readonly lost: number;
  readonly roundTripMs: number | null;
  readonly limitedBy: string | null;
}

const IDLE: PublishingState = {
  state: 'idle',
  problem: null,
  code: null,
  conversion: null,
  session: null,
  sessionState: null,
  stats: null,
  stream: null,
};

const ICE_PATIENCE = 2_000;
const ICE_LAST_HOPE = 6_000;
/** After a lost connection the gateway may hold our old place for a while: how often and how long we ask again, ms. */
const CONFLICT_RETRY = 1_000;
const CONFLICT_PATIENCE = 15_000;

/** A publisher's side of one session: what is captured, and the connection that carries it. */
export class Publishing {
  readonly store = new Store<PublishingState>(IDLE);
  readonly #id: string;
  #signalling: Signalling | undefined;
  #capture: Capture | undefined;
  #sending: Sending | undefined;
  #outgoing: Outgoing[] = [];
  #transport: TransportState = 'new';
  #iceTimer: ReturnType<typeof setTimeout> | undefined;
  #abort = new AbortController();
  #turn = 0;
  /** When a connection that was live was lost, page time, ms. */
  #lostAt: number | null = null;
  #meter: { context: AudioContext; analyser: AnalyserNode; samples: Float32Array<ArrayBuffer> } | undefined;
  #last: { at: number; bytes: Record<string, number>; frames: number } | undefined;

  constructor(id: string) {
    this.#id = id;
    getSession(id).then(
      (session) => this.store.patch({ session, sessionState: session.state }),
      (cause: unknown) => this.#fail(cause),
    );
  }

  /** Opens the source and goes live. Starting again replaces what was published. */
  async start(choice: Choice): Promise<void> {
    this.stop();
    const { signal } = (this.#abort = new AbortController());
    this.store.patch({ state: choice.kind === 'file' ? 'preparing' : 'opening', problem: null, code: null });
    try {
      const capture = await this.#opened(choice, signal);
      if (signal.aborted) return capture.stop();
      this.#capture = capture;
      capture.onEnded = () => {
        this.stop();
        this.store.patch({ problem: choice.kind === 'file' ? 'The file has ended.' : 'The source was switched off.' });
      };
      this.#listen(capture.stream);
      this.store.patch({ state: 'opening', stream: capture.stream });
      this.#signalling = new Signalling({
        open: () => openSocket(this.#id),
        onOpen: () => void this.#join(),
        onEvent: (event) => {
          if (event.event === 'state') this.store.patch({ sessionState: event.data.state });
          else if (event.event === 'stats') this.store.patch({ stats: event.data });
          else if (event.event === 'rejoin') void this.#join();
        },
        onLink: (link) => {
          if (link.state === 'waiting') {
            this.#dropMedia();
            this.#lostAt ??= performance.now();
            this.store.patch({ state: 'offline', problem: link.reason });
          } else if (link.state === 'closed' && link.why !== 'left') {
            const code = link.why === 'missing' ? 'not_found' : link.why === 'ended' ? 'ended' : 'unauthorized';
            this.#fail(new Failure({ code, message: link.reason, field: null, fix: null }));
          }
        },
        exists: () =>
          getSession(this.#id).then(
            () => true,
            (cause: unknown) => failureOf(cause).error.code !== 'not_found',
          ),
      });
    } catch (cause) {
      if (!signal.aborted) this.#fail(cause);
    }
  }

  /** Ends what is published and frees the devices. The session stays and waits. */
  stop(): void {
    this.#abort.abort();
    this.#signalling?.close();
    this.#signalling = undefined;
    this.#dropMedia();
    this.#capture?.stop();
    this.#capture = undefined;
    void this.#meter?.context.close().catch(() => {});
    this.#meter = undefined;
    this.#lostAt = null;
    this.store.patch({ state: 'idle', problem: null, code: null, conversion: null, stream: null });
  }

  close(): void {
    this.stop();
  }

  get connected(): boolean {
    return this.store.value.state === 'live' && this.#transport === 'connected';
  }

  /** RMS of what is captured, 0 to 1. */
  get audioLevel(): number {
    if (!this.#meter) return 0;
    const { analyser, samples } = this.#meter;
    analyser.getFloatTimeDomainData(samples);
    return Math.sqrt(samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length);
  }

  /** Position of the file being played, µs. */
  get fileMedia(): number | null {
    const player = this.#capture?.player;
    return player ? Math.round(player.currentTime * 1e6) : null;
  }

  /** What went out since the last call, or `null` while nothing does. */
  async sent(): Promise<Sent | null> {
    if (this.#outgoing.length === 0) return null;
    const reports = await Promise.all(this.#outgoing.map((outgoing) => outgoing.stats().catch(() => undefined)));
    const rows = reports.flatMap((report) => (report ? ([...report.values()] as SendStats[]) : []));
    const of = (type: string, kind: string) => rows.find((row) => row.type === type && row.kind === kind);
    const video = of('outbound-rtp', 'video');
    const audio = of('outbound-rtp', 'audio');
    const at = performance.now();
    const bytes = { video: video?.bytesSent ?? 0, audio: audio?.bytesSent ?? 0 };
    const frames = video?.framesEncoded ?? 0;
    const before = this.#last;
    const seconds = before ? (at - before.at) / 1000 : Infinity;
    this.#last = { at, bytes, frames };
    const rate = (kind: 'video' | 'audio') =>
      Math.max(0, ((bytes[kind] - (before?.bytes[kind] ?? 0)) * 8) / 1000 / seconds);
    const remote = [of('remote-inbound-rtp', 'video'), of('remote-inbound-rtp', 'audio')];
    const roundTrip = remote.find((row) => row?.roundTripTime !== undefined)?.roundTripTime;
    return {
      videoKbps: rate('video'),
      audioKbps: rate('audio'),
      fps: Math.max(0, (frames - (before?.frames ?? 0)) / seconds),
      size: video?.frameWidth && video.frameHeight ? `${video.frameWidth}×${video.frameHeight}` : null,
      framesSent: frames,
      audioPacketsSent: audio?.packetsSent ?? 0,
      lost: remote.reduce((sum, row) => sum + Math.max(0, row?.packetsLost ?? 0), 0),
      roundTripMs: roundTrip === undefined ? null : roundTrip * 1000,
      limitedBy:
        video?.qualityLimitationReason && video.qualityLimitationReason !== 'none'
          ? video.qualityLimitationReason
          : null,
    };
  }

  #opened(choice: Choice, signal: AbortSignal): Promise<Capture> {
    switch (choice.kind) {
      case 'camera':
        return captureCamera(choice.camera, choice.microphone);
      case 'screen':
        return captureScreen(choice.microphone);
      case 'file':
        return captureFile(choice.file, choice.player, (conversion) => this.store.patch({ conversion }), signal);
    }
  }

  async #join(): Promise<void> {
    this.#dropMedia();
    const turn = this.#turn;
    const signalling = this.#signalling;
    const capture = this.#capture;
    if (!signalling || !capture) return;
    try {
      const bearer = token.read();
      const { session, routerRtpCapabilities } = await signalling.request('join', {
        role: 'publisher',
        ...(bearer && { token: bearer }),
      });
      this.store.patch({ session, sessionState: session.state, stats: session.stats });
      const device = await openDevice(routerRtpCapabilities);
      const sending = await openSending(
        device,
        (method, data) => signalling.request(method, data),
        (state) => this.#connection(state),
      );
      if (turn !== this.#turn) return sending.close();
      this.#sending = sending;
      for (const track of capture.stream.getTracks()) this.#outgoing.push(await sending.produce(track));
      if (turn !== this.#turn) return;
      this.#lostAt = null;
      this.store.patch({ state: 'live', problem: null, code: null });
    } catch (cause) {
      if (turn !== this.#turn) return;
      const failure = failureOf(cause);
      const ours = this.#lostAt !== null && performance.now() - this.#lostAt < CONFLICT_PATIENCE;
      if (failure.error.code === 'conflict' && ours)
        setTimeout(() => turn === this.#turn && void this.#join(), CONFLICT_RETRY);
      else if (failure.error.code === 'unavailable') signalling.reopen(failure.message);
      else this.#fail(failure);
    }
  }

  #fail(cause: unknown): void {
    const failure = failureOf(cause);
    this.stop();
    this.store.patch({ state: 'failed', problem: sentences(failure), code: failure.error.code });
  }

  #dropMedia(): void {
    this.#turn++;
    clearTimeout(this.#iceTimer);
    this.#outgoing = [];
    this.#sending?.close();
    this.#sending = undefined;
    this.#transport = 'new';
    this.#last = undefined;
  }

  #connection(state: TransportState): void {
    this.#transport = state;
    clearTimeout(this.#iceTimer);
    if (state !== 'disconnected' && state !== 'failed') return;
    this.#iceTimer = setTimeout(
      () => {
        this.#sending?.restartIce().catch(() => {}); // the last hope below
        this.#iceTimer = setTimeout(() => this.#signalling?.reopen('The media connection is lost.'), ICE_LAST_HOPE);
      },
      state === 'failed' ? 0 : ICE_PATIENCE,
    );
  }

  #listen(stream: MediaStream): void {
    if (stream.getAudioTracks().length === 0) return;
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    context.createMediaStreamSource(new MediaStream(stream.getAudioTracks())).connect(analyser);
    this.#meter = { context, analyser, samples: new Float32Array(analyser.fftSize) };
  }
}

/** What `RTCStatsReport` says of a sender, as far as it is read here (W3C webrtc-stats). */
interface SendStats {
  readonly type: string;
  readonly kind?: string;
  readonly bytesSent?: number;
  readonly packetsSent?: number;
  readonly framesEncoded?: number;
  readonly frameWidth?: number;
  readonly frameHeight?: number;
  readonly qualityLimitationReason?: string;
  readonly packetsLost?: number;
  readonly roundTripTime?: number;
}
