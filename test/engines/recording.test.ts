import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OPUS_FRAME, OpusEncoder } from '../../media/opus.ts';
import { Recording } from '../../media/recording.ts';
import { type Span, at, later, ms } from '../../media/time.ts';
import { type Encodable, type Picture, pictures, units } from '../fakes/pictures.ts';

const noFfmpeg = spawnSync('ffmpeg', ['-version']).status === 0 ? undefined : 'no ffmpeg: apt-get install ffmpeg';
const folder = mkdtempSync(join(tmpdir(), 'livedub-recording-'));
afterAll(() => rmSync(folder, { recursive: true }));

const ORIGIN = at(7_000_000);
const COUNT = 50;

interface Stream {
  readonly codec_type: string;
  readonly codec_name: string;
  readonly width?: number;
  readonly height?: number;
  readonly duration?: string;
  readonly tags?: { readonly language?: string; readonly title?: string; readonly name?: string };
  readonly disposition: { readonly default: number };
}
interface Probed {
  readonly streams: Stream[];
  readonly format: { readonly duration: string };
}
const probed = (file: string) =>
  JSON.parse(
    execFileSync('ffprobe', ['-v', 'error', '-show_streams', '-show_format', '-of', 'json', file], {
      encoding: 'utf8',
    }),
  ) as Probed;
/** One line per decoded picture or piece of sound of stream `map`; any error in the file is a failure. */
const decoded = (map: string, ...input: string[]) =>
  execFileSync('ffmpeg', ['-v', 'error', '-xerror', ...input, '-map', map, '-f', 'framemd5', '-'], {
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
const hashes = (lines: readonly string[]) => lines.map((line) => line.split(',').at(-1)?.trim());

describe.skipIf(noFfmpeg)(`a recording (${noFfmpeg ?? 'ffmpeg'})`, () => {
  const encoded = {} as Record<Encodable, Picture[]>;
  const tones: Record<string, Uint8Array[]> = {};
  beforeAll(() => {
    encoded.VP8 = pictures('VP8', { count: COUNT, size: '320x180' });
    encoded.H264 = pictures('H264', { count: COUNT, size: '320x180' });
    for (const [id, hz] of [
      ['dub:es', 1_000],
      ['original', 300],
    ] as const) {
      using encoder = new OpusEncoder();
      tones[id] = Array.from({ length: 100 }, (_, k) =>
        encoder.encode(
          Float32Array.from({ length: OPUS_FRAME }, (_, i) =>
            Math.sin((2 * Math.PI * hz * (k * OPUS_FRAME + i)) / 48_000),
          ),
        ),
      );
    }
  });

  /** Two seconds, as a session sends them: sound and picture in turn, from a second before the origin on. */
  async function record(name: string, codec: Encodable | undefined, first = -25) {
    const path = join(folder, name);
    const recording = await Recording.open({
      path,
      origin: ORIGIN,
      video: codec && { codec, width: 320, height: 180 },
      audio: [
        { id: 'dub:es', language: 'es', title: 'español' },
        { id: 'original', language: 'en-GB', title: 'Original' },
      ],
    });
    const line = codec ? units(codec, encoded[codec]) : [];
    for (let slot = first; slot < COUNT; slot += 1) {
      const start = later(ORIGIN, (slot * 40_000) as Span);
      const unit = line[(slot + COUNT) % COUNT];
      if (unit) await recording.video({ ...unit, start });
      for (const id of ['dub:es', 'original'])
        for (const half of [0, 1])
          await recording.audio(id, later(start, ms(half * 20)), tones[id]![(2 * slot + half + 100) % 100]!);
    }
    await recording.close();
    return { path, written: recording.written };
  }

  test.for([
    ['h264.mp4', 'H264', 'h264'],
    ['vp8.mp4', 'VP8', 'vp8'],
    ['h264.mkv', 'H264', 'h264'],
    ['vp8.mkv', 'VP8', 'vp8'],
    ['vp8.webm', 'VP8', 'vp8'],
  ] as const)('%s holds what was sent, bit for bit, from its origin on', async ([name, codec, said]) => {
    const { path, written } = await record(name, codec);
    expect(written).toEqual({ pictures: COUNT, packets: 2 * 2 * COUNT });
    const { streams, format } = probed(path);
    expect(streams.map((stream) => [stream.codec_type, stream.codec_name, stream.disposition.default])).toEqual([
      ['video', said, 1],
      ['audio', 'opus', 1],
      ['audio', 'opus', 0],
    ]);
    expect(streams[0]).toMatchObject({ width: 320, height: 180 });
    expect(streams.slice(1).map(({ tags }) => tags?.language)).toEqual(['spa', 'eng']);
    expect(Math.abs(Number(format.duration) - 2)).toBeLessThan(0.05);

    // The same pictures as an encoder of the same settings makes when it writes the file itself.
    const pure = join(folder, `${name}.pure.mkv`);
    const bare = await Recording.open({
      path: pure,
      origin: at(0),
      video: { codec, width: 320, height: 180 },
      audio: [],
    });
    for (const unit of units(codec, encoded[codec])) await bare.video(unit);
    await bare.close();
    const shown = decoded('0:v', '-i', path);
    expect(shown).toHaveLength(COUNT);
    expect(hashes(shown)).toEqual(hashes(decoded('0:v', '-i', pure)));
    expect(new Set(hashes(shown)).size).toBe(COUNT);
    for (const map of ['0:a:0', '0:a:1']) expect(decoded(map, '-i', path).length).toBeGreaterThanOrEqual(100);
  });

  test.for(['mp4', 'mkv', 'webm'])('each track holds its own sound in its place (%s)', async (extension) => {
    const path = join(folder, `sounds.${extension}`);
    const audio = [
      { id: 'dub:es', language: 'es', title: 'español' },
      { id: 'original', language: 'en', title: 'Original' },
    ];
    const recording = await Recording.open({ path, origin: ORIGIN, video: undefined, audio });
    const BEGINS = { 'dub:es': 1, original: 0.5 } as const;
    for (const [id, second] of Object.entries(BEGINS)) {
      using encoder = new OpusEncoder();
      for (let k = 0; k < 100; k += 1) {
        const pcm = Float32Array.from({ length: OPUS_FRAME }, (_, i) => (k * 0.02 < second ? 0 : Math.sin(i / 8)));
        await recording.audio(id, later(ORIGIN, ms(20 * k)), encoder.encode(pcm));
      }
    }
    await recording.close();
    for (const [index, second] of Object.values(BEGINS).entries()) {
      const lay = ['-af', 'aresample=async=1:first_pts=0', '-f', 'f32le', '-ac', '1', '-ar', '48000', '-'];
      const bytes = execFileSync('ffmpeg', ['-v', 'error', '-i', path, '-map', `0:a:${index}`, ...lay], {
        maxBuffer: 1 << 26,
      });
      const onset = new Float32Array(new Uint8Array(bytes).buffer).findIndex((x) => Math.abs(x) > 0.1) / 48_000;
      // libopus is 6.5 ms behind what it is given.
      expect(Math.abs(onset - second)).toBeLessThan(0.01);
    }
  });

  test('begins with a key frame, whatever picture comes first', async () => {
    const { path, written } = await record('from-the-middle.mkv', 'VP8', 10);
    expect(written.pictures).toBe(25);
    expect(decoded('0:v', '-i', path)).toHaveLength(25);
  });

  test('goes on where pictures are missing: the one before stands still meanwhile', async () => {
    const path = join(folder, 'hole.mkv');
    const recording = await Recording.open({
      path,
      origin: at(0),
      video: { codec: 'VP8', width: 320, height: 180 },
      audio: [],
    });
    for (const unit of units('VP8', encoded.VP8))
      if (unit.start < 400_000 || unit.keyFrame) await recording.video(unit);
    await recording.close();
    const times = decoded('0:v', '-i', path).map((line) => Number(line.split(',')[1]));
    expect(times).toHaveLength(11);
    const { streams } = probed(path);
    expect(streams).toHaveLength(1);
  });

  test('without video it is sound alone', async () => {
    const { path, written } = await record('sound.mp4', undefined);
    expect(written).toEqual({ pictures: 0, packets: 2 * 2 * COUNT });
    expect(probed(path).streams.map((stream) => stream.codec_name)).toEqual(['opus', 'opus']);
  });

  test('a name that says no container is refused with those that are known', async () => {
    await expect(Recording.open({ path: join(folder, 'x.avi'), origin: at(0), audio: [] })).rejects.toThrow(
      /must end in \.mp4, \.mkv, \.webm/,
    );
  });
});
