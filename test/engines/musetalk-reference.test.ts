import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { Scope } from '../../media/scope.ts';
import { cutOut } from '../../media/video-frame.ts';
import { blended, part, toRgb } from '../../models/lips/colour.ts';
import { faceBox, parsable, pixels, surroundings } from '../../models/lips/musetalk-face.ts';
import { feathered, jaw } from '../../models/lips/musetalk-mask.ts';
import { decoded, encoded, parsed, pasted, stepped } from '../../models/lips/musetalk-path.ts';
import { type Ear, SEEN, hear, mels, places, positionAt, tokensAt } from '../../models/lips/musetalk-sound.ts';
import { lanczos, linear, pillow } from '../../models/lips/resizing.ts';
import { openOnnx } from '../../models/runtime/onnx.ts';
import { floats, floatsOf } from '../../models/runtime/tensor.ts';
import { drawnFace, drawnFrame, furthest } from '../fakes/drawn.ts';
import { decode, missing, recording } from '../fakes/recordings.ts';
import { formula } from '../fakes/whisper.ts';

const folder = fileURLToPath(new URL('../fixtures/musetalk', import.meta.url));
interface Sound {
  readonly samples: number;
  readonly mel: number[][];
  readonly states: number[][];
  readonly pictures: number;
  readonly prompts: Record<string, number[]>;
}
type Steps = Record<'latents' | 'unet' | 'picture', number[]>;
const reference = JSON.parse(readFileSync(join(folder, 'reference.json'), 'utf8')) as {
  readonly box: number[];
  readonly crop: number[];
  readonly sound: Sound;
  readonly long: Sound;
  readonly clip: Sound & { readonly name: string };
  readonly at: number;
  readonly 'sd-vae': Steps;
  readonly taesd: Steps;
  readonly parsing: {
    readonly crop: number[];
    readonly labels: number[];
    readonly jaw: number[];
    readonly mask: number[];
    readonly laid: number[];
    readonly blend: number[][];
  };
  readonly resized: Record<string, number[]>;
};
const live = JSON.parse(readFileSync(join(folder, 'live.json'), 'utf8')) as Ear & { vaes: Record<string, number> };

const scope = new Scope('test');
afterAll(() => scope.close());
const open = (name: string, fp16 = false) => openOnnx(join(folder, `${name}.onnx`), scope, { settings: { fp16 } });
const EQUAL = 1e-3;

const frame = drawnFrame(320, 240);
const box = faceBox(drawnFace(), 10, frame)!;
const square = surroundings(box);
const around = toRgb(frame, square);
const inner = { ...box, left: box.left - square.left, top: box.top - square.top };
const near = part(around, inner);
const told = places(SEEN * live.states, live.width);

const sounds: [string, () => Float32Array, Sound][] = [
  ['a sweep in noise', () => formula(48_000), reference.sound],
  ['a sound longer than one window', () => formula(112_000), reference.long],
];
const absent = missing('speech/librispeech_1089/1089-134691-0000.flac');
if (!absent) {
  sounds.push(['a recording of LibriSpeech', () => decode(recording(reference.clip.name), 16_000), reference.clip]);
}

describe.for(sounds)('MuseTalk and ours, of %s', ([, samples, wanted]) => {
  test('hear the same spectrogram', () => {
    const pcm = samples();
    expect(pcm.length).toBe(wanted.samples);
    const mel = mels(pcm, live);
    const size = 80 * live.window;
    expect(wanted.mel.length).toBe(mel.length / size);
    for (const [n, each] of wanted.mel.entries()) {
      expect(furthest(mel.subarray(n * size, (n + 1) * size), each, 97)).toBeLessThan(EQUAL);
    }
  });

  test('make the same of it in every layer of the encoder', async () => {
    const whisper = await open('whisper');
    const mel = mels(samples(), live);
    const count = wanted.mel.length;
    const { states } = await whisper.run({ mel: floats(mel, [count, 80, live.window]) });
    const all = floatsOf(states, 'states');
    const size = all.length / count;
    for (const [n, each] of wanted.states.entries()) {
      expect(furthest(all.subarray(n * size, (n + 1) * size), each, 211)).toBeLessThan(EQUAL);
    }
  });

  test('tell the UNet the same at every picture, with positions and beyond both ends', async () => {
    const heard = await hear(await open('whisper'), live, samples());
    expect(Math.floor((wanted.samples / 16_000) * 25)).toBe(wanted.pictures);
    for (const [picture, tokens] of Object.entries(wanted.prompts)) {
      const ours = tokensAt(heard, positionAt(Number(picture) * 40_000), live, told);
      expect(furthest(ours, tokens, 7)).toBeLessThan(EQUAL);
    }
  });
});

describe('MuseTalk and ours, of a picture', () => {
  test('cut out the same face, at the same size', () => {
    expect([box.left, box.top, box.left + box.width, box.top + box.height]).toEqual(reference.box);
    expect(furthest(lanczos(near, 256, 256).data, reference.crop, 101)).toBe(0);
  });

  test.for(['sd-vae', 'taesd'] as const)('make the same latents, step and picture with %s', async (vae) => {
    const name = vae.replace('-', '_');
    const [encoder, unet, decoder] = [await open(`${name}_encoder`), await open('unet'), await open(`${name}_decoder`)];
    const factor = live.vaes[vae]!;
    const [latents] = await encoded(encoder, [pixels(near)], factor);
    expect(furthest(latents!, reference[vae].latents, 13)).toBeLessThan(EQUAL);

    const heard = await hear(await open('whisper'), live, formula(48_000));
    const tokens = tokensAt(heard, positionAt(reference.at * 40_000), live, told);
    const out = await stepped(unet, [latents!], [tokens], live.width);
    expect(furthest(out, reference[vae].unet, 7)).toBeLessThan(EQUAL);

    const input = floats(
      out.map((value) => value / factor),
      [1, 4, 32, 32],
    );
    const made = floatsOf((await decoder.run({ latents: input }))['pixels'], 'pixels');
    const picture = made.map((value) => Math.min(1, Math.max(0, value / 2 + 0.5)));
    expect(furthest(picture, reference[vae].picture, 101)).toBeLessThan(EQUAL);
    const [drawn] = await decoded(decoder, out, factor);
    expect(
      furthest(
        drawn!.data,
        Array.from(
          picture.filter((_, n) => n % 101 === 0),
          (v) => v * 255,
        ),
        101,
      ),
    ).toBeLessThan(0.51);
  });

  test('several pictures at once make what each makes alone', async () => {
    const [encoder, unet, decoder] = [await open('sd_vae_encoder'), await open('unet'), await open('sd_vae_decoder')];
    const factor = live.vaes['sd-vae']!;
    const other = part(around, { ...inner, left: inner.left - 7, top: inner.top + 5 });
    const both = await encoded(encoder, [pixels(near), pixels(other)], factor);
    const heard = await hear(await open('whisper'), live, formula(48_000));
    const tokens = [20, 31].map((n) => tokensAt(heard, positionAt(n * 40_000), live, told));
    const pictures = await decoded(decoder, await stepped(unet, both, tokens, live.width), factor);
    for (const [n, face] of [near, other].entries()) {
      const [latents] = await encoded(encoder, [pixels(face)], factor);
      expect(furthest(both[n]!, [...latents!], 1)).toBeLessThan(1e-4);
      const [alone] = await decoded(decoder, await stepped(unet, [latents!], [tokens[n]!], live.width), factor);
      expect(furthest(pictures[n]!.data, [...alone!.data], 1)).toBeLessThanOrEqual(1);
    }
  });

  test('half precision makes nearly the same', async () => {
    const half = await open('unet', true);
    const heard = await hear(await open('whisper'), live, formula(48_000));
    const tokens = tokensAt(heard, positionAt(reference.at * 40_000), live, told);
    const [latents] = await encoded(await open('sd_vae_encoder'), [pixels(near)], live.vaes['sd-vae']!);
    const out = await stepped(half, [latents!], [tokens], live.width);
    const off = furthest(out, reference['sd-vae'].unet, 7);
    expect(off).toBeLessThan(0.02);
    // It is another network.
    expect(off).toBeGreaterThan(1e-5);
  });

  test('find the same parts of the face, and the same region to draw anew with the same soft edge', async () => {
    const [labels] = await parsed(await open('parsing'), [parsable(around)]);
    const { crop } = reference.parsing;
    expect([square.left, square.top, square.left + square.width, square.top + square.height]).toEqual(crop);
    const differing = reference.parsing.labels.filter((label, n) => label !== labels![n * 499]!);
    expect(differing.length).toBe(0);
    const region = jaw(labels!, 90);
    expect(furthest(region, reference.parsing.jaw, 499)).toBe(0);
    expect(furthest(feathered(region, inner, square, 0.1), reference.parsing.mask, 37)).toBeLessThanOrEqual(1);
  });

  test('lay the new face on the same, to the source resolution', async () => {
    const [labels] = await parsed(await open('parsing'), [parsable(around)]);
    const mask = feathered(jaw(labels!, 90), inner, square, 0.1);
    const [latents] = await encoded(await open('taesd_encoder'), [pixels(near)], 1);
    const heard = await hear(await open('whisper'), live, formula(48_000));
    const tokens = tokensAt(heard, positionAt(reference.at * 40_000), live, told);
    const out = await stepped(await open('unet'), [latents!], [tokens], live.width);
    const [drawn] = await decoded(await open('taesd_decoder'), out, 1);

    // Before rounding, in parts of the full range.
    const whole = { left: 0, top: 0, width: frame.width, height: frame.height };
    const rgb = Float32Array.from(toRgb(frame, whole).data);
    const large = linear(drawn!, box.width, box.height);
    const share = new Float32Array(frame.width * frame.height);
    for (let row = 0; row < box.height; row += 1) {
      for (let column = 0; column < box.width; column += 1) {
        const to = (box.top + row) * frame.width + box.left + column;
        share[to] = mask[(inner.top + row) * square.width + inner.left + column]! / 255;
        for (let plane = 0; plane < 3; plane += 1) {
          rgb[plane * share.length + to] = large[(plane * box.height + row) * box.width + column]!;
        }
      }
    }
    const blend = blended(cutOut(frame, whole), rgb, share, frame.colour, frame.height);
    for (const [n, plane] of [blend.y, blend.u, blend.v].entries()) {
      expect(furthest(plane, reference.parsing.blend[n]!, 29) / 255).toBeLessThan(EQUAL);
    }

    // As it is seen: Pillow's own paste of the rounded picture in the rounded colours.
    const [patch] = pasted(frame, drawn!, { face: box, square, mask }, 1);
    const seen = toRgb({ ...frame, ...onto(patch!) }, whole).data;
    const off = reference.parsing.laid.map((value, n) => Math.abs(value - seen[n * 53]!));
    expect(off.reduce((a, b) => a + b, 0) / off.length).toBeLessThan(1.5);
  });

  test.for(Object.entries(reference.resized))('Pillow and ours resize the same: %s', ([what, wanted]) => {
    const [filter, width, height] = what.split(/[ x]/) as ['bilinear' | 'bicubic', string, string];
    const ours = pillow({ width: 320, height: 240, data: frame.y }, Number(width), Number(height), filter);
    expect(furthest(ours, wanted, 31)).toBe(0);
  });
});

function onto(patch: ReturnType<typeof pasted>[number]) {
  const [y, u, v] = [frame.y.slice(), frame.u.slice(), frame.v.slice()];
  const lay = (to: Uint8Array, stride: number, from: Uint8Array, left: number, top: number, width: number) => {
    for (const [n, value] of from.entries()) to[(top + Math.floor(n / width)) * stride + left + (n % width)] = value;
  };
  lay(y, frame.width, patch.y, patch.left, patch.top, patch.width);
  lay(u, frame.width / 2, patch.u, patch.left / 2, patch.top / 2, patch.width / 2);
  lay(v, frame.width / 2, patch.v, patch.left / 2, patch.top / 2, patch.width / 2);
  return { y, u, v };
}
