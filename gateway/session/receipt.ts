/**
 * What a session process answers the relay: how many datagrams it has got so far.
 *
 * UDP says nothing of a receiver that is busy: what its socket cannot hold is gone. The relay hands on no more than
 * {@link ON_THE_WAY} that no receipt covers, which the smallest socket buffer holds, so a process may be busy for as long
 * as it likes (loading engines, for one) and misses nothing.
 */

/** A receipt is due every so many datagrams. */
export const RECEIPT_EVERY = 16;
/** Datagrams on the way at most. Linux counts some 2.3 kB for a full one, and a socket holds 208 kB unless told otherwise. */
export const ON_THE_WAY = 64;

/** Neither RTP nor RTCP, whose first byte begins with the bits 10 (RFC 3550 §5.1). */
const MARK = 0x01;

/** @param count datagrams since the process began, less than 2³² */
export function writeReceipt(count: number): Buffer {
  const receipt = Buffer.alloc(5);
  receipt[0] = MARK;
  receipt.writeUInt32BE(count, 1);
  return receipt;
}

/** The count in a receipt; `undefined` when the datagram is none. */
export const readReceipt = (data: Buffer): number | undefined =>
  data.byteLength === 5 && data[0] === MARK ? data.readUInt32BE(1) : undefined;
