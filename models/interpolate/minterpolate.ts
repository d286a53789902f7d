import { z } from 'zod';
import { FfmpegError, ffmpeg, ffmpegVersion } from '../../media/ffmpeg.ts';
import type { Scope } from '../../media/scope.ts';
import { between, seconds } from '../../media/time.ts';
import type { Planes, VideoFrame } from '../../media/video-frame.ts';
import type { Pair } from '../../pipeline/face.ts';
import { Fault } from '../../pipeline/fault.ts';
import { until } from '../../pipeline/until.ts';
import { defineEngine, needsFile } from '../engine.ts';
import { expectAlike, placesOf } from './rife.ts';

/** The filter looks at two pictures on either side; at the ends of a chain they are its first and its last. */
const CONTEXT = 2;
/** As much goes through one FFmpeg at a time: its start, and what it makes of the context, cost as much as four pairs. */
const LONGEST = seconds(2);

/** Whether one pair begins with the picture that the other ends with, to be filled alike. */
const goesOn = (from: Pair | undefined, { before, after, count }: Pair): boolean =>
  from?.after === before && from.count === count && before.width === after.width && before.height === after.height;

/**
 * Pictures between two, pair by pair, by FFmpeg's filter `minterpolate`. Their motion is estimated both ways, and blocks overlap.
 *
 * @param chain pairs of which each begins where the one before ends, at least one
 */
async function madeBetween(chain: readonly Pair[], scope: Scope): Promise<Pick<Planes, 'y' | 'u' | 'v'>[][]> {
  const [first] = chain;
  const last = chain.at(-1);
  if (!first || !last) return [];
  const { count } = first;
  const { width, height } = first.before;
  const raw = ['-f', 'rawvideo', '-pix_fmt', 'yuv420p'];
  const filter = `minterpolate=fps=${count + 1}:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:vsbmc=1:scd=none`;
  const { stdin, stdout, done } = ffmpeg(
    ['-threads', '1', ...raw, '-s', `${width}x${height}`, '-r', '1', '-i', 'pipe:0', '-vf', filter, ...raw, 'pipe:1'],
    scope,
  );
  const pictures = [
    ...Array.from({ length: CONTEXT - 1 }, () => first.before),
    first.before,
    ...chain.map(({ after }) => after),
    ...Array.from({ length: CONTEXT }, () => last.after),
  ];
  for (const { y, u, v } of pictures) for (const plane of [y, u, v]) stdin.write(plane);
  stdin.end();
  const luma = width * height;
  const chroma = ((width + 1) >> 1) * ((height + 1) >> 1);
  const size = luma + 2 * chroma;
  const parts: Buffer[] = [];
  for await (const part of stdout) parts.push(part as Buffer);
  await done;
  const bytes = Buffer.concat(parts);
  // Output begins where input does; a pair is one second long, and the first begins after all but one of what is before it.
  const beginOf = (pair: number) => (CONTEXT - 1 + pair) * (count + 1) + 1;
  if (bytes.length < (beginOf(chain.length - 1) + count) * size) {
    throw new FfmpegError(`ffmpeg made ${bytes.length} bytes of pictures`);
  }
  return chain.map((_, pair) =>
    Array.from({ length: count }, (_, n) => {
      const begin = (beginOf(pair) + n) * size;
      const plane = (from: number, length: number) =>
        new Uint8Array(bytes.subarray(begin + from, begin + from + length));
      return { y: plane(0, luma), u: plane(luma, chroma), v: plane(luma + chroma, chroma) };
    }),
  );
}

/**
 * Motion-compensated pictures on the CPU, by a program, for recordings: pairs that follow each other go through it together, and
 * come out when the last of them is known.
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
      caps: { lookahead: LONGEST },
      async *run(input, { signal }) {
        const made = async function* (chain: readonly Pair[]): AsyncGenerator<VideoFrame, void, void> {
          if (chain.length === 0) return;
          const own = scope.child('minterpolate');
          const stop = () => void own.close();
          signal.addEventListener('abort', stop, { once: true });
          try {
            for (const [n, planes] of (await madeBetween(chain, own)).entries()) {
              const pair = chain[n]!;
              const places = placesOf(pair);
              for (const [k, each] of planes.entries()) {
                if (signal.aborted) return;
                yield { ...pair.before, ...each, start: places[k]! };
              }
            }
          } catch (thrown) {
            if (signal.aborted) return;
            throw faultOf(thrown);
          } finally {
            signal.removeEventListener('abort', stop);
            await own.close();
          }
        };
        let chain: Pair[] = [];
        for await (const pair of until(input, signal)) {
          if (pair.count === 0) continue;
          if (!goesOn(chain.at(-1), pair)) {
            yield* made(chain);
            chain = [];
          }
          expectAlike(pair);
          chain.push(pair);
          if (between(chain[0]!.before.start, pair.after.start) < LONGEST) continue;
          yield* made(chain);
          chain = [];
        }
        yield* made(chain);
      },
    };
  },
});
