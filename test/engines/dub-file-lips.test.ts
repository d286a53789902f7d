import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { dubFile } from '../../gateway/dub-file.ts';
import { driveFile } from '../../gateway/lip-file.ts';
import type { TakeReport } from '../../pipeline/lip-path.ts';
import { root } from '../../gateway/root.ts';
import { Scope } from '../../media/scope.ts';
import { luma, ssim } from '../../media/ssim.ts';
import type { AudioChunk } from '../../media/audio.ts';
import { type Interval, at, ms } from '../../media/time.ts';
import { registry } from '../../models/index.ts';
import { type Box, type VideoFrame, evenBox } from '../../media/video-frame.ts';
import type { Face } from '../../pipeline/face.ts';
import { correlation, energyAround, energyAt } from '../fakes/energy.ts';
import { type LipStore, lipStore, lipStoreLacks } from '../fakes/lip-store.ts';
import { scriptedTracker } from '../fakes/lip-stages.ts';
import { facesIn } from '../fakes/tracked-faces.ts';
import { framesOf, videoFrames } from '../fakes/video-frames.ts';
import { chunksOf, decode, feed, missing, recording } from '../fakes/recordings.ts';
import { takeOf } from '../fakes/takes.ts';

/** Opening over eye distance below which FaceMesh sees closed lips: it gives 0.02–0.035 for people who keep them closed. */
const CLOSED = 0.045;
/** Of every how many pictures SSIM is taken. */
const EVERY = 6;
const CLIPS = [
  {
    name: 'a man at his webcam',
    file: 'talking/open-dubbing/englishvideo.mp4',
    size: [1080, 720],
    fps: 30,
    more: 0.1,
    least: 0.03,
  },
  {
    name: 'a man out of doors',
    file: 'talking/video-retalking/face2.mp4',
    size: [844, 844],
    fps: 25,
    more: 0.3,
    least: 0.35,
  },
] as const;

const absent =
  lipStoreLacks() ??
  missing(...CLIPS.map(({ file }) => file)) ??
  ['ffmpeg', 'espeak-ng', 'apertium'].find((program) => spawnSync(program, ['--version']).error) ??
  (existsSync(join(root, 'dist/models/thread-main.js')) ? undefined : 'npm run build');

const folder = mkdtempSync(join(tmpdir(), 'livedub-dub-lips-'));
afterAll(() => rmSync(folder, { recursive: true }));

const probe = (file: string, ...args: string[]) =>
  execFileSync('ffprobe', ['-v', 'error', ...args, '-of', 'csv=p=0', file], { encoding: 'utf8', maxBuffer: 1 << 26 })
    .trim()
    .split('\n');
/** When pictures are shown, µs, and what is said of all of them. */
const pictureTimes = (file: string) =>
  probe(file, '-select_streams', 'v', '-show_entries', 'packet=pts_time')
    .map((line) => Number.parseFloat(line) * 1e6)
    .toSorted((a, b) => a - b);
const LOOK =
  'width,height,pix_fmt,sample_aspect_ratio,color_range,color_space,color_transfer,color_primaries,r_frame_rate';
const pictureLook = (file: string) => probe(file, '-select_streams', 'v', '-show_entries', `stream=${LOOK}`);

describe.skipIf(absent !== undefined).for(CLIPS)(
  `livedub dub --lips of $name (${absent ?? 'a real recording'})`,
  (clip) => {
    const [width, height] = clip.size;
    const original = recording(clip.file);
    const out = join(folder, `${clip.name}.mp4`);
    const again = join(folder, `${clip.name}, plain.mkv`);
    let store: LipStore;
    let said: string;
    let takes: readonly TakeReport[] | undefined;
    /** Of every picture, at half the size. */
    let before: (Face | undefined)[];
    let after: (Face | undefined)[];
    let [dub, source]: Float32Array[] = [];
    const middle = (n: number) => ((n + 0.5) * 1e6) / clip.fps;

    beforeAll(async () => {
      store = lipStore();
      const kept = process.env['LIVEDUB_MODELS'];
      process.env['LIVEDUB_MODELS'] = store.root;
      try {
        await using scope = new Scope('test');
        said = await dubFile({ file: original, from: 'en', to: ['es'], out, lips: true, mix: 'replace' }, scope, () => {}, (each) => (takes = each)); // prettier-ignore
        // The same pictures through the same encoder, with nothing laid on them.
        const stages = { faceTracker: scriptedTracker(() => []), lipDriver: noDriver };
        const ignore = () => {};
        await driveFile({ file: original, out: again, takes: [], sayings: [], stages, sound: nothing(), onFault: ignore, onProgress: ignore }, scope); // prettier-ignore
      } finally {
        if (kept === undefined) delete process.env['LIVEDUB_MODELS'];
        else process.env['LIVEDUB_MODELS'] = kept;
      }
      const half = [Math.round(width / 4) * 2, Math.round(height / 4) * 2] as const;
      const [halfWidth, halfHeight] = half;
      const small = { width: halfWidth, height: halfHeight, rate: clip.fps };
      [before, after] = [await facesIn(videoFrames(original, small)), await facesIn(videoFrames(out, small))];
      [dub, source] = [decode(out, 16_000), decode(original, 16_000)];
    }, 240_000);
    afterAll(() => store?.close());

    /** Pictures of takes, but for those that were left alone. */
    const driven = () =>
      after.flatMap((_, n) => {
        const holds = ({ start, end }: Interval) => middle(n) >= start && middle(n) < end;
        const take = takes!.find(holds);
        return take && !take.left.some(holds) ? [n] : [];
      });
    const openings = (faces: readonly (Face | undefined)[], at: readonly number[]) =>
      at.map((n) => faces[n]?.opening ?? 0);

    test('every picture is there, at its time, of its size and colours', () => {
      const [was, is] = [pictureTimes(original), pictureTimes(out)];
      expect(is).toHaveLength(was.length);
      // Matroska, which they come by, counts milliseconds.
      expect(Math.max(...is.map((t, n) => Math.abs(t - was[n]!)))).toBeLessThan(501);
      expect(pictureLook(out)).toEqual(pictureLook(original));
      expect(after.every((face) => face !== undefined)).toBe(true);
      const [all, moved] = [takes!.reduce((sum, each) => sum + each.pictures, 0), driven().length];
      expect(said).toContain(`of ${all} pictures of ${takes!.length} lines`);
      expect(moved / all).toBeGreaterThan(0.7);
    });

    test('the mouth moves with the dub rather than with what was said', () => {
      const moved = driven();
      const [seen, was] = [openings(after, moved), openings(before, moved)];
      const [dubbed, spoken] = [dub!, source!].map((pcm) => moved.map((n) => energyAt(pcm, middle(n)))) as [number[], number[]]; // prettier-ignore
      const figures = { dub: correlation(seen, dubbed), source: correlation(seen, spoken), was: correlation(was, spoken), wasDub: correlation(was, dubbed) }; // prettier-ignore
      expect(figures.dub).toBeGreaterThan(figures.source + clip.more);
      expect(figures.dub).toBeGreaterThan(clip.least);
      // What goes with the source's speech as it was does so no more.
      expect(figures.source).toBeLessThan(figures.was - 0.1);
    });

    test('nothing outside the face’s box changes that encoding does not change', () => {
      const some = (file: string) => everyNth(file, width, height);
      const [plain, driven] = [some(again), some(out)];
      const outside: number[] = [];
      const inside: number[] = [];
      for (const [n, frame] of driven.entries()) {
        const { box } = before[n * EVERY]!;
        const [sx, sy] = [width / (Math.round(width / 4) * 2), height / (Math.round(height / 4) * 2)];
        const face: Box = { left: box.left * sx, top: box.top * sy, width: box.width * sx, height: box.height * sy };
        outside.push(ssim(luma(frame), luma(plain[n]!), { except: [face] }));
        inside.push(ssim(luma(frame), luma(plain[n]!), { within: evenBox(face, frame) }));
      }
      expect(Math.min(...outside)).toBeGreaterThanOrEqual(0.98);
      // And something does change inside.
      expect(Math.min(...inside)).toBeLessThan(Math.min(...outside));
    });
  },
);

describe.skipIf(absent !== undefined)(
  `a recording driven with a line that has pauses (${absent ?? 'a real recording'})`,
  () => {
    test('the mouth is closed in at least 95 % of the pictures in which the dub is silent', async () => {
      const file = recording(CLIPS[1].file);
      const out = join(folder, 'pauses.mkv');
      const start = at(200_000);
      const spoken = takeOf('Buenos días. Me llamo Jordi. Vivo en Barcelona.', start, { length: ms(4_600) });
      const take = { ...spoken, end: at(4_800_000) };
      const store = lipStore();
      try {
        await using scope = new Scope('test');
        const { models } = store;
        const stages = {
          faceTracker: await registry().load('faceTracker', 'faces', { models }, scope),
          activeSpeaker: await registry().load('activeSpeaker', 'lr-asd', { model: join(models, 'lr-asd') }, scope),
          lipDriver: await registry().load('lipDriver', 'warp', {}, scope),
        };
        const { utterance: id, speaker, end } = take;
        const sound = feed(chunksOf(decode(file, 16_000), 16_000, 1_600)) as AsyncIterable<AudioChunk>;
        const options = { file, out, takes: [take], sayings: [{ id, speaker, start, end }], stages, sound };
        const report = await driveFile({ ...options, onFault: (_, message) => expect.fail(message), onProgress: () => {} }, scope); // prettier-ignore
        expect(report!.takes[0]!.driven).toBeGreaterThan(100);
      } finally {
        store.close();
      }
      const faces = await facesIn(videoFrames(out, { width: 422, height: 422, rate: 25 }));
      const times = faces.map((_, n) => (n + 0.5) * 40_000);
      const loudest = Math.max(...times.map((t) => energyAt(take.pcm, t - start)));
      // Not where the mouth fades in and out.
      const silent = times.flatMap((t, n) =>
        t > take.start + 120_000 && t < take.end - 120_000 && energyAround(take.pcm, t - start) < 0.02 * loudest
          ? [n]
          : [],
      );
      expect(silent.length).toBeGreaterThan(10);
      expect(silent.filter((n) => faces[n]!.opening < CLOSED).length).toBeGreaterThanOrEqual(0.95 * silent.length);
    }, 180_000);
  },
);

function everyNth(file: string, width: number, height: number): VideoFrame[] {
  const filters = ['-vf', `select='not(mod(n,${EVERY}))'`, '-fps_mode', 'passthrough', '-pix_fmt', 'yuv420p'];
  const raw = execFileSync('ffmpeg', ['-v', 'error', '-i', file, '-an', '-sn', ...filters, '-f', 'rawvideo', '-'], { maxBuffer: 1 << 30 }); // prettier-ignore
  return framesOf(raw, { width, height });
}
async function* nothing(): AsyncGenerator<never, void, void> {}
const noDriver = {
  kind: 'lipDriver',
  engine: 'none',
  caps: { lookahead: 0, watches: false, phonemes: false },
  async *run() {},
} as never;
