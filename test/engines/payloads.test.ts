import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { Depacketizer, Packetizer } from '../../media/packetize.ts';
import { ProgrammeClock } from '../../media/programme-clock.ts';
import { VideoReceiver } from '../../media/receive.ts';
import { isRtcp, parseRtp } from '../../media/rtp.ts';
import { type ClockTime, ms } from '../../media/time.ts';
import type { AccessUnit, VideoCodec } from '../../media/video.ts';

const noFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0 ? undefined : 'no ffmpeg: apt-get install ffmpeg';
const FRAMES = 50;
const ENCODERS = {
  VP8: ['libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-auto-alt-ref', '0'],
  VP9: ['libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8', '-lag-in-frames', '0'],
  H264: ['libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-bf', '0'],
} as const satisfies Partial<Record<VideoCodec, readonly string[]>>;

/** Moving pictures as another sender cuts them into RTP. */
async function sent(codec: keyof typeof ENCODERS): Promise<Buffer[]> {
  const socket = createSocket('udp4');
  const datagrams: Buffer[] = [];
  socket.on('message', (datagram) => datagrams.push(datagram));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  const source = ['-readrate', '4', '-f', 'lavfi', '-i', 'testsrc2=size=320x240:rate=25'];
  const encode = [
    '-frames:v',
    `${FRAMES}`,
    '-pix_fmt',
    'yuv420p',
    '-c:v',
    ...ENCODERS[codec],
    '-b:v',
    '600k',
    '-g',
    '25',
  ];
  // H.264 parameters in the stream, as WebRTC has them, rather than in the SDP.
  const inBand = codec === 'H264' ? ['-bsf:v', 'dump_extra'] : [];
  const url = `rtp://127.0.0.1:${socket.address().port}?pkt_size=1200`;
  await promisify(execFile)('ffmpeg', [
    '-v',
    'error',
    ...source,
    ...encode,
    ...inBand,
    '-strict',
    '-2',
    '-f',
    'rtp',
    url,
  ]);
  await new Promise((done) => setTimeout(done, 100));
  socket.close();
  return datagrams.filter((datagram) => !isRtcp(datagram));
}

/** The IVF file format: a header of 32 bytes, and 12 before each frame. */
function ivf(codec: 'VP8' | 'VP9', frames: readonly Uint8Array[]): Buffer {
  const head = Buffer.alloc(32);
  head.write(`DKIF\0\0\x20\0${codec}0`, 'latin1');
  head.writeUInt16LE(320, 12);
  head.writeUInt16LE(240, 14);
  head.writeUInt32LE(25, 16);
  head.writeUInt32LE(1, 20);
  head.writeUInt32LE(frames.length, 24);
  const parts = frames.flatMap((frame, i) => {
    const before = Buffer.alloc(12);
    before.writeUInt32LE(frame.length, 0);
    before.writeUInt32LE(i, 4);
    return [before, frame];
  });
  return Buffer.concat([head, ...parts]);
}

/** Pictures that a decoder gets out of the frames; any error is a failure. */
function decodable(codec: keyof typeof ENCODERS, frames: readonly Uint8Array[]): number {
  const folder = mkdtempSync(join(tmpdir(), 'livedub-payloads-'));
  try {
    const file = join(folder, codec === 'H264' ? 'x.h264' : 'x.ivf');
    writeFileSync(file, codec === 'H264' ? Buffer.concat(frames) : ivf(codec, frames));
    const checks = ['-v', 'error', '-xerror', '-i', file, '-f', 'framemd5', '-'];
    const listing = execFileSync('ffmpeg', checks, { encoding: 'utf8' });
    return listing.split('\n').filter((line) => line !== '' && !line.startsWith('#')).length;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe.skipIf(noFfmpeg)(`pictures over RTP (${noFfmpeg ?? 'ffmpeg'})`, () => {
  test.for(['VP8', 'VP9', 'H264'] as const)(
    "another sender's %s is received whole and can be decoded, also after we cut it anew",
    async (codec) => {
      const receiver = new VideoReceiver({ track: new ProgrammeClock().track(1, 'video', 90_000), codec });
      const units: AccessUnit[] = (await sent(codec)).flatMap((datagram, i) => {
        const packet = parseRtp(datagram);
        return packet ? receiver.push(packet, ms(i) as number as ClockTime) : [];
      });
      expect(receiver.counts).toMatchObject({ lost: 0, incomplete: 0, undecodable: 0, units: FRAMES });
      expect(units.map((unit, i) => (unit.keyFrame ? i : -1)).filter((i) => i >= 0)).toEqual([0, 25]);
      // 25 pictures a second.
      expect(units.map((unit) => unit.start)).toEqual(units.map((_, i) => i * 40_000));

      const depacketizer = new Depacketizer(codec);
      const frames = units.map((unit) => depacketizer.frame(unit.payloads)!);
      expect(decodable(codec, frames)).toBe(FRAMES);
      const packetizer = new Packetizer(codec);
      const again = frames.map((frame) => depacketizer.frame(packetizer.packetize(frame))!);
      expect(again.map((frame) => Buffer.from(frame).equals(frames[again.indexOf(frame)]!))).not.toContain(false);
    },
  );
});
