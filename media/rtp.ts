/** One RTP packet (RFC 3550 §5.1) without what only a mixer or an extension needs. */
export interface RtpPacket {
  /** 0…127 */
  readonly payloadType: number;
  /** The last packet of a picture; the first of a talkspurt. */
  readonly marker: boolean;
  /** 16 bit; unwrapped by {@link Unwrapper}. */
  readonly sequence: number;
  /** 32 bit, in ticks of the payload's clock. */
  readonly timestamp: number;
  /** 32 bit */
  readonly ssrc: number;
  /** A view of the datagram, without header extension and padding. */
  readonly payload: Uint8Array;
}

const HEADER = 12;

/**
 * Reads a datagram as RTP: skips CSRCs and header extension, cuts padding off.
 *
 * Anything whose lengths do not add up is not RTP: `undefined`. The payload may be empty (a probe of the SFU's, or
 * nothing but padding).
 */
export function parseRtp(datagram: Uint8Array): RtpPacket | undefined {
  const size = datagram.byteLength;
  const view = new DataView(datagram.buffer, datagram.byteOffset, size);
  if (size < HEADER) return undefined;
  const first = view.getUint8(0);
  if (first >> 6 !== 2) return undefined;
  let start = HEADER + (first & 0x0f) * 4;
  if (first & 0x10) {
    if (size < start + 4) return undefined;
    start += 4 + view.getUint16(start + 2) * 4;
  }
  let end = size;
  if (first & 0x20) {
    const padding = view.getUint8(size - 1);
    if (padding === 0) return undefined;
    end -= padding;
  }
  if (start > end) return undefined;
  const second = view.getUint8(1);
  return {
    payloadType: second & 0x7f,
    marker: second >= 0x80,
    sequence: view.getUint16(2),
    timestamp: view.getUint32(4),
    ssrc: view.getUint32(8),
    payload: datagram.subarray(start, end),
  };
}

/** A datagram with nothing but the fixed header and the payload. */
export function writeRtp(packet: RtpPacket): Buffer {
  const datagram = Buffer.allocUnsafe(HEADER + packet.payload.byteLength);
  datagram[0] = 2 << 6;
  datagram[1] = (packet.marker ? 0x80 : 0) | (packet.payloadType & 0x7f);
  datagram.writeUInt16BE(packet.sequence & 0xffff, 2);
  datagram.writeUInt32BE(packet.timestamp >>> 0, 4);
  datagram.writeUInt32BE(packet.ssrc >>> 0, 8);
  datagram.set(packet.payload, HEADER);
  return datagram;
}

/**
 * Whether a datagram on a port that carries both is RTCP (RFC 5761 §4): its second byte is an RTCP packet type
 * 192…223, which as RTP would be payload types 64…95 with the marker set, and those are not used next to RTCP.
 */
export function isRtcp(datagram: Uint8Array): boolean {
  const [first = 0, second = 0] = datagram;
  return datagram.byteLength >= 4 && first >> 6 === 2 && second >= 192 && second <= 223;
}
