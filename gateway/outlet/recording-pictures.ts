import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ffmpeg, ffprobe, inputFile, outputFile } from '../../media/ffmpeg.ts';
import { Scope } from '../../media/scope.ts';
import { sizeWithin } from '../../media/shrink.ts';
import type { Span } from '../../media/time.ts';
import type { Manifest } from '../recordings.ts';
import { CLOSEST, COLUMNS, MOST_TILES, TILE, cornerOf, thumbnails } from './storyboard.ts';

/** A recording is not kept waiting for its pictures longer than that, ms: key frames of eight hours are read by then. */
const PATIENCE = 30_000;
const POSTER = { width: 640, height: 360 } as const;
/** The poster is the most usual among so many first key frames: no black, no title. */
const LOOKED_AT = 20;
/** JPEG's quantizer, as FFmpeg counts. */
const QUALITY = '4';

const Probed = z.object({ streams: z.array(z.object({ width: z.number().min(1), height: z.number().min(1) })) });

/**
 * Writes a poster, a sheet of small pictures and a WebVTT file that says where each is, beside a recording; `null` where it
 * has no picture. They are of key frames alone; between two of them the earlier is meant.
 *
 * @throws FfmpegError
 */
export async function recordingPictures(
  directory: string,
  base: string,
  file: string,
  duration: Span,
): Promise<Manifest['pictures']> {
  const scope = new Scope(`pictures of ${base}`);
  const timer = setTimeout(() => void scope.close(), PATIENCE);
  const names = { poster: `${base}.poster.jpg`, storyboard: `${base}.storyboard.vtt`, sheet: `${base}.storyboard.jpg` };
  const path = (name: string) => join(directory, name);
  try {
    const asked = ['-select_streams', 'v:0', '-show_entries', 'stream=width,height'];
    const [size] = Probed.parse(await ffprobe(file, asked, scope)).streams;
    if (!size) return null;
    const count = Math.min(MOST_TILES, Math.max(1, Math.ceil(duration / CLOSEST)));
    const every = duration / count;
    const tile = sizeWithin(size, TILE);
    const within = ({ width, height }: typeof tile) => `scale=${width}:${height}:flags=area,setsar=1,format=yuvj420p`;
    const rows = Math.ceil(count / COLUMNS);
    const columns = Math.min(count, COLUMNS);
    const spread = `fps=${1e6 / every}:start_time=0:round=up,tpad=stop_mode=clone:stop=${count}`;
    await ffmpeg(
      [
        // Without `reinit_filter` a sheet would begin anew where pictures change their size.
        ...[
          '-y',
          '-threads',
          '1',
          '-reinit_filter',
          '0',
          '-discard',
          'nokey',
          '-skip_frame',
          'nokey',
          ...inputFile(file),
        ],
        '-filter_complex',
        `[0:v:0]split[a][b];[a]${within(tile)},${spread},tile=${columns}x${rows}:nb_frames=${count}[sheet];` +
          `[b]${within(sizeWithin(size, POSTER))},thumbnail=${LOOKED_AT}[poster]`,
        ...['-map', '[sheet]', '-frames:v', '1', '-update', '1', '-q:v', QUALITY, outputFile(path(names.sheet))],
        ...['-map', '[poster]', '-frames:v', '1', '-update', '1', '-q:v', QUALITY, outputFile(path(names.poster))],
      ],
      scope,
    ).done;
    scope.signal.throwIfAborted();
    const cues = Array.from({ length: count }, (_, n) => {
      const box = { ...cornerOf(n, tile), ...tile };
      return { start: n * every, end: (n + 1) * every, box };
    });
    await writeFile(path(names.storyboard), thumbnails(cues, encodeURIComponent(names.sheet)));
    return names;
  } catch (failure) {
    for (const name of Object.values(names)) await rm(path(name), { force: true });
    throw failure;
  } finally {
    clearTimeout(timer);
    await scope.close();
  }
}
