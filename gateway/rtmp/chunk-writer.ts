import { DEFAULT_CHUNK_SIZE, type RtmpMessage, TYPE, uint32 } from './message.ts';

/** Chunk streams of ours: 2 is for protocol control (RTMP 1.0 §5.4), the others are as encoders use them. */
const chunkStreamOf = (type: number): number => {
  if (type <= TYPE.setPeerBandwidth) return 2;
  return type === TYPE.audio ? 4 : type === TYPE.video ? 6 : 3;
};

/** Puts messages into chunks (§5.3.1), each with a whole header of its own: we send little. */
export class ChunkWriter {
  #chunkSize = DEFAULT_CHUNK_SIZE;

  /** Says it to the peer and holds to it from then on. */
  setChunkSize(size: number): Buffer {
    if (!Number.isInteger(size) || size < 128 || size > 0xffffff) {
      throw new RangeError(`Cannot set chunk size: expected 128 to 16777215, received ${size}`);
    }
    const said = this.message({ type: TYPE.setChunkSize, timestamp: 0, stream: 0, payload: uint32(size) });
    this.#chunkSize = size;
    return said;
  }

  message({ type, timestamp, stream, payload }: RtmpMessage): Buffer {
    const id = chunkStreamOf(type);
    const extended = timestamp >= 0xffffff ? uint32(timestamp) : Buffer.alloc(0);
    const head = Buffer.alloc(12);
    head.writeUInt8(id);
    head.writeUIntBE(Math.min(timestamp, 0xffffff), 1, 3);
    head.writeUIntBE(payload.length, 4, 3);
    head.writeUInt8(type, 7);
    head.writeUInt32LE(stream, 8);
    const parts = [head, extended, payload.subarray(0, this.#chunkSize)];
    for (let at = this.#chunkSize; at < payload.length; at += this.#chunkSize) {
      parts.push(Buffer.of(0xc0 | id), extended, payload.subarray(at, at + this.#chunkSize));
    }
    return Buffer.concat(parts);
  }
}
