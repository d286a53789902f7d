import type { Clock } from '../../media/clock.ts';
import { OPUS_FRAME, OPUS_RATE, OpusEncoder } from '../../media/opus.ts';
import { ntpFromUnix } from '../../media/rtcp.ts';
import type { Scope } from '../../media/scope.ts';
import { REPORT_EVERY, RtpTrack } from '../../media/send.ts';
import { type ClockTime, type MediaTime, type Span, between, later, ms, samples, seconds } from '../../media/time.ts';
import type { Played, Sides, Timeline } from '../../media/timeline.ts';
import { VideoLine } from '../../media/video-line.ts';
import type { AccessUnit } from '../../media/video.ts';
import type { OutputTrack } from './ipc.ts';
import type { VideoFormat } from './source.ts';

/** Mono, bit/s. Without in-band FEC: it costs more quality on every packet (SILK instead of CELT) than it saves on lost ones. */
const BITRATE = 48_000;
/** The same for a dub whose speakers have their places between left and right. */
const STEREO_BITRATE = 64_000;
const FRAME = samples(OPUS_FRAME, OPUS_RATE);
/** Lost packets of a dead predecessor's are never sent again: its numbers end somewhere in here. */
const GAP = 128;
/** One tick of the video clock, 1/90 000 s, and a bit: no two pictures get the same stamp. */
const INSTANT = 12;
/**
 * Packets of video sent in one tick, give or take a picture: more at once, as after a stall, overflow the SFU's socket,
 * which holds some 90 full datagrams by default. In 10 ms steps these are 30 Mbit/s.
 */
const BURST = 32;
/** How long a process that takes over waits to have caught up with its source. */
const PATIENCE = seconds(1);

interface AudioOut {
  readonly track: OutputTrack;
  readonly rtp: RtpTrack;
  readonly encoder: OpusEncoder;
}

/** Delayed pictures: as they came, or with some of them driven. */
export interface PictureLine {
  readonly size: number;
  readonly counts: Readonly<Record<string, number>>;
  push(unit: AccessUnit): void;
  take(playhead: MediaTime): readonly AccessUnit[];
  grow(duration: Span, capacity: number): void;
  close(): void;
}

interface VideoOut {
  readonly track: OutputTrack;
  readonly rtp: RtpTrack;
  readonly line: PictureLine;
  /** Pictures that are due and have not been sent yet: after a stall there are more than a socket takes at once. */
  readonly leaving: AccessUnit[];
  /** Pictures from before the play-head of a process that takes over; `undefined` once it has caught up. */
  missed: AccessUnit[] | undefined;
}

export interface OutputOptions {
  readonly clock: Clock;
  readonly timeline: Timeline;
  readonly send: (datagram: Uint8Array) => void;
  readonly cname: string;
  /** How much video is held: the delay and what the source runs ahead. */
  readonly hold: VideoLine['duration'];
  /** The predecessor's last sequence numbers, by video track. */
  readonly videoSequences?: Readonly<Record<string, number>> | undefined;
}

/**
 * The delayed programme as RTP: one Opus track per language and one for the original, the video as it came in, and one for
 * every language in which mouths are driven.
 *
 * Everything that is due at the play-head is sent by {@link tick}; time stamps come from media time, so all tracks are
 * exactly as far apart as they were in the programme.
 */
export class Output {
  readonly #options: OutputOptions;
  readonly #audio = new Map<string, AudioOut>();
  readonly #videos = new Map<string, VideoOut>();
  /** How much video is held beyond the delay. */
  readonly #ahead: Span;
  /** The last of each video track, also of those that are gone. */
  readonly #sequences: Record<string, number>;
  /** Tracks that a predecessor sent and this process has not opened yet. */
  readonly #inherited: Set<string>;
  #reported: ClockTime;
  #sent = false;
  readonly #began: MediaTime;

  constructor(options: OutputOptions, scope: Scope) {
    this.#options = options;
    this.#ahead = Math.max(0, options.hold - options.timeline.wanted) as Span;
    this.#sequences = { ...options.videoSequences };
    this.#inherited = new Set(Object.keys(this.#sequences));
    this.#reported = options.clock.now();
    this.#began = options.timeline.position;
    scope.defer(() => {
      for (const id of [...this.#audio.keys()]) this.removeAudio(id);
      for (const id of [...this.#videos.keys()]) this.removeVideo(id);
    });
  }

  /** Something has been sent. */
  get live(): boolean {
    return this.#sent;
  }
  get videoSequences(): Readonly<Record<string, number>> {
    const now = [...this.#videos].map(([id, { rtp }]) => [id, rtp.sequence] as const);
    return { ...this.#sequences, ...Object.fromEntries(now) };
  }
  get dropped(): Record<string, number> {
    const counts: Record<string, number> = { 'video line': 0, 'video without key frame': 0 };
    for (const { line } of this.#videos.values()) {
      for (const [name, count] of Object.entries(line.counts)) counts[name] = (counts[name] ?? 0) + count;
    }
    return counts;
  }

  addAudio(track: OutputTrack): void {
    this.removeAudio(track.id);
    const numbering = { by: 'frame', every: FRAME } as const;
    const stereo = track.id !== 'original' && this.#options.timeline.mix.overlap === 'pan';
    const encoder = new OpusEncoder(stereo ? { channels: 2, bitrate: STEREO_BITRATE } : { bitrate: BITRATE });
    this.#audio.set(track.id, { track, rtp: this.#rtp(track, numbering), encoder });
  }
  removeAudio(id: string): void {
    this.#audio.get(id)?.encoder[Symbol.dispose]();
    this.#audio.delete(id);
  }

  /**
   * @param track what the gateway reserved for video
   * @param open makes the line of delayed pictures; one that passes them as they came unless given
   * @returns the track as it is now, for the SFU
   */
  setVideo(track: OutputTrack, format: VideoFormat, open: (hold: Span) => PictureLine = passing): OutputTrack {
    const { codec, parameters } = format;
    const video = { ...track, mimeType: `video/${codec}`, clockRate: 90_000, channels: 1, parameters };
    const before = this.#videos.get(track.id);
    if (before?.track.mimeType === video.mimeType) return before.track;
    const old = this.#sequences[track.id];
    const resumed = this.#inherited.delete(track.id);
    this.removeVideo(track.id);
    const next = before ? before.rtp.sequence + 1 : (old ?? Math.floor(Math.random() * 0x8000)) + GAP;
    this.#videos.set(track.id, {
      track: video,
      rtp: this.#rtp(video, { by: 'packet', next: next & 0xffff }),
      line: open(this.#options.hold),
      leaving: [],
      missed: resumed ? [] : undefined,
    });
    return video;
  }
  removeVideo(id: string): void {
    const video = this.#videos.get(id);
    if (!video) return;
    this.#videos.delete(id);
    this.#sequences[id] = video.rtp.sequence;
    video.line.close();
  }
  /** The line of delayed pictures of a track. */
  line(id: string): PictureLine | undefined {
    return this.#videos.get(id)?.line;
  }

  push(unit: AccessUnit): void {
    for (const { line } of this.#videos.values()) line.push(unit);
  }

  /** Sends everything due. Called every 10 ms on absolute deadlines. */
  tick(): void {
    const { clock, timeline } = this.#options;
    const now = clock.now();
    const hold = (Math.max(timeline.wanted, timeline.delay) + this.#ahead) as Span;
    for (const played of timeline.frames(now)) this.#play(played);
    for (const video of this.#videos.values()) {
      video.line.grow(hold, mostPictures(hold));
      video.leaving.push(...this.#due(video, timeline.playhead(now)));
      for (let room = BURST; room > 0;) {
        const unit = video.leaving.shift();
        if (!unit) break;
        const { start, payloads } = unit;
        payloads.forEach((payload, i) => this.#send(video.rtp.packet(payload, start, i === payloads.length - 1)));
        room -= payloads.length;
      }
    }
    if (this.#sent && between(this.#reported, now) >= REPORT_EVERY) this.#report(now);
  }

  /**
   * Pictures to send now. A process that takes over gets those before the play-head in a burst: a decoder needs them from
   * the last key frame on, but its viewer has seen them. They are stamped right before the take-over, one tick after the
   * other, since a receiver throws away what is older than what it has shown.
   */
  #due(video: VideoOut, playhead: MediaTime): readonly AccessUnit[] {
    const due = video.line.take(playhead);
    const { missed } = video;
    if (!missed) return due;
    missed.push(...due);
    if (video.line.size === 0 && between(this.#began, playhead) < PATIENCE) return [];
    video.missed = undefined;
    const isOld = ({ start }: AccessUnit) => start <= this.#began;
    const old = missed.filter(isOld);
    const from = Math.max(
      0,
      old.findLastIndex(({ keyFrame }) => keyFrame),
    );
    const again = old
      .slice(from)
      .map((unit, i, all) => ({ ...unit, start: later(this.#began, ((i - all.length) * INSTANT) as Span) }));
    return [...again, ...missed.filter((unit) => !isOld(unit))];
  }

  #play(played: Played): void {
    for (const { track, rtp, encoder } of this.#audio.values()) {
      const { left, right } = soundOf(track, played);
      const packet = encoder.channels === 2 ? encoder.encode(left, right) : encoder.encode(left);
      this.#send(rtp.packet(packet, played.start, false));
    }
  }

  /** All tracks of one report are stamped with one instant, which is what lets a receiver line them up. */
  #report(now: ClockTime): void {
    this.#reported = now;
    const ntp = ntpFromUnix(Date.now() * 1_000);
    const playing = this.#options.timeline.playhead(now);
    for (const { rtp } of this.#audio.values()) this.#send(rtp.report(ntp, playing));
    for (const { rtp } of this.#videos.values()) if (rtp.packets > 0) this.#send(rtp.report(ntp, playing));
  }

  #send(datagram: Uint8Array): void {
    this.#sent = true;
    this.#options.send(datagram);
  }

  #rtp(track: OutputTrack, numbering: ConstructorParameters<typeof RtpTrack>[0]['numbering']): RtpTrack {
    const { ssrc, payloadType, clockRate, rtpBase } = track;
    return new RtpTrack({ ssrc, payloadType, rate: clockRate, rtpBase, numbering, cname: this.#options.cname });
  }
}

/** Pictures exactly as they came, later. */
function passing(hold: Span): PictureLine {
  const line = new VideoLine({ duration: hold, capacity: mostPictures(hold) });
  return {
    get size() {
      return line.size;
    },
    get counts() {
      return { 'video line': line.dropped, 'video without key frame': line.refused };
    },
    push: (unit) => void line.push(unit),
    take: (playhead) => line.take(playhead),
    grow: (duration, capacity) => line.grow(duration, capacity),
    close: () => line.clear(),
  };
}

/** What of a played stretch goes out as `track`. */
function soundOf({ id, language }: OutputTrack, { pcm, dubs }: Played): Sides {
  const dub = id === 'original' ? undefined : dubs.get(language ?? '');
  if (!id.startsWith('voice:')) return dub ?? { left: pcm, right: pcm };
  const voice = dub?.voice ?? new Float32Array(pcm.length);
  return { left: voice, right: voice };
}

/** A hundred a second: no camera takes more. */
export const mostPictures = (hold: Span) => Math.ceil(hold / ms(10));
