import { DEFAULT_CHUNK_SIZE, type RtmpMessage, TYPE } from './message.ts';
import { RtmpError } from './rtmp-error.ts';

export interface ChunkLimits {
  /** Bytes of one sound, picture or aggregate. */
  readonly media: number;
  /** Bytes of every other message. */
  readonly command: number;
  /** Chunk streams that one connection may open. */
  readonly streams: number;
  /** Bytes of messages that have begun and are not complete, together. */
  readonly unfinished: number;
}
/** A key frame of 4K at 100 Mbit/s is some 2 MB; encoders use half a dozen chunk streams. */
export const CHUNK_LIMITS: ChunkLimits = { media: 8 << 20, command: 64 << 10, streams: 64, unfinished: 16 << 20 };

/** Bytes of a chunk message header, by its format (§5.3.1.2). */
const HEADER = [11, 7, 3, 0] as const;
/** A 24 bit time stamp that says: 32 bits follow (§5.3.1.3). */
const EXTENDED = 0xffffff;
/** What a message's memory begins with; it grows with what comes, not with what was announced. */
const FIRST_MEMORY = 16 << 10;
const MEDIA_TYPES: ReadonlySet<number> = new Set([TYPE.audio, TYPE.video, TYPE.aggregate]);

/** What a chunk stream remembers: later chunks leave out what is as before. */
interface ChunkStream {
  /** Of the current message, or of the last one. */
  timestamp: number;
  /** As the last header had it: a time after format 0, else a difference. */
  field: number;
  extended: boolean;
  length: number;
  type: number;
  stream: number;
  /** Of the message that is coming in. */
  memory: Buffer | undefined;
  filled: number;
}

/** Takes a chunk stream apart (RTMP 1.0 §5.3, §5.4.1, §5.4.2): bytes in any pieces go in, whole messages come out. */
export class ChunkReader {
  readonly #limits: ChunkLimits;
  readonly #streams = new Map<number, ChunkStream>();
  #chunkSize = DEFAULT_CHUNK_SIZE;
  /** A chunk header that is not whole yet. */
  #held: Buffer = Buffer.alloc(0);
  /** The chunk whose payload is coming in, and how much of it is to come. */
  #current: ChunkStream | undefined;
  #left = 0;
  #unfinished = 0;

  constructor(limits: ChunkLimits = CHUNK_LIMITS) {
    this.#limits = limits;
  }

  /** Bytes kept of messages that are not complete. */
  get unfinished(): number {
    return this.#unfinished;
  }

  /**
   * The messages that `bytes` completes; all are taken before more is pushed. Set Chunk Size and Abort are obeyed here and
   * not handed out.
   *
   * @throws RtmpError what is no chunk stream, or more than the limits
   */
  *push(bytes: Buffer): Generator<RtmpMessage, void, void> {
    let input = this.#held.length > 0 ? Buffer.concat([this.#held, bytes]) : bytes;
    this.#held = Buffer.alloc(0);
    while (input.length > 0) {
      if (!this.#current) {
        const header = this.#begin(input);
        if (header === undefined) {
          this.#held = Buffer.from(input);
          return;
        }
        input = input.subarray(header);
      }
      const stream = this.#current;
      if (!stream) return;
      const some = input.subarray(0, this.#left);
      this.#append(stream, some);
      this.#left -= some.length;
      input = input.subarray(some.length);
      if (this.#left > 0) return;
      this.#current = undefined;
      if (stream.filled === stream.length) {
        const message = this.#complete(stream);
        if (!this.#obey(message)) yield message;
      }
    }
  }

  /** Reads the header of the next chunk: its length, or `undefined` where it is not whole. */
  #begin(input: Buffer): number | undefined {
    const first = input.readUInt8();
    const format = (first >> 6) as 0 | 1 | 2 | 3;
    const low = first & 0x3f;
    // Chunk basic header (§5.3.1.1): ids from 64 on take one or two bytes more.
    const basic = low === 0 ? 2 : low === 1 ? 3 : 1;
    if (input.length < basic) return undefined;
    const id = low === 0 ? 64 + input.readUInt8(1) : low === 1 ? 64 + input.readUInt16LE(1) : low;
    const known = this.#streams.get(id);
    // Some encoders begin a chunk stream with format 1, in which nothing is missing but the message stream.
    if (!known && format > 1) throw new RtmpError('A chunk refers to a chunk before it, and there is none');
    const size = HEADER[format];
    if (input.length < basic + size) return undefined;
    const field = size > 0 ? input.readUIntBE(basic, 3) : (known?.field ?? 0);
    const extended = size > 0 ? field === EXTENDED : (known?.extended ?? false);
    const end = basic + size + (extended ? 4 : 0);
    if (input.length < end) return undefined;
    const time = extended ? input.readUInt32BE(basic + size) : field;

    const stream = known ?? this.#open(id);
    if (stream.memory) {
      if (format !== 3) throw new RtmpError('A message begins on a chunk stream before the last one there is whole');
    } else {
      // Format 3 begins a message like the one before, as much later as that was (§5.3.1.2.4).
      const step = format === 3 ? stream.field : time;
      stream.timestamp = format === 0 ? time : (stream.timestamp + step) >>> 0;
      stream.field = step;
      stream.extended = extended;
      if (format <= 1) {
        stream.length = input.readUIntBE(basic + 3, 3);
        stream.type = input.readUInt8(basic + 6);
      }
      if (format === 0) stream.stream = input.readUInt32LE(basic + 7);
      this.#start(stream);
    }
    this.#current = stream;
    this.#left = Math.min(this.#chunkSize, stream.length - stream.filled);
    return end;
  }

  #open(id: number): ChunkStream {
    if (this.#streams.size >= this.#limits.streams) throw new RtmpError('Too many chunk streams');
    const stream: ChunkStream = {
      ...{ timestamp: 0, field: 0, extended: false, length: 0, type: 0, stream: 0 },
      ...{ memory: undefined, filled: 0 },
    };
    this.#streams.set(id, stream);
    return stream;
  }

  #start(stream: ChunkStream): void {
    const most = MEDIA_TYPES.has(stream.type) ? this.#limits.media : this.#limits.command;
    if (stream.length > most) throw new RtmpError(`A message of ${stream.length} bytes; at most ${most} are taken`);
    stream.memory = Buffer.allocUnsafe(Math.min(stream.length, FIRST_MEMORY));
    stream.filled = 0;
    this.#count(stream.memory.length);
  }

  #append(stream: ChunkStream, some: Buffer): void {
    let memory = stream.memory as Buffer;
    const filled = stream.filled + some.length;
    if (filled > memory.length) {
      const grown = Buffer.allocUnsafe(Math.min(stream.length, Math.max(filled, 2 * memory.length)));
      this.#count(grown.length - memory.length);
      memory.copy(grown, 0, 0, stream.filled);
      stream.memory = memory = grown;
    }
    some.copy(memory, stream.filled);
    stream.filled = filled;
  }

  #count(more: number): void {
    this.#unfinished += more;
    if (this.#unfinished > this.#limits.unfinished) throw new RtmpError('Too many messages at once are not complete');
  }

  #complete(stream: ChunkStream): RtmpMessage {
    const payload = (stream.memory as Buffer).subarray(0, stream.length);
    this.#drop(stream);
    return { type: stream.type, timestamp: stream.timestamp, stream: stream.stream, payload };
  }

  #drop(stream: ChunkStream): void {
    this.#unfinished -= stream.memory?.length ?? 0;
    stream.memory = undefined;
    stream.filled = 0;
  }

  /** Whether the message was for us. */
  #obey({ type, payload }: RtmpMessage): boolean {
    if (type !== TYPE.setChunkSize && type !== TYPE.abort) return false;
    if (payload.length < 4) throw new RtmpError('A control message is too short');
    const value = payload.readUInt32BE();
    if (type === TYPE.setChunkSize) {
      // The top bit is 0; no message is longer than 24 bits can say (§5.4.1).
      if (value < 1 || value > 0x7fffffff) throw new RtmpError('The chunk size is out of range');
      this.#chunkSize = Math.min(value, 0xffffff);
    } else {
      const stream = this.#streams.get(value);
      if (stream) this.#drop(stream);
    }
    return true;
  }
}
