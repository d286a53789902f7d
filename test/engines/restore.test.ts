import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { MonotonicClock } from '../../media/clock.ts';
import { grown } from '../../media/box.ts';
import { Scope } from '../../media/scope.ts';
import { at, ms, seconds } from '../../media/time.ts';
import { type Patch, UNSPECIFIED, type VideoFrame, cutOut, evenBox } from '../../media/video-frame.ts';
import { registry } from '../../models/index.ts';
import { alignedFace, toFrame } from '../../models/restore/aligned-face.ts';
import { restoring } from '../../models/restore/chain.ts';
import { faceRestorer } from '../../models/restore/face-restorer.ts';
import { mouthPlace } from '../../models/restore/mouth-place.ts';
import { sharpened, sharpnessAround, sharpnessWithin } from '../../models/restore/sharpen.ts';
import { openOnnx } from '../../models/runtime/onnx.ts';
import { type Network, floats, floatsOf } from '../../models/runtime/tensor.ts';
import type { Driven, Face, FaceId, Rough } from '../../pipeline/face.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { conforms } from '../conformance/stage.ts';
import { FACE1, FACE2, LISTENER, PORTRAIT, WEBCAM, followed } from '../fakes/talking-clips.ts';
import { trackerLacks } from '../fakes/tracked-faces.ts';
import { feed, missing } from '../fakes/recordings.ts';

const scope = new Scope('test');
afterAll(() => scope.close());
const clock = new MonotonicClock();
const folder = fileURLToPath(new URL('../fixtures/restore', import.meta.url));
interface Reference {
  readonly side: number;
  readonly every: number;
  readonly input: readonly number[];
  readonly output: readonly number[];
  readonly patch: Omit<Patch, 'y' | 'u' | 'v'> & Record<'y' | 'u' | 'v', readonly number[]>;
  readonly landmarks: readonly number[];
}
const referenceOf = (name: string) => JSON.parse(readFileSync(`${folder}/${name}.json`, 'utf8')) as Reference;
const NAMES = ['gpen', 'codeformer', 'gfpgan'] as const;

/** The picture of `models/export/face_restorer.py`, with its face and the mouth as a patch. */
function drawn(reference: Reference, start = at(0)): Rough {
  const [width, height] = [160, 120];
  const plane = (w: number, h: number, of: (x: number, y: number) => number) =>
    Uint8Array.from({ length: w * h }, (_, i) => Math.floor(of(i % w, Math.floor(i / w))));
  const frame: VideoFrame = {
    start,
    width,
    height,
    colour: UNSPECIFIED,
    y: plane(width, height, (x, y) => 128.5 + 50 * Math.sin(x / 9) + 30 * Math.cos(y / 7 + x / 30)),
    u: plane(width / 2, height / 2, (x, y) => 128.5 + 20 * Math.sin(x / 11 + y / 5)),
    v: plane(width / 2, height / 2, (x, y) => 132.5 + 20 * Math.cos(x / 6 - y / 9)),
  };
  const face: Face = {
    id: 'face' as FaceId,
    box: { left: 46, top: 38, width: 68, height: 58 },
    landmarks: Float32Array.from(reference.landmarks),
    pose: { yaw: 0, pitch: 0, roll: 6 },
    opening: 0.1,
    score: 1,
  };
  const { left, top, width: wide, height: high } = reference.patch;
  const patch = cutOut(frame, { left, top, width: wide, height: high });
  return { start, end: at(start + 40_000), frame, face, driven: { start, face: face.id, patches: [patch] } };
}
const roughs = () =>
  Array.from({ length: 4 }, (_, n) => {
    const rough = drawn(referenceOf('gpen'), at(n * 40_000));
    // A picture that was left alone among them.
    return n === 2 ? { ...rough, driven: { ...rough.driven, patches: [], unfit: 'profile' as const } } : rough;
  });
const load = (id: string, config: object = {}) =>
  registry().load('restorer', id, id === 'sharpen' ? {} : { model: folder, most: 0, ...config }, scope);
async function through(stage: Stage<'restorer'>, items: readonly Rough[]): Promise<Driven[]> {
  const made: Driven[] = [];
  for await (const each of stage.run(feed(items), { signal: new AbortController().signal, clock })) made.push(each);
  return made;
}
const furthest = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(b).reduce<number>((most, value, n) => Math.max(most, Math.abs(value - a[n]!)), 0);

for (const id of ['sharpen', ...NAMES]) conforms(id, () => load(id), roughs);
conforms('a restorer with sharpening behind it', async () => restoring(await load('gfpgan')), roughs);

describe.for(NAMES)('%s is run as upstream runs it', (name) => {
  const reference = referenceOf(name);
  const { landmarks } = drawn(reference).face;
  const sampled = (numbers: Float32Array) => numbers.filter((_, n) => n % reference.every === 0);

  test('the face goes in upright', () => {
    const { frame } = drawn(reference);
    const input = alignedFace(frame, toFrame(landmarks, reference.side), reference.side);
    expect(furthest(sampled(input), reference.input)).toBeLessThan(1e-3);
  });

  test('the network makes of it what PyTorch makes', async () => {
    const { frame } = drawn(reference);
    const { side } = reference;
    const input = floats(alignedFace(frame, toFrame(landmarks, side), side), [1, 3, side, side]);
    const network = await openOnnx(`${folder}/${name}.onnx`, scope);
    const { output } = await network.run({
      input,
      ...(name === 'codeformer' && { w: floats(Float32Array.of(0.7), [1]) }),
    });
    expect(furthest(sampled(floatsOf(output, 'output')), reference.output)).toBeLessThan(1e-3);
  });

  test('the mouth, and nothing but the mouth, comes back into the picture', async () => {
    const rough = drawn(reference);
    const [before] = rough.driven.patches;
    const [{ patches: [patch] } = { patches: [] }] = await through(await load(name), [rough]);
    for (const plane of ['y', 'u', 'v'] as const) {
      // The reference is not rounded.
      expect(furthest(patch![plane], reference.patch[plane])).toBeLessThan(0.5 + 0.02);
      expect(furthest(patch![plane], before![plane])).toBeGreaterThan(3);
    }
    const { width, height } = patch!;
    const border = (i: number) => i < width || i >= width * (height - 1) || i % width === 0 || i % width === width - 1;
    expect(patch!.y.filter((_, i) => border(i))).toEqual(before!.y.filter((_, i) => border(i)));
  });
});

test('CodeFormer stays nearer to the original the more it is told to', async () => {
  const fidelity = async (w: number) =>
    (await through(await load('codeformer', { fidelity: w }), [drawn(referenceOf('codeformer'))]))[0]!;
  const [none, some] = [await fidelity(0), await fidelity(0.7)];
  expect(furthest(none.patches[0]!.y, some.patches[0]!.y)).toBeGreaterThan(2);
});

test('weights that are missing or of another network are named, with what to do', async () => {
  await expect(registry().load('restorer', 'gpen', { model: '/nowhere' }, scope)).rejects.toThrow(/gpen\.onnx/);
  expect(registry().pick('restorer')?.id).toBe('sharpen');
  expect(registry().lacks('restorer', 'gfpgan').join()).toMatch(
    /^$|models pull gfpgan, then models\/export\/gfpgan\.py/,
  );
});

/** A network that answers after so long, in milliseconds, with the face as it was. */
function slow(delay: (run: number) => number): { readonly network: Network; readonly runs: () => number } {
  let runs = 0;
  const network: Network = {
    async run({ input }) {
      runs += 1;
      const copy = { input: structuredClone(input!) };
      await clock.until((clock.now() + ms(delay(runs))) as never, new AbortController().signal);
      return { output: copy.input };
    },
  };
  return { network, runs: () => runs };
}
const paced = async function* (items: readonly Rough[], every: number) {
  for (const item of items) {
    yield item;
    await clock.until((clock.now() + ms(every)) as never, new AbortController().signal);
  }
};
describe('a network that is too slow', () => {
  const reference = referenceOf('gpen');
  const many = (count: number) => Array.from({ length: count }, (_, n) => drawn(reference, at(n * 40_000)));

  test('costs no picture more than the time it may take, and the others nothing', async () => {
    const { network, runs } = slow(() => 200);
    const stage = faceRestorer('slow', { network, side: 64 }, ms(20));
    const took: number[] = [];
    let began = clock.now();
    const made: Driven[] = [];
    const items = paced(many(12), 1);
    for await (const driven of stage.run(items, { signal: new AbortController().signal, clock })) {
      took.push((clock.now() - began) / 1_000);
      made.push(driven);
      began = clock.now();
    }
    expect(made).toHaveLength(12);
    expect(runs()).toBe(1);
    expect(took.reduce((sum, each) => sum + each, 0)).toBeLessThan(190);
    // What comes out is what sharpening makes.
    expect(made[5]).toEqual(sharpened(many(12)[5]!));
  });

  test('is used again once it is quick', async () => {
    const { network, runs } = slow((run) => (run === 1 ? 60 : 1));
    const stage = faceRestorer('moody', { network, side: 64 }, ms(40));
    const made: Driven[] = [];
    const items = paced(many(60), 50);
    for await (const driven of stage.run(items, { signal: new AbortController().signal, clock })) made.push(driven);
    expect(runs()).toBeGreaterThan(10);
    // The face comes back as it went in, by way of the aligned square: not as sharpening leaves it.
    expect(made.at(-1)).not.toEqual(sharpened(many(60).at(-1)!));
  });

  test('that fails while nobody waits fails the next picture', async () => {
    const network: Network = { run: () => Promise.reject(new Fault('restorer', 'unavailable', 'the server is gone')) };
    const stage = faceRestorer('gone', { network, side: 64 }, ms(20));
    const run = async () => {
      for await (const _ of stage.run(paced(many(3), 10), { signal: new AbortController().signal, clock }));
    };
    await expect(run()).rejects.toThrow('the server is gone');
  });
});

test('while the chosen restorer cannot, every picture is sharpened, once and in order', async () => {
  const broken: Stage<'restorer'> = {
    ...(await load('sharpen')),
    engine: 'broken',
    async *run(input) {
      let count = 0;
      for await (const rough of input) {
        if ((count += 1) > 2) throw new Fault('restorer', 'unavailable', 'the machine is gone');
        yield { ...rough.driven, patches: [] };
      }
    },
  };
  const items = Array.from({ length: 9 }, (_, n) => drawn(referenceOf('gpen'), at(n * 40_000)));
  const chain = restoring(broken, { retryAfter: () => seconds(60) });
  const made = await through(chain, items);
  expect(made.map(({ start }) => start)).toEqual(items.map(({ start }) => start));
  expect(made.map(({ patches }) => patches.length)).toEqual([0, 0, 1, 1, 1, 1, 1, 1, 1]);
  expect(chain.standIn?.engine).toBe('sharpen');
});

/** The patch's brightness through a Gaussian of `sigma` pixels. */
function blurred(patch: Patch, sigma: number): Patch {
  const reach = Math.ceil(3 * sigma);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, n) => Math.exp(-((n - reach) ** 2) / (2 * sigma * sigma)));
  const whole = weights.reduce((sum, weight) => sum + weight);
  const { width, height } = patch;
  const along = (plane: ArrayLike<number>, across: boolean) =>
    Float32Array.from({ length: width * height }, (_, i) => {
      const [x, y] = [i % width, Math.floor(i / width)];
      return weights.reduce((sum, weight, n) => {
        const [dx, dy] = across ? [n - reach, 0] : [0, n - reach];
        const [px, py] = [inside(x + dx, width), inside(y + dy, height)];
        return sum + (weight / whole) * plane[py * width + px]!;
      }, 0);
    });
  return { ...patch, y: Uint8Array.from(along(along(patch.y, true), false), Math.round) };
}
const inside = (x: number, size: number) => Math.min(size - 1, Math.max(0, Math.floor(x)));

const CLIPS = { face1: FACE1, face2: FACE2, webcam: WEBCAM, listener: LISTENER, portrait: PORTRAIT };
const absent = missing(...Object.values(CLIPS).map(({ file }) => file)) ?? trackerLacks();
describe.skipIf(absent)(`sharpening real faces${absent ? ` (${absent})` : ''}`, () => {
  test.for(Object.entries(CLIPS))('%s', async ([, clip]) => {
    const seen = await followed(clip, 40);
    for (const n of [0, 13, 26, 39]) {
      const { frame, face, start } = seen[n]!;
      const place = mouthPlace(face.landmarks);
      const whole = cutOut(frame, evenBox(grown(place.mouth, 0.35 * place.eyes), frame));
      const around = sharpnessAround({ frame }, place)!;
      const ratio = (patch: Patch) => sharpnessWithin(patch, place)! / around;
      const made = (patch: Patch) =>
        sharpened({ start, end: start, frame, face, driven: { start, face: face.id, patches: [patch] } }).patches[0]!;
      // One that is sharp enough stays as it is, to the bit; one that is sharper than the face too.
      if (ratio(whole) >= 0.93) expect(made(whole)).toBe(whole);
      for (const sigma of [0.7, 1]) {
        const soft = blurred(whole, sigma);
        const sharp = made(soft);
        expect(ratio(soft)).toBeLessThan(ratio(whole));
        expect(ratio(sharp)).toBeGreaterThanOrEqual(0.9);
        expect(ratio(sharp)).toBeLessThanOrEqual(1.1);
        const { width, height } = sharp;
        const border = (i: number) =>
          i < width || i >= width * (height - 1) || i % width === 0 || i % width === width - 1;
        expect(sharp.y.filter((_, i) => border(i))).toEqual(soft.y.filter((_, i) => border(i)));
        expect([sharp.u, sharp.v]).toEqual([soft.u, soft.v]);
        // Nearer to what it was before it was unless the face around it is sharper than it was.
        const away = (patch: Patch) => patch.y.reduce((sum, value, i) => sum + (value - whole.y[i]!) ** 2, 0);
        if (ratio(whole) >= 1 && sharp !== soft) expect(away(sharp)).toBeLessThan(away(soft));
      }
      // However it is brought as far as it can be without halos, never beyond.
      for (const sigma of [1.5, 2]) {
        const soft = blurred(whole, sigma);
        const sharp = made(soft);
        expect(ratio(sharp)).toBeGreaterThan(Math.min(0.9, 1.2 * ratio(soft)));
        expect(ratio(sharp)).toBeLessThanOrEqual(1.1);
        const [low, high] = [Math.min(...soft.y), Math.max(...soft.y)];
        expect(Math.min(...sharp.y)).toBeGreaterThanOrEqual(low - 0.09 * (high - low));
        expect(Math.max(...sharp.y)).toBeLessThanOrEqual(high + 0.09 * (high - low));
      }
    }
  });
});
