import { type NtpTime, writeSenderReport } from './rtcp.ts';
import { writeRtp } from './rtp.ts';
import { type MediaTime, type Span, ms } from './time.ts';

/** Sender reports are due so often. */
export const REPORT_EVERY: Span = ms(1_000);

/**
 * How packets are numbered: by the place of their frame in the programme, so that a process that takes over continues
 * the count and a frame that was not sent is a number that is missing; or one after the other from `next` on.
 */
export type Numbering =
  | { readonly by: 'frame'; readonly every: Span; readonly base?: number }
  | { readonly by: 'packet'; readonly next: number };

export interface RtpTrackOptions {
  readonly ssrc: number;
  readonly payloadType: number;
  /** Ticks per second. */
  readonly rate: number;
  /** RTP time stamp of media time 0. */
  readonly rtpBase: number;
  readonly numbering: Numbering;
  /** The same for all tracks that are played together: receivers synchronise tracks of one name (RFC 3550 §6.5.1). */
  readonly cname: string;
}

/**
 * One RTP stream that we send: numbers, stamps and counts packets. It opens no socket and reads no clock.
 *
 * Time stamps come from media time alone, so a packet sent late still says when it is to be played.
 */
export class RtpTrack {
  readonly ssrc: number;
  readonly payloadType: number;
  readonly rate: number;
  readonly rtpBase: number;
  readonly cname: string;
  readonly #numbering: Numbering;
  #sequence: number;
  #packets = 0;
  #octets = 0;

  constructor(options: RtpTrackOptions) {
    this.ssrc = options.ssrc;
    this.payloadType = options.payloadType;
    this.rate = options.rate;
    this.rtpBase = options.rtpBase;
    this.cname = options.cname;
    this.#numbering = options.numbering;
    this.#sequence = (options.numbering.by === 'packet' ? options.numbering.next - 1 : 0) & 0xffff;
  }

  /** The RTP time stamp (32 bit) of a position in the programme. */
  stamp(media: MediaTime): number {
    return modulo(this.rtpBase + Math.round((media * (this.rate / 1_000)) / 1_000), 2 ** 32);
  }

  /** The datagram of one payload. `marker`: the last one of a picture; for audio the first one after a pause. */
  packet(payload: Uint8Array, media: MediaTime, marker: boolean): Buffer {
    const { ssrc, payloadType } = this;
    const sequence = (this.#sequence = this.#number(media));
    this.#packets += 1;
    this.#octets += payload.byteLength;
    return writeRtp({ payloadType, marker, sequence, timestamp: this.stamp(media), ssrc, payload });
  }

  /** A sender report: `playing` is what is played at `now`. Due every {@link REPORT_EVERY} once something was sent. */
  report(now: NtpTime, playing: MediaTime): Buffer {
    const { ssrc, cname } = this;
    const rtp = this.stamp(playing);
    return writeSenderReport({ ssrc, ntp: now, rtp, packets: this.#packets, octets: this.#octets, cname });
  }

  /** Of the packet sent last; one less than the first before there is one. */
  get sequence(): number {
    return this.#sequence;
  }
  get packets(): number {
    return this.#packets;
  }
  get octets(): number {
    return this.#octets;
  }

  #number(media: MediaTime): number {
    const numbering = this.#numbering;
    if (numbering.by === 'packet') return (this.#sequence + 1) & 0xffff;
    return modulo((numbering.base ?? 0) + Math.round(media / numbering.every), 2 ** 16);
  }
}

const modulo = (value: number, range: number) => ((value % range) + range) % range;
