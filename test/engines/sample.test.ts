import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type SampleProgramme, sampleProgramme } from '../../gateway/sample.ts';

const folder = mkdtempSync(join(tmpdir(), 'livedub-sample-'));
const before = process.env['LIVEDUB_CACHE'];
const { signal } = new AbortController();
let sample: SampleProgramme;
const progress: number[] = [];
beforeAll(async () => {
  process.env['LIVEDUB_CACHE'] = folder;
  sample = await sampleProgramme(signal, (fraction) => progress.push(fraction));
});
afterAll(() => {
  if (before === undefined) delete process.env['LIVEDUB_CACHE'];
  else process.env['LIVEDUB_CACHE'] = before;
  rmSync(folder, { recursive: true, force: true });
});

const probe = async (...args: string[]) =>
  (await promisify(execFile)('ffprobe', ['-v', 'error', ...args, '-of', 'json', sample.path], { maxBuffer: 1 << 26 }))
    .stdout;

test('the sample programme can be sent to a browser as it is, and loops without a seam', async () => {
  const { streams } = JSON.parse(await probe('-show_streams')) as { streams: Record<string, unknown>[] };
  expect(streams[0]).toMatchObject({
    codec_name: 'h264',
    profile: 'Constrained Baseline',
    has_b_frames: 0,
    width: 640,
    height: 360,
    r_frame_rate: '25/1',
  });
  expect(streams[1]).toMatchObject({ codec_name: 'aac', sample_rate: '48000', channels: 1 });
  for (const stream of streams) {
    expect(Number(stream['start_time'])).toBe(0);
    expect(Number(stream['duration'])).toBe(sample.duration / 1e6);
  }
});

test('it has a key frame every second', async () => {
  const { packets } = JSON.parse(await probe('-select_streams', 'v', '-show_packets')) as {
    packets: { pts_time: string; flags: string }[];
  };
  const keys = packets.filter((packet) => packet.flags.startsWith('K')).map((packet) => Number(packet.pts_time));
  expect(keys).toEqual(Array.from({ length: sample.duration / 1e6 }, (_, i) => i));
});

test('it is loud exactly where its sentences are', async () => {
  const args = ['-v', 'error', '-i', sample.path, '-f', 's16le', '-ac', '1', '-ar', '16000', '-'];
  const { stdout } = await promisify(execFile)('ffmpeg', args, { encoding: 'buffer', maxBuffer: 1 << 26 });
  const level = (from: number, to: number) => {
    const [first, last] = [Math.round(from * 0.016), Math.round(to * 0.016)];
    let sum = 0;
    for (let i = first; i < last; i++) sum += stdout.readInt16LE(2 * i) ** 2;
    return Math.sqrt(sum / (last - first));
  };
  let end = 0;
  for (const sentence of sample.sentences) {
    expect(level(sentence.start, sentence.end)).toBeGreaterThan(1_000);
    // AAC smears a sound over one of its windows: 2048 samples, 43 ms.
    expect(level(end + 50_000, sentence.start - 50_000)).toBeLessThan(30);
    ({ end } = sentence);
  }
});

test('it is made once', async () => {
  const bytes = readFileSync(sample.path);
  progress.length = 0;
  expect(await sampleProgramme(signal, (fraction) => progress.push(fraction))).toEqual(sample);
  expect(progress).toEqual([]);
  expect(readFileSync(sample.path).equals(bytes)).toBe(true);
});
