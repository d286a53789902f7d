import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { at, ms } from '../../media/time.ts';
import { type VideoFrame, patched } from '../../media/video-frame.ts';
import { registry } from '../../models/index.ts';
import { faceBox } from '../../models/lips/musetalk-face.ts';
import { liveIn, museTalkStage } from '../../models/lips/musetalk.ts';
import { openOnnx } from '../../models/runtime/onnx.ts';
import type { Network } from '../../models/runtime/tensor.ts';
import type { Driven, Shot } from '../../pipeline/face.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { conforms } from '../conformance/stage.ts';
import { drawnFace, drawnFrame, shotsOf } from '../fakes/drawn.ts';
import { decode, feed, missing, recording } from '../fakes/recordings.ts';
import { formula } from '../fakes/whisper.ts';
import { videoFrames } from '../fakes/video-frames.ts';

const folder = fileURLToPath(new URL('../fixtures/musetalk', import.meta.url));
const scope = new Scope('test');
afterAll(() => scope.close());

const USUAL = { vae: 'sd-vae', batch: 2, reuse: 1.5, margin: 10, feather: 0.1, cheeks: 90 } as const;

/** The stage with its networks in this thread, and how many items each of them has computed. */
async function counted(config: Partial<Parameters<typeof museTalkStage>[2]> = {}) {
  const items: Record<string, number> = {};
  const open = async (name: string): Promise<Network> => {
    const network = await openOnnx(join(folder, `${name}.onnx`), scope);
    return {
      run(inputs, options) {
        items[name] = (items[name] ?? 0) + Object.values(inputs)[0]!.dims[0]!;
        return network.run(inputs, options);
      },
    };
  };
  return { items, stage: await museTalkStage(open, liveIn(folder), { ...USUAL, ...config }) };
}
async function drive(stage: Stage<'lipDriver'>, shots: readonly Shot[]): Promise<Driven[]> {
  const driven: Driven[] = [];
  const signal = new AbortController().signal;
  for await (const each of stage.run(feed(shots), { signal, clock: new MonotonicClock() })) driven.push(each);
  return driven;
}
const pictures = (count: number) => Array.from({ length: count }, (_, n) => drawnFrame(320, 240, at(n * 40_000)));
/** Where two pictures differ: how many luma samples inside and outside of a box, and by how much at most. */
function difference(a: VideoFrame, b: VideoFrame, box = { left: 0, top: 0, width: a.width, height: a.height }) {
  let [inside, outside, most] = [0, 0, 0];
  for (const [n, value] of a.y.entries()) {
    const apart = Math.abs(value - b.y[n]!);
    if (apart === 0) continue;
    const [x, y] = [n % a.width, Math.floor(n / a.width)];
    const within = x >= box.left && x < box.left + box.width && y >= box.top && y < box.top + box.height;
    if (within) inside += 1;
    else outside += 1;
    most = Math.max(most, apart);
  }
  return { inside, outside, most };
}

conforms(
  'musetalk',
  () => registry().load('lipDriver', 'musetalk', { model: folder, batch: 2, vae: 'taesd' }, scope),
  () => shotsOf(pictures(5), drawnFace(), formula(3_200)),
);

describe('musetalk', () => {
  test('changes nothing but the lower part of the face, and changes that', async () => {
    const { stage } = await counted();
    const frames = pictures(3);
    const box = faceBox(drawnFace(), 10, frames[0]!)!;
    const driven = await drive(stage, shotsOf(frames, drawnFace(), formula(2_000)));
    expect(driven.map(({ start }) => start)).toEqual(frames.map(({ start }) => start));
    for (const [n, { patches }] of driven.entries()) {
      expect(patches).toHaveLength(1);
      const { inside, outside } = difference(frames[n]!, patched(frames[n]!, patches), box);
      expect(inside).toBeGreaterThan(1_000);
      expect(outside).toBe(0);
      for (const { left, top, width, height } of patches) {
        expect([left, top, width, height].every((each) => each % 2 === 0)).toBe(true);
      }
    }
  });

  test('another sound makes another mouth, and none is made where nobody speaks', async () => {
    const { stage } = await counted({ vae: 'taesd' });
    const frames = pictures(2);
    const [one] = await drive(stage, shotsOf(frames, drawnFace(), formula(2_000)));
    const [other] = await drive(stage, shotsOf(frames, drawnFace(), formula(2_000).reverse()));
    expect(other!.patches).not.toEqual(one!.patches);
    const quiet = shotsOf(frames, drawnFace(), formula(2_000)).map(({ take: _, ...shot }) => shot);
    for (const { patches, unfit } of await drive(stage, quiet)) {
      expect(patches).toEqual([]);
      expect(unfit).toBeUndefined();
    }
  });

  test('fades: half a weight is half way, and none is the original', async () => {
    const { stage } = await counted({ vae: 'taesd' });
    const [frame] = pictures(1);
    const at = async (weight: number) => {
      const [{ patches }] = (await drive(stage, shotsOf([frame!], drawnFace(), formula(640), weight))) as [Driven];
      return patched(frame!, patches);
    };
    const [whole, half, none] = [await at(1), await at(0.5), await at(0)];
    expect(none).toBe(frame);
    for (const [n, value] of half.y.entries()) {
      expect(Math.abs(value - (frame!.y[n]! + whole.y[n]!) / 2)).toBeLessThanOrEqual(1);
    }
  });

  test('says why it leaves a face alone', async () => {
    const { stage } = await counted();
    const unfit = { ...drawnFace(), unfit: 'profile' as const };
    const tiny = drawnFace(100, 100, 0.05);
    const frames = pictures(1);
    for (const [face, why] of [
      [unfit, 'profile'],
      [{ ...tiny, box: { left: 0, top: 0, width: 4, height: 4 } }, 'small'],
    ] as const) {
      const [driven] = await drive(stage, shotsOf(frames, face, formula(640)));
      expect(driven).toEqual({ start: 0, face: 'face', patches: [], unfit: why });
    }
  });

  test('looks once at pictures that are nearly the same, and nobody sees the difference', async () => {
    let seed = 7;
    const grainy = pictures(6).map((frame) => ({
      ...frame,
      // A camera's noise: up to one level.
      y: frame.y.map((value) => {
        seed = (seed * 16_807) % 2_147_483_647;
        return value + (seed % 3) - 1;
      }),
    }));
    const shots = shotsOf(grainy, drawnFace(), formula(3_840));
    const [fresh, thrifty] = [await counted({ reuse: 0 }), await counted({ reuse: 1.5 })];
    const [every, few] = [await drive(fresh.stage, shots), await drive(thrifty.stage, shots)];
    expect(fresh.items).toMatchObject({ sd_vae_encoder: 12, parsing: 6, unet: 6, sd_vae_decoder: 6 });
    expect(thrifty.items).toMatchObject({ sd_vae_encoder: 2, parsing: 1, unet: 6, sd_vae_decoder: 6 });
    // Random networks, unlike trained ones, make much of little; yet what is remembered changes next to nothing.
    for (const [n, frame] of grainy.entries()) {
      const [a, b] = [patched(frame, every[n]!.patches), patched(frame, few[n]!.patches)];
      const off = a.y.reduce((sum, value, k) => sum + (value - b.y[k]!) ** 2, 0) / every[n]!.patches[0]!.y.length;
      expect(10 * Math.log10(255 ** 2 / Math.max(off, 1e-9))).toBeGreaterThan(40);
    }
  });

  test('looks again when the face has changed, and when it is another one', async () => {
    const { stage, items } = await counted({ vae: 'taesd', batch: 1 });
    const frames = pictures(3);
    const moved = { ...frames[1]!, y: frames[1]!.y.map((value, n) => (n % 320 > 150 ? value : 255 - value)) };
    const shots = shotsOf([frames[0]!, moved, frames[2]!], drawnFace(), formula(1_920));
    const stranger = { ...shots[2]!, face: { ...shots[2]!.face, id: 'other' as Shot['face']['id'] } };
    await drive(stage, [shots[0]!, shots[1]!, stranger, { ...shots[2]!, start: at(120_000), end: at(160_000) }]);
    expect(items['taesd_encoder']).toBe(6);
  });

  test('hears a take once, though every picture brings it', async () => {
    const { stage, items } = await counted({ vae: 'taesd' });
    const shots = shotsOf(pictures(5), drawnFace(), formula(3_200));
    await drive(stage, structuredClone(shots));
    expect(items['whisper']).toBe(1);
  });

  test('computes faces of two sessions together', async () => {
    const runs: number[] = [];
    const open = async (name: string): Promise<Network> => {
      const network = await openOnnx(join(folder, `${name}.onnx`), scope);
      return {
        run(inputs, options) {
          if (name === 'unet') runs.push(inputs['latents']!.dims[0]!);
          return network.run(inputs, options);
        },
      };
    };
    const stage = await museTalkStage(open, liveIn(folder), { ...USUAL, vae: 'taesd', batch: 4 });
    const one = shotsOf(pictures(2), drawnFace(), formula(1_280));
    const [alone, both] = [await drive(stage, one), await Promise.all([drive(stage, one), drive(stage, one)])];
    expect(both).toEqual([alone, alone]);
    expect(runs).toEqual([2, 4]);
  });

  test('gives nothing late: pictures wait for no more than a batch, and not behind the end of a take', async () => {
    const { stage } = await counted({ vae: 'taesd', batch: 4 });
    expect(stage.caps).toEqual({ lookahead: ms(120), watches: false, phonemes: false });
    const shots = shotsOf(pictures(6), drawnFace(), formula(3_840));
    const given: number[] = [];
    let taken = 0;
    const watched = async function* () {
      for (const shot of shots) {
        given.push(taken);
        yield shot;
      }
      given.push(taken);
    };
    for await (const _ of stage.run(watched(), { signal: new AbortController().signal, clock: new MonotonicClock() })) {
      taken += 1;
    }
    expect(given).toEqual([0, 0, 0, 0, 4, 4, 6]);
  });

  test('says how to export what is not there', async () => {
    const load = (config: object) => registry().load('lipDriver', 'musetalk', config, scope);
    await expect(load({ model: '/nowhere' })).rejects.toThrow(/no \/nowhere\/live\.json; run .*musetalk\.py --weights/);
    const open = async (): Promise<Network> => ({ run: async () => ({}) });
    const live = { ...liveIn(folder), vaes: { 'sd-vae': 0.18215 } };
    await expect(museTalkStage(open, live, { ...USUAL, vae: 'taesd' })).rejects.toThrow(/'taesd' was not exported/);
  });

  const clip = 'talking/video-retalking/face2.mp4';
  const speech = 'speech/librispeech_1089/1089-134686-0000.flac';
  const absent = missing(clip, speech);
  test.skipIf(absent)(`drives a real face by real speech, and leaves the rest as it is ${absent ?? ''}`, async () => {
    const { stage } = await counted();
    const frames = videoFrames(recording(clip), { width: 844, height: 844, count: 4, filters: null });
    const face = drawnFace(-89, 95, 3.05);
    const box = faceBox(face, 10, frames[0]!)!;
    const pcm = decode(recording(speech), 16_000).slice(16_000, 16_000 + 2_560);
    const driven = await drive(stage, shotsOf(frames, face, pcm));
    for (const [n, { patches }] of driven.entries()) {
      const seen = patched(frames[n]!, patches);
      const { inside, outside } = difference(frames[n]!, seen, box);
      expect(outside).toBe(0);
      expect(inside).toBeGreaterThan(5_000);
    }
    expect(driven[0]!.patches).not.toEqual(driven[3]!.patches);
  });
});
