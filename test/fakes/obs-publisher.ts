import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { type AmfValue, encodeAmf0 } from '../../gateway/rtmp/amf0.ts';
import { type FlvTag, TAG } from '../../gateway/rtmp/flv.ts';
import { TYPE, uint32 } from '../../gateway/rtmp/message.ts';
import type { Scope } from '../../media/scope.ts';
import { eventually } from './gateway.ts';
import { ECHO, HELLO, Replies } from './rtmp-publisher.ts';

/** What librtmp remembers of a chunk stream, to say less in the next header (RTMP 1.0 §5.3.1.2). */
interface Said {
  readonly type: number;
  readonly size: number;
  readonly timestamp: number;
}
const CHUNK = 4_096;
/** Chunk streams as librtmp uses them. */
const CONTROL = 2;
const INVOKE = 3;
const SOURCE = 4;

/** librtmp's headers: whole ones where told, else as little as what was said before allows. */
class TerseChunks {
  readonly #said = new Map<number, Said>();
  size = 128;

  message(
    id: number,
    whole: boolean,
    stream: number,
    { type, timestamp, body }: Omit<FlvTag, 'type'> & { type: number },
  ) {
    const before = whole ? undefined : this.#said.get(id);
    const same = before?.type === type && before.size === body.length;
    const kind = before ? (same ? 2 : 1) : 0;
    // Unsigned: a step back is a long way on, and said in 32 bits.
    const time = (timestamp - (before?.timestamp ?? 0)) >>> 0;
    const extended = time >= 0xffffff ? uint32(time) : Buffer.alloc(0);
    this.#said.set(id, { type, size: body.length, timestamp });
    const head = Buffer.alloc([12, 8, 4][kind]!);
    head.writeUInt8((kind << 6) | id);
    head.writeUIntBE(Math.min(time, 0xffffff), 1, 3);
    if (kind < 2) {
      head.writeUIntBE(body.length, 4, 3);
      head.writeUInt8(type, 7);
    }
    if (kind === 0) head.writeUInt32LE(stream, 8);
    const parts = [head, extended, body.subarray(0, this.size)];
    for (let at = this.size; at < body.length; at += this.size)
      parts.push(Buffer.of(0xc0 | id), extended, body.subarray(at, at + this.size));
    return Buffer.concat(parts);
  }
}

/** A number that no decoder should rely on: OBS says 20 and sends as many, others say 0. */
function ecmaArray(count: number, values: Readonly<Record<string, AmfValue>>): Buffer {
  const object = encodeAmf0(values);
  return Buffer.concat([Buffer.of(8), uint32(count), object.subarray(1)]);
}

/**
 * An encoder that speaks as OBS Studio does (plugins/obs-outputs: librtmp/rtmp.c, rtmp-stream.c, flv-mux.c): chunks of 4096 bytes
 * from before `connect` on, FMLE's name and commands, each said when the one before is answered, short headers, sound and
 * pictures in one chunk stream, the metadata in a `@setDataFrame`, and FCUnpublish and deleteStream at the end.
 */
export class ObsPublisher {
  readonly replies = new Replies();
  readonly #socket: Socket;
  readonly #chunks = new TerseChunks();
  readonly #key: string;
  #invokes = 0;

  private constructor(socket: Socket, key: string) {
    this.#socket = socket;
    this.#key = key;
    socket.on('data', (bytes) => this.replies.push(bytes));
    socket.on('error', () => {});
  }

  /** Resolves when it may publish, or has been refused. */
  static async open({ url, key }: { readonly url: string; readonly key: string }, scope: Scope): Promise<ObsPublisher> {
    const { hostname, port, pathname } = new URL(url);
    const socket = connect({ host: hostname, port: Number(port) });
    scope.defer(() => void socket.destroy());
    await once(socket, 'connect');
    const self = new ObsPublisher(socket, key);
    socket.write(HELLO);
    await once(socket, 'data');
    socket.write(ECHO);
    self.#say(CONTROL, true, 0, TYPE.setChunkSize, uint32(CHUNK));
    self.#chunks.size = CHUNK;
    const app = pathname.slice(1);
    const about = { app, type: 'nonprivate', flashVer: 'FMLE/3.0 (compatible; FMSc/1.0)', swfUrl: url, tcUrl: url };
    self.#invoke('connect', about);
    await self.#answers(1);
    self.#invoke('releaseStream', null, key);
    self.#invoke('FCPublish', null, key);
    self.#invoke('createStream', null);
    await self.#answers(4);
    self.#invokes += 1;
    self.#say(SOURCE, true, 1, TYPE.command, encodeAmf0('publish', self.#invokes, null, key, 'live'));
    await eventually(() => self.replies.names.includes('onStatus'), 'it is answered');
    return self;
  }

  get codes(): readonly string[] {
    return this.replies.codes;
  }
  get over(): boolean {
    return this.#socket.destroyed || this.#socket.readableEnded;
  }

  /** @param video FLV's codec id, or four letters as a number where it is Enhanced RTMP */
  metadata(width: number, height: number, video = 7): void {
    const values = {
      ...{ duration: 0, fileSize: 0, width, height, videocodecid: video, videodatarate: 2_500, framerate: 30 },
      ...{ audiocodecid: 10, audiodatarate: 160, audiosamplerate: 44_100, audiosamplesize: 16, audiochannels: 2 },
      ...{ stereo: true, '2.1': false, '3.1': false, '4.0': false, '4.1': false, '5.1': false, '7.1': false },
      encoder: 'obs-output module (libobs version 31.0.0)',
    };
    const body = Buffer.concat([encodeAmf0('@setDataFrame', 'onMetaData'), ecmaArray(20, values)]);
    this.#say(SOURCE, true, 1, TYPE.data, body);
  }

  send(...tags: readonly FlvTag[]): void {
    for (const tag of tags) {
      if (tag.type === TAG.script) continue;
      this.#socket.write(this.#chunks.message(SOURCE, tag.timestamp === 0, 1, tag));
    }
  }

  /** As when somebody presses "Stop streaming". */
  stop(): void {
    this.#invoke('FCUnpublish', null, this.#key);
    this.#invoke('deleteStream', null, 1);
    this.#socket.end();
  }

  #invoke(name: string, ...values: readonly AmfValue[]): void {
    this.#invokes += 1;
    this.#say(INVOKE, name === 'connect', 0, TYPE.command, encodeAmf0(name, this.#invokes, ...values));
  }
  #say(id: number, whole: boolean, stream: number, type: number, body: Buffer): void {
    this.#socket.write(this.#chunks.message(id, whole, stream, { type, timestamp: 0, body }));
  }
  #answers(count: number): Promise<unknown> {
    return eventually(() => this.replies.names.filter((name) => name === '_result').length >= count, 'it is answered');
  }
}

/** The tags of an FLV file. */
export function flvTags(flv: Buffer): FlvTag[] {
  const tags: FlvTag[] = [];
  for (let at = 13; at + 11 <= flv.length; at += 15 + flv.readUIntBE(at + 1, 3)) {
    const type = flv.readUInt8(at) as FlvTag['type'];
    const timestamp = flv.readUIntBE(at + 4, 3) + flv.readUInt8(at + 7) * 2 ** 24;
    tags.push({ type, timestamp, body: flv.subarray(at + 11, at + 11 + flv.readUIntBE(at + 1, 3)) });
  }
  return tags;
}
