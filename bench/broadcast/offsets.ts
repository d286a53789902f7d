import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { samplesFrom } from '../../media/bytes.ts';
import { type Bright, flashes, toneIn } from './marks.ts';

const run = promisify(execFile);
const RATE = 16_000;
/** Sound is looked for so far around a white picture, seconds. */
const AROUND = 0.4;
/** A programme of an hour in one go. */
const MOST = 2 ** 30;

/** When packets of a stream are shown, seconds. */
async function times(file: string, stream: 'v:0' | 'a:0'): Promise<number[]> {
  const asked = ['-v', 'error', '-select_streams', stream, '-show_entries', 'packet=pts_time', '-of', 'csv=p=0', file];
  const { stdout } = await run('ffprobe', asked, { maxBuffer: MOST });
  return stdout
    .split('\n')
    .map((line) => Number.parseFloat(line))
    .filter((time) => !Number.isNaN(time))
    .sort((a, b) => a - b);
}

/** What a program of FFmpeg's writes. */
async function written(args: readonly string[]): Promise<Uint8Array> {
  const child = spawn('ffmpeg', ['-v', 'error', '-nostdin', ...args, '-'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const pieces: Buffer[] = [];
  child.stdout.on('data', (piece: Buffer) => pieces.push(piece));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`FFmpeg ended with ${code}`);
  return Buffer.concat(pieces);
}

/** When the white pictures of a file begin, seconds. */
export async function flashesOf(file: string): Promise<number[]> {
  const at = await times(file, 'v:0');
  const bytes = await written(['-i', file, '-vf', 'scale=8:8,format=gray', '-vsync', 'passthrough', '-f', 'rawvideo']);
  const count = Math.floor(bytes.byteLength / 64);
  if (Math.abs(count - at.length) > 1) throw new Error(`${count} pictures of ${at.length} packets in ${file}`);
  const pictures = at.slice(0, count).map((time, n): Bright => {
    const picture = bytes.subarray(n * 64, n * 64 + 64);
    return { at: time, luma: picture.reduce((sum, value) => sum + value, 0) / 64 };
  });
  return flashes(pictures);
}

/** One mark: when it was seen, and how long after that it was heard, ms; `null` where it was not found. */
export interface Offset {
  readonly at: number;
  readonly ms: number | null;
}

/** How long after white pictures a file's sound has their tones. */
export async function offsetsOf(file: string, seen: readonly number[]): Promise<Offset[]> {
  const at = await times(file, 'a:0');
  const bytes = await written(['-i', file, '-map', 'a:0', '-ac', '1', '-ar', String(RATE), '-f', 'f32le']);
  const pcm = samplesFrom(Buffer.from(bytes), 'f32le');
  const packet = 1_024 / 48_000;
  return seen.flatMap((flash): Offset[] => {
    // Where the sound of a moment lies: packets follow each other, but for holes.
    const near = at.findLastIndex((time) => time <= flash);
    const time = at[near];
    if (time === undefined || flash > (at.at(-1) ?? 0) - AROUND || flash < (at[0] ?? 0) + AROUND) return [];
    const shift = near * packet - time;
    const from = Math.round((flash - AROUND + shift) * RATE);
    const tone = toneIn(pcm, RATE, from, Math.round(2 * AROUND * RATE));
    return [{ at: flash, ms: tone === undefined ? null : (tone - shift - flash) * 1_000 }];
  });
}
