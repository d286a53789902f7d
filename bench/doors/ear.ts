import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { HostedSession } from '../../gateway/hosted-session.ts';
import { plain, streamOf } from '../../gateway/room.ts';
import type { PlainTransport } from '../../gateway/sfu.ts';
import { ffmpeg } from '../../media/ffmpeg.ts';
import { Depacketizer, keyFrameIn } from '../../media/packetize.ts';
import { type RtpPacket, isRtcp, parseRtp } from '../../media/rtp.ts';
import type { Scope } from '../../media/scope.ts';
import { Unwrapper } from '../../media/unwrap.ts';
import type { VideoCodec } from '../../media/video.ts';
import type { Seen } from './delays.ts';
import { now } from './paced.ts';
import { STRIP_FILTER, StripReader } from './time-code.ts';

const LOOPBACK = '127.0.0.1';
const IVF: Readonly<Record<VideoCodec, string>> = { VP8: 'VP80', VP9: 'VP90', AV1: 'AV01', H264: 'H264' };

export interface Came {
  readonly packet: RtpPacket;
  readonly sequence: number;
  readonly at: number;
}

/** The reference: plain RTP as it leaves the SFU. */
export interface Ear {
  /** Packets so far. */
  readonly packets: number;
  /** What it is tuned to, for a person who looks for what went wrong. */
  said(): string;
  /** Pictures that came up to now, each when its last packet came. Decodes what came: afterwards, so as not to disturb. */
  pictures(): Promise<Seen[]>;
}

/**
 * Notes when packets of a session's picture leave the SFU, and keeps them. Which picture was in them is found out
 * afterwards by decoding.
 */
export async function listen(session: HostedSession, scope: Scope): Promise<Ear> {
  const socket = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
  scope.defer(() => new Promise<void>((closed) => socket.close(closed)));
  socket.on('error', () => {});
  socket.bind(0, LOOPBACK);
  await once(socket, 'listening');
  const transport = await (await session.room).receiver(socket.address().port);
  scope.defer(() => transport.close());
  let came: Came[] = [];
  let sequences = new Unwrapper(16);
  let stream: Stream | undefined;
  // A source's codec is known only when it has come: the track is another one then, and what came before was a slate.
  const attach = async () => {
    if (scope.signal.aborted || stream?.current) return;
    stream = await consume(session, transport);
    [came, sequences] = [[], new Unwrapper(16)];
    await stream.resume();
  };
  let work = attach();
  scope.defer(
    session.attend(
      {
        event: ({ event }) => {
          if (event === 'tracks') work = work.then(attach).catch(() => {});
        },
        lost: () => {},
        over: () => {},
      },
      'reader',
    ),
  );
  await work;
  socket.on('message', (data) => {
    const at = now();
    const packet = isRtcp(data) ? undefined : parseRtp(Uint8Array.from(data));
    if (packet?.ssrc !== stream?.ssrc || !packet || packet.payload.byteLength === 0) return;
    came.push({ packet, sequence: sequences.unwrap(packet.sequence), at });
  });
  return {
    get packets() {
      return came.length;
    },
    said: () =>
      `${stream?.codec} is ${stream?.current ? 'open' : 'closed'}, the session is ${session.state} with ${session.tracks.map(({ id }) => id).join(', ')}`,
    async pictures() {
      const codec = stream!.codec;
      const whole = picturesIn(came, codec);
      const numbers = await numbersOf(whole, codec, scope);
      return whole.flatMap(({ at }, n) => (numbers[n] === undefined ? [] : [{ number: numbers[n], at }]));
    },
  };
}

interface Stream {
  readonly ssrc: number;
  readonly payloadType: number;
  readonly codec: VideoCodec;
  /** Whether it is the track's that the session has now. */
  readonly current: boolean;
  resume(): Promise<void>;
}

async function consume(session: HostedSession, transport: PlainTransport): Promise<Stream> {
  const room = await session.room;
  const consumer = await room.consume(transport, 'video', plain(room.capabilities));
  const { ssrc, mimeType, payloadType } = streamOf(consumer);
  const codec = (mimeType.split('/')[1] ?? '') as VideoCodec;
  return {
    ...{ ssrc, payloadType, codec },
    get current() {
      // A consumer hears a moment later that its track has become another one.
      return !consumer.closed && room.offered('video')?.id === consumer.producerId;
    },
    resume: () => consumer.resume(),
  };
}

/** Lets plain RTP of a session's picture go to a port, once it is resumed. */
export async function receive(session: HostedSession, port: number, scope: Scope): Promise<Stream> {
  const transport = await (await session.room).receiver(port);
  scope.defer(() => transport.close());
  return consume(session, transport);
}

interface Whole {
  readonly frame: Uint8Array;
  /** When its last packet came. */
  readonly at: number;
}

/** The pictures that came whole and can be decoded: from a key frame on, up to the next loss, and again. */
export function picturesIn(came: readonly Came[], codec: VideoCodec): Whole[] {
  const depacketizer = new Depacketizer(codec);
  const pictures: Whole[] = [];
  const sorted = [...came].sort((a, b) => a.sequence - b.sequence);
  let broken = true;
  let before: number | undefined;
  for (let from = 0; from < sorted.length;) {
    let to = from + 1;
    while (sorted[to] && sorted[to]!.packet.timestamp === sorted[from]!.packet.timestamp) to += 1;
    const packets = sorted.slice(from, to);
    from = to;
    const first = packets[0]!.sequence;
    const last = packets.at(-1)!;
    const gapless = last.sequence - first === packets.length - 1 && last.packet.marker;
    if (!gapless || (before !== undefined && first !== before + 1)) broken = true;
    before = last.sequence;
    const payloads = packets.map(({ packet }) => packet.payload);
    if (gapless && keyFrameIn(codec, payloads)) broken = false;
    const frame = broken ? undefined : depacketizer.frame(payloads);
    if (!frame) broken = true;
    else pictures.push({ frame, at: Math.max(...packets.map(({ at }) => at)) });
  }
  return pictures;
}

/** The number in each picture. IVF keeps each picture apart for every codec; none is dropped on its way to the strip. */
export async function numbersOf(
  pictures: readonly Whole[],
  codec: VideoCodec,
  scope: Scope,
): Promise<(number | undefined)[]> {
  if (pictures.length === 0) return [];
  const own = scope.child('decode');
  try {
    const from = ['-threads', '1', '-f', 'ivf', '-i', 'pipe:0'];
    const into = ['-vf', STRIP_FILTER, '-fps_mode', 'passthrough', '-f', 'rawvideo', 'pipe:1'];
    const running = ffmpeg([...from, ...into], own);
    running.stdin.end(ivf(pictures, codec));
    const reader = new StripReader();
    const numbers: (number | undefined)[] = [];
    for await (const bytes of running.stdout as AsyncIterable<Buffer>) numbers.push(...reader.push(bytes));
    await running.done;
    if (numbers.length !== pictures.length)
      throw new Error(`FFmpeg decoded ${numbers.length} of ${pictures.length} pictures`);
    return numbers;
  } finally {
    await own.close();
  }
}

/** IVF, 25 pictures a second, whatever their times were. */
function ivf(pictures: readonly Whole[], codec: VideoCodec): Buffer {
  const head = Buffer.alloc(32);
  head.write('DKIF', 0, 'latin1');
  head.writeUInt16LE(32, 6);
  head.write(IVF[codec], 8, 'latin1');
  head.writeUInt16LE(320, 12);
  head.writeUInt16LE(192, 14);
  head.writeUInt32LE(25, 16);
  head.writeUInt32LE(1, 20);
  head.writeUInt32LE(pictures.length, 24);
  const parts = pictures.flatMap(({ frame }, n) => {
    const own = Buffer.alloc(12);
    own.writeUInt32LE(frame.length, 0);
    own.writeBigUInt64LE(BigInt(n), 4);
    return [own, frame];
  });
  return Buffer.concat([head, ...parts]);
}
