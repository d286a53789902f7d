import { type Socket, createSocket } from 'node:dgram';
import { once } from 'node:events';
import { OPUS_FRAME } from '../../media/opus.ts';
import { Packetizer } from '../../media/packetize.ts';
import { ntpFromUnix, writeSenderReport } from '../../media/rtcp.ts';
import { writeRtp } from '../../media/rtp.ts';
import type { Scope } from '../../media/scope.ts';
import { type Due, type Sent, now, pace } from './paced.ts';
import { RATE, type Reel } from './reel.ts';

export const VIDEO_TYPE = 96;
export const SOUND_TYPE = 97;
const REPORT_EVERY = 1_000;
const LOOPBACK = '127.0.0.1';

/** Where plain RTP goes; RTCP to the port above. */
export interface Ports {
  readonly video: number;
  readonly sound: number;
}

/** Two pairs of ports, even and odd, that nobody has at present. */
export async function freePorts(): Promise<Ports> {
  for (let tries = 0; tries < 50; tries += 1) {
    const first = 2 * Math.floor((20_000 + Math.random() * 15_000) / 2);
    if ((await Promise.all([0, 1, 2, 3].map((n) => isFree(first + n)))).every(Boolean))
      return { video: first, sound: first + 2 };
  }
  throw new Error('There are no four free ports');
}
async function isFree(port: number): Promise<boolean> {
  const socket = createSocket('udp4');
  const free = await new Promise<boolean>((told) => {
    socket.once('error', () => told(false));
    socket.bind(port, LOOPBACK, () => told(true));
  });
  socket.close();
  return free;
}

/** The session description (RFC 8866) of what {@link sendRtp} sends. */
export const sdpOf = ({ video, sound }: Ports): string =>
  [
    'v=0',
    `o=- 0 0 IN IP4 ${LOOPBACK}`,
    's=Reel',
    `c=IN IP4 ${LOOPBACK}`,
    't=0 0',
    `m=video ${video} RTP/AVP ${VIDEO_TYPE}`,
    `a=rtpmap:${VIDEO_TYPE} H264/90000`,
    `a=fmtp:${VIDEO_TYPE} packetization-mode=1`,
    `m=audio ${sound} RTP/AVP ${SOUND_TYPE}`,
    `a=rtpmap:${SOUND_TYPE} opus/48000/2`,
    '',
  ].join('\r\n');

interface Stream {
  readonly ssrc: number;
  readonly payloadType: number;
  readonly rate: number;
  readonly port: number;
  sequence: number;
  packets: number;
  octets: number;
}

/** Sends the reel as plain RTP, with a sender report a second. A picture is sent when its last packet is. */
export async function sendRtp(reel: Reel, ports: Ports, scope: Scope): Promise<Sent> {
  const socket: Socket = createSocket('udp4');
  scope.defer(() => new Promise<void>((closed) => socket.close(closed)));
  socket.on('error', () => {});
  socket.bind(0, LOOPBACK);
  await once(socket, 'listening');
  const stream = (ssrc: number, payloadType: number, rate: number, port: number): Stream => ({
    ...{ ssrc, payloadType, rate, port },
    ...{ sequence: 0, packets: 0, octets: 0 },
  });
  const video = stream(0x11110000, VIDEO_TYPE, 90_000, ports.video);
  const sound = stream(0x22220000, SOUND_TYPE, 48_000, ports.sound);
  const packetizer = new Packetizer('H264');
  const send = (to: Stream, payload: Uint8Array, timestamp: number, marker: boolean) => {
    const { ssrc, payloadType } = to;
    socket.send(writeRtp({ payloadType, sequence: to.sequence, timestamp, ssrc, marker, payload }), to.port, LOOPBACK);
    to.sequence = (to.sequence + 1) & 0xffff;
    to.packets += 1;
    to.octets += payload.length;
  };
  const began = now();
  let reported = -Infinity;
  const report = (at: number) => {
    if (at - reported < REPORT_EVERY) return;
    reported = at;
    for (const { rate, port, ssrc, packets, octets } of [video, sound]) {
      const rtp = Math.round((at * rate) / 1_000);
      const ntp = ntpFromUnix(Math.round((began + at) * 1_000));
      socket.send(writeSenderReport({ ssrc, ntp, rtp, packets, octets, cname: 'reel' }), port + 1, LOOPBACK);
    }
  };
  const due: (Due & { readonly give: () => void })[] = [
    ...reel.coded.map((picture, number) => ({
      at: (number * 1_000) / RATE,
      number,
      give: () => {
        const payloads = packetizer.packetize(picture);
        payloads.forEach((payload, n) => send(video, payload, (number * 90_000) / RATE, n === payloads.length - 1));
      },
    })),
    ...reel.sound.map((payload, n) => ({
      at: n * 20,
      give: () => {
        report(n * 20);
        send(sound, payload, n * OPUS_FRAME, n === 0);
      },
    })),
  ].sort((a, b) => a.at - b.at);
  return pace(due, ({ give }) => give(), scope);
}
