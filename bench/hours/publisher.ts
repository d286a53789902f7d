import { OPUS_FRAME, OpusDecoder, OpusEncoder } from '../../media/opus.ts';
import { writeRtp } from '../../media/rtp.ts';
import type { ClockTime } from '../../media/time.ts';
import { type Random, randomFrom } from '../random.ts';
import { PING_LENGTH, PingEar, layPing } from './ping.ts';

export const AUDIO_SSRC = 0x1111;
export const VIDEO_SSRC = 0x2222;
const RATE = 48_000;
/** Sound goes round once a minute, with one ping in it. */
const LOOP = 60;
/** Seconds into each minute at which the ping is heard and seen. */
export const PING_AT = 30;
const PICTURES = 25;
/** From the publisher to us when nothing holds a packet up, and how much it may be held up, µs. */
const WAY = 20_000;
const HELD_UP = 15_000;
/** Both counts of time stamps go over their end within the first quarter of an hour. */
const AUDIO_BASE = 2 ** 32 - RATE * 600;
const VIDEO_BASE = 2 ** 32 - 90_000 * 420;
/** A picture in VP8 (RFC 7741): a payload descriptor that begins a partition, a frame header that says key frame. */
const PICTURE = Uint8Array.of(0x10, 0x00, 0x00, 0x00);
const MARKED = Uint8Array.of(0x10, 0x00, 0x00, 0x01);
/** Whether a picture is the one that goes with a ping. */
export const isMarked = (payload: Uint8Array | undefined): boolean => payload?.[3] === 1;

export interface Arrival {
  readonly when: ClockTime;
  readonly datagram: Uint8Array;
}

/**
 * A publisher whose clock is wrong, behind a network that holds packets up: Opus and pictures as RTP, without an end.
 *
 * What it plays is `sound` (up to a minute of it, again and again), with a ping in the middle of each minute and a
 * marked picture that was taken at the same instant.
 */
export class Publisher {
  /** Where the ping begins after {@link PING_AT}, as a decoder hears it, µs. */
  readonly pingOffset: number;
  readonly #payloads: readonly Uint8Array[];
  readonly #pace: number;
  readonly #random: Random;
  #audio = 0;
  #video = 0;
  #last = 0;
  #next: readonly [audio: number, video: number];

  /** @param drift how much faster than ours its clock is, parts per million */
  constructor(options: { readonly sound: Float32Array; readonly drift: number; readonly seed: number }) {
    const { payloads, pingOffset } = encoded(options.sound);
    this.#payloads = payloads;
    this.pingOffset = pingOffset;
    this.#pace = 1 + options.drift / 1e6;
    this.#random = randomFrom(options.seed);
    this.#next = [this.#arrival(0), this.#arrival(0)];
  }

  /** The clock time at which the publisher's own clock shows so many seconds. */
  clockAt(seconds: number): ClockTime {
    return Math.round((seconds * 1e6) / this.#pace) as ClockTime;
  }

  /** The next packet to arrive. */
  take(): Arrival {
    const [audio, video] = this.#next;
    // Nothing overtakes: a packet that is held up holds up those behind it.
    if (audio <= video) {
      const n = this.#audio++;
      this.#next = [this.#arrival(this.#audio / 50), video];
      return this.#sent(audio, {
        payloadType: 111,
        marker: false,
        sequence: n & 0xffff,
        timestamp: (AUDIO_BASE + n * OPUS_FRAME) % 2 ** 32,
        ssrc: AUDIO_SSRC,
        payload: this.#payloads[n % this.#payloads.length] ?? new Uint8Array(),
      });
    }
    const n = this.#video++;
    this.#next = [audio, this.#arrival(this.#video / PICTURES)];
    const marked = n % (LOOP * PICTURES) === PING_AT * PICTURES;
    return this.#sent(video, {
      payloadType: 96,
      marker: true,
      sequence: n & 0xffff,
      timestamp: (VIDEO_BASE + (n * 90_000) / PICTURES) % 2 ** 32,
      ssrc: VIDEO_SSRC,
      payload: marked ? MARKED : PICTURE,
    });
  }

  #arrival(seconds: number): number {
    return this.clockAt(seconds) + WAY + Math.floor(HELD_UP * this.#random() ** 3);
  }
  #sent(when: number, packet: Parameters<typeof writeRtp>[0]): Arrival {
    this.#last = Math.max(this.#last, when);
    return { when: this.#last as ClockTime, datagram: writeRtp(packet) };
  }
}

/** A minute of Opus that joins up with itself. */
function encoded(sound: Float32Array): { payloads: Uint8Array[]; pingOffset: number } {
  const pcm = new Float32Array(LOOP * RATE);
  for (let from = 0; sound.length > 0 && from < pcm.length; from += sound.length) {
    pcm.set(sound.subarray(0, Math.min(sound.length, pcm.length - from)), from);
    fade(pcm, from, Math.min(pcm.length, from + sound.length));
  }
  layPing(pcm, PING_AT * RATE);
  using encoder = new OpusEncoder({ bitrate: 48_000 });
  const frames = Array.from({ length: pcm.length / OPUS_FRAME }, (_, n) =>
    pcm.subarray(n * OPUS_FRAME, (n + 1) * OPUS_FRAME),
  );
  // The second time round the encoder has heard what comes before the first frame.
  for (const frame of frames.slice(-50)) encoder.encode(frame);
  const payloads = frames.map((frame) => encoder.encode(frame).slice());
  return { payloads, pingOffset: pingIn(payloads) };
}

/** Where the decoded ping begins, measured as it is measured later. */
function pingIn(payloads: readonly Uint8Array[]): number {
  using decoder = new OpusDecoder();
  const ear = new PingEar();
  const first = PING_AT * 50 - 100;
  const last = PING_AT * 50 + 2 + (PING_LENGTH / RATE) * 50;
  for (let n = first; n < last; n += 1) {
    const at = ear.hear(n * 20_000, decoder.decode(payloads[n] ?? new Uint8Array()));
    if (at !== undefined) return at - PING_AT * 1e6;
  }
  throw new Error('Cannot publish: the ping is not heard in what was encoded');
}

/** 10 ms at both ends of a stretch. */
function fade(pcm: Float32Array, from: number, to: number): void {
  const length = Math.min(480, (to - from) >> 1);
  for (let i = 0; i < length; i += 1) {
    const gain = 0.5 - 0.5 * Math.cos((Math.PI * i) / length);
    pcm[from + i] = (pcm[from + i] ?? 0) * gain;
    pcm[to - 1 - i] = (pcm[to - 1 - i] ?? 0) * gain;
  }
}
