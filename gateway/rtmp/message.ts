/** One message of the RTMP chunk stream (RTMP 1.0 §6). */
export interface RtmpMessage {
  readonly type: number;
  /** Milliseconds by the sender's clock, 32 bits that wrap. */
  readonly timestamp: number;
  /** Which of the connection's streams it belongs to; 0 is the connection itself. */
  readonly stream: number;
  readonly payload: Buffer;
}

/** Message types: protocol control (§5.4), user control (§6.2), and what is said and sent (§7.1). */
export const TYPE = {
  setChunkSize: 1,
  abort: 2,
  acknowledgement: 3,
  userControl: 4,
  windowAcknowledgementSize: 5,
  setPeerBandwidth: 6,
  audio: 8,
  video: 9,
  dataAmf3: 15,
  commandAmf3: 17,
  data: 18,
  command: 20,
  aggregate: 22,
} as const;

/** Chunk size of both directions until it is set (§5.4.1). */
export const DEFAULT_CHUNK_SIZE = 128;

export function uint32(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length);
  values.forEach((value, n) => bytes.writeUInt32BE(value >>> 0, 4 * n));
  return bytes;
}
