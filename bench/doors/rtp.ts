import { type Socket, createSocket } from 'node:dgram';
import { once } from 'node:events';
import { Packetizer } from '../../media/packetize.ts';
import { ntpFromUnix } from '../../media/rtcp.ts';
import type { Scope } from '../../media/scope.ts';
import { REPORT_EVERY, RtpTrack } from '../../media/send.ts';
import { type MediaTime, at } from '../../media/time.ts';
import { type Due, type Sent, now, pace } from './paced.ts';
import { RATE, type Reel } from './reel.ts';

export const VIDEO_TYPE = 96;
export const SOUND_TYPE = 97;
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

/** Sends the reel as plain RTP, with a sender report a second. A picture is sent when its last packet is. */
export async function sendRtp(reel: Reel, ports: Ports, scope: Scope): Promise<Sent> {
  const socket: Socket = createSocket('udp4');
  scope.defer(() => new Promise<void>((closed) => socket.close(closed)));
  socket.on('error', () => {});
  socket.bind(0, LOOPBACK);
  await once(socket, 'listening');
  const numbering = { by: 'packet', next: 0 } as const;
  const track = { rtpBase: 0, cname: 'reel', numbering };
  const video = new RtpTrack({ ...track, ssrc: 0x11110000, payloadType: VIDEO_TYPE, rate: 90_000 });
  const sound = new RtpTrack({ ...track, ssrc: 0x22220000, payloadType: SOUND_TYPE, rate: 48_000 });
  const packetizer = new Packetizer('H264');
  const began = now();
  let reported = -Infinity;
  const report = (media: MediaTime) => {
    if (media - reported < REPORT_EVERY) return;
    reported = media;
    const ntp = ntpFromUnix(Math.round(began * 1_000) + media);
    socket.send(video.report(ntp, media), ports.video + 1, LOOPBACK);
    socket.send(sound.report(ntp, media), ports.sound + 1, LOOPBACK);
  };
  const due: (Due & { readonly give: () => void })[] = [
    ...reel.coded.map((picture, number) => ({
      at: (number * 1_000) / RATE,
      number,
      give: () => {
        const payloads = packetizer.packetize(picture);
        const media = at((number * 1_000_000) / RATE);
        for (const [n, payload] of payloads.entries())
          socket.send(video.packet(payload, media, n === payloads.length - 1), ports.video, LOOPBACK);
      },
    })),
    ...reel.sound.map((payload, n) => ({
      at: n * 20,
      give: () => {
        const media = at(n * 20_000);
        report(media);
        socket.send(sound.packet(payload, media, n === 0), ports.sound, LOOPBACK);
      },
    })),
  ].sort((a, b) => a.at - b.at);
  return pace(due, ({ give }) => give(), scope);
}
