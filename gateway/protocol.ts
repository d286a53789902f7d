/**
 * What travels between a page and the gateway over the signalling WebSocket, as plain types.
 *
 * The page imports this file and nothing else of ours, so it imports nothing at run time. The gateway checks what
 * arrives with zod (`gateway/signalling.ts`); a message that does not fit is answered with an {@link ApiError}, a
 * message that is no JSON closes the socket with code 1007 and a reason.
 *
 * One socket per page: `GET /v1/sessions/{id}/ws`. The page sends {@link Request}s and gets one {@link Response} each,
 * matched by `id`; the gateway sends {@link Event}s whenever it likes.
 */

/** BCP 47. */
export type LanguageTag = string;

/**
 * What a viewer can receive. `original` and `video` carry the programme itself, `dub:es` the Spanish dub as the session
 * mixes it, `voice:es` that dub's voices alone and silence elsewhere, for viewers who mix it with the original themselves,
 * `video:es` the picture with mouths that speak Spanish, where a session drives them.
 */
export type TrackId = 'original' | 'video' | `dub:${LanguageTag}` | `voice:${LanguageTag}` | `video:${LanguageTag}`;

/** One delayed track of the session, the same for every viewer. */
export interface TrackView {
  readonly id: TrackId;
  readonly kind: 'audio' | 'video';
  readonly language: LanguageTag | null;
  /** BCP 47 tag's own name, e.g. `español`; `null` for video. */
  readonly label: string | null;
  /** RTP time stamp of media time 0 and ticks per second: media µs = (rtp − base mod 2³²) · 1e6 / rate. */
  readonly rtp: { readonly base: number; readonly rate: number };
}

/** What the viewer gets right now. Every combination is watchable; none is "nothing". */
export interface ModeView {
  readonly audio: 'dubbed' | 'original';
  readonly video: 'driven' | 'original' | 'none';
  readonly text: 'translated' | 'transcribed' | 'none';
  /** `reduced` while another engine than the chosen one does part of the work. */
  readonly quality: 'full' | 'reduced';
}

/** `waiting`: no publisher yet. `restarting`: the session process is being replaced. `ended`: nothing more will come. */
export type SessionState = 'starting' | 'waiting' | 'live' | 'restarting' | 'ended' | 'failed';

export interface StageView {
  readonly kind: string;
  readonly engine: string;
  /** The engine that works in its place at present, `null` while it works itself. */
  readonly standIn: string | null;
  readonly state: 'up' | 'down';
  /** Milliseconds, over the last minute. */
  readonly latency: { readonly p50: number | null; readonly p95: number | null; readonly count: number };
  readonly dropped: number;
  readonly faults: number;
}

/** A neural network that the session has open. */
export interface NetworkView {
  readonly name: string;
  readonly stage: string | null;
  /** `cpu`, `cuda` or `tensorrt`. */
  readonly device: string;
  /** Milliseconds, since it was opened: how long calls waited, and how long they ran. */
  readonly waiting: { readonly p50: number | null; readonly p95: number | null; readonly count: number };
  readonly running: { readonly p50: number | null; readonly p95: number | null; readonly count: number };
  readonly queued: number;
  /** Calls that were not answered. */
  readonly lost: number;
  readonly restarts: number;
}

/** What an engine has used of a service on another machine. */
export interface SpendingView {
  readonly stage: string;
  readonly engine: string;
  readonly requests: number;
  readonly retries: number;
  readonly failures: number;
  readonly characters: number;
  /** Of audio. */
  readonly seconds: number;
  readonly tokens: number;
  /** Estimated from the prices in the settings. */
  readonly money: { readonly amount: number; readonly currency: string } | null;
}

/** How late the programme is shown, seconds. */
export interface DelayView {
  readonly configured: number | 'auto';
  /** What it is being brought to; always within `least` and `most`. */
  readonly wanted: number;
  /** What it is; `null` before anything is shown. */
  readonly measured: number | null;
  /** The least that the stages' lookahead allows. */
  readonly lookahead: number;
  readonly least: number;
  readonly most: number;
  /** How much faster the source's clock runs than ours, parts per million; `null` while that is not known. */
  readonly drift: number | null;
}

/** EBU R 128 and ITU-R BS.1770-4: LUFS, and dBTP for the peak. `null` where nothing was loud or long enough to be measured. */
export interface LoudnessView {
  readonly momentary: number | null;
  readonly shortTerm: number | null;
  readonly integrated: number | null;
  readonly truePeak: number | null;
}

/** What it took to make the dub fit since the session process began. */
export interface FitView {
  /** Lines by language, and by the furthest step that was taken: `natural`, `rate`, `borrowed`, `slowed`, `stretched`, `shortened`, `trimmed`. */
  readonly rungs: Readonly<Record<LanguageTag, Readonly<Record<string, number>>>>;
  /** Share of them, 0 to 1, that were said whole at 0.9 to 1.2 times the voice's speed; `null` before the first. */
  readonly withinSpeed: number | null;
}

/** What became of the pictures in which mouths were to move with the dub, since the session process began. */
export interface LipsView {
  /** Lines with a clip that were to be driven, and their pictures. */
  readonly takes: number;
  readonly pictures: number;
  readonly driven: number;
  /** Seconds that were left as they were, by reason: `profile`, `occluded`, `small`, `fast`, `cut`, `lost`, `nobody`, `late`, `failed`. */
  readonly left: Readonly<Record<string, number>>;
  /** Pictures that were looked at, and those that could not have been in time. */
  readonly seen: number;
  readonly skipped: number;
  /** Pictures that went out driven, by language. */
  readonly shown: Readonly<Record<LanguageTag, number>>;
  /** Of the picture process. */
  readonly process: { readonly cpu: number; readonly rssMiB: number; readonly restarts: number };
}

export interface StatsView {
  readonly delay: DelayView;
  /** Of what is sent, by track; `null` where it is not measured. */
  readonly loudness: Readonly<Record<string, LoudnessView>> | null;
  readonly fit: FitView;
  /** `null` where no mouths are driven. */
  readonly lips: LipsView | null;
  readonly mode: ModeView;
  readonly stages: readonly StageView[];
  readonly networks: readonly NetworkView[];
  readonly spending: readonly SpendingView[];
  readonly lines: {
    readonly dubbed: number;
    readonly captionOnly: number;
    readonly late: number;
    readonly trimmed: number;
  };
  readonly drops: Readonly<Record<string, number>>;
  readonly viewers: number;
  /** What outlets have done and lost, by outlet (`hls`, `record`, `push 1`, and `tap`, which feeds them) and name. */
  readonly outputs: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Of the session process. */
  readonly process: {
    readonly cpu: number;
    readonly rssMiB: number;
    readonly restarts: number;
    readonly uptime: number;
  };
}

/** Where the programme comes from, without keys and passwords. */
export type SourceView =
  | { readonly kind: 'webrtc' }
  | { readonly kind: 'file'; readonly path: string; readonly loop: boolean }
  | { readonly kind: 'url'; readonly url: string }
  | { readonly kind: 'srt'; readonly mode: 'listener' | 'caller'; readonly host?: string; readonly port?: number }
  | { readonly kind: 'rtmp' }
  | { readonly kind: 'rtp' };

/** What to type into an encoder. */
export interface IngestView {
  /** `srt://host:port`, with stream id and passphrase where there are; `rtmp://host:port/live`; the WHIP endpoint. */
  readonly url: string;
  /** RTMP: the stream key, for its own field in the encoder, or behind the address and a `/`. */
  readonly key?: string;
}

export interface SessionView {
  readonly id: string;
  readonly name: string;
  readonly state: SessionState;
  /** A sentence for a person when `state` is `failed` or `restarting`, and while a source that is a stream is away. */
  readonly reason: string | null;
  readonly source: SourceView;
  /** Where an encoder publishes to it; only for whoever may publish. */
  readonly ingest: IngestView | null;
  readonly from: LanguageTag;
  readonly to: readonly LanguageTag[];
  readonly createdAt: string;
  readonly tracks: readonly TrackView[];
  readonly stats: StatsView | null;
}

/** A finished recording. Addresses can be used for twelve hours, by whoever has them. */
export interface RecordingView {
  readonly name: string;
  /** Of the session. */
  readonly title: string;
  readonly session: string;
  readonly languages: readonly LanguageTag[];
  readonly started: string;
  readonly seconds: number;
  readonly bytes: number;
  /** `false`: it stayed as it was written, without an index. */
  readonly finished: boolean;
  readonly uploaded: boolean;
  readonly url: string;
  /** JPEG, and WebVTT with small pictures; `null` where there are none. */
  readonly poster: string | null;
  readonly storyboard: string | null;
}

/**
 * A caption with its place in the programme (media µs). A later cue with the same `id` and language replaces a draft; its
 * text begins with the draft's. One without text takes a draft back.
 */
export interface CueView {
  readonly id: string;
  readonly language: LanguageTag;
  readonly speaker: string;
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly draft: boolean;
  /** The text as it is broken into lines. */
  readonly lines?: readonly string[];
  /** When the voice is through with it. `end` may be later, for it to be read; then the next caption may come before `end`. */
  readonly voiceEnd?: number;
  /** Where it does not cover a face; at the bottom unless told. */
  readonly place?: 'top' | 'bottom';
}

/** Colours of speakers on a dark ground, in their order: the same in the page and in caption files. */
export const SPEAKER_COLOURS = ['#ffd866', '#7fdbff', '#a9f09b', '#ffb0e0', '#ffb27a', '#cbbcff'] as const;

const numberOf = (speaker: string) => /^(?:speaker|spk|s)?[\s_-]*(\d+)$/i.exec(speaker)?.[1];
/** A name a person would read: `s2`, `speaker-2` or `2` become "Speaker 2", a name stays what it is. */
export function speakerName(speaker: string): string {
  const number = numberOf(speaker);
  return number === undefined ? speaker : `Speaker ${number}`;
}
/** A speaker's place among {@link SPEAKER_COLOURS}: by number, or by the order in which those with a name were heard. */
export function colourOf(speaker: string, order: number): number {
  const number = Number(numberOf(speaker) ?? order + 1);
  return (Math.max(1, number) - 1) % SPEAKER_COLOURS.length;
}

/** The dub speaks during this interval of the programme (media µs); elsewhere the original is heard in the dub's track. */
export interface ClipView {
  readonly utterance: string;
  readonly language: LanguageTag;
  readonly start: number;
  readonly end: number;
}

/** Every refusal, over HTTP and over the socket alike. */
export interface ApiError {
  /** For programs: `bad_json`, `invalid`, `not_found`, `conflict`, `unauthorized`, `unsupported`, `limit`, `unavailable`, `internal`. */
  readonly code: string;
  /** What is wrong, naming the field. */
  readonly message: string;
  /** The offending field, dotted, or `null`. */
  readonly field: string | null;
  /** What to do about it. */
  readonly fix: string | null;
}

// mediasoup's own structures pass through untouched; mediasoup-client and mediasoup check them.
type Opaque = Readonly<Record<string, unknown>>;

/** Method → what the page sends and what it gets back. */
export interface Methods {
  /** First message on every socket. A second publisher is refused with `conflict`. */
  join: {
    in: { readonly role: 'viewer' | 'publisher'; readonly token?: string };
    out: {
      readonly session: SessionView;
      readonly routerRtpCapabilities: Opaque;
      /** Captions of the last minutes, so that a late joiner can read back. */
      readonly cues: readonly CueView[];
    };
  };
  createTransport: {
    in: { readonly direction: 'send' | 'recv' };
    out: {
      readonly id: string;
      readonly iceParameters: Opaque;
      readonly iceCandidates: readonly Opaque[];
      readonly dtlsParameters: Opaque;
      readonly iceServers: readonly Opaque[];
    };
  };
  connectTransport: {
    in: { readonly transportId: string; readonly dtlsParameters: Opaque };
    out: Record<string, never>;
  };
  restartIce: { in: { readonly transportId: string }; out: { readonly iceParameters: Opaque } };
  /** Publishers only. */
  produce: {
    in: { readonly transportId: string; readonly kind: 'audio' | 'video'; readonly rtpParameters: Opaque };
    out: { readonly producerId: string };
  };
  closeProducer: { in: { readonly producerId: string }; out: Record<string, never> };
  /** Viewers only. Comes back paused: `resume` it once the page is ready. */
  consume: {
    in: { readonly transportId: string; readonly trackId: TrackId; readonly rtpCapabilities: Opaque };
    out: {
      readonly consumerId: string;
      readonly producerId: string;
      readonly trackId: TrackId;
      readonly kind: 'audio' | 'video';
      readonly rtpParameters: Opaque;
    };
  };
  pause: { in: { readonly consumerId: string }; out: Record<string, never> };
  resume: { in: { readonly consumerId: string }; out: Record<string, never> };
}
export type Method = keyof Methods;

export type Request = {
  [M in Method]: { readonly id: number; readonly method: M; readonly data: Methods[M]['in'] };
}[Method];
export type Response =
  | { readonly id: number; readonly ok: true; readonly data: Methods[Method]['out'] }
  | { readonly id: number; readonly ok: false; readonly error: ApiError };

/** Event name → payload. `tracks` says the whole list again after a language came or went. */
export interface Events {
  state: { readonly state: SessionState; readonly reason: string | null };
  tracks: readonly TrackView[];
  /** A consumer whose track is gone, or whose worker died: drop it, and consume the track again if it is still listed. */
  consumerClosed: { readonly consumerId: string; readonly trackId: TrackId };
  /** The router is gone (a mediasoup worker died): drop transports and device, `join` again on the same socket. */
  rejoin: { readonly reason: string };
  cue: CueView;
  clip: ClipView;
  mode: ModeView;
  stats: StatsView;
}
export type Event = { [E in keyof Events]: { readonly event: E; readonly data: Events[E] } }[keyof Events];

/** Why the gateway closes a socket. Codes 1007/1008/1011 as in RFC 6455, 4xxx ours. */
export const CLOSE = {
  badMessage: 1007,
  policy: 1008,
  internal: 1011,
  sessionEnded: 4000,
  notFound: 4004,
  tooSlow: 4008,
} as const;
