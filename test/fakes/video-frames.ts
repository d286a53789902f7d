import { execFileSync } from 'node:child_process';
import { type MediaTime, at } from '../../media/time.ts';
import { type Colour, UNSPECIFIED, type VideoFrame } from '../../media/video-frame.ts';

/** What is wanted of a file's pictures. */
export interface Wanted {
  /** Even. The picture is scaled to fit and padded with black. */
  readonly width?: number;
  readonly height?: number;
  /** Pictures a second. */
  readonly rate?: number;
  /** Seconds into the file. */
  readonly from?: number;
  readonly count?: number;
  readonly start?: MediaTime;
  /** FFmpeg's filters instead of fitting and padding; they must give `width` × `height`. */
  readonly filters?: string;
  readonly colour?: Colour;
}

/** Pictures of a file as FFmpeg decodes them. */
export function videoFrames(
  file: string,
  {
    width = 640,
    height = 360,
    rate = 25,
    from = 0,
    count = 50,
    start = at(0),
    filters,
    colour = UNSPECIFIED,
  }: Wanted = {},
): VideoFrame[] {
  const fit = `scale=${width}:${height}:force_original_aspect_ratio=decrease:flags=area,pad=${width}:${height}:-1:-1`;
  const filter = ['-vf', `fps=${rate},${filters ?? fit}`, '-frames:v', `${count}`, '-pix_fmt', 'yuv420p'];
  const bytes = execFileSync(
    'ffmpeg',
    ['-v', 'error', '-ss', `${from}`, '-i', file, ...filter, '-f', 'rawvideo', '-'],
    {
      maxBuffer: 1 << 30,
    },
  );
  const [luma, chroma] = [width * height, ((width + 1) >> 1) * ((height + 1) >> 1)];
  const size = luma + 2 * chroma;
  return Array.from({ length: Math.floor(bytes.length / size) }, (_, n) => {
    const plane = (offset: number, length: number) =>
      new Uint8Array(bytes.subarray(n * size + offset, n * size + offset + length));
    return {
      start: at(start + (n * 1_000_000) / rate),
      colour,
      width,
      height,
      y: plane(0, luma),
      u: plane(luma, chroma),
      v: plane(luma + chroma, chroma),
    };
  });
}

/** The pictures again, as if they followed at `start`. */
export const moved = (frames: readonly VideoFrame[], start: MediaTime): VideoFrame[] =>
  frames.map((frame) => ({ ...frame, start: at(frame.start - frames[0]!.start + start) }));
