declare const axis: unique symbol;
/** Microseconds since 1900-01-01 (RFC 3550 §4), or since whatever zero the sender chose; the low bits of NTP's 2⁻³² s are rounded off. */
export type NtpTime = number & { readonly [axis]: 'ntp' };

/** Seconds from NTP's epoch, 1900, to Unix' (RFC 5905 §6, figure 4). */
const UNIX_EPOCH = 2_208_988_800;
const FRACTION = 2 ** 32;

export const ntpFromUnix = (micros: number) => (micros + UNIX_EPOCH * 1_000_000) as NtpTime;
export const unixFromNtp = (ntp: NtpTime): number => ntp - UNIX_EPOCH * 1_000_000;
export const ntpFromParts = (seconds: number, fraction: number) =>
  (seconds * 1_000_000 + Math.round((fraction / FRACTION) * 1_000_000)) as NtpTime;
export function ntpParts(ntp: NtpTime): { seconds: number; fraction: number } {
  const seconds = Math.floor(ntp / 1_000_000);
  return { seconds: seconds >>> 0, fraction: Math.floor(((ntp - seconds * 1_000_000) / 1_000_000) * FRACTION) };
}
/** The middle 32 bits, in 2⁻¹⁶ s: what a report block's `lastReport` is made of. */
export function compactNtp(ntp: NtpTime): number {
  const { seconds, fraction } = ntpParts(ntp);
  return (((seconds & 0xffff) << 16) | (fraction >>> 16)) >>> 0;
}

/** How one source is received (RFC 3550 §6.4.1). */
export interface ReportBlock {
  readonly ssrc: number;
  /** Share lost since the previous report, 0…1. */
  readonly fractionLost: number;
  /** Packets lost in all; duplicates may make it negative. */
  readonly lost: number;
  readonly highestSequence: number;
  /** Interarrival jitter in RTP ticks. */
  readonly jitter: number;
  /** Compact NTP time of the last sender report and how long ago it came, in 2⁻¹⁶ s; both 0 before the first. */
  readonly lastReport: number;
  readonly sinceLastReport: number;
}

export type RtcpPacket =
  | {
      readonly type: 'sender-report';
      readonly ssrc: number;
      readonly ntp: NtpTime;
      /** The RTP time stamp (32 bit) of the instant `ntp`. */
      readonly rtp: number;
      readonly packets: number;
      readonly octets: number;
      readonly blocks: readonly ReportBlock[];
    }
  | { readonly type: 'receiver-report'; readonly ssrc: number; readonly blocks: readonly ReportBlock[] }
  | { readonly type: 'description'; readonly ssrc: number; readonly cname: string }
  | { readonly type: 'bye'; readonly ssrcs: readonly number[]; readonly reason: string }
  /** Picture loss indication (RFC 4585 §6.3.1): `media` should send a key frame. */
  | { readonly type: 'pli'; readonly ssrc: number; readonly media: number }
  /** Full intra request (RFC 5104 §4.3.1). */
  | { readonly type: 'fir'; readonly ssrc: number; readonly requests: readonly { ssrc: number; sequence: number }[] }
  /** Generic NACK (RFC 4585 §6.2.1): sequence numbers of `media` that are missed. */
  | { readonly type: 'nack'; readonly ssrc: number; readonly media: number; readonly missing: readonly number[] };

const SR = 200;
const RR = 201;
const SDES = 202;
const BYE = 203;
const RTPFB = 205;
const PSFB = 206;
const CNAME = 1;
const BLOCK = 24;

/**
 * Reads a compound RTCP datagram. Kinds not listed in {@link RtcpPacket} are skipped; from the first packet on whose
 * length is wrong nothing more is read. Garbage is an empty list.
 */
export function parseRtcp(datagram: Uint8Array): RtcpPacket[] {
  const packets: RtcpPacket[] = [];
  for (let start = 0; start + 4 <= datagram.byteLength;) {
    const header = new DataView(datagram.buffer, datagram.byteOffset + start, 4);
    const size = (header.getUint16(2) + 1) * 4;
    if (header.getUint8(0) >> 6 !== 2 || start + size > datagram.byteLength) break;
    let length = size;
    if (header.getUint8(0) & 0x20) {
      const padding = datagram[start + size - 1] ?? 0;
      if (padding === 0 || padding > size - 4) break;
      length -= padding;
    }
    const body = datagram.subarray(start + 4, start + length);
    packets.push(...parseOne(header.getUint8(1), header.getUint8(0) & 0x1f, body));
    start += size;
  }
  return packets;
}

/** `count` is the header's five bits: report blocks, sources, chunks or the feedback's format. */
function parseOne(type: number, count: number, body: Uint8Array): RtcpPacket[] {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  if (body.byteLength < 4) return [];
  const ssrc = view.getUint32(0);
  switch (type) {
    case SR:
      if (body.byteLength < 24 + count * BLOCK) return [];
      return [
        {
          type: 'sender-report',
          ssrc,
          ntp: ntpFromParts(view.getUint32(4), view.getUint32(8)),
          rtp: view.getUint32(12),
          packets: view.getUint32(16),
          octets: view.getUint32(20),
          blocks: parseBlocks(view, 24, count),
        },
      ];
    case RR:
      return body.byteLength < 4 + count * BLOCK
        ? []
        : [{ type: 'receiver-report', ssrc, blocks: parseBlocks(view, 4, count) }];
    case SDES:
      return parseChunks(body, count);
    case BYE:
      return parseBye(view, body, count);
    case RTPFB:
    case PSFB:
      return body.byteLength < 8 ? [] : parseFeedback(type, count, view, ssrc);
    default:
      return [];
  }
}

function parseBlocks(view: DataView, start: number, count: number): ReportBlock[] {
  return Array.from({ length: count }, (_, i) => {
    const at = start + i * BLOCK;
    return {
      ssrc: view.getUint32(at),
      fractionLost: view.getUint8(at + 4) / 256,
      lost: (view.getInt32(at + 4) << 8) >> 8,
      highestSequence: view.getUint32(at + 8),
      jitter: view.getUint32(at + 12),
      lastReport: view.getUint32(at + 16),
      sinceLastReport: view.getUint32(at + 20),
    };
  });
}

/** Source descriptions (RFC 3550 §6.5): items of type, length, text; a zero type ends a chunk on a 32 bit boundary. */
function parseChunks(body: Uint8Array, count: number): RtcpPacket[] {
  const chunks: RtcpPacket[] = [];
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  for (let at = 0; chunks.length < count && at + 4 <= body.byteLength;) {
    const ssrc = view.getUint32(at);
    let cname = '';
    for (at += 4; at < body.byteLength && body[at] !== 0;) {
      const end = at + 2 + (body[at + 1] ?? 0);
      if (end > body.byteLength) return chunks;
      if (body[at] === CNAME) cname = text(body.subarray(at + 2, end));
      at = end;
    }
    at = (at + 4) & ~3;
    chunks.push({ type: 'description', ssrc, cname });
  }
  return chunks;
}

function parseBye(view: DataView, body: Uint8Array, count: number): RtcpPacket[] {
  const end = count * 4;
  if (body.byteLength < end) return [];
  const ssrcs = Array.from({ length: count }, (_, i) => view.getUint32(i * 4));
  return [{ type: 'bye', ssrcs, reason: text(body.subarray(end + 1, end + 1 + (body[end] ?? 0))) }];
}

function parseFeedback(type: number, format: number, view: DataView, ssrc: number): RtcpPacket[] {
  const media = view.getUint32(4);
  if (type === PSFB && format === 1) return [{ type: 'pli', ssrc, media }];
  if (type === PSFB && format === 4) {
    const requests: { ssrc: number; sequence: number }[] = [];
    for (let at = 8; at + 8 <= view.byteLength; at += 8) {
      requests.push({ ssrc: view.getUint32(at), sequence: view.getUint8(at + 4) });
    }
    return [{ type: 'fir', ssrc, requests }];
  }
  if (type === RTPFB && format === 1) {
    const missing: number[] = [];
    for (let at = 8; at + 4 <= view.byteLength; at += 4) {
      const first = view.getUint16(at);
      missing.push(first);
      const mask = view.getUint16(at + 2);
      for (let bit = 0; bit < 16; bit += 1) if (mask & (1 << bit)) missing.push((first + bit + 1) & 0xffff);
    }
    return [{ type: 'nack', ssrc, media, missing }];
  }
  return [];
}

const text = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');

/** What a sender says about itself once a second. */
export interface SenderState {
  readonly ssrc: number;
  readonly ntp: NtpTime;
  /** The RTP time stamp of what is played at `ntp`, 32 bit. */
  readonly rtp: number;
  readonly packets: number;
  /** Payload bytes without headers and padding. */
  readonly octets: number;
  /** The same for all streams that belong together; at most 255 bytes of UTF-8. */
  readonly cname: string;
}

/** A compound datagram: sender report without report blocks, and the source description that RFC 3550 §6.1 asks for. */
export function writeSenderReport(state: SenderState): Buffer {
  const name = Buffer.from(state.cname, 'utf8');
  if (name.length > 255) {
    throw new RangeError(`Cannot write SDES: cname must have at most 255 bytes, received ${name.length}`);
  }
  // Chunk: SSRC, item, and at least one zero up to the next word.
  const chunk = (4 + 2 + name.length + 4) & ~3;
  const datagram = Buffer.alloc(28 + 4 + chunk);
  const { seconds, fraction } = ntpParts(state.ntp);
  datagram.writeUInt8(2 << 6, 0);
  datagram.writeUInt8(SR, 1);
  datagram.writeUInt16BE(6, 2);
  datagram.writeUInt32BE(state.ssrc >>> 0, 4);
  datagram.writeUInt32BE(seconds, 8);
  datagram.writeUInt32BE(fraction, 12);
  datagram.writeUInt32BE(state.rtp >>> 0, 16);
  datagram.writeUInt32BE(state.packets >>> 0, 20);
  datagram.writeUInt32BE(state.octets >>> 0, 24);
  datagram.writeUInt8((2 << 6) | 1, 28);
  datagram.writeUInt8(SDES, 29);
  datagram.writeUInt16BE(chunk / 4, 30);
  datagram.writeUInt32BE(state.ssrc >>> 0, 32);
  datagram.writeUInt8(CNAME, 36);
  datagram.writeUInt8(name.length, 37);
  datagram.set(name, 38);
  return datagram;
}

/** Asks the sender of `media` for a key frame. Alone in its datagram, as RFC 5506 allows and mediasoup reads. */
export function writePli(ssrc: number, media: number): Buffer {
  const datagram = Buffer.alloc(12);
  datagram.writeUInt8((2 << 6) | 1, 0);
  datagram.writeUInt8(PSFB, 1);
  datagram.writeUInt16BE(2, 2);
  datagram.writeUInt32BE(ssrc >>> 0, 4);
  datagram.writeUInt32BE(media >>> 0, 8);
  return datagram;
}
