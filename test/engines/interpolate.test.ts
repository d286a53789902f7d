import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { luma, psnr, ssim } from '../../media/ssim.ts';
import { at } from '../../media/time.ts';
import { UNSPECIFIED, type VideoFrame } from '../../media/video-frame.ts';
import { registry } from '../../models/index.ts';
import { rgbOf } from '../../models/interpolate/rife.ts';
import { openOnnx } from '../../models/runtime/onnx.ts';
import { type Tensor, floats, floatsOf } from '../../models/runtime/tensor.ts';
import type { Pair } from '../../pipeline/face.ts';
import { type IdlePicture, type Run, idleFill, idleRuns, mixed, thumbnailOf, unlike } from '../../pipeline/idle.ts';
import { conforms } from '../conformance/stage.ts';
import { FACE1, FACE2, PORTRAIT, WEBCAM, followed, pictures } from '../fakes/talking-clips.ts';
import { trackerLacks } from '../fakes/tracked-faces.ts';
import { feed, missing } from '../fakes/recordings.ts';

const scope = new Scope('test');
afterAll(() => scope.close());
const folder = fileURLToPath(new URL('../fixtures/interpolate', import.meta.url));
interface Reference {
  readonly every: number;
  readonly input: readonly number[];
  readonly output: readonly (readonly number[])[];
  readonly pictures: readonly (readonly [readonly number[], readonly number[], readonly number[]])[];
}
const referenceOf = (name: string) => JSON.parse(readFileSync(`${folder}/${name}.json`, 'utf8')) as Reference;

/** A picture of `models/export/rife.py`. */
function drawn(moved: number, start: number, width = 72, height = 50): VideoFrame {
  const plane = (w: number, h: number, of: (x: number, y: number) => number) =>
    Uint8Array.from({ length: w * h }, (_, i) => Math.floor(of(i % w, Math.floor(i / w))));
  const [half, high] = [(width + 1) >> 1, (height + 1) >> 1];
  return {
    start: at(start),
    width,
    height,
    colour: UNSPECIFIED,
    y: plane(width, height, (x, y) => 128.5 + 50 * Math.sin((x - moved) / 9) + 30 * Math.cos(y / 7)),
    u: plane(half, high, (x, y) => 128.5 + 20 * Math.sin((x - moved / 2) / 11 + y / 5)),
    v: plane(half, high, (x, y) => 132.5 + 20 * Math.cos((x - moved / 2) / 6 - y / 9)),
  };
}
const pair = (before: VideoFrame, after: VideoFrame, count: number): Pair => ({
  start: before.start,
  end: at(after.start + 40_000),
  before,
  after,
  count,
});
const pairs = () => {
  const frames = [0, 1, 2, 3].map((n) => drawn(3 * n, n * 40_000));
  return [1, 3, 2].map((count, n) => pair(frames[n]!, frames[n + 1]!, count));
};
const load = (id: string, file = 'rife.onnx') =>
  registry().load('interpolator', id, id === 'rife' ? { model: folder, file } : {}, scope);
async function between(id: string, items: readonly Pair[], file?: string): Promise<VideoFrame[]> {
  const stage = await load(id, file);
  const made: VideoFrame[] = [];
  const signal = new AbortController().signal;
  for await (const each of stage.run(feed(items), { signal, clock: new MonotonicClock() })) made.push(each);
  return made;
}
const furthest = (a: ArrayLike<number>, b: readonly number[]) =>
  b.reduce((most, value, n) => Math.max(most, Math.abs(value - a[n]!)), 0);
const sampled = <A extends Float32Array | Uint8Array>(numbers: A, every: number) =>
  Array.from(numbers).filter((_, n) => n % every === 0);

conforms('rife', () => load('rife'), pairs);
conforms('rife_m', () => load('rife', 'rife_m.onnx'), pairs);
conforms('minterpolate', () => load('minterpolate'), pairs);

describe.for([
  ['rife.onnx', 3],
  ['rife_m.onnx', 2],
] as const)('%s is run as upstream runs it', ([file, count]) => {
  const reference = referenceOf(file.replace('.onnx', ''));
  const [before, after] = [drawn(0, 0), drawn(3, 40_000)];

  test('pictures go in and come out as in PyTorch', async () => {
    const [a, b] = [rgbOf(before), rgbOf(after)];
    expect(a.dims).toEqual([1, 3, 64, 96]);
    expect(furthest(sampled(floatsOf(a, 'before'), reference.every), reference.input)).toBeLessThan(1e-3);
    const network = await openOnnx(`${folder}/${file}`, scope);
    const inputs: Record<string, Tensor> = { before: a, after: b };
    if (count === 2) inputs['at'] = floats(Float32Array.of(1 / 3), [1]);
    const { output } = await network.run(inputs);
    const expected = reference.output[count === 2 ? 0 : 1]!;
    expect(furthest(sampled(floatsOf(output, 'output'), reference.every), expected)).toBeLessThan(1e-3);
  });

  test('so does every picture between', async () => {
    const made = await between('rife', [pair(before, after, count)], file);
    expect(made.map(({ start }) => start)).toEqual(count === 3 ? [10_000, 20_000, 30_000] : [13_333, 26_667]);
    for (const [n, { y, u, v }] of made.entries()) {
      for (const [p, plane] of [y, u, v].entries()) {
        // The reference is not rounded.
        expect(furthest(sampled(plane, 3), reference.pictures[n]![p]!)).toBeLessThan(0.5 + 0.02);
      }
    }
  });

  test('pictures of any size, odd ones too', async () => {
    const made = await between('rife', [pair(drawn(0, 0, 131, 67), drawn(3, 40_000, 131, 67), 1)], file);
    expect(made.map(({ width, height, y, u }) => [width, height, y.length, u.length])).toEqual([
      [131, 67, 131 * 67, 66 * 34],
    ]);
  });
});

test('pictures of two sizes have nothing between them, and say so', async () => {
  for (const id of ['rife', 'minterpolate']) {
    await expect(between(id, [pair(drawn(0, 0), drawn(0, 40_000, 64, 48), 1)])).rejects.toThrow(
      /between 72 × 50 and 64 × 48/,
    );
  }
});

test('without its network RIFE says how it is made', async () => {
  await expect(registry().load('interpolator', 'rife', { model: '/nowhere' }, scope)).rejects.toThrow(
    /models\/export\/rife\.py/,
  );
  expect(registry().pick('interpolator')?.id).toBe('minterpolate');
});

const CLIPS = { face2: FACE2, webcam: WEBCAM };
const absent = missing(FACE1.file, FACE2.file, WEBCAM.file, PORTRAIT.file) ?? trackerLacks();
describe.skipIf(absent)(`real pictures${absent ? ` (${absent})` : ''}`, () => {
  test.for(Object.entries(CLIPS))(
    '%s: what is made is nearer to what was taken out than what would be repeated',
    async ([, clip]) => {
      const frames = pictures(clip, 9, 40);
      const every = frames.flatMap((_, n) => (n % 2 === 0 && n + 2 < frames.length ? [n] : []));
      const made = await between(
        'minterpolate',
        every.map((n) => pair(frames[n]!, frames[n + 2]!, 1)),
      );
      const mean = (of: (made: VideoFrame, gone: VideoFrame, before: VideoFrame) => number) =>
        every.reduce((sum, n, i) => sum + of(made[i]!, frames[n + 1]!, frames[n]!), 0) / every.length;
      const figures = {
        psnr: mean((a, gone) => psnr(luma(a), luma(gone))),
        psnrRepeated: mean((_, gone, before) => psnr(luma(before), luma(gone))),
        ssim: mean((a, gone) => ssim(luma(a), luma(gone))),
        ssimRepeated: mean((_, gone, before) => ssim(luma(before), luma(gone))),
      };
      expect(figures.psnr).toBeGreaterThan(figures.psnrRepeated + 1);
      expect(figures.ssim).toBeGreaterThan(figures.ssimRepeated);
    },
  );

  const jumps = (frames: readonly VideoFrame[]) =>
    frames.slice(1).map((frame, n) => unlike(thumbnailOf(frame), thumbnailOf(frames[n]!)));

  test('a gap is filled with the speaker’s own idle pictures, without a jump that the clip does not have', async () => {
    const seen = await followed(PORTRAIT, 100);
    const frames = seen.map(({ frame }) => frame);
    const runs: Run[] = idleRuns(
      seen.map(({ start, face }) => ({ start, faces: [face], cut: false })),
      ({ faces }) => faces[0],
    );
    expect(runs.length).toBeGreaterThan(0);
    // All but the very largest: this clip jumps once.
    const own = jumps(frames).sort((a, b) => a - b)[Math.floor(0.97 * (frames.length - 1))]!;
    const thumbnails = frames.map((frame) => thumbnailOf(frame));
    const gap = { start: at(2e6), end: at(8e6) };
    const fill: IdlePicture[] = idleFill(gap, { before: 50, after: 51 }, runs, thumbnails, 40_000 as never);
    expect(fill).toHaveLength(150);
    const shown = fill.map(({ picture, mix }) =>
      mix ? mixed(frames[picture]!, frames[mix.under]!, mix.share) : frames[picture]!,
    );
    expect(Math.max(...jumps([frames[50]!, ...shown, frames[51]!]))).toBeLessThanOrEqual(own);
    // It moves: it is no still.
    expect(Math.max(...jumps(shown))).toBeGreaterThan(0);
  });

  test('somebody who speaks does not idle, somebody who listens does', async () => {
    const idle = async (clip: typeof FACE2, count: number) => {
      const seen = await followed(clip, count);
      const runs = idleRuns(
        seen.map(({ start, face }) => ({ start, faces: [face], cut: false })),
        ({ faces }) => faces[0],
      );
      return runs.reduce((sum, { from, to }) => sum + to - from + 1, 0) / count;
    };
    // Measured 0.10.
    expect(await idle(FACE2, 100)).toBeLessThan(0.15);
    expect(await idle(PORTRAIT, 100)).toBeGreaterThan(0.4);
    // His pause of a second is idle, little of what he says is.
    const seen = await followed(FACE1, 120);
    const runs = idleRuns(
      seen.map(({ start, face }) => ({ start, faces: [face], cut: false })),
      ({ faces }) => faces[0],
    );
    const within = (from: number, to: number) =>
      runs.reduce((sum, run) => sum + Math.max(0, Math.min(to, run.to) - Math.max(from, run.from) + 1), 0) /
      (to - from + 1);
    expect(within(75, 98)).toBeGreaterThan(0.6);
  });
});
