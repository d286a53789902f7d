import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { mux } from '../../media/mux.ts';
import { Scope } from '../../media/scope.ts';
import { type Slowing, timeMap } from '../../media/time-map.ts';
import { at, seconds } from '../../media/time.ts';
import { encodeWav } from '../../media/wav.ts';

const folder = mkdtempSync(join(tmpdir(), 'livedub-times-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const make = (name: string, ...args: string[]) => execFileSync('ffmpeg', ['-v', 'error', '-y', ...args, path(name)]);

/** When pictures are shown, in order, seconds. */
const times = (file: string): number[] =>
  execFileSync(
    'ffprobe',
    ['-v', 'error', '-select_streams', 'v', '-show_entries', 'packet=pts_time', '-of', 'csv=p=0', file],
    { encoding: 'utf8', maxBuffer: 1e8 },
  )
    .split('\n')
    .map((line) => Number.parseFloat(line))
    .filter(Number.isFinite)
    .sort((a, b) => a - b);
const pictures = (file: string) =>
  execFileSync('ffmpeg', ['-v', 'error', '-i', file, '-map', '0:v', '-c', 'copy', '-f', 'hash', '-'], {
    encoding: 'utf8',
  });

/** 500 stretches of 0.2–0.44 s, each slower than the programme by another amount. */
const stretches = Array.from({ length: 500 }, (_, n): Slowing => {
  const start = 0.3 + n * 0.6;
  return { start: at(seconds(start)), end: at(seconds(start + 0.2 + (n % 25) / 100)), factor: 1.01 + (n % 20) / 100 };
});
const map = timeMap(stretches);

beforeAll(() => {
  const picture = ['-f', 'lavfi', '-i', 'testsrc2=s=96x64:r=25:d=302'];
  make('b.mp4', ...picture, '-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '2', '-g', '50', '-pix_fmt', 'yuv420p');
  make('b.mkv', '-i', path('b.mp4'), '-c', 'copy');
  make('b.avi', '-i', path('b.mp4'), '-t', '30', '-c:v', 'mpeg4');
  make('short.mp4', '-i', path('b.mp4'), '-t', '30', '-c', 'copy');
  writeFileSync(path('sound.wav'), encodeWav(new Float32Array(48_000 * 20), 48_000));
});

async function retimed(from: string, out: string, onProgress: (written: number) => void = () => {}) {
  await using scope = new Scope('test');
  const audio = [{ from: { wav: path('sound.wav') }, language: 'es', title: 'Español' }];
  return await mux({ original: path(from), out: path(out), audio, times: map, onProgress }, scope);
}

test.for([
  ['b.mp4', 'a.mp4', null],
  ['b.mp4', 'a.mkv', null],
  ['b.mkv', 'g.mp4', null],
  ['b.mkv', 'c.mkv', null],
  ['b.mkv', 'd.mov', null],
  ['b.avi', 'e.mp4', null],
  ['short.mp4', 'f.webm', '.webm does not take h264'],
] as const)(
  '%s → %s: every picture is where the map puts it, after 500 slowed stretches too',
  { timeout: 60_000 },
  async ([from, out, why]) => {
    const written: number[] = [];
    expect(await retimed(from, out, (time) => written.push(time))).toMatchObject({ why });
    const [before, after] = [times(path(from)), times(path(out))];
    expect(after.length).toBe(before.length);
    const origin = before[0]!;
    const off = after.map((time, n) => time - map.at(at(seconds(before[n]! - origin))) / 1e6);
    // Containers begin at their first picture or a codec's delay before it: what counts is that it stays as it began.
    const apart = Math.max(...off) - Math.min(...off);
    expect(apart).toBeLessThanOrEqual(0.002);
    expect(Math.abs(off[0]!)).toBeLessThanOrEqual(0.015);
    if (why === null) expect(pictures(path(out))).toBe(pictures(path(from)));
    expect(written.length).toBeGreaterThan(0);
    expect(written).toEqual([...written].sort((a, b) => a - b));
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
  },
);
