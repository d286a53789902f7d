import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { OutputTrack } from '../../gateway/session/ipc.ts';
import { Depacketizer, keyFrameIn } from '../../media/packetize.ts';
import { type RtpPacket, isRtcp, parseRtp } from '../../media/rtp.ts';
import type { Scope } from '../../media/scope.ts';
import type { VideoCodec } from '../../media/video.ts';

/** One packet of RTP and when it came, ms since 1970. */
export interface Came extends RtpPacket {
  readonly came: number;
}
/** One picture as it was sent. */
export interface SentPicture {
  /** RTP time less the track's base: its media time in 1/90 000 s. */
  readonly stamp: number;
  /** When the last of it came, ms. */
  readonly came: number;
  readonly keyFrame: boolean;
  readonly payloads: readonly Uint8Array[];
  /** As its codec's files hold it; empty where its payloads make no picture. */
  readonly data: Uint8Array;
}

/** A port that keeps what a session sends. It listens in a thread of its own, so that times are those of arrival. */
export async function receiver(scope: Scope) {
  const packets: Came[] = [];
  const ear = new Worker(new URL('udp-ear.mjs', import.meta.url));
  scope.defer(() => ear.terminate());
  const [port] = (await once(ear, 'message')) as [number];
  ear.on('message', ({ data, came }: { data: Uint8Array; came: number }) => {
    const packet = isRtcp(data) ? undefined : parseRtp(data);
    if (packet) packets.push({ ...packet, came });
  });
  return { packets, address: { address: '127.0.0.1', port } };
}

/** The whole pictures of a track, in the order they came. */
export function picturesOf(packets: readonly Came[], track: OutputTrack, codec: VideoCodec): SentPicture[] {
  const depacketizer = new Depacketizer(codec);
  const pictures: SentPicture[] = [];
  let payloads: Uint8Array[] = [];
  for (const packet of packets) {
    if (packet.ssrc !== track.ssrc) continue;
    payloads.push(packet.payload);
    if (!packet.marker) continue;
    const { timestamp, came } = packet;
    const data = depacketizer.frame(payloads) ?? new Uint8Array(0);
    pictures.push({
      ...{ stamp: (timestamp - track.rtpBase) >>> 0, came, keyFrame: keyFrameIn(codec, payloads), payloads, data },
    });
    payloads = [];
  }
  return pictures;
}

/** How many of the pictures FFmpeg decodes, one after the other, and what it complains of. */
export function judgedByFfmpeg(pictures: readonly SentPicture[], codec: 'VP8' | 'H264') {
  const path = join(tmpdir(), `livedub-sent-${process.pid}.${codec === 'VP8' ? 'ivf' : 'h264'}`);
  try {
    writeFileSync(path, codec === 'VP8' ? ivf(pictures) : Buffer.concat(pictures.map(({ data }) => data)));
    const args = ['-v', 'error', '-nostats', '-i', path, '-fps_mode', 'passthrough', '-f', 'framemd5', '-'];
    const { stdout, stderr } = spawnSync('ffmpeg', args, { encoding: 'utf8', maxBuffer: 1 << 28 });
    const decoded = stdout.split('\n').filter((line) => /^0,/.test(line)).length;
    return { decoded, complaints: stderr.trim() };
  } finally {
    rmSync(path, { force: true });
  }
}

/** IVF: a header of 32 bytes, then every frame with its size and time stamp. Sizes are the decoder's to find out. */
function ivf(pictures: readonly SentPicture[]): Buffer {
  const head = Buffer.alloc(32);
  head.write('DKIF\0\0 \0VP80', 'latin1');
  head.writeUInt16LE(640, 12);
  head.writeUInt16LE(360, 14);
  head.writeUInt32LE(90_000, 16);
  head.writeUInt32LE(1, 20);
  head.writeUInt32LE(pictures.length, 24);
  const frames = pictures.flatMap(({ stamp, data }) => {
    const frame = Buffer.alloc(12);
    frame.writeUInt32LE(data.length, 0);
    frame.writeBigUInt64LE(BigInt(stamp), 4);
    return [frame, data];
  });
  return Buffer.concat([head, ...frames]);
}
