import { type AmfObject, type AmfValue, decodeAmf0, encodeAmf0 } from './amf0.ts';
import { CHUNK_LIMITS, type ChunkLimits, ChunkReader } from './chunk-reader.ts';
import { ChunkWriter } from './chunk-writer.ts';
import { type FlvTag, TAG } from './flv.ts';
import { Handshake } from './handshake.ts';
import { type RtmpMessage, TYPE, uint32 } from './message.ts';
import { RtmpError } from './rtmp-error.ts';

/** What a peer wants, or sends. */
export type RtmpEvent =
  /** Bytes for the peer. */
  | { readonly kind: 'send'; readonly bytes: Buffer }
  /** It wants to publish; to be answered by `accept` or `refuse` before the next event is asked for. */
  | { readonly kind: 'publish'; readonly app: string; readonly name: string }
  /** Of an accepted publisher. */
  | { readonly kind: 'tag'; readonly tag: FlvTag }
  /** The accepted publisher has ended in order; it may publish again. */
  | { readonly kind: 'unpublish' };

/** Why somebody may not publish (RTMP 1.0 §7.2.2, codes of Adobe's NetStream). */
export type PublishRefusal = 'NetStream.Publish.BadName' | 'NetStream.Publish.Rejected';

/** What we announce: after so many bytes the peer is to acknowledge them (§5.4.4, §5.4.5). */
const WINDOW = 2_500_000;
const CHUNK_SIZE = 4_096;
/** §5.4.5: the peer may send as it likes. */
const DYNAMIC = 2;
/** User control events (§7.1.7). */
const STREAM_BEGIN = 0;
const PING_REQUEST = 6;
const PING_RESPONSE = 7;
/** Streams and commands of one connection. An encoder needs one, and says some ten things. */
const MOST_STREAMS = 8;
const MOST_COMMANDS = 1_000;

const SET_DATA_FRAME = encodeAmf0('@setDataFrame');
const META_DATA = encodeAmf0('onMetaData');

/**
 * The server's side of one RTMP connection of a publisher (RTMP 1.0): bytes in, events out, no socket and no clock. Every event
 * is taken before more bytes are pushed.
 */
export class RtmpServerConnection {
  readonly #handshake: Handshake;
  readonly #reader: ChunkReader;
  readonly #writer = new ChunkWriter();
  #app: string | undefined;
  #streams = 0;
  #commands = 0;
  #publishing: { readonly stream: number; state: 'asked' | 'accepted' } | undefined;
  /** Bytes that came, and what the peer knows of it (§5.4.3). */
  #received = 0;
  #acknowledged = 0;
  #window = WINDOW;
  #ignored = 0;

  /** @param nonce `NONCE_SIZE` random bytes for the handshake */
  constructor(nonce: Buffer, limits: ChunkLimits = CHUNK_LIMITS) {
    this.#handshake = new Handshake(nonce);
    this.#reader = new ChunkReader(limits);
  }

  /** Whether a publisher has been accepted and not ended. */
  get publishing(): boolean {
    return this.#publishing?.state === 'accepted';
  }
  /** Messages that meant nothing to us, or came from somebody who may not publish. */
  get ignored(): number {
    return this.#ignored;
  }

  /** @throws RtmpError after which the connection is to be closed */
  *push(bytes: Buffer): Generator<RtmpEvent, void, void> {
    this.#received += bytes.length;
    let input = bytes;
    if (!this.#handshake.done) {
      const { answer, rest } = this.#handshake.push(bytes);
      if (answer.length > 0) yield { kind: 'send', bytes: answer };
      input = rest;
    }
    for (const message of this.#reader.push(input)) yield* this.#take(message);
    if (this.#handshake.done && this.#received - this.#acknowledged >= this.#window) {
      this.#acknowledged = this.#received;
      yield this.#control(TYPE.acknowledgement, uint32(this.#received % 2 ** 32));
    }
  }

  /** Lets the one who asked publish: what to send. */
  accept(): Buffer {
    if (this.#publishing?.state !== 'asked') throw new TypeError('Cannot accept a publisher: none has asked');
    this.#publishing.state = 'accepted';
    const { stream } = this.#publishing;
    const begin = Buffer.concat([Buffer.of(0, STREAM_BEGIN), uint32(stream)]);
    return Buffer.concat([
      this.#writer.message({ type: TYPE.userControl, timestamp: 0, stream: 0, payload: begin }),
      this.#status(stream, 'status', 'NetStream.Publish.Start', 'Publishing.'),
    ]);
  }

  /** Turns the one who asked or publishes away: what to send. */
  refuse(code: PublishRefusal, description: string): Buffer {
    if (!this.#publishing) throw new TypeError('Cannot refuse a publisher: there is none');
    const { stream } = this.#publishing;
    this.#publishing = undefined;
    return this.#status(stream, 'error', code, description);
  }

  *#take(message: RtmpMessage): Generator<RtmpEvent, void, void> {
    const { type, timestamp, payload } = message;
    switch (type) {
      case TYPE.windowAcknowledgementSize:
        if (payload.length < 4) throw new RtmpError('A control message is too short');
        this.#window = Math.max(1, payload.readUInt32BE());
        return;
      case TYPE.userControl:
        if (payload.length >= 6 && payload.readUInt16BE() === PING_REQUEST) {
          yield this.#control(TYPE.userControl, Buffer.concat([Buffer.of(0, PING_RESPONSE), payload.subarray(2, 6)]));
        }
        return;
      case TYPE.command:
        return yield* this.#command(message, payload);
      case TYPE.commandAmf3:
        // One byte more, and AMF0 after it, as encoders send it.
        return yield* this.#command(message, payload.subarray(1));
      case TYPE.audio:
      case TYPE.video:
        return yield* this.#media({ type: type === TYPE.audio ? TAG.audio : TAG.video, timestamp, body: payload });
      case TYPE.data:
        return yield* this.#data(timestamp, payload);
      case TYPE.dataAmf3:
        return yield* this.#data(timestamp, payload.subarray(1));
      case TYPE.aggregate:
        return yield* this.#aggregate(timestamp, payload);
      case TYPE.acknowledgement:
      case TYPE.setPeerBandwidth:
        return;
      default:
        this.#ignored += 1;
    }
  }

  /** Media of somebody who may not publish is passed over. An empty message is a keep-alive. */
  *#media(tag: FlvTag): Generator<RtmpEvent, void, void> {
    if (!this.publishing) this.#ignored += 1;
    else if (tag.body.length > 0) yield { kind: 'tag', tag };
  }

  *#data(timestamp: number, payload: Buffer): Generator<RtmpEvent, void, void> {
    const framed = payload.subarray(0, SET_DATA_FRAME.length).equals(SET_DATA_FRAME);
    const body = framed ? payload.subarray(SET_DATA_FRAME.length) : payload;
    if (body.subarray(0, META_DATA.length).equals(META_DATA)) {
      decodeAmf0(body); // It is handed to FFmpeg: nothing but AMF0 within limits.
      yield* this.#media({ type: TAG.script, timestamp, body });
    } else this.#ignored += 1;
  }

  /** Several messages in one, as FLV tags with times of their own (§7.1.6). */
  *#aggregate(timestamp: number, payload: Buffer): Generator<RtmpEvent, void, void> {
    let first: number | undefined;
    for (let at = 0; at < payload.length;) {
      if (payload.length - at < 11) throw new RtmpError('An aggregate ends within a message');
      const type = payload.readUInt8(at);
      const size = payload.readUIntBE(at + 1, 3);
      const time = payload.readUIntBE(at + 4, 3) + payload.readUInt8(at + 7) * 2 ** 24;
      first ??= time;
      const end = at + 11 + size;
      if (end > payload.length) throw new RtmpError('An aggregate ends within a message');
      const body = payload.subarray(at + 11, end);
      const placed = (timestamp + time - first) >>> 0;
      if (type === TYPE.data) yield* this.#data(placed, body);
      else if (type === TYPE.audio) yield* this.#media({ type: TAG.audio, timestamp: placed, body });
      else if (type === TYPE.video) yield* this.#media({ type: TAG.video, timestamp: placed, body });
      else this.#ignored += 1;
      at = end + 4; // A back pointer.
    }
  }

  /** NetConnection and NetStream commands (§7.2). */
  *#command({ stream }: RtmpMessage, payload: Buffer): Generator<RtmpEvent, void, void> {
    this.#commands += 1;
    if (this.#commands > MOST_COMMANDS) throw new RtmpError('Too many commands');
    const [name, transaction, object, ...rest] = decodeAmf0(payload);
    if (typeof name !== 'string') throw new RtmpError('A command has no name');
    const reply = typeof transaction === 'number' ? transaction : 0;
    if (name === 'connect') return yield* this.#connect(reply, object);
    if (this.#app === undefined) throw new RtmpError('A command comes before connect');
    switch (name) {
      case 'createStream':
        if (this.#streams >= MOST_STREAMS) throw new RtmpError('Too many streams');
        this.#streams += 1;
        return yield this.#answer('_result', reply, null, this.#streams);
      case 'publish':
        return yield* this.#publish(stream, rest[0]);
      case 'deleteStream':
        if (this.#publishing && rest[0] !== this.#publishing.stream) return;
        return yield* this.#unpublish();
      case 'closeStream':
        if (stream !== this.#publishing?.stream) return;
        return yield* this.#unpublish();
      case 'FCUnpublish':
        return; // deleteStream or closeStream follows.
      case 'releaseStream':
      case 'FCPublish':
      case '_checkbw':
        if (reply !== 0) yield this.#answer('_result', reply, null, undefined);
        return;
      case '_result':
      case '_error':
      case 'onStatus':
        return;
      default:
        this.#ignored += 1;
        if (reply !== 0) {
          yield this.#answer('_error', reply, null, status('error', 'NetConnection.Call.Failed', 'Not known here.'));
        }
    }
  }

  *#connect(reply: number, object: AmfValue): Generator<RtmpEvent, void, void> {
    if (this.#app !== undefined) throw new RtmpError('It connects twice');
    const said = object !== null && typeof object === 'object' && !Array.isArray(object) ? (object as AmfObject) : {};
    const app = said['app'];
    if (typeof app !== 'string') throw new RtmpError('connect names no app');
    this.#app = app;
    yield this.#control(TYPE.windowAcknowledgementSize, uint32(WINDOW));
    yield this.#control(TYPE.setPeerBandwidth, Buffer.concat([uint32(WINDOW), Buffer.of(DYNAMIC)]));
    yield { kind: 'send', bytes: this.#writer.setChunkSize(CHUNK_SIZE) };
    const server = { fmsVer: 'FMS/3,0,1,123', capabilities: 31 };
    const connected = status('status', 'NetConnection.Connect.Success', 'Connected.');
    yield this.#answer('_result', reply, server, { ...connected, objectEncoding: 0 });
  }

  *#publish(stream: number, name: AmfValue): Generator<RtmpEvent, void, void> {
    if (stream < 1 || stream > this.#streams) throw new RtmpError('It publishes on a stream that it has not created');
    if (this.#publishing) {
      const twice = 'This connection publishes already.';
      yield { kind: 'send', bytes: this.#status(stream, 'error', 'NetStream.Publish.BadName', twice) };
      return;
    }
    this.#publishing = { stream, state: 'asked' };
    yield { kind: 'publish', app: this.#app ?? '', name: typeof name === 'string' ? name : '' };
    if ((this.#publishing as { state: string } | undefined)?.state === 'asked') {
      throw new TypeError('Cannot go on: a publisher was neither accepted nor refused');
    }
  }

  *#unpublish(): Generator<RtmpEvent, void, void> {
    if (!this.#publishing) return;
    const { stream } = this.#publishing;
    this.#publishing = undefined;
    const bytes = this.#status(stream, 'status', 'NetStream.Unpublish.Success', 'Not publishing any more.');
    yield { kind: 'send', bytes };
    yield { kind: 'unpublish' };
  }

  #control(type: number, payload: Buffer): RtmpEvent {
    return { kind: 'send', bytes: this.#writer.message({ type, timestamp: 0, stream: 0, payload }) };
  }
  #answer(name: string, reply: number, ...values: readonly AmfValue[]): RtmpEvent {
    return this.#control(TYPE.command, encodeAmf0(name, reply, ...values));
  }
  #status(stream: number, level: 'status' | 'error', code: string, description: string): Buffer {
    const payload = encodeAmf0('onStatus', 0, null, status(level, code, description));
    return this.#writer.message({ type: TYPE.command, timestamp: 0, stream, payload });
  }
}

const status = (level: 'status' | 'error', code: string, description: string) => ({ level, code, description });
