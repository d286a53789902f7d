import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ffmpegVersion } from '../../media/ffmpeg.ts';
import { type FileOptions, openFile } from '../../media/file.ts';
import type { ProgrammeItem } from '../../media/programme.ts';
import { Scope } from '../../media/scope.ts';
import { at, seconds } from '../../media/time.ts';
import { encodeWav } from '../../media/wav.ts';

const media = process.env['LIVEDUB_MEDIA'] ?? fileURLToPath(new URL('../../../shared/media', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'livedub-file-'));
const path = (name: string) => join(folder, name);
const make = (name: string, ...args: string[]) => {
  execFileSync('ffmpeg', ['-v', 'error', '-y', ...args, path(name)]);
};
const lavfi = (source: string) => ['-f', 'lavfi', '-i', source];
const picture = (length: number, fps = 25) => lavfi(`testsrc2=s=160x90:r=${fps}:d=${length}`);
const beeps = (length: number, rate = 44_100) => lavfi(`sine=440:beep_factor=2:r=${rate}:d=${length}`);
const x264 = (...args: string[]) => ['-c:v', 'libx264', '-pix_fmt', 'yuv420p', '-g', '25', ...args];
/** 48 kHz mono whose every sample names itself. */
const ramp = Float32Array.from({ length: 48_000 * 3 }, (_, i) => (i % 9_973) / 16_384);

beforeAll(() => {
  make('plain.mp4', ...picture(5), ...beeps(5), ...x264('-bf', '0'), '-c:a', 'aac');
  make('bframes.mp4', ...picture(4), ...beeps(4), ...x264('-bf', '2'), '-c:a', 'aac');
  make('longgop.mkv', ...picture(5), ...x264('-bf', '0', '-g', '250'));
  make('vp8.webm', ...picture(3), ...beeps(3, 48_000), '-c:v', 'libvpx', '-g', '25', '-c:a', 'libopus');
  make(
    'vfr.mkv',
    ...picture(4),
    '-vf',
    "select='lt(n,25)+not(mod(n,5))'",
    '-vsync',
    'vfr',
    ...x264('-bf', '0', '-g', '5'),
  );
  make('odd.ts', ...picture(3), ...beeps(3), ...x264('-bf', '0'), '-c:a', 'aac', '-output_ts_offset', '17.3');
  make('late.mkv', ...picture(4), '-itsoffset', '1.5', ...beeps(1), ...x264('-bf', '0'), '-c:a', 'flac');
  make('short.mkv', ...picture(1), ...beeps(20), ...x264('-bf', '0'), '-c:a', 'flac');
  make('surround.flac', ...lavfi('sine=440:r=44100:d=2'), '-af', 'pan=5.1|c0=c0|c1=c0|c2=c0|c3=c0|c4=c0|c5=c0');
  make('upright.mp4', ...picture(1), ...x264('-bf', '0'));
  make('turned.mp4', '-i', path('upright.mp4'), '-c', 'copy', '-metadata:s:v', 'rotate=90');
  make(
    'cover.mp3',
    ...beeps(1),
    ...lavfi('color=s=64x64:d=0.04'),
    '-map',
    '0',
    '-map',
    '1',
    '-c:v',
    'png',
    '-disposition:v',
    'attached_pic',
  );
  make('still.png', ...lavfi('color=s=64x64:d=0.04'), '-frames:v', '1');
  writeFileSync(path('ramp.wav'), encodeWav(ramp, 48_000, 'f32'));
  writeFileSync(path('text.txt'), 'this is no media\n'.repeat(100));
  writeFileSync(path('list.m3u8'), '#EXTM3U\n#EXTINF:5,\nplain.mp4\n#EXT-X-ENDLIST\n');
  writeFileSync(path('empty.mp4'), '');
  writeFileSync(path('noise.mp4'), Buffer.from(Array.from({ length: 20_000 }, (_, i) => (i * 7_919) % 251)));
  writeFileSync(path('-odd name; $(x).wav'), encodeWav(ramp, 48_000));
});
afterAll(() => rmSync(folder, { recursive: true }));

type Sound = Extract<ProgrammeItem, { kind: 'audio' }>;
type Picture = Extract<ProgrammeItem, { kind: 'video' }>;

/** Reads a file to its end, or `until` of media time. */
async function read(file: string, options: FileOptions = {}, until = Number.POSITIVE_INFINITY) {
  await using scope = new Scope('test');
  const programme = await openFile(file, options, scope);
  const sounds: Sound[] = [];
  const pictures: Picture[] = [];
  let latest = 0;
  let disorder = 0;
  for await (const item of programme) {
    if (item.start >= until) break;
    if (item.kind === 'audio') sounds.push(item);
    else pictures.push(item);
    disorder = Math.max(disorder, latest - item.start);
    latest = Math.max(latest, item.start);
  }
  return { info: programme.info, sounds, pictures, disorder };
}
const pcmOf = (sounds: readonly Sound[]) => {
  const pcm = new Float32Array(sounds.reduce((sum, { pcm }) => sum + pcm.length, 0));
  let offset = 0;
  for (const sound of sounds) {
    pcm.set(sound.pcm, offset);
    offset += sound.pcm.length;
  }
  return pcm;
};
const expectGapless = (sounds: readonly Sound[], from = 0) => {
  sounds.forEach((sound, i) => {
    expect(sound.start).toBe(from + i * 20_000);
    if (i < sounds.length - 1) expect(sound.pcm).toHaveLength(960);
  });
};
const refused = async (file: string) => {
  await using scope = new Scope('test');
  return await openFile(file, { field: 'source.path' }, scope).then(
    () => 'taken',
    (refusal: unknown) => refusal,
  );
};

test('FFmpeg is there and new enough', async () => {
  await using scope = new Scope('test');
  expect(await ffmpegVersion(scope)).toMatch(/^(N-|n?[5-9]\.|n?\d\d)/);
});

describe('sound', () => {
  test('of a 48 kHz file comes out sample for sample, in chunks of 20 ms', async () => {
    const { sounds, info } = await read(path('ramp.wav'));
    expectGapless(sounds);
    expect(pcmOf(sounds)).toEqual(ramp);
    expect(info).toMatchObject({
      video: null,
      audio: { codec: 'pcm_f32le', rate: 48_000, channels: 1 },
      duration: 3_000_000,
    });
  });

  test('from the middle is what is there in the middle', async () => {
    const { sounds } = await read(path('ramp.wav'), { start: at(1_240_000) });
    expectGapless(sounds, 1_240_000);
    expect(pcmOf(sounds)).toEqual(ramp.subarray(1.24 * 48_000));
  });

  test('of a file called like an option is read', async () => {
    expect(pcmOf((await read(path('-odd name; $(x).wav'))).sounds)).toHaveLength(ramp.length);
  });

  test.for([
    ['surround.flac', 2],
    ['cover.mp3', 1],
  ] as const)('of %s is mono at 48 kHz, %d s long', async ([name, length]) => {
    const { sounds, info } = await read(path(name));
    expectGapless(sounds);
    expect(info.video).toBe(null);
    const pcm = pcmOf(sounds);
    expect(Math.abs(pcm.length / 48_000 - length)).toBeLessThan(0.06);
    expect(Math.max(...pcm)).toBeGreaterThan(0.05);
  });

  test('that begins late and ends early is silence before and after, beside its pictures', async () => {
    const { sounds, pictures, disorder } = await read(path('late.mkv'));
    expectGapless(sounds);
    const pcm = pcmOf(sounds);
    expect(pcm.length / 48_000).toBeGreaterThan(3.5);
    const loud = pcm.findIndex((x) => Math.abs(x) > 0.01) / 48_000;
    expect(loud).toBeGreaterThan(1.499);
    expect(loud).toBeLessThan(1.505);
    expect(pcm.subarray(2.51 * 48_000).every((x) => x === 0)).toBe(true);
    expect(pictures).toHaveLength(100);
    expect(disorder).toBeLessThanOrEqual(220_000);
  });

  test('goes on after the last picture', async () => {
    const { sounds, pictures } = await read(path('short.mkv'));
    expectGapless(sounds);
    expect(pcmOf(sounds)).toHaveLength(20 * 48_000);
    expect(pictures).toHaveLength(25);
  });
});

describe('pictures', () => {
  test('of VP8 pass bit for bit', async () => {
    const { pictures, info, disorder } = await read(path('vp8.webm'));
    expect(info.video).toMatchObject({ codec: 'VP8', source: 'vp8', why: null, width: 160, height: 90, fps: 25 });
    const hashes = execFileSync(
      'ffmpeg',
      ['-v', 'error', '-i', path('vp8.webm'), '-map', 'v', '-c', 'copy', '-f', 'framehash', '-hash', 'md5', '-'],
      { encoding: 'utf8' },
    );
    const wanted = hashes
      .split('\n')
      .filter((line) => /^0,/.test(line))
      .map((line) => line.split(',').at(-1)?.trim());
    expect(pictures.map(({ data }) => createHash('md5').update(data).digest('hex'))).toEqual(wanted);
    expect(pictures.filter(({ keyFrame }) => keyFrame)).toHaveLength(3);
    expect(disorder).toBeLessThanOrEqual(20_000);
  });

  test('of H.264 without B-frames pass, decode to the same and can be joined at every key frame', async () => {
    const { pictures, info } = await read(path('plain.mp4'));
    expect(info.video?.why).toBe(null);
    expect(pictures.map(({ start }) => start)).toEqual(Array.from({ length: 125 }, (_, i) => i * 40_000));
    const decoded = (args: string[], input?: Buffer) =>
      execFileSync('ffmpeg', ['-v', 'error', ...args, '-f', 'framemd5', '-'], { input, encoding: 'utf8' })
        .split('\n')
        .filter((line) => /^0,/.test(line))
        .map((line) => line.split(',').at(-1));
    const wanted = decoded(['-i', path('plain.mp4'), '-map', 'v']);
    expect(decoded(['-f', 'h264', '-i', 'pipe:0'], Buffer.concat(pictures.map(({ data }) => data)))).toEqual(wanted);
    const joined = pictures.findIndex(({ keyFrame }, i) => keyFrame && i > 60);
    expect(
      decoded(['-f', 'h264', '-i', 'pipe:0'], Buffer.concat(pictures.slice(joined).map(({ data }) => data))),
    ).toEqual(wanted.slice(joined));
  });

  test.for([
    ['bframes.mp4', 'B-frames', 100],
    ['longgop.mkv', 'would wait', 125],
    ['turned.mp4', 'turned by', 25],
  ] as const)('of %s are transcoded, because of %s, with a key frame every 2 s', async ([name, why, count]) => {
    for (const transcodeTo of ['VP8', 'H264'] as const) {
      const { pictures, info } = await read(path(name), { transcodeTo });
      expect(info.video).toMatchObject({ codec: transcodeTo });
      expect(info.video?.why).toContain(why);
      expect(pictures).toHaveLength(count);
      const keys = pictures.filter(({ keyFrame }) => keyFrame).map(({ start }) => start);
      expect(keys).toEqual(Array.from({ length: Math.ceil(count / 50) }, (_, i) => i * 2_000_000));
    }
    if (name === 'turned.mp4') expect((await read(path(name))).info.video).toMatchObject({ width: 90, height: 160 });
  });

  test('of a variable rate keep their times', async () => {
    const { pictures, info } = await read(path('vfr.mkv'));
    expect(info.video?.why).toBe(null);
    expect(pictures.map(({ start }) => start)).toEqual([
      ...Array.from({ length: 25 }, (_, i) => i * 40_000),
      ...Array.from({ length: 15 }, (_, i) => 1_000_000 + i * 200_000),
    ]);
  });

  test('of a stream that began at 17.3 s begin at 0 beside their sound', async () => {
    const { pictures, sounds } = await read(path('odd.ts'));
    expectGapless(sounds);
    expect(pictures[0]!.start).toBeLessThan(50_000);
    expect(pictures[0]!.keyFrame).toBe(true);
  });

  test('from the middle begin with the next key frame, on the same times', async () => {
    const { pictures, sounds } = await read(path('plain.mp4'), { start: at(2_500_000) });
    expect(sounds[0]!.start).toBe(2_500_000);
    expect(pictures[0]).toMatchObject({ start: 3_000_000, keyFrame: true });
    expect(pictures).toHaveLength(50);
  });
});

describe('a loop', () => {
  test('goes on without a gap at the seam, in sound and pictures', async () => {
    const { sounds, pictures } = await read(path('plain.mp4'), { loop: true }, seconds(12));
    expectGapless(sounds);
    expect(pictures.map(({ start }) => start)).toEqual(Array.from({ length: 300 }, (_, i) => i * 40_000));
    expect(pictures[125]).toMatchObject({ start: 5_000_000, keyFrame: true });
    expect(pictures[125]!.data).toEqual(pictures[0]!.data);
  });

  test('is joined in any round where it would be', async () => {
    const { sounds } = await read(path('ramp.wav'), { loop: true, start: at(7_000_000) }, seconds(10));
    expectGapless(sounds, 7_000_000);
    const pcm = pcmOf(sounds);
    expect(pcm.subarray(0, 96_000)).toEqual(ramp.subarray(48_000));
    expect(pcm.subarray(96_000)).toEqual(ramp.subarray(0, 48_000));
  });
});

describe('a file that is no programme is refused with what is wrong and what to do', () => {
  test.for([
    ['text.txt', 'unsupported', 'Cannot play text.txt'],
    ['empty.mp4', 'unsupported', 'it is empty'],
    ['noise.mp4', 'unsupported', 'not media'],
    ['still.png', 'unsupported', 'not a programme'],
    ['list.m3u8', 'unsupported', 'Cannot play list.m3u8'],
    ['nowhere.mp4', 'not_found', 'no such file'],
    ['.', 'unsupported', 'not a file'],
  ] as const)('%s', async ([name, code, message]) => {
    const refusal = await refused(path(name));
    expect(refusal).toMatchObject({ name: 'Refusal', code, field: 'source.path' });
    expect((refusal as Error).message).toContain(message);
    expect((refusal as { fix: string }).fix).toMatch(/^Give /);
  });
});

test('leaving early, or closing the scope, ends FFmpeg', async () => {
  const running = () =>
    execFileSync('sh', ['-c', `ps -eo args | grep -F ${folder} | grep -vc grep || true`], { encoding: 'utf8' }).trim();
  await read(path('short.mkv'), {}, seconds(1));
  expect(running()).toBe('0');
  const scope = new Scope('test');
  const items = (await openFile(path('short.mkv'), { loop: true }, scope))[Symbol.asyncIterator]();
  await items.next();
  expect(running()).toBe('1');
  await scope.close();
  expect(running()).toBe('0');
  await expect(
    (async () => {
      while (!(await items.next()).done);
    })(),
  ).rejects.toThrow('closed');
});

test('a consumer that waits stops FFmpeg, and nothing piles up here', async () => {
  await using scope = new Scope('test');
  writeFileSync(path('long.wav'), encodeWav(new Float32Array(48_000 * 240), 48_000));
  const items = (await openFile(path('long.wav'), {}, scope))[Symbol.asyncIterator]();
  await items.next();
  const before = process.memoryUsage();
  await new Promise((wake) => setTimeout(wake, 1_000));
  const after = process.memoryUsage();
  // Four minutes would be 46 MB.
  expect(after.arrayBuffers + after.external - before.arrayBuffers - before.external).toBeLessThan(2_000_000);
});

describe.skipIf(!existsSync(media))(`real files (skipped without ${media})`, () => {
  test.for([
    ['talking/open-dubbing/englishvideo.mp4', 9.97, 299],
    ['speech/faster-whisper/jfk.flac', 11, 0],
    ['speech/faster-whisper/multilingual.mp3', 59.9, 0],
    ['talking/musetalk/eng.wav', 60, 0],
  ] as const)('%s is read whole', async ([name, length, count]) => {
    const { sounds, pictures } = await read(join(media, name));
    expectGapless(sounds);
    expect(Math.abs(pcmOf(sounds).length / 48_000 - length)).toBeLessThan(0.03);
    expect(pictures).toHaveLength(count);
  });
});
