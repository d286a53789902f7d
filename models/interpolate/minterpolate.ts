import { z } from 'zod';
import { FfmpegError, ffmpeg, ffmpegVersion } from '../../media/ffmpeg.ts';
import type { Scope } from '../../media/scope.ts';
import { ms } from '../../media/time.ts';
import type { Planes } from '../../media/video-frame.ts';
import type { Pair } from '../../pipeline/face.ts';
import { Fault } from '../../pipeline/fault.ts';
import { until } from '../../pipeline/until.ts';
import { defineEngine, needsFile } from '../engine.ts';
import { expectAlike, placesOf } from './rife.ts';

/** The filter looks at two pictures on either side, which here are the same: what is between is for the pair to tell. */
const CONTEXT = 2;

/** Pictures between two by FFmpeg's filter `minterpolate`. Their motion is estimated both ways, and blocks overlap. */
async function between({ before, after, count }: Pair, scope: Scope): Promise<Pick<Planes, 'y' | 'u' | 'v'>[]> {
  const { width, height } = before;
  const raw = ['-f', 'rawvideo', '-pix_fmt', 'yuv420p'];
  const filter = `minterpolate=fps=${count + 1}:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1:scd=none`;
  const { stdin, stdout, done } = ffmpeg(
    ['-threads', '1', ...raw, '-s', `${width}x${height}`, '-r', '1', '-i', 'pipe:0', '-vf', filter, ...raw, 'pipe:1'],
    scope,
  );
  for (let n = 0; n < 2 * CONTEXT + 1; n += 1) {
    const { y, u, v } = n < CONTEXT ? before : after;
    for (const plane of [y, u, v]) stdin.write(plane);
  }
  stdin.end();
  const luma = width * height;
  const chroma = ((width + 1) >> 1) * ((height + 1) >> 1);
  const size = luma + 2 * chroma;
  const parts: Buffer[] = [];
  for await (const part of stdout) parts.push(part as Buffer);
  await done;
  const bytes = Buffer.concat(parts);
  // Output begins where input does; the pair is one second long and begins after all but one of what is before it.
  const first = (CONTEXT - 1) * (count + 1) + 1;
  if (bytes.length < (first + count) * size) throw new FfmpegError(`ffmpeg made ${bytes.length} bytes of pictures`);
  return Array.from({ length: count }, (_, n) => {
    const begin = (first + n) * size;
    const plane = (from: number, length: number) => new Uint8Array(bytes.subarray(begin + from, begin + from + length));
    return { y: plane(0, luma), u: plane(luma, chroma), v: plane(luma + chroma, chroma) };
  });
}

/**
 * Motion-compensated pictures on the CPU, by a program. Each pair costs a start of FFmpeg, so it is for recordings.
 *
 * @see https://ffmpeg.org/ffmpeg-filters.html#minterpolate
 */
export const minterpolate = defineEngine({
  kind: 'interpolator',
  id: 'minterpolate',
  host: 'process',
  summary: 'FFmpeg’s motion-compensated pictures between two of a recorded programme; no network.',
  licence: 'GPL-2.0-or-later',
  needs: [needsFile('ffmpeg', ['/usr/bin/ffmpeg', '/usr/local/bin/ffmpeg', '/opt/homebrew/bin/ffmpeg'], 'ffmpeg')],
  config: z.strictObject({}),
  async load(_, scope) {
    const faultOf = (thrown: unknown) => {
      if (!(thrown instanceof FfmpegError)) return Fault.from('interpolator', thrown);
      return new Fault('interpolator', thrown.missing ? 'unavailable' : 'rejected', thrown.message, { cause: thrown });
    };
    await ffmpegVersion(scope).catch((thrown: unknown) => {
      throw faultOf(thrown);
    });
    return {
      kind: 'interpolator',
      engine: 'minterpolate',
      caps: { lookahead: ms(0) },
      async *run(input, { signal }) {
        for await (const pair of until(input, signal)) {
          expectAlike(pair);
          if (pair.count === 0) continue;
          const own = scope.child('minterpolate');
          const stop = () => void own.close();
          signal.addEventListener('abort', stop, { once: true });
          try {
            const [planes, places] = [await between(pair, own), placesOf(pair)];
            for (const [n, each] of planes.entries()) {
              if (signal.aborted) return;
              yield { ...pair.before, ...each, start: places[n]! };
            }
          } catch (thrown) {
            if (signal.aborted) return;
            throw faultOf(thrown);
          } finally {
            signal.removeEventListener('abort', stop);
            await own.close();
          }
        }
      },
    };
  },
});
