import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { ffmpeg, ffprobe, inputFile } from '../media/ffmpeg.ts';
import type { Scope } from '../media/scope.ts';
import type { Recorded } from './recordings.ts';

/** Where tracks may end apart, seconds: a recording is as long as its longest. */
const APART = 1;

const Probed = z.object({
  format: z.object({ duration: z.coerce.number().optional() }),
  streams: z.array(z.object({ codec_type: z.string().optional() })),
});

/**
 * Reads a recording as any player would, to its last byte, and compares it with what its manifest says.
 *
 * @returns what is wrong, a sentence each; nothing when all is well
 */
export async function checkRecording(recording: Recorded, scope: Scope): Promise<string[]> {
  const { files, manifest, bytes, seconds, languages, finished } = recording;
  const wrong: string[] = [];
  for (const name of files) {
    const there = await stat(join(dirname(manifest), name)).catch(() => undefined);
    if (!there?.isFile()) wrong.push(`${name} is missing.`);
    else if (name === files[0] && there.size !== bytes)
      wrong.push(`${name} has ${there.size} bytes in place of ${bytes}.`);
  }
  const [main = ''] = files;
  const path = join(dirname(manifest), main);
  const own = scope.child(`check ${main}`);
  try {
    const { format, streams } = Probed.parse(await ffprobe(path, ['-show_streams', '-show_format'], own));
    const tracks = streams.filter(({ codec_type }) => codec_type === 'audio').length;
    if (tracks < languages.length) wrong.push(`${main} has sound in ${tracks} of ${languages.length} languages.`);
    // What stayed as it was written says no duration.
    const { duration } = format;
    if (finished && Math.abs((duration ?? 0) - seconds) > APART)
      wrong.push(`${main} lasts ${(duration ?? 0).toFixed(1)} s in place of ${seconds.toFixed(1)} s.`);
    const whole = ffmpeg([...inputFile(path), '-map', '0', '-map', '-0:d?', '-c', 'copy', '-f', 'null', '-'], own);
    await whole.done;
    const [said] = whole.lines();
    if (said !== undefined) wrong.push(`${main} is damaged: ${said}.`);
  } catch (failure) {
    scope.signal.throwIfAborted();
    if (wrong.length === 0) wrong.push(`${main} cannot be read: ${failure instanceof Error ? failure.message : ''}.`);
  } finally {
    await own.close();
  }
  return wrong;
}
