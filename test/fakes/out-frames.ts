import { execFileSync } from 'node:child_process';
import { adtsFrames } from './adts-frames.ts';
import type { OutPicture, OutSound } from '../../gateway/outlet/outlet.ts';
import type { TrackId } from '../../gateway/protocol.ts';
import { nalUnits } from '../../media/h264.ts';
import { type MediaTime, type Span, at, later, samples, seconds } from '../../media/time.ts';

/** A recording as outlets get it: H.264 with a key frame each second, and AAC. */
export interface OutClip {
  /** Two µs values: how long it is, in pictures and in sound. */
  readonly length: Span;
  readonly pictures: readonly OutPicture[];
  readonly sounds: (track: TrackId) => OutSound[];
}

const ffmpeg = (args: readonly string[]) =>
  new Uint8Array(execFileSync('ffmpeg', ['-v', 'error', ...args], { maxBuffer: 1 << 28 }));

/** Encodes `length` seconds of a file anew, `height` pixels high, with a quality of `crf`. */
export function outClip(file: string, length: number, { height = 240, crf = 30, channels = 2 } = {}): OutClip {
  const input = ['-t', String(length), '-i', file];
  const baseline = ['-c:v', 'libx264', '-profile:v', 'baseline', '-preset', 'ultrafast', '-tune', 'zerolatency'];
  const scale = ['-vf', `fps=25,scale=-2:${height}`, '-pix_fmt', 'yuv420p', '-crf', String(crf), '-g', '25'];
  const h264 = ffmpeg([...input, ...scale, ...baseline, '-x264-params', 'aud=1:slices=1', '-f', 'h264', '-']);
  const aac = ffmpeg([...input, '-vn', '-ar', '48000', '-ac', String(channels), '-c:a', 'aac', '-f', 'adts', '-']);
  const units = accessUnits(h264);
  const [sps] = units;
  const width = Math.round((height * 1.5) / 2) * 2;
  if (!sps) throw new TypeError(`There is no picture in ${file}`);
  const pictures = units.map((data, n): OutPicture => ({
    track: 'video',
    codec: 'H264',
    start: at(n * 40_000),
    keyFrame: nalUnits(data, 'annex-b').some((nal) => ((nal[0] ?? 0) & 31) === 5),
    data,
    width,
    height,
  }));
  const frames = adtsFrames(aac);
  return {
    length: seconds(length),
    pictures,
    sounds: (track) => frames.map((data, n) => ({ track, start: at(samples(n * 1_024, 48_000)), data })),
  };
}

/** Splits at access unit delimiters (NAL type 9). */
function accessUnits(stream: Uint8Array): Uint8Array[] {
  const starts: number[] = [];
  for (let n = 0; n + 4 < stream.length; n += 1) {
    if (stream[n] === 0 && stream[n + 1] === 0 && stream[n + 2] === 0 && stream[n + 3] === 1 && stream[n + 4] === 9)
      starts.push(n);
  }
  return starts.map((start, n) => stream.subarray(start, starts[n + 1]));
}

/** Pictures and sound in the order they come, `offset` later. */
export const inOrder = (items: readonly (OutPicture | OutSound)[], offset: Span): (OutPicture | OutSound)[] =>
  items.map((item) => ({ ...item, start: later<MediaTime>(item.start, offset) })).sort((a, b) => a.start - b.start);
