import type { AudioChunk } from './audio.ts';
import { JitterBuffer, type JitterCounts, type JitterOptions } from './jitter.ts';
import { type AudioDecoder, BadOpusPacket, OPUS_FRAME, OPUS_RATE, carriesRecovery, opusDuration } from './opus.ts';
import { keyFrameIn, startsFrame } from './packetize.ts';
import type { TrackClock } from './programme-clock.ts';
import type { RtpPacket } from './rtp.ts';
import { type ClockTime, type MediaTime, type Span, at, between, later, ms, sampleIndex, seconds } from './time.ts';
import type { AccessUnit, VideoCodec } from './video.ts';

/** Concealment sounds like speech for about so long; after it, silence is better. 100 ms at 48 kHz. */
const CONCEALABLE = 4_800;
/** After so long without a packet silence is made while it lasts, so that the programme goes on. */
const ABSENT = seconds(1);
/** Nobody looked for longer than this: the process was busy or stopped. Ticks are due every 20 ms or so. */
const STALL = ms(200);
/** libopus conceals in steps of 2.5 ms. */
const GRAIN = 120;
const LONGEST_STEP = OPUS_FRAME;
/** Silence in one piece: one second. Borrowed by every chunk of silence; nobody writes to a borrowed buffer. */
const SILENCE = new Float32Array(OPUS_RATE);

/** Packets but for `concealed` and `silent`, which are samples at 48 kHz. */
export interface AudioCounts extends Omit<JitterCounts, 'restarts'> {
  /** Lost packets that were rebuilt from the copy in the next one. */
  readonly recovered: number;
  /** Samples invented by the decoder. */
  readonly concealed: number;
  /** Samples of silence: where the sender sent nothing, and where a loss is longer than can be concealed. */
  readonly silent: number;
  /** Packets the decoder refused; they are concealed like lost ones. */
  readonly corrupt: number;
  /** How often the sender's count broke off and the programme went on by arrival. */
  readonly discontinuities: number;
}

export interface AudioReceiverOptions extends JitterOptions {
  readonly track: TrackClock;
  /** Belongs to the caller, who disposes of it. */
  readonly decoder: AudioDecoder;
}

/**
 * One Opus track: RTP packets in, audio without a gap out, mono at 48 kHz on media time.
 *
 * Each chunk begins at the sample at which the one before it ended. What a packet does not bring is made: rebuilt from
 * the next packet's copy, concealed by the decoder for up to 100 ms, silence beyond; silence also where the sender sends
 * none (DTX, mute) and, while nothing comes at all for over a second, as time goes by. Chunks last at most one second.
 */
export class AudioReceiver {
  readonly #track: TrackClock;
  readonly #decoder: AudioDecoder;
  readonly #jitter: JitterBuffer<RtpPacket>;
  /** Time stamp of the next sample to be given out, unwrapped. */
  #next: number | undefined;
  /** When the last packet came, and where it ended. */
  #heard: { readonly arrived: ClockTime; readonly end: number } | undefined;
  /** When {@link tick} was last called, and how long nobody looked since the last packet came, because of a stall of ours. */
  #looked: ClockTime | undefined;
  #unwatched = 0;
  /** Packets missing before the next one. */
  #missing = 0;
  #fading = 0;
  #recovered = 0;
  #concealed = 0;
  #silent = 0;
  #corrupt = 0;
  #overtaken = 0;
  #discontinuities = 0;

  constructor(options: AudioReceiverOptions) {
    this.#track = options.track;
    this.#decoder = options.decoder;
    this.#jitter = new JitterBuffer(options);
  }

  get counts(): AudioCounts {
    const { received, lost, late, duplicate } = this.#jitter.counts;
    return {
      received,
      lost,
      late: late + this.#overtaken,
      duplicate,
      recovered: this.#recovered,
      concealed: this.#concealed,
      silent: this.#silent,
      corrupt: this.#corrupt,
      discontinuities: this.#discontinuities,
    };
  }

  push(packet: RtpPacket, now: ClockTime): AudioChunk[] {
    this.#jitter.push(packet, now);
    return this.#release(now);
  }

  /** What time alone brings: losses no longer waited for, silence while nothing comes. Call it every 20 ms or so. */
  tick(now: ClockTime): AudioChunk[] {
    const chunks = this.#release(now);
    // What came while nobody looked waits in the socket, and is read after this.
    const rest = between(this.#looked ?? now, now);
    if (rest > STALL) this.#unwatched += rest;
    this.#looked = now;
    const heard = this.#heard;
    if (!heard || this.#next === undefined) return chunks;
    const absent = (between(heard.arrived, now) - this.#unwatched) as Span;
    if (absent < ABSENT) return chunks;
    // As far as packets sent in time would have brought it by now, less what the jitter buffer may still hold.
    const reach = heard.end + ticksIn(absent) - ticksIn(ABSENT);
    return [...chunks, ...this.#silence(frames(reach - this.#next))];
  }

  #release(now: ClockTime): AudioChunk[] {
    const chunks: AudioChunk[] = [];
    for (let item = this.#jitter.pop(now); item; item = this.#jitter.pop(now)) {
      if (item.type === 'lost') this.#missing += item.count;
      else if (item.type === 'packet') chunks.push(...this.#play(item.packet, item.arrived));
    }
    return chunks;
  }

  #play(packet: RtpPacket, arrived: ClockTime): AudioChunk[] {
    const { payload } = packet;
    if (payload.byteLength === 0) return [];
    const duration = opusDuration(payload);
    if (duration === undefined) {
      this.#corrupt += 1;
      this.#missing += 1;
      return [];
    }
    const chunks = this.#reach(packet, arrived);
    if (chunks === undefined) {
      this.#overtaken += 1;
      return [];
    }
    this.#missing = 0;
    try {
      const pcm = this.#decoder.decode(payload);
      this.#fading = 0;
      chunks.push(this.#give(pcm));
    } catch (failure) {
      if (!(failure instanceof BadOpusPacket)) throw failure;
      this.#corrupt += 1;
      chunks.push(...this.#conceal(duration));
    }
    this.#heard = { arrived, end: this.#next ?? 0 };
    this.#unwatched = 0;
    return chunks;
  }

  /** Fills up to where `packet` belongs; `undefined` when silence has already taken its place. */
  #reach(packet: RtpPacket, arrived: ClockTime): AudioChunk[] | undefined {
    const track = this.#track;
    let start = track.ticks(packet.timestamp);
    const next = this.#next;
    const heard = this.#heard;
    if (next === undefined || !heard) {
      track.arrived(start, arrived);
      this.#next = start;
      return [];
    }
    const overtaken = start < next && start >= heard.end;
    if (track.jumped(start, arrived) || (start < next && !overtaken)) {
      // By arrival: as long as nothing came, less the frame that was to come anyway.
      const since = frames(ticksIn(between(heard.arrived, arrived)) - OPUS_FRAME);
      const chunks = this.#silence(Math.max(0, heard.end + since - next));
      start = track.rebase(packet.timestamp, track.place(this.#next ?? next));
      track.arrived(start, arrived);
      this.#next = start;
      this.#discontinuities += 1;
      return chunks;
    }
    track.arrived(start, arrived);
    if (overtaken) return undefined;
    return this.#missing > 0 ? this.#replace(start - next, packet.payload) : this.#silence(start - next);
  }

  /** `ticks` of lost audio before `payload`. */
  #replace(ticks: number, payload: Uint8Array): AudioChunk[] {
    const copied = carriesRecovery(payload) ? Math.min(ticks, opusDuration(payload) ?? 0) : 0;
    const copy = copied - (copied % GRAIN);
    const chunks = this.#conceal(ticks - copy);
    if (copy > 0) {
      try {
        chunks.push(this.#give(this.#decoder.recover(payload, copy)));
        this.#recovered += 1;
        this.#fading = 0;
      } catch (failure) {
        if (!(failure instanceof BadOpusPacket)) throw failure;
        chunks.push(...this.#conceal(copy));
      }
    }
    return chunks;
  }

  #conceal(ticks: number): AudioChunk[] {
    const chunks: AudioChunk[] = [];
    let left = ticks;
    while (left >= GRAIN && this.#fading < CONCEALABLE) {
      const step = Math.min(left, LONGEST_STEP, CONCEALABLE - this.#fading);
      const count = step - (step % GRAIN);
      chunks.push(this.#give(this.#decoder.conceal(count)));
      this.#fading += count;
      this.#concealed += count;
      left -= count;
    }
    chunks.push(...this.#silence(left));
    return chunks;
  }

  #silence(ticks: number): AudioChunk[] {
    const chunks: AudioChunk[] = [];
    for (let left = ticks; left > 0; left -= SILENCE.length) {
      chunks.push(this.#give(SILENCE.subarray(0, Math.min(left, SILENCE.length))));
    }
    this.#silent += Math.max(0, ticks);
    return chunks;
  }

  #give(pcm: Float32Array): AudioChunk {
    const start = this.#track.place(this.#next ?? 0);
    this.#next = (this.#next ?? 0) + pcm.length;
    return { start, rate: OPUS_RATE, pcm };
  }
}

const ticksIn = (span: Span) => sampleIndex(span, OPUS_RATE);
/** Whole frames in so many ticks, as ticks. */
const frames = (ticks: number) => Math.max(0, Math.floor(ticks / OPUS_FRAME) * OPUS_FRAME);

export interface VideoCounts extends Omit<JitterCounts, 'restarts'> {
  /** Whole pictures given out. */
  readonly units: number;
  /** Pictures dropped because a part of them was lost. */
  readonly incomplete: number;
  /** Pictures dropped because an earlier one that they may need is missing. */
  readonly undecodable: number;
  readonly discontinuities: number;
}

export interface VideoReceiverOptions extends JitterOptions {
  readonly track: TrackClock;
  readonly codec: VideoCodec;
}

interface Begun {
  readonly timestamp: number;
  readonly start: MediaTime;
  readonly payloads: Uint8Array[];
}

/** More payloads than any picture has: 4 MiB. */
const MOST_PAYLOADS = 4_096;

/**
 * One video track: RTP packets in, whole pictures out, their payloads untouched.
 *
 * A picture is the packets of one time stamp, complete with the marker bit or with the next time stamp, if none of its
 * packets is missing. One that misses a part is dropped, and so is everything after it up to the next key frame, since a
 * decoder would show garbage. While that lasts, `needsKeyFrame` says so; the publisher is to be asked for one.
 *
 * It waits 400 ms for a missing packet, which is time enough for the SFU to get it again from the publisher; in a
 * programme that is seconds late nobody notices.
 */
export class VideoReceiver {
  readonly codec: VideoCodec;
  readonly #track: TrackClock;
  readonly #jitter: JitterBuffer<RtpPacket>;
  #begun: Begun | undefined;
  /** No packet is missing before the next one: it goes on with the picture begun or begins one. */
  #whole = false;
  /** Time stamp of the picture of which the rest is thrown away. */
  #givenUp: number | undefined;
  #needsKeyFrame = true;
  #last: MediaTime | undefined;
  #units = 0;
  #incomplete = 0;
  #undecodable = 0;
  #discontinuities = 0;

  constructor(options: VideoReceiverOptions) {
    this.codec = options.codec;
    this.#track = options.track;
    this.#jitter = new JitterBuffer({ hold: options.hold ?? ms(400), capacity: options.capacity ?? 2_048 });
  }

  /** Nothing can be shown before the next key frame. True from the start until the first one. */
  get needsKeyFrame(): boolean {
    return this.#needsKeyFrame;
  }
  get counts(): VideoCounts {
    const { received, lost, late, duplicate } = this.#jitter.counts;
    return {
      received,
      lost,
      late,
      duplicate,
      units: this.#units,
      incomplete: this.#incomplete,
      undecodable: this.#undecodable,
      discontinuities: this.#discontinuities,
    };
  }

  push(packet: RtpPacket, now: ClockTime): AccessUnit[] {
    this.#jitter.push(packet, now);
    return this.tick(now);
  }

  /** What time alone brings: losses no longer waited for. */
  tick(now: ClockTime): AccessUnit[] {
    const units: AccessUnit[] = [];
    for (let item = this.#jitter.pop(now); item; item = this.#jitter.pop(now)) {
      if (item.type === 'packet') units.push(...this.#take(item.packet, item.arrived));
      else this.#giveUp();
    }
    return units;
  }

  #take(packet: RtpPacket, arrived: ClockTime): AccessUnit[] {
    if (packet.payload.byteLength === 0) return [];
    const units: AccessUnit[] = [];
    if (this.#begun && this.#begun.timestamp !== packet.timestamp) units.push(...this.#complete(this.#begun));
    this.#begun ??= this.#begin(packet, arrived);
    if (!this.#begun) {
      if (packet.marker) this.#whole = true;
      return units;
    }
    this.#begun.payloads.push(packet.payload);
    if (packet.marker) units.push(...this.#complete(this.#begun));
    else if (this.#begun.payloads.length >= MOST_PAYLOADS) this.#giveUp();
    return units;
  }

  /** A picture that begins with `packet`; `undefined` when the packet lies within one whose beginning is missing. */
  #begin(packet: RtpPacket, arrived: ClockTime): Begun | undefined {
    if (packet.timestamp === this.#givenUp) return undefined;
    if (!this.#whole && !startsFrame(this.codec, packet.payload)) {
      this.#givenUp = packet.timestamp;
      this.#incomplete += 1;
      return undefined;
    }
    this.#whole = true;
    return { timestamp: packet.timestamp, start: this.#place(packet.timestamp, arrived), payloads: [] };
  }

  #place(timestamp: number, arrived: ClockTime): MediaTime {
    const track = this.#track;
    let ticks = track.ticks(timestamp);
    if (track.jumped(ticks, arrived)) {
      const after = this.#last === undefined ? -Infinity : later(this.#last, ms(1));
      ticks = track.rebase(timestamp, at(Math.max(after, track.expected(arrived) ?? after)));
      this.#discontinuities += 1;
    }
    track.arrived(ticks, arrived);
    return (this.#last = track.place(ticks));
  }

  #complete({ start, payloads }: Begun): AccessUnit[] {
    this.#begun = undefined;
    const keyFrame = keyFrameIn(this.codec, payloads);
    if (this.#needsKeyFrame && !keyFrame) {
      this.#undecodable += 1;
      return [];
    }
    this.#needsKeyFrame = false;
    this.#units += 1;
    return [{ start, keyFrame, payloads }];
  }

  #giveUp(): void {
    if (this.#begun) {
      this.#incomplete += 1;
      this.#givenUp = this.#begun.timestamp;
      this.#begun = undefined;
    }
    this.#whole = false;
    this.#needsKeyFrame = true;
  }
}
