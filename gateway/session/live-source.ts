import type { Anchor, Clock } from '../../media/clock.ts';
import { OpusDecoder } from '../../media/opus.ts';
import { ProgrammeClock, type TrackClock, type TrackPosition } from '../../media/programme-clock.ts';
import { AudioReceiver, VideoReceiver } from '../../media/receive.ts';
import { type NtpTime, writePli } from '../../media/rtcp.ts';
import { isRtcp, parseRtp } from '../../media/rtp.ts';
import type { Scope } from '../../media/scope.ts';
import { type ClockTime, between, seconds } from '../../media/time.ts';
import type { VideoCodec } from '../../media/video.ts';
import type { InputTrack, SenderReport } from './ipc.ts';
import { type Sink, formatOf } from './source.ts';

/** A publisher that is asked for a key frame gets this long to send it. */
const PATIENCE = seconds(1);
/** Who we say we are in RTCP that we send. */
const OURS = 1;

interface Track {
  readonly input: InputTrack;
  readonly clock: TrackClock;
  readonly receiver: AudioReceiver | VideoReceiver;
  readonly close: () => void;
}

/**
 * A publisher's programme, as RTP from the SFU.
 *
 * Tracks come and go; media time goes on. It asks the publisher for a key frame whenever nothing can be shown without.
 */
export class LiveSource {
  readonly #clock: Clock;
  readonly #sink: Sink;
  readonly #reply: (rtcp: Uint8Array) => void;
  readonly #programme: ProgrammeClock;
  #tracks = new Map<number, Track>();
  #asked = -Infinity as ClockTime;
  #strangers = 0;

  constructor(
    options: {
      readonly clock: Clock;
      readonly sink: Sink;
      /** Takes RTCP back to the SFU. */
      readonly reply: (rtcp: Uint8Array) => void;
      readonly anchor?: Anchor | undefined;
      readonly resume?: readonly TrackPosition[] | undefined;
    },
    scope: Scope,
  ) {
    this.#clock = options.clock;
    this.#sink = options.sink;
    this.#reply = options.reply;
    const { anchor, resume } = options;
    this.#programme = new ProgrammeClock({ ...(anchor && { anchor }), ...(resume && { resume }) });
    scope.defer(() => this.tracks([]));
  }

  /** Which place of the programme comes in when; `undefined` before the first packet. */
  get anchor(): Anchor | undefined {
    return this.#programme.anchor;
  }
  /** Where each track is, for a process that takes over. */
  get positions(): TrackPosition[] {
    return this.#programme.snapshot();
  }
  /** Datagrams that belong to no track. */
  get strangers(): number {
    return this.#strangers;
  }
  /** Packets and pictures lost or given up, by name. */
  get losses(): Record<string, number> {
    const losses: Record<string, number> = {};
    for (const { receiver } of this.#tracks.values()) {
      const { counts } = receiver;
      if ('concealed' in counts) losses['audio packets lost'] = counts.lost;
      else {
        losses['video packets lost'] = counts.lost;
        losses['pictures incomplete'] = counts.incomplete + counts.undecodable;
      }
    }
    return losses;
  }

  /** The publisher's tracks from now on. */
  tracks(inputs: readonly InputTrack[]): void {
    for (const [ssrc, track] of this.#tracks) {
      if (inputs.some((input) => input.ssrc === ssrc)) continue;
      this.#tracks.delete(ssrc);
      this.#programme.forget(ssrc);
      track.close();
    }
    for (const input of inputs) if (!this.#tracks.has(input.ssrc)) this.#open(input);
  }

  /** What the publisher says about when a track was captured: lets tracks be lined up exactly. */
  report({ ssrc, rtp, ntp }: SenderReport): void {
    this.#tracks.get(ssrc)?.clock.report(rtp, ntp as NtpTime);
  }

  datagram(data: Uint8Array): void {
    const now = this.#clock.now();
    // The SFU's reports say less than the publisher's, which come by another way; nothing else in RTCP is for us.
    if (isRtcp(data)) return;
    const packet = parseRtp(data);
    const track = packet && this.#tracks.get(packet.ssrc);
    if (!packet || !track) {
      this.#strangers += 1;
      return;
    }
    if (track.receiver instanceof AudioReceiver) {
      for (const chunk of track.receiver.push(packet, now)) this.#sink.audio(chunk);
    } else {
      for (const unit of track.receiver.push(packet, now)) this.#sink.video(unit);
    }
  }

  /** What time alone brings. Called every few milliseconds. */
  tick(): void {
    const now = this.#clock.now();
    for (const { receiver, input } of this.#tracks.values()) {
      if (receiver instanceof AudioReceiver) for (const chunk of receiver.tick(now)) this.#sink.audio(chunk);
      else {
        for (const unit of receiver.tick(now)) this.#sink.video(unit);
        if (receiver.needsKeyFrame) this.#ask(input.ssrc, now);
      }
    }
  }

  #open(input: InputTrack): void {
    const clock = this.#programme.track(input.ssrc, input.kind, input.clockRate);
    if (input.kind === 'audio') {
      const decoder = new OpusDecoder();
      const receiver = new AudioReceiver({ track: clock, decoder });
      this.#tracks.set(input.ssrc, { input, clock, receiver, close: () => decoder[Symbol.dispose]() });
      return;
    }
    const codec = input.mimeType.slice('video/'.length).toUpperCase() as VideoCodec;
    const receiver = new VideoReceiver({ track: clock, codec });
    this.#tracks.set(input.ssrc, { input, clock, receiver, close: () => {} });
    this.#sink.format(formatOf(codec));
  }

  #ask(ssrc: number, now: ClockTime): void {
    if (between(this.#asked, now) < PATIENCE) return;
    this.#asked = now;
    this.#reply(writePli(OURS, ssrc));
  }
}
