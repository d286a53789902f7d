import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type MuxAudio, checkOutput, mux } from '../../media/mux.ts';
import { Scope } from '../../media/scope.ts';
import { decodeWav, encodeWav } from '../../media/wav.ts';

const folder = mkdtempSync(join(tmpdir(), 'livedub-mux-'));
const path = (name: string) => join(folder, name);
const make = (name: string, ...args: string[]) => {
  execFileSync('ffmpeg', ['-v', 'error', '-y', ...args, path(name)]);
};
const tone = (hz: number, length = 96_000) =>
  Float32Array.from({ length }, (_, i) => 0.4 * Math.sin((2 * Math.PI * hz * i) / 48_000));
async function* inPieces(pcm: Float32Array) {
  for (let i = 0; i < pcm.length; i += 960) yield pcm.subarray(i, i + 960);
}
const captions = 'WEBVTT\n\n00:00:00.500 --> 00:00:01.500\nHola, mundo.\n';

beforeAll(() => {
  const picture = ['-f', 'lavfi', '-i', 'testsrc2=s=160x90:r=25:d=2'];
  make('h264.mp4', ...picture, '-c:v', 'libx264', '-pix_fmt', 'yuv420p');
  make('vp8.webm', ...picture, '-c:v', 'libvpx');
  make('sound.flac', '-f', 'lavfi', '-i', 'sine=r=44100:d=2');
  writeFileSync(path('es.vtt'), captions);
  writeFileSync(path('original.wav'), encodeWav(tone(300), 48_000));
});
afterAll(() => rmSync(folder, { recursive: true }));

const dub = (): MuxAudio => ({ from: { pcm: inPieces(tone(1_000)) }, language: 'es', title: 'Español' });
const original = (): MuxAudio => ({ from: { wav: path('original.wav') }, language: 'en', title: 'Original' });
const subtitles = () => [{ path: path('es.vtt'), language: 'es', title: 'Español' }];

interface Stream {
  readonly codec_type: string;
  readonly codec_name: string;
  readonly tags?: { readonly language?: string; readonly title?: string; readonly handler_name?: string };
  readonly disposition: { readonly default: number };
}
const streamsOf = (file: string) =>
  (
    JSON.parse(
      execFileSync('ffprobe', ['-v', 'error', '-show_streams', '-of', 'json', file], { encoding: 'utf8' }),
    ) as { streams: Stream[] }
  ).streams;
const summary = (file: string) =>
  streamsOf(file).map((s) => `${s.codec_type} ${s.codec_name} ${s.tags?.language ?? '-'} ${s.disposition.default}`);
/** Level of `hz` in audio track `index`. */
function level(file: string, index: number, hz: number): number {
  const { pcm, rate } = decodeWav(
    execFileSync('ffmpeg', ['-v', 'error', '-i', file, '-map', `0:a:${index}`, '-f', 'wav', '-ac', '1', '-'], {
      maxBuffer: 1e8,
    }),
  );
  let re = 0;
  let im = 0;
  pcm.forEach((x, i) => {
    re += x * Math.cos((2 * Math.PI * hz * i) / rate);
    im += x * Math.sin((2 * Math.PI * hz * i) / rate);
  });
  return (2 * Math.hypot(re, im)) / pcm.length;
}
const write = async (from: string, out: string, extra: object = {}) => {
  await using scope = new Scope('test');
  return await mux(
    { original: path(from), out: path(out), audio: [dub(), original()], subtitles: subtitles(), ...extra },
    scope,
  );
};

// MP4 has no flag for "default": FFmpeg enables the first track of each kind, and reads that back.
test.for([
  ['h264.mp4', 'a.mp4', ['video h264 und 1', 'audio aac spa 1', 'audio aac eng 0', 'subtitle mov_text spa 1'], null],
  ['h264.mp4', 'b.mkv', ['video h264 - 1', 'audio opus spa 1', 'audio opus eng 0', 'subtitle subrip spa 0'], null],
  ['vp8.webm', 'c.webm', ['video vp8 - 1', 'audio opus spa 1', 'audio opus eng 0', 'subtitle webvtt spa 0'], null],
  [
    'vp8.webm',
    'd.mp4',
    ['video h264 und 1', 'audio aac spa 1', 'audio aac eng 0', 'subtitle mov_text spa 1'],
    '.mp4 does not take vp8',
  ],
  [
    'h264.mp4',
    'e.webm',
    ['video vp9 - 1', 'audio opus spa 1', 'audio opus eng 0', 'subtitle webvtt spa 0'],
    '.webm does not take h264',
  ],
  ['sound.flac', 'f.m4a', ['audio aac spa 1', 'audio aac eng 0'], null],
] as const)(
  '%s → %s holds pictures, the dub first, the original second, and captions',
  async ([from, out, wanted, why]) => {
    const muxed = await write(from, out);
    expect(muxed.why).toBe(why);
    expect(summary(path(out))).toEqual(wanted);
    expect(level(path(out), 0, 1_000)).toBeGreaterThan(0.3);
    expect(level(path(out), 0, 300)).toBeLessThan(0.02);
    expect(level(path(out), 1, 300)).toBeGreaterThan(0.3);
  },
);

test('pictures that are copied are the very same', async () => {
  await write('h264.mp4', 'same.mp4');
  const hash = (file: string) =>
    execFileSync('ffmpeg', ['-v', 'error', '-i', path(file), '-map', 'v', '-c', 'copy', '-f', 'hash', '-'], {
      encoding: 'utf8',
    });
  expect(hash('same.mp4')).toBe(hash('h264.mp4'));
});

test('what a container cannot hold is left out and said', async () => {
  const { leftOut } = await write('h264.mp4', 'sound.wav');
  expect(leftOut).toEqual([
    'audio track Original: the container holds one',
    'captions Español: the container holds none',
    'pictures: the container holds sound only',
  ]);
  expect(decodeWav(execFileSync('cat', [path('sound.wav')], { maxBuffer: 1e8 })).pcm).toHaveLength(96_000);
});

describe('what cannot be written', () => {
  test('is refused before any work, with the names that work', () => {
    expect(() => checkOutput('out.avi', 'out')).toThrow(
      'Cannot write out.avi: .avi is no container that livedub knows',
    );
    expect(() => checkOutput('out')).toThrow('a name without extension');
    checkOutput('OUT.MP4');
  });

  test('leaves the file that was there, and nothing beside it', async () => {
    writeFileSync(path('kept.mp4'), 'as it was');
    const broken: MuxAudio = {
      from: {
        pcm: (async function* () {
          yield tone(1_000, 960);
          throw new Error('the voice broke');
        })(),
      },
      language: 'es',
      title: 'Español',
    };
    await expect(write('h264.mp4', 'kept.mp4', { audio: [broken, original()] })).rejects.toThrow('the voice broke');
    await expect(
      write('h264.mp4', 'kept.mp4', { subtitles: [{ ...subtitles()[0]!, path: path('none.vtt') }] }),
    ).rejects.toThrow('none.vtt');
    expect(execFileSync('cat', [path('kept.mp4')], { encoding: 'utf8' })).toBe('as it was');
    expect(readdirSync(folder).filter((name) => name.startsWith('.'))).toEqual([]);
    expect(existsSync(path('kept.mp4'))).toBe(true);
  });
});
