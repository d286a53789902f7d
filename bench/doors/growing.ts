import { execFile } from 'node:child_process';
import { link, readdir, stat } from 'node:fs/promises';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { ffmpeg, inputFile } from '../../media/ffmpeg.ts';
import type { Scope } from '../../media/scope.ts';
import type { Seen } from './delays.ts';
import { now } from './paced.ts';
import { STRIP_FILTER, StripReader } from './time-code.ts';

const run = promisify(execFile);
/** How often a growing file is looked at, ms. */
const EVERY = 5;

/** A file's size and since when it has it. */
export interface Grown {
  readonly size: number;
  readonly at: number;
}

/** When a file that is `sizes` large at those moments first held `bytes`; `undefined` if it never did. */
export const heldAt = (sizes: readonly Grown[], bytes: number): number | undefined =>
  sizes.find(({ size }) => size >= bytes)?.at;

/** Watches the largest file in a folder grow. Its content is kept by a link, whatever becomes of its name. */
export async function watchGrowing(folder: string, scope: Scope): Promise<() => Promise<Seen[]>> {
  const name = await largest(folder, scope);
  const kept = join(folder, '..', 'growing.mkv');
  await link(join(folder, name), kept);
  const sizes: Grown[] = [];
  const timer = setInterval(() => {
    const { size } = statSync(kept);
    if (size !== sizes.at(-1)?.size) sizes.push({ size, at: now() });
  }, EVERY);
  scope.defer(() => clearInterval(timer));
  return async () => {
    clearInterval(timer);
    const ends = await endsIn(kept);
    const numbers = await numbersIn(kept, scope);
    return numbers.flatMap((number, n) => {
      const at = ends[n] === undefined ? undefined : heldAt(sizes, ends[n]);
      return number === undefined || at === undefined ? [] : [{ number, at }];
    });
  };
}

async function largest(folder: string, scope: Scope): Promise<string> {
  for (let tries = 0; tries < 300; tries += 1) {
    const names = await readdir(folder).catch(() => []);
    const sized = await Promise.all(names.map(async (name) => ({ name, size: (await stat(join(folder, name))).size })));
    const [first] = sized.filter(({ name, size }) => name.endsWith('.mkv') && size > 0).sort((a, b) => b.size - a.size);
    if (first) return first.name;
    scope.signal.throwIfAborted();
    await new Promise((wake) => setTimeout(wake, 100));
  }
  throw new Error('There is no recording');
}

/** Where each packet of the picture ends in the file. */
async function endsIn(file: string): Promise<number[]> {
  const show = ['-select_streams', 'v', '-show_entries', 'packet=pos,size', '-of', 'csv=p=0'];
  const { stdout } = await run('ffprobe', ['-v', 'error', ...show, file], { maxBuffer: 1 << 26 });
  const rows = stdout.split('\n').map((row) => row.split(',').map(Number));
  return rows.flatMap(([size = NaN, pos = NaN]) => (Number.isNaN(size + pos) ? [] : [size + pos]));
}

async function numbersIn(file: string, scope: Scope): Promise<(number | undefined)[]> {
  const into = ['-map', '0:v:0', '-vf', STRIP_FILTER, '-fps_mode', 'passthrough', '-f', 'rawvideo', 'pipe:1'];
  const running = ffmpeg([...inputFile(file), ...into], scope);
  const reader = new StripReader();
  const numbers: (number | undefined)[] = [];
  for await (const bytes of running.stdout as AsyncIterable<Buffer>) numbers.push(...reader.push(bytes));
  await running.done;
  return numbers;
}
