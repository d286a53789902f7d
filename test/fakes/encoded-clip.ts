import { execFileSync } from 'node:child_process';
import { adtsFrames } from './adts-frames.ts';
import { nalUnits, frameOf } from '../../media/h264.ts';
import { type MediaTime, at } from '../../media/time.ts';

/** A real clip as outlets get it: H.264 in Annex B at `fps`, AAC-LC frames without headers. */
export interface EncodedClip {
  readonly fps: number;
  readonly width: number;
  readonly height: number;
  readonly pictures: readonly { readonly start: MediaTime; readonly keyFrame: boolean; readonly data: Uint8Array }[];
  readonly sound: readonly { readonly start: MediaTime; readonly data: Uint8Array }[];
}

const BIG = { maxBuffer: 1 << 28 };

export function encodedClip(
  file: string,
  { width = 320, height = 212, fps = 30, keys = 2, seconds = 10, filter = 'anull', channels = 1, preset = '' } = {},
): EncodedClip {
  const from = ['-v', 'error', '-t', String(seconds), '-i', file];
  const video = execFileSync(
    'ffmpeg',
    [...from, '-an', '-vf', `fps=${fps},scale=${width}:${height}`, '-c:v', 'libx264', '-profile:v', 'baseline',
      '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-x264-params', `keyint=${fps * keys}:min-keyint=${fps * keys}:scenecut=0:repeat-headers=1${preset}`,
      '-bsf:v', 'h264_metadata=aud=insert', '-f', 'h264', '-'],
    BIG,
  ); // prettier-ignore
  const adts = execFileSync(
    'ffmpeg',
    [...from, '-vn', '-af', filter, '-c:a', 'aac', '-ar', '48000', '-ac', String(channels), '-b:a', '64k', '-f', 'adts', '-'],
    BIG,
  ); // prettier-ignore
  const groups: Uint8Array[][] = [];
  for (const nal of nalUnits(video, 'annex-b')) {
    if ((nal[0]! & 31) === 9) groups.push([]);
    else groups.at(-1)?.push(nal);
  }
  const sound = adtsFrames(adts);
  return {
    fps,
    width,
    height,
    pictures: groups.map((nals, n) => ({
      start: at((n * 1e6) / fps),
      keyFrame: nals.some((nal) => (nal[0]! & 31) === 5),
      data: frameOf(nals, 'annex-b'),
    })),
    // The encoder's first frame is from before the beginning.
    sound: sound.slice(1).map((data, n) => ({ start: at((n * 1_024e6) / 48_000), data })),
  };
}
