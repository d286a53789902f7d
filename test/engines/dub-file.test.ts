import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DubOptions, DubProgress } from '../../gateway/commands.ts';
import { dubFile } from '../../gateway/dub-file.ts';
import { root } from '../../gateway/root.ts';
import { Scope } from '../../media/scope.ts';
import { encodeWav } from '../../media/wav.ts';
import { decode, flite } from '../fakes/recordings.ts';

const lacking =
  ['ffmpeg', 'flite', 'espeak-ng', 'apertium'].find((program) => spawnSync(program, ['--version']).error) ??
  (existsSync(join(root, 'dist/models/thread-main.js')) ? undefined : 'npm run build');

const folder = mkdtempSync(join(tmpdir(), 'livedub-dub-file-'));
afterAll(() => rmSync(folder, { recursive: true }));
const path = (name: string) => join(folder, name);
const make = (name: string, ...args: string[]) => execFileSync('ffmpeg', ['-v', 'error', '-y', ...args, path(name)]);

const SENTENCES = [
  'Good morning everyone and welcome to the meeting.',
  'The river is very high today and the bridge is closed.',
  'We will speak about the weather and about the new school.',
];

async function dubbing(options: Partial<DubOptions>, onProgress: (progress: DubProgress) => void = () => {}) {
  await using scope = new Scope('test');
  return await dubFile(
    { file: path('clip.mp4'), from: 'en', to: ['es'], out: path('out.mkv'), ...options },
    scope,
    onProgress,
  );
}
const failure = (options: Partial<DubOptions>) => dubbing(options).catch((thrown: unknown) => thrown as Error);

interface Stream {
  readonly codec_type: string;
  readonly codec_name: string;
  readonly tags?: { readonly language?: string; readonly title?: string };
  readonly disposition: { readonly default: number };
}
const probed = (file: string) =>
  JSON.parse(
    execFileSync('ffprobe', ['-v', 'error', '-show_streams', '-show_format', '-of', 'json', file], {
      encoding: 'utf8',
    }),
  ) as { streams: Stream[]; format: { duration: string } };
const level = (pcm: Float32Array, from: number, to: number) =>
  Math.sqrt(pcm.subarray(from * 48, to * 48).reduce((sum, x) => sum + x * x, 0) / ((to - from) * 48));

describe.skipIf(lacking)(
  `dubbing a recording into a file (needs ${lacking ?? 'ffmpeg, flite, espeak-ng, apertium'})`,
  () => {
    /** Where its sentences are, ms. */
    const places: { from: number; to: number }[] = [];
    let length = 0;
    beforeAll(() => {
      const gap = new Float32Array(16_000);
      const parts: Float32Array[] = [gap];
      for (const sentence of SENTENCES) {
        const said = flite(sentence);
        const from = parts.reduce((sum, part) => sum + part.length, 0) / 16;
        places.push({ from, to: from + said.length / 16 });
        parts.push(said, gap);
      }
      const pcm = Float32Array.from(parts.flatMap((part) => [...part]));
      length = pcm.length / 16_000;
      writeFileSync(path('speech.wav'), encodeWav(pcm, 16_000));
      const picture = ['-f', 'lavfi', '-i', `testsrc2=s=160x90:r=25:d=${length}`];
      const h264 = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '25', '-pix_fmt', 'yuv420p'];
      make('clip.mp4', ...picture, '-i', path('speech.wav'), ...h264, '-c:a', 'aac', '-ar', '48000');
      make('silent.mp4', '-f', 'lavfi', '-i', 'testsrc2=s=160x90:r=25:d=1', ...h264);
    });

    test('gives it a track of sound and one of captions in the language, and leaves the rest as it was', async () => {
      const progress: DubProgress[] = [];
      const said = await dubbing({ captions: 'srt' }, (each) => progress.push(each));
      const { streams, format } = probed(path('out.mkv'));
      expect(streams.map((s) => [s.codec_type, s.codec_name, s.tags?.language ?? null, s.disposition.default])).toEqual(
        [
          ['video', 'h264', null, 1],
          ['audio', 'opus', 'spa', 1],
          ['audio', 'opus', 'eng', 0],
          ['subtitle', 'subrip', 'spa', 0],
          ['subtitle', 'subrip', 'eng', 0],
        ],
      );
      expect(Math.abs(Number(format.duration) - length)).toBeLessThan(0.05);
      // The picture is the same, packet for packet.
      const packets = (file: string) =>
        execFileSync(
          'ffmpeg',
          ['-v', 'error', '-i', file, '-map', '0:v', '-c', 'copy', '-bsf:v', 'h264_mp4toannexb', '-f', 'md5', '-'],
          {
            encoding: 'utf8',
          },
        );
      expect(packets(path('out.mkv'))).toBe(packets(path('clip.mp4')));

      // What it says of itself.
      const dubbed = /(\d+) lines: (\d+) dubbed/.exec(said);
      expect(Number(dubbed?.[1])).toBeGreaterThanOrEqual(2);
      expect(Number(dubbed?.[2])).toBeGreaterThanOrEqual(2);
      expect(said).toContain(`Wrote ${path('out.mkv')}: ${length.toFixed(1)} s in`);
      expect(said).toMatch(/Speed p50 (0\.9|1\.[0-2])\d?×/);
      expect(progress.at(-1)?.fraction).toBe(1);
      expect(progress.map(({ fraction }) => fraction)).toEqual(
        [...progress.map(({ fraction }) => fraction)].sort((a, b) => a - b),
      );

      // Its sound: somebody speaks in the dub where the original has a sentence, and it is not the original.
      const track = (index: number) => {
        make(`${index}.wav`, '-i', path('out.mkv'), '-map', `0:a:${index}`);
        return decode(path(`${index}.wav`), 48_000);
      };
      const [dub, original] = [track(0), track(1)];
      expect(Math.abs(dub.length / 48_000 - length)).toBeLessThan(0.05);
      let different = 0;
      for (const { from, to } of places) {
        expect(level(dub, from, to)).toBeGreaterThan(0.02);
        let [ab, aa, bb] = [0, 0, 0];
        for (let i = Math.round(from * 48); i < to * 48; i += 1) {
          ab += dub[i]! * original[i]!;
          aa += dub[i]! ** 2;
          bb += original[i]! ** 2;
        }
        if (ab / Math.sqrt(aa * bb) < 0.7) different += 1;
      }
      expect(different).toBeGreaterThanOrEqual(2);

      // Its captions: Spanish, where the sentences are.
      make('es.srt', '-i', path('out.mkv'), '-map', '0:s:0');
      make('en.srt', '-i', path('out.mkv'), '-map', '0:s:1');
      const text = (name: string) => readFileSync(path(name), 'utf8');
      const starts = [...text('es.srt').matchAll(/^(\d+):(\d+):(\d+),(\d+) -->/gm)].map(
        ([, h, m, s, ms]) => Number(h) * 3_600_000 + Number(m) * 60_000 + Number(s) * 1_000 + Number(ms),
      );
      expect(starts.length).toBeGreaterThanOrEqual(2);
      expect(starts.some((start) => Math.abs(start - places[0]!.from) < 700)).toBe(true);
      expect(text('es.srt')).toMatch(/\b(el|la|los|las|de|y|es|está|muy)\b/);
      expect(text('en.srt')).toMatch(/\b(the|and|is|about|meeting)\b/i);
      // The same beside it, broken into lines that can be read.
      const beside = text('out.es.srt');
      expect([...beside.matchAll(/ --> /g)]).toHaveLength(starts.length);
      expect(beside).toMatch(/^1\n00:00:0\d,\d{3} --> /);
      expect(Math.max(...beside.split('\n').map((line) => line.length))).toBeLessThanOrEqual(42);
      expect(text('out.en.srt')).toMatch(/\b(the|and|is|about|meeting)\b/i);
      // Nothing is left lying about.
      expect(readdirSync(folder).filter((name) => name.includes('part'))).toEqual([]);
    }, 40_000);

    test.for([
      ['a file of a kind nobody writes', { out: path('out.avi') }, /Cannot write out\.avi: /],
      ['a language nobody speaks', { to: ['tlh'] }, /--to tlh: .*tlh/i],
      ['a language nobody hears', { from: 'fi' }, /fi/],
      ['a file without sound', { file: path('silent.mp4') }, /silent\.mp4 has no sound: there is nothing to dub\./],
      ['a file that is not there', { file: path('nothing.mp4') }, /Cannot open nothing\.mp4: there is no such file/],
      ['a file that is no media', { file: path('speech.txt') }, /Cannot (open|play) speech\.txt: /],
    ] as const)('%s is refused with a sentence, before anything is written', async ([, options, sentence]) => {
      writeFileSync(path('speech.txt'), 'Good morning.');
      rmSync(path('out.mkv'), { force: true });
      const refusal = await failure(options);
      expect(refusal).toBeInstanceOf(Error);
      expect(refusal).toMatchObject({ message: expect.stringMatching(sentence) as string });
      expect(existsSync(path('out.mkv'))).toBe(false);
    });

    test('stopped in the middle it leaves no file', async () => {
      rmSync(path('out.mkv'), { force: true });
      const scope = new Scope('test');
      const stopped = dubFile(
        { file: path('clip.mp4'), from: 'en', to: ['es'], out: path('out.mkv') },
        scope,
        ({ fraction }) => {
          if (fraction > 0.2) void scope.close();
        },
      );
      await expect(stopped).rejects.toThrow();
      await scope.close();
      expect(existsSync(path('out.mkv'))).toBe(false);
    }, 20_000);
  },
);
