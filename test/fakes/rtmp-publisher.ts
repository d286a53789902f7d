import { once } from 'node:events';
import { type Socket, connect } from 'node:net';
import { type AmfObject, type AmfValue, decodeAmf0, encodeAmf0 } from '../../gateway/rtmp/amf0.ts';
import { ChunkReader } from '../../gateway/rtmp/chunk-reader.ts';
import { ChunkWriter } from '../../gateway/rtmp/chunk-writer.ts';
import type { FlvTag } from '../../gateway/rtmp/flv.ts';
import { TYPE } from '../../gateway/rtmp/message.ts';
import type { Scope } from '../../media/scope.ts';

/** What an encoder says first: the version and 1536 bytes. */
export const HELLO = Buffer.concat([Buffer.of(3), Buffer.alloc(1_536)]);
/** What it says then, after the server's answer. */
export const ECHO = Buffer.alloc(1_536);

/** A command of an encoder. */
export const command = (writer: ChunkWriter, stream: number, ...values: readonly AmfValue[]): Buffer =>
  writer.message({ type: TYPE.command, stream, timestamp: 0, payload: encodeAmf0(...values) });

/** What an encoder says to publish as `name`, after the handshake. */
export const asking = (writer: ChunkWriter, app: string, name: string): Buffer =>
  Buffer.concat([
    command(writer, 0, 'connect', 1, { app, tcUrl: `rtmp://example.org/${app}` }),
    writer.setChunkSize(60_000),
    command(writer, 0, 'releaseStream', 2, null, name),
    command(writer, 0, 'FCPublish', 3, null, name),
    command(writer, 0, 'createStream', 4, null),
    command(writer, 1, 'publish', 5, null, name, 'live'),
  ]);
export const sent = (writer: ChunkWriter, { type, body, timestamp }: FlvTag): Buffer =>
  writer.message({ type, stream: 1, payload: body, timestamp });

/** Reads what a server says: types of messages, names of commands, codes of their status. */
export class Replies {
  readonly types: number[] = [];
  readonly names: string[] = [];
  readonly codes: string[] = [];
  readonly #reader = new ChunkReader();
  #skip = 1 + 2 * 1_536;

  push(bytes: Buffer): void {
    const rest = bytes.subarray(this.#skip);
    this.#skip -= Math.min(this.#skip, bytes.length);
    for (const { type, payload } of this.#reader.push(rest)) {
      this.types.push(type);
      if (type !== TYPE.command) continue;
      const values = decodeAmf0(payload);
      this.names.push(values[0] as string);
      const status = values[3];
      if (typeof status === 'object' && status !== null) this.codes.push((status as AmfObject)['code'] as string);
    }
  }
}

/** An encoder that sends what it is told, whatever it is. */
export class RtmpPublisher {
  readonly replies = new Replies();
  readonly #socket: Socket;
  readonly #writer: ChunkWriter;

  private constructor(socket: Socket, writer: ChunkWriter) {
    this.#socket = socket;
    this.#writer = writer;
    socket.on('data', (bytes) => this.replies.push(bytes));
    socket.on('error', () => {});
  }

  /** Says all that it has to say at once, without waiting for answers. */
  static async open(
    { port, app, name }: { readonly port: number; readonly app: string; readonly name: string },
    scope: Scope,
  ): Promise<RtmpPublisher> {
    const socket = connect({ host: '127.0.0.1', port });
    scope.defer(() => void socket.destroy());
    await once(socket, 'connect');
    const writer = new ChunkWriter();
    const publisher = new RtmpPublisher(socket, writer);
    socket.write(Buffer.concat([HELLO, ECHO, asking(writer, app, name)]));
    return publisher;
  }

  get codes(): readonly string[] {
    return this.replies.codes;
  }
  get over(): boolean {
    return this.#socket.destroyed || this.#socket.readableEnded;
  }

  send(...tags: readonly FlvTag[]): void {
    for (const tag of tags) this.#socket.write(sent(this.#writer, tag));
  }
  /** Goes without a word. */
  close(): void {
    this.#socket.destroy();
  }
}
