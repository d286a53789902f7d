import { execFileSync } from 'node:child_process';
import { annexB, avcConfiguration } from '../../media/avc.ts';
import { MatroskaReader } from '../../media/matroska.ts';
import { Packetizer } from '../../media/packetize.ts';
import type { MediaTime } from '../../media/time.ts';
import type { AccessUnit } from '../../media/video.ts';

const ENCODERS = {
  VP8: ['libvpx', '-deadline', 'realtime', '-cpu-used', '8', '-auto-alt-ref', '0', '-lag-in-frames', '0'],
  H264: ['libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-bf', '0'],
} as const;
export type Encodable = keyof typeof ENCODERS;

/** One encoded picture as its codec's files hold it; H.264 with start codes. */
export interface Picture {
  readonly start: MediaTime;
  readonly keyFrame: boolean;
  readonly data: Uint8Array;
}

/** Moving pictures as FFmpeg encodes them, 25 a second with a key frame every second. */
export function pictures(
  codec: Encodable,
  { count = 50, size = '320x240', args = [] as readonly string[] } = {},
): Picture[] {
  const input = ['-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=25`, '-frames:v', `${count}`];
  const encode = ['-pix_fmt', 'yuv420p', '-c:v', ...ENCODERS[codec], '-b:v', '400k', '-g', '25', ...args];
  const stream = execFileSync('ffmpeg', ['-v', 'error', ...input, ...encode, '-f', 'matroska', '-live', '1', '-'], {
    maxBuffer: 1 << 28,
  });
  return new MatroskaReader().push(stream).map(({ track, start, keyFrame, data }) => ({
    start,
    keyFrame,
    data: codec === 'H264' ? annexB(data, keyFrame, avcConfiguration(track.header)) : data,
  }));
}

/** The same as they travel. */
export function units(codec: Packetizer['codec'], encoded: readonly Picture[]): AccessUnit[] {
  const packetizer = new Packetizer(codec);
  return encoded.map(({ start, keyFrame, data }) => ({ start, keyFrame, payloads: packetizer.packetize(data) }));
}
