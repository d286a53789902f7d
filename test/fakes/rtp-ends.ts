import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { TrackId } from '../../gateway/protocol.ts';
import { plain, type Room } from '../../gateway/room.ts';
import type { PlainTransport, Producer } from '../../gateway/sfu.ts';

const LOOPBACK = '127.0.0.1';

export interface Packet {
  readonly sequence: number;
  readonly timestamp: number;
  readonly payloadType: number;
  readonly size: number;
  /** `performance.now()`, ms. */
  readonly at: number;
}

/** A viewer without a browser: an SFU consumer whose RTP arrives at a socket of ours. */
export class PlainViewer {
  readonly packets: Packet[] = [];
  readonly consumerClosed: Promise<void>;
  readonly #socket: Socket;
  readonly #transport: PlainTransport;

  private constructor(socket: Socket, transport: PlainTransport, consumerClosed: Promise<void>) {
    this.#socket = socket;
    this.#transport = transport;
    this.consumerClosed = consumerClosed;
    socket.on('message', (data) => {
      const type = data[1] ?? 0;
      if (type >= 192 && type <= 223) return; // RTCP
      this.packets.push({
        sequence: data.readUInt16BE(2),
        timestamp: data.readUInt32BE(4),
        payloadType: type & 0x7f,
        size: data.length,
        at: performance.now(),
      });
    });
  }

  static async open(room: Room, track: TrackId): Promise<PlainViewer> {
    const socket = createSocket('udp4').bind(0, LOOPBACK);
    await once(socket, 'listening');
    const transport = await room.router.createPlainTransport({
      listenInfo: { protocol: 'udp', ip: LOOPBACK },
      rtcpMux: true,
      comedia: false,
    });
    await transport.connect({ ip: LOOPBACK, port: socket.address().port });
    const consumer = await room.consume(transport, track, plain(room.capabilities));
    const closed = new Promise<void>((done) => consumer.observer.once('close', () => done()));
    const viewer = new PlainViewer(socket, transport, closed);
    await consumer.resume();
    return viewer;
  }

  /** Packets that came after `at` (`performance.now()`). */
  since(at: number): Packet[] {
    return this.packets.filter((packet) => packet.at > at);
  }
  close(): void {
    this.#transport.close();
    this.#socket.close();
  }
}

/** A publisher without a browser: FFmpeg's VP8 or Opus into the SFU. */
export class PlainPublisher {
  readonly producer: Producer;
  readonly #ffmpeg: ChildProcess;
  readonly #transport: PlainTransport;

  private constructor(producer: Producer, ffmpeg: ChildProcess, transport: PlainTransport) {
    this.producer = producer;
    this.#ffmpeg = ffmpeg;
    this.#transport = transport;
  }

  static async open(room: Room, kind: 'audio' | 'video'): Promise<PlainPublisher> {
    const transport = await room.router.createPlainTransport({
      listenInfo: { protocol: 'udp', ip: LOOPBACK },
      rtcpMux: false,
      comedia: true,
    }); // FFmpeg sends RTCP from a port of its own
    const ssrc = kind === 'audio' ? 1111 : 2222;
    const codec =
      kind === 'audio'
        ? { mimeType: 'audio/opus', clockRate: 48_000, channels: 2, payloadType: 101 }
        : {
            mimeType: 'video/VP8',
            clockRate: 90_000,
            payloadType: 102,
            rtcpFeedback: [{ type: 'nack', parameter: 'pli' }],
          };
    const producer = await room.publish(transport, kind, { codecs: [codec], encodings: [{ ssrc }] });
    const source =
      kind === 'audio'
        ? ['-f', 'lavfi', '-i', 'sine=440:sample_rate=48000', '-c:a', 'libopus', '-ac', '2', '-b:a', '48k']
        : [
            '-f',
            'lavfi',
            '-i',
            'testsrc=size=160x120:rate=15',
            '-c:v',
            'libvpx',
            '-deadline',
            'realtime',
            '-cpu-used',
            '8',
            '-g',
            '15',
            '-b:v',
            '150k',
          ];
    const to = `rtp://${LOOPBACK}:${transport.tuple.localPort}?rtcpport=${transport.rtcpTuple?.localPort}&pkt_size=1200`;
    const rtp = ['-payload_type', String(codec.payloadType), '-ssrc', String(ssrc), '-f', 'rtp', to];
    // It ends by itself should a failing test forget it.
    const ffmpeg = spawn('ffmpeg', ['-hide_banner', '-loglevel', 'error', '-re', ...source, '-t', '60', ...rtp], {
      stdio: 'ignore',
    });
    return new PlainPublisher(producer, ffmpeg, transport);
  }

  async close(): Promise<void> {
    const gone = once(this.#ffmpeg, 'exit');
    this.#ffmpeg.kill('SIGKILL');
    await gone;
    this.#transport.close();
  }
}
