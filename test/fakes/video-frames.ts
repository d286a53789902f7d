import { execFileSync } from 'node:child_process';
import { type MediaTime, at } from '../../media/time.ts';
import { type Colour, UNSPECIFIED, type VideoFrame } from '../../media/video-frame.ts';

interface Raw {
  readonly width: number;
  readonly height: number;
  /** Pictures a second. */
  readonly rate?: number;
  /** Of the first one. */
  readonly start?: MediaTime;
  readonly colour?: Colour;
}
/** Planar 4:2:0, one picture after the other, as FFmpeg's `rawvideo` is. */
export function framesOf(
  raw: Uint8Array,
  { width, height, rate = 25, start = at(0), colour = UNSPECIFIED }: Raw,
): VideoFrame[] {
  const [luma, chroma] = [width * height, ((width + 1) >> 1) * ((height + 1) >> 1)];
  const size = luma + 2 * chroma;
  return Array.from({ length: Math.floor(raw.length / size) }, (_, n) => {
    const plane = (offset: number, length: number) =>
      Uint8Array.from(raw.subarray(n * size + offset, n * size + offset + length));
    const [y, u, v] = [plane(0, luma), plane(luma, chroma), plane(luma + chroma, chroma)];
    return { start: at(start + (n * 1_000_000) / rate), colour, width, height, y, u, v };
  });
}

/** What is wanted of a file's pictures. */
export interface Wanted extends Partial<Raw> {
  /** Seconds into the file. */
  readonly from?: number;
  /** So many pictures, or all of them. */
  readonly count?: number;
  /**
   * FFmpeg's filters, which must give `width` × `height`. Unless told, pictures are brought to the rate, scaled to fit and
   * padded with black; `null` takes them as they are.
   */
  readonly filters?: string | null;
}

/** Pictures of a file as FFmpeg decodes them: 640 × 360 and 25 a second unless told. */
export function videoFrames(
  file: string,
  { width = 640, height = 360, rate = 25, from = 0, count, filters, ...rest }: Wanted = {},
): VideoFrame[] {
  const fit = `fps=${rate},scale=${width}:${height}:force_original_aspect_ratio=decrease:flags=area,pad=${width}:${height}:-1:-1`;
  const filter = filters === null ? [] : ['-vf', filters ?? fit];
  const most = count === undefined ? [] : ['-frames:v', `${count}`];
  const input = ['-v', 'error', '-ss', `${from}`, '-i', file];
  const raw = execFileSync(
    'ffmpeg',
    [...input, ...filter, ...most, '-an', '-pix_fmt', 'yuv420p', '-f', 'rawvideo', '-'],
    {
      maxBuffer: 2 ** 31,
    },
  );
  return framesOf(raw, { width, height, rate, ...rest });
}

/** The pictures again, as if they followed at `start`. */
export const moved = (frames: readonly VideoFrame[], start: MediaTime): VideoFrame[] =>
  frames.map((frame) => ({ ...frame, start: at(frame.start - frames[0]!.start + start) }));
