import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ffmpeg, inputFile, outputFile } from '../../media/ffmpeg.ts';
import { openFile } from '../../media/file.ts';
import { rawSound } from '../../media/raw-pictures.ts';
import type { Scope } from '../../media/scope.ts';
import type { EncodedPicture } from '../../media/video.ts';
import { UnknownLips } from './unknown-lips.ts';

export const CODECS = ['VP8', 'H264'] as const;
export type ReelCodec = (typeof CODECS)[number];
export interface Size {
  readonly width: number;
  readonly height: number;
}
/** What a bench looks at: one clip, or two side by side. */
export interface Shown {
  readonly name: string;
  readonly clips: readonly string[];
}
export const CLIPS = {
  webcam: 'talking/open-dubbing/englishvideo.mp4',
  turned: 'talking/video-retalking/face1.mp4',
  outdoors: 'talking/video-retalking/face2.mp4',
} as const;
export const SHOWN: readonly Shown[] = [
  { name: 'man at his webcam', clips: [CLIPS.webcam] },
  { name: 'young man, half turned', clips: [CLIPS.turned] },
  { name: 'man out of doors', clips: [CLIPS.outdoors] },
  { name: 'two side by side', clips: [CLIPS.turned, CLIPS.outdoors] },
];

/** Pictures as a session gets them, in both codecs, with the sound that goes with them. */
export interface Reel extends Size {
  readonly name: string;
  /** Faces that are in it. */
  readonly faces: number;
  readonly pictures: Readonly<Record<ReelCodec, readonly EncodedPicture[]>>;
  /** The file that holds them. */
  readonly files: Readonly<Record<ReelCodec, string>>;
  /** 16 kHz mono. */
  readonly pcm: Float32Array;
}

export const FPS = 25;
/** What a browser spends on such a picture, bit/s. */
export const BITRATE = 900_000;
const ENCODE: Readonly<Record<ReelCodec, readonly string[]>> = {
  VP8: ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '4', '-auto-alt-ref', '0', '-lag-in-frames', '0'],
  H264: ['-c:v', 'libx264', '-preset', 'veryfast', '-tune', 'zerolatency', '-profile:v', 'baseline'],
};

const fitted = ({ width, height }: Size) =>
  `fps=${FPS},scale=${width}:${height}:force_original_aspect_ratio=decrease:force_divisible_by=2,pad=${width}:${height}:-1:-1,setsar=1`;

/** Makes a reel of clips that lie in `media`. */
export async function reelOf(
  { name, clips }: Shown,
  media: string,
  size: Size,
  seconds: number,
  scope: Scope,
): Promise<Reel> {
  const sources = clips.map((clip) => join(media, clip));
  for (const source of sources) {
    if (!existsSync(source)) throw new UnknownLips(`There is no ${source}; --media names where recordings are`);
  }
  const folder = mkdtempSync(join(tmpdir(), 'livedub-bench-lips-'));
  scope.defer(() => rmSync(folder, { recursive: true, force: true }));
  const each: Size = { width: Math.floor(size.width / sources.length / 2) * 2, height: size.height };
  const parts = sources.map((_, n) => `[${n}:v]${fitted(each)}[v${n}]`);
  const labels = sources.map((_, n) => `[v${n}]`).join('');
  const joined =
    sources.length > 1 ? [...parts, `${labels}hstack=inputs=${sources.length}[v]`] : [...parts, '[v0]null[v]'];
  const files = { VP8: join(folder, 'reel.vp8.mkv'), H264: join(folder, 'reel.h264.mkv') };
  const pictures: Record<ReelCodec, EncodedPicture[]> = { VP8: [], H264: [] };
  for (const codec of CODECS) {
    const rate = ['-b:v', String(BITRATE), '-g', String(2 * FPS), '-pix_fmt', 'yuv420p'];
    const out = ['-map', '[v]', '-t', String(seconds), ...ENCODE[codec], ...rate, '-y', outputFile(files[codec])];
    await ffmpeg([...sources.flatMap(inputFile), '-filter_complex', joined.join(';'), ...out], scope).done;
    for await (const item of await openFile(files[codec], { purpose: 'editing' }, scope)) {
      if (item.kind === 'video') pictures[codec].push({ start: item.start, keyFrame: item.keyFrame, data: item.data });
    }
  }
  const heard = await rawSound(sources[0]!, 1, 16_000, scope);
  const width = each.width * sources.length;
  return {
    name,
    faces: clips.length,
    width,
    height: size.height,
    pictures,
    files,
    pcm: heard.slice(0, seconds * 16_000),
  };
}

const run = promisify(execFile);
/** What `-benchmark` says at the end: CPU seconds of the program itself and of the kernel for it. */
export function benchmarked(words: string): number {
  const found = /bench: utime=([\d.]+)s stime=([\d.]+)s/.exec(words);
  if (!found) throw new Error(`FFmpeg has not said how long it took: ${words.slice(-200)}`);
  return Number(found[1]) + Number(found[2]);
}

/** CPU ms a picture of FFmpeg's own program that decodes the reel and encodes it anew, in one thread, at `bitrate`. */
export async function plainly(reel: Reel, codec: ReelCodec, bitrate: number): Promise<number> {
  const speed =
    codec === 'VP8'
      ? ['-c:v', 'libvpx', '-deadline', 'realtime', '-cpu-used', '-6', '-auto-alt-ref', '0', '-lag-in-frames', '0']
      : ENCODE.H264;
  const args = ['-hide_banner', '-nostdin', '-benchmark', '-threads', '1', ...inputFile(reel.files[codec])];
  const out = [
    '-an',
    ...speed,
    '-threads',
    '1',
    '-b:v',
    String(bitrate),
    '-maxrate',
    String(bitrate),
    '-bufsize',
    String(bitrate),
  ];
  const { stderr } = await run(process.env['LIVEDUB_FFMPEG'] ?? 'ffmpeg', [...args, ...out, '-f', 'null', '-']);
  return (1_000 * benchmarked(stderr)) / reel.pictures[codec].length;
}
