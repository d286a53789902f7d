import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { at, ms } from '../../media/time.ts';
import { type VideoFrame, patched } from '../../media/video-frame.ts';
import { registry } from '../../models/index.ts';
import { toRgb } from '../../models/lips/colour.ts';
import { chinBox, faces, laid, spoken } from '../../models/lips/wav2lip-path.ts';
import { chunkAt, melOf } from '../../models/lips/wav2lip-sound.ts';
import { wav2LipStage } from '../../models/lips/wav2lip.ts';
import { openOnnx } from '../../models/runtime/onnx.ts';
import { type Network, floats, floatsOf } from '../../models/runtime/tensor.ts';
import type { Driven, Shot } from '../../pipeline/face.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { conforms } from '../conformance/stage.ts';
import { drawnFace, drawnFrame, furthest, shotsOf } from '../fakes/drawn.ts';
import { decode, feed, missing, recording } from '../fakes/recordings.ts';
import { formula } from '../fakes/whisper.ts';
import { videoFrames } from '../fakes/video-frames.ts';

const folder = fileURLToPath(new URL('../fixtures/wav2lip', import.meta.url));
interface Sound {
  readonly samples: number;
  readonly frames: number;
  readonly mel: number[];
  readonly chunk: Record<string, number[]>;
  readonly out: number[];
}
const reference = JSON.parse(readFileSync(join(folder, 'reference.json'), 'utf8')) as {
  readonly face: number[];
  readonly box: number[];
  readonly at: number;
  readonly sounds: Record<string, Sound>;
  readonly laid: number[][];
};
const EQUAL = 1e-3;
const scope = new Scope('test');
afterAll(() => scope.close());
let network: Network;
beforeAll(async () => {
  network = await openOnnx(join(folder, 'wav2lip.onnx'), scope);
});

const frame = drawnFrame(320, 240);
const box = chinBox(drawnFace().box, 10, frame)!;
const look = faces(toRgb(frame, box));
const pictures = (count: number) => Array.from({ length: count }, (_, n) => drawnFrame(320, 240, at(n * 40_000)));
const clip = 'speech/librispeech_1089/1089-134691-0000.flac';
const sounds: [string, () => Float32Array][] = [['formula', () => formula(24_000)]];
if (!missing(clip)) sounds.push([clip, () => decode(recording(clip), 16_000)]);

async function drive(stage: Stage<'lipDriver'>, shots: readonly Shot[]): Promise<Driven[]> {
  const driven: Driven[] = [];
  const signal = new AbortController().signal;
  for await (const each of stage.run(feed(shots), { signal, clock: new MonotonicClock() })) driven.push(each);
  return driven;
}
/** Luma samples that differ, inside and outside of a box. */
function changed(a: VideoFrame, b: VideoFrame, { left, top, width, height } = box) {
  const where = [...a.y.keys()].filter((n) => a.y[n] !== b.y[n]);
  const inside = where.filter((n) => {
    const [x, y] = [n % a.width, Math.floor(n / a.width)];
    return x >= left && x < left + width && y >= top && y < top + height;
  });
  return { inside: inside.length, outside: where.length - inside.length };
}

conforms(
  'wav2lip',
  () => registry().load('lipDriver', 'wav2lip', { model: folder, batch: 3 }, scope),
  () => shotsOf(pictures(5), drawnFace(), formula(3_200)),
);

describe.for(sounds)('Wav2Lip and ours, of %s', ([name, samples]) => {
  const wanted = reference.sounds[name]!;

  test('hear the same spectrogram, and the same of it at every picture', () => {
    const mel = melOf(samples());
    expect(mel.frames).toBe(wanted.frames);
    // Theirs is band by band.
    const turned = Array.from(
      { length: 80 * mel.frames },
      (_, n) => mel.data[(n % mel.frames) * 80 + Math.floor(n / mel.frames)]!,
    );
    expect(furthest(turned, wanted.mel, 37)).toBeLessThan(EQUAL);
    for (const [picture, chunk] of Object.entries(wanted.chunk)) {
      expect(furthest(chunkAt(mel, Number(picture) * 40_000), chunk, 17)).toBeLessThan(EQUAL);
    }
  });

  test('make the same face of it', async () => {
    const sound = chunkAt(melOf(samples()), reference.at * 40_000);
    const { out } = await network.run({ audio: floats(sound, [1, 1, 80, 16]), faces: floats(look, [1, 6, 96, 96]) });
    expect(furthest(floatsOf(out, 'out'), wanted.out, 101)).toBeLessThan(EQUAL);
  });
});

describe('Wav2Lip and ours, of a picture', () => {
  test('look at the same face', () => {
    expect([box.left, box.top, box.left + box.width, box.top + box.height]).toEqual(reference.box);
    expect(furthest(look, reference.face, 101)).toBeLessThan(1e-6);
  });

  test('put the same in its place', async () => {
    const sound = chunkAt(melOf(formula(24_000)), reference.at * 40_000);
    const [drawn] = await spoken(network, [sound], [look]);
    const seen = patched(frame, laid(frame, drawn!, box, 0, 1));
    const planes = [seen.y, seen.u, seen.v];
    const original = [frame.y, frame.u, frame.v];
    for (const [n, wanted] of reference.laid.entries()) {
      const width = n === 0 ? 320 : 160;
      for (const [k, value] of wanted.entries()) {
        const place = k * 29;
        const [x, y] = [(place % width) * (320 / width), Math.floor(place / width) * (320 / width)];
        // Chroma samples that the box cuts through are mixed by how much of each is in the box.
        const edge = n > 0 && (x === 104 || x === 214);
        const inside = x >= 105 && x < 215 && y >= 30 && y < 180;
        if (inside && !edge) expect(Math.abs(planes[n]![place]! - value)).toBeLessThanOrEqual(0.5 + EQUAL);
        else if (!edge) expect(planes[n]![place]).toBe(original[n]![place]);
      }
    }
  });
});

describe('wav2lip', () => {
  const stage = () => wav2LipStage(network, { batch: 2, margin: 10, feather: 0.1 });

  test('changes nothing outside the lower half of the face, and changes that', async () => {
    const frames = pictures(3);
    const driven = await drive(stage(), shotsOf(frames, drawnFace(), formula(2_000)));
    expect(driven.map(({ start }) => start)).toEqual(frames.map(({ start }) => start));
    const lower = { ...box, top: box.top + box.height / 2, height: box.height / 2 };
    for (const [n, { patches }] of driven.entries()) {
      const { inside, outside } = changed(frames[n]!, patched(frames[n]!, patches), lower);
      expect(inside).toBeGreaterThan(1_000);
      expect(outside).toBe(0);
    }
  });

  test('computes pictures together, and each as it would be alone', async () => {
    const counts: number[] = [];
    const watched: Network = {
      run(inputs, options) {
        counts.push(inputs['faces']!.dims[0]!);
        return network.run(inputs, options);
      },
    };
    const shots = shotsOf(pictures(4), drawnFace(), formula(2_560));
    const together = await drive(wav2LipStage(watched, { batch: 4, margin: 10, feather: 0.1 }), shots);
    expect(counts).toEqual([4]);
    expect(together).toEqual(await drive(wav2LipStage(network, { batch: 1, margin: 10, feather: 0.1 }), shots));
    expect(stage().caps.lookahead).toBe(ms(40));
  });

  test('says how to export what is not there', async () => {
    const load = registry().load('lipDriver', 'wav2lip', { model: '/nowhere' }, scope);
    await expect(load).rejects.toThrow(/no \/nowhere\/wav2lip\.onnx; run .*wav2lip\.py --weights/);
  });

  const film = 'talking/video-retalking/face2.mp4';
  const absent = missing(film, clip);
  test.skipIf(absent)(`drives a real face by real speech, and leaves the rest as it is ${absent ?? ''}`, async () => {
    const frames = videoFrames(recording(film), { width: 844, height: 844, count: 4, filters: null });
    const face = { ...drawnFace(), box: { left: 245, top: 200, width: 330, height: 410 } };
    const pcm = decode(recording(clip), 16_000).slice(8_000, 8_000 + 2_560);
    const driven = await drive(stage(), shotsOf(frames, face, pcm));
    for (const [n, { patches }] of driven.entries()) {
      const { inside, outside } = changed(frames[n]!, patched(frames[n]!, patches), chinBox(face.box, 10, frames[n]!));
      expect(inside).toBeGreaterThan(5_000);
      expect(outside).toBe(0);
    }
    expect(driven[0]!.patches).not.toEqual(driven[3]!.patches);
  });
});
