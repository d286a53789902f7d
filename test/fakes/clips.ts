import { execFileSync, spawnSync } from 'node:child_process';
import { avcodecVersion } from '../../media/avcodec.ts';
import { annexB, avcConfiguration } from '../../media/avc.ts';
import { MatroskaReader } from '../../media/matroska.ts';
import type { VideoEncoderOptions } from '../../media/video-encoder.ts';
import type { Planes } from '../../media/video-frame.ts';
import type { VideoCodec } from '../../media/video.ts';
import type { Picture } from './pictures.ts';

/** Why pictures cannot be encoded and decoded here, or nothing. */
export function codecsLack(): string | undefined {
  try {
    avcodecVersion();
  } catch (failure) {
    return (failure as Error).message;
  }
  return spawnSync('ffmpeg', ['-version']).status === 0 ? undefined : 'no ffmpeg: apt-get install ffmpeg';
}

/** Encoded pictures with the file they came in. */
export interface Clip {
  readonly codec: VideoCodec;
  readonly matroska: Uint8Array;
  readonly pictures: readonly Picture[];
}

const NAMES = { V_VP8: 'VP8', V_VP9: 'VP9', 'V_MPEG4/ISO/AVC': 'H264', V_AV1: 'AV1' } as const;
const MOST = 1 << 29;

/** What FFmpeg makes of `args`, which name an input and an encoder (or `copy`). */
export function clip(args: readonly string[]): Clip {
  const output = ['-an', '-f', 'matroska', '-live', '1', '-'];
  const matroska = execFileSync('ffmpeg', ['-v', 'error', '-nostdin', ...args, ...output], {
    maxBuffer: MOST,
    env: { ...process.env, SVT_LOG: '1' },
  });
  const packets = new MatroskaReader().push(matroska);
  const track = packets[0]!.track;
  const codec = NAMES[track.codec as keyof typeof NAMES];
  const avc = codec === 'H264' ? avcConfiguration(track.header) : undefined;
  return {
    codec,
    matroska,
    pictures: packets.map(({ start, keyFrame, data }) => ({
      start,
      keyFrame,
      data: avc ? annexB(data, keyFrame, avc) : data,
    })),
  };
}

/** Moving pictures, 25 a second. */
export const moving = (size: string, count: number) => [
  ...['-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=25`, '-frames:v', `${count}`, '-pix_fmt', 'yuv420p'],
];

/** What FFmpeg decodes from `file`, as raw planes. */
export const rawBy = (file: Uint8Array, format: readonly string[] = []): Uint8Array =>
  execFileSync(
    'ffmpeg',
    ['-v', 'error', ...format, '-i', '-', '-fps_mode', 'passthrough', '-pix_fmt', 'yuv420p', '-f', 'rawvideo', '-'],
    { input: file, maxBuffer: MOST },
  );

export const samePlanes = (a: Planes, b: Planes) =>
  a.width === b.width &&
  a.height === b.height &&
  Buffer.compare(a.y, b.y) === 0 &&
  Buffer.compare(a.u, b.u) === 0 &&
  Buffer.compare(a.v, b.v) === 0;

/** Bare pictures in a container that FFmpeg knows: IVF, or Annex B as it is. */
export function bareFile(
  codec: VideoEncoderOptions['codec'],
  pictures: readonly { readonly data: Uint8Array }[],
  { width, height }: { readonly width: number; readonly height: number },
): { readonly file: Uint8Array; readonly format: readonly string[] } {
  if (codec === 'H264') return { file: Buffer.concat(pictures.map(({ data }) => data)), format: ['-f', 'h264'] };
  const head = Buffer.alloc(32);
  head.write('DKIF', 0);
  head.writeUInt16LE(32, 6);
  head.write(codec === 'VP8' ? 'VP80' : 'VP90', 8);
  head.writeUInt16LE(width, 12);
  head.writeUInt16LE(height, 14);
  head.writeUInt32LE(25, 16);
  head.writeUInt32LE(1, 20);
  const frames = pictures.flatMap(({ data }, i) => {
    const frame = Buffer.alloc(12);
    frame.writeUInt32LE(data.byteLength, 0);
    frame.writeBigUInt64LE(BigInt(i), 4);
    return [frame, data];
  });
  return { file: Buffer.concat([head, ...frames]), format: ['-f', 'ivf'] };
}
