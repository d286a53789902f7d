import type { Clock } from '../media/clock.ts';
import { JitterBuffer } from '../media/jitter.ts';
import { Depacketizer, keyFrameIn } from '../media/packetize.ts';
import { type PictureSize, pictureSize } from '../media/picture-size.ts';
import { Recording } from '../media/recording.ts';
import { type RtpPacket, isRtcp, parseRtp } from '../media/rtp.ts';
import type { Scope } from '../media/scope.ts';
import { type ClockTime, type MediaTime, type Span, at, later, seconds } from '../media/time.ts';
import { Unwrapper } from '../media/unwrap.ts';
import type { AccessUnit, VideoCodec } from '../media/video.ts';
import type { HostedSession } from './hosted-session.ts';
import type { TrackId, TrackView } from './protocol.ts';
import { plain, streamOf } from './room.ts';
import { MediaSocket } from './session/socket.ts';

/** What comes before the first key frame waits here, packets; 10 s of sound and picture. */
const WAITING = 8_192;

/** One packet as a viewer gets it. */
export interface Received {
  readonly track: TrackId;
  readonly media: MediaTime;
  readonly arrived: ClockTime;
}

export interface RecorderOptions {
  readonly session: HostedSession;
  /** All of the session's when left out, but for the voices by themselves: the dubs hold them already. */
  readonly tracks?: readonly TrackView[];
  readonly path: string;
  readonly clock: Clock;
  /** Every packet of sound, and the first one of every picture. */
  readonly onReceived?: (packet: Received) => void;
  /** Every Opus packet, as it came. */
  readonly onAudio?: (track: TrackId, media: MediaTime, payload: Uint8Array) => void;
}

interface Incoming {
  readonly view: TrackView;
  readonly codec: string;
  readonly jitter: JitterBuffer<RtpPacket>;
  readonly stamps: Unwrapper;
  picture: { readonly timestamp: number; readonly start: MediaTime; readonly payloads: Uint8Array[] } | undefined;
}

/**
 * A viewer without a screen: gets what every viewer gets from the SFU, as plain RTP, and writes it to a file untouched.
 *
 * The file begins with the first key frame (without video: with the first sound).
 */
export class Recorder {
  readonly #options: RecorderOptions;
  readonly #tracks: readonly TrackView[];
  readonly #incoming = new Map<number, Incoming>();
  #recording: Promise<Recording> | undefined;
  #waiting: (() => Promise<void>)[] = [];
  #writing: Promise<void> = Promise.resolve();
  #origin: MediaTime | undefined;
  #latest: MediaTime | undefined;
  #size: PictureSize | undefined;
  #lost = 0;

  private constructor(options: RecorderOptions) {
    this.#options = options;
    this.#tracks = options.tracks ?? recorded(options.session.tracks);
  }

  static async open(options: RecorderOptions, scope: Scope): Promise<Recorder> {
    const recorder = new Recorder(options);
    const socket = await MediaSocket.open(0, scope);
    const room = await options.session.room;
    socket.receive((data) => recorder.#datagram(data));
    const transport = await room.receiver(socket.port);
    scope.defer(() => transport.close());
    for (const view of recorder.#tracks) {
      const consumer = await room.consume(transport, view.id, plain(room.capabilities));
      const { ssrc, mimeType } = streamOf(consumer);
      const codec = mimeType.split('/')[1] ?? '';
      const jitter = new JitterBuffer<RtpPacket>();
      recorder.#incoming.set(ssrc, { view, codec, jitter, stamps: new Unwrapper(32), picture: undefined });
      await consumer.resume();
    }
    return recorder;
  }

  /** Media time at which the file begins; `undefined` until it does. */
  get origin(): MediaTime | undefined {
    return this.#origin;
  }
  /** How much programme the file holds so far. */
  get recorded(): Span {
    return this.#origin === undefined || this.#latest === undefined
      ? seconds(0)
      : ((this.#latest - this.#origin) as Span);
  }
  get size(): PictureSize | undefined {
    return this.#size;
  }
  /** Packets that never came. */
  get lost(): number {
    return this.#lost;
  }

  /** Finishes the file. */
  async close(): Promise<{ readonly pictures: number; readonly packets: number }> {
    this.#incoming.clear();
    await this.#writing;
    const recording = await this.#recording;
    await recording?.close();
    return recording?.written ?? { pictures: 0, packets: 0 };
  }

  #datagram(data: Buffer): void {
    if (isRtcp(data)) return;
    const packet = parseRtp(data);
    const incoming = packet && this.#incoming.get(packet.ssrc);
    if (!packet || !incoming || packet.payload.byteLength === 0) return;
    const { jitter } = incoming;
    jitter.push(packet, this.#options.clock.now());
    for (let next = jitter.pop(this.#options.clock.now()); next; next = jitter.pop(this.#options.clock.now())) {
      if (next.type === 'lost') this.#lost += next.count;
      if (next.type !== 'packet') incoming.picture = undefined;
      else this.#take(incoming, next.packet, next.arrived);
    }
  }

  #take(incoming: Incoming, packet: RtpPacket, arrived: ClockTime): void {
    const { view } = incoming;
    const { base, rate } = view.rtp;
    const ticks = incoming.stamps.unwrap((packet.timestamp - base) >>> 0);
    const media = at((ticks * 1_000_000) / rate);
    if (view.kind === 'audio') {
      this.#options.onReceived?.({ track: view.id, media, arrived });
      this.#options.onAudio?.(view.id, media, packet.payload);
      this.#latest = media;
      if (!this.#tracks.some(({ kind }) => kind === 'video')) this.#begin(media, undefined);
      this.#write(async (recording) => recording.audio(view.id, media, packet.payload));
      return;
    }
    if (incoming.picture?.timestamp !== packet.timestamp) {
      incoming.picture = { timestamp: packet.timestamp, start: media, payloads: [] };
      this.#options.onReceived?.({ track: view.id, media, arrived });
    }
    incoming.picture?.payloads.push(packet.payload);
    if (packet.marker && incoming.picture) {
      const { start, payloads } = incoming.picture;
      incoming.picture = undefined;
      this.#picture(incoming.codec as VideoCodec, start, payloads);
    }
  }

  #picture(codec: VideoCodec, start: MediaTime, payloads: readonly Uint8Array[]): void {
    const unit: AccessUnit = { start, keyFrame: keyFrameIn(codec, payloads), payloads };
    if (!this.#recording && unit.keyFrame) {
      const frame = new Depacketizer(codec).frame(payloads);
      this.#size = frame && pictureSize(codec, frame);
      this.#begin(start, { codec, ...(this.#size ?? { width: 1_280, height: 720 }) });
    }
    this.#write(async (recording) => recording.video(unit));
  }

  #begin(origin: MediaTime, video: Parameters<typeof Recording.open>[0]['video']): void {
    if (this.#recording) return;
    const { path } = this.#options;
    this.#origin = origin;
    // A dub first: it is what a player picks.
    const audio = this.#tracks
      .filter(({ kind }) => kind === 'audio')
      .sort((a, b) => Number(a.id === 'original') - Number(b.id === 'original'))
      .map(({ id, language, label }) => ({
        id,
        language: language ?? 'und',
        title: id === 'original' ? 'Original' : `${label ?? id}${id.startsWith('voice:') ? ', voices' : ''}`,
      }));
    this.#recording = Recording.open({ path, origin, video, audio });
    for (const write of this.#waiting.splice(0)) this.#writing = this.#writing.then(write);
  }

  #write(write: (recording: Recording) => Promise<void>): void {
    const job = async () => {
      const recording = await this.#recording;
      if (recording) await write(recording);
    };
    if (this.#recording) this.#writing = this.#writing.then(job);
    else if (this.#waiting.length < WAITING) this.#waiting.push(job);
  }
}

/** The original and every dub, with one picture: the first language's, where mouths are driven. */
function recorded(tracks: readonly TrackView[]): TrackView[] {
  const pictures = tracks.filter(({ kind }) => kind === 'video');
  const picture = pictures.find(({ language }) => language !== null) ?? pictures[0];
  return tracks.filter((track) => (track.kind === 'video' ? track === picture : !track.id.startsWith('voice:')));
}

/** Sound as a listener hears it, kept on media time from `origin` on, at most `room` of it. */
export class Tape {
  readonly pcm: Float32Array;
  readonly origin: MediaTime;

  constructor(origin: MediaTime, room: Span) {
    this.origin = origin;
    this.pcm = new Float32Array(Math.ceil((room * 48) / 1_000));
  }
  put(media: MediaTime, pcm: Float32Array): void {
    const from = Math.round(((media - this.origin) * 48) / 1_000);
    if (from >= 0 && from + pcm.length <= this.pcm.length) this.pcm.set(pcm, from);
  }
  /** Where the tape ends. */
  get end(): MediaTime {
    return later(this.origin, Math.floor((this.pcm.length * 1_000) / 48) as Span);
  }
}
