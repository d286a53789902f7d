import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { Scope } from '../../media/scope.ts';
import { cosine } from '../../models/speakers/embedding.ts';
import { EMBEDDINGS, type EmbeddingName, NETWORK_FILES } from '../../models/speakers/embedding-cards.ts';
import { SpeechBrainFbank } from '../../models/speakers/embedding-ecapa.ts';
import { THREE_D_SPEAKER, WESPEAKER, kaldiFeatures } from '../../models/speakers/embedding-kaldi.ts';
import { EMBEDDING } from '../../models/speakers/embedding-open.ts';
import { NemoMel } from '../../models/speakers/embedding-titanet.ts';
import { LibrosaMfcc } from '../../models/speakers/embedding-wq2012.ts';
import { openOnnx } from '../../models/runtime/onnx.ts';
import { decode, missing, recording } from '../fakes/recordings.ts';
import { lacking, weights } from '../weights.ts';

const scope = new Scope('test');
afterAll(() => scope.close());

const FIXTURES = fileURLToPath(new URL('../fixtures/embedding', import.meta.url));
interface Reference {
  readonly shape: readonly [number, number];
  /** Every thirtieth row. */
  readonly rows: readonly (readonly number[])[];
  /** The first 32 numbers. */
  readonly embedding: readonly number[];
}
const references = JSON.parse(readFileSync(join(FIXTURES, 'reference.json'), 'utf8')) as Record<
  'flite' | 'recording',
  Record<EmbeddingName, Reference>
>;

const SAMPLE = 'diar/pyannote_sample/sample.wav';
const absent = missing(SAMPLE);
const heard = {
  flite: () => {
    const bytes = readFileSync(join(FIXTURES, 'flite.s16'));
    return Float32Array.from({ length: bytes.length / 2 }, (_, i) => bytes.readInt16LE(2 * i) / 32_768);
  },
  recording: () => decode(recording(SAMPLE), 16_000).slice(8 * 16_000, 9 * 16_000 + 1_234),
};

/** What a network is given, one row per frame. */
const FRONT_ENDS: Record<EmbeddingName, (pcm: Float32Array) => Float32Array[]> = {
  wq2012: (pcm) => new LibrosaMfcc().of(pcm),
  ecapa: (pcm) => rowsOf(new SpeechBrainFbank().of(pcm)),
  campplus: (pcm) => rowsOf(kaldiFeatures(pcm, undefined, THREE_D_SPEAKER)),
  eres2net: (pcm) => rowsOf(kaldiFeatures(pcm, undefined, THREE_D_SPEAKER)),
  wespeaker: (pcm) => rowsOf(kaldiFeatures(pcm, undefined, WESPEAKER)),
  titanet: (pcm) => {
    const { data, count, padded } = new NemoMel().of(pcm);
    return Array.from({ length: count }, (_, n) => Float32Array.from({ length: 80 }, (_, k) => data[k * padded + n]!));
  },
};
const rowsOf = (data: Float32Array) =>
  Array.from({ length: data.length / 80 }, (_, n) => data.subarray(80 * n, 80 * (n + 1)));

const tiny = async (name: EmbeddingName) =>
  EMBEDDING[name](await openOnnx(join(FIXTURES, name, NETWORK_FILES[name]), scope));

describe.for(['flite', 'recording'] as const)('of %s', (source) => {
  const skip = source === 'recording' ? absent : undefined;

  test.skipIf(skip).for(EMBEDDINGS)(`%s hears what its makers' front-end hears ${skip ?? ''}`, (name) => {
    const { shape, rows } = references[source][name];
    const mine = FRONT_ENDS[name](heard[source]());
    expect([mine.length, mine[0]!.length]).toEqual(shape);
    const worst = rows.map((row, n) =>
      Math.max(...row.map((x, k) => Math.abs(x - mine[30 * n]![k]!) / Math.max(1, Math.abs(x)))),
    );
    expect(Math.max(...worst)).toBeLessThan(1e-3);
  });

  test.skipIf(skip).for(EMBEDDINGS)(
    `%s gives its network what it asks for, and has length 1 ${skip ?? ''}`,
    async (name) => {
      const embedding = await tiny(name);
      const voice = (await embedding.embed(heard[source]()))!;
      expect(voice.length).toBe(embedding.dimension);
      expect(cosine(voice.subarray(0, 32), references[source][name].embedding)).toBeGreaterThan(0.9999);
      expect(voice.reduce((sum, x) => sum + x * x, 0)).toBeCloseTo(1, 5);
    },
  );
});

describe('an embedding', () => {
  test.for(EMBEDDINGS)('of %s is of what its mask has alone', async (name) => {
    const embedding = await tiny(name);
    const pcm = heard.flite();
    const both = new Float32Array(2 * pcm.length);
    both.set(pcm);
    both.set(
      pcm.map((_, i) => 0.3 * Math.sin(i / 3) * Math.sin(i / 900)),
      pcm.length,
    );
    const mask = new Uint8Array(1_000);
    mask.fill(1, 0, 490);
    const [alone, masked, mixed] = [
      await embedding.embed(pcm),
      await embedding.embed(both, mask),
      await embedding.embed(both),
    ];
    expect(cosine(alone!, masked!)).toBeGreaterThan(0.98);
    expect(cosine(alone!, masked!)).toBeGreaterThan(cosine(alone!, mixed!));
  });

  test.for(EMBEDDINGS)('of less than half a second is none: %s', async (name) => {
    const embedding = await tiny(name);
    expect(await embedding.embed(heard.flite().subarray(0, 6_000))).toBeUndefined();
    expect(await embedding.embed(heard.flite(), new Uint8Array(100))).toBeUndefined();
  });

  test('of a network that gives something else is refused by name', async () => {
    const network = await openOnnx(join(FIXTURES, 'campplus', NETWORK_FILES.campplus), scope);
    await expect(EMBEDDING.eres2net(network).embed(heard.flite())).rejects.toThrow(
      "Cannot use this model as eres2net: 192 numbers were expected of 'embedding', not 512 numbers",
    );
  });

  const real = lacking('spk/wq2012') ?? missing('spk/librispeech_test_other');
  test.skipIf(real)(`of wq2012's real weights tells readers apart ${real ?? ''}`, async () => {
    const embedding = EMBEDDING.wq2012(await openOnnx(join(weights('spk/wq2012'), NETWORK_FILES.wq2012), scope));
    const files = [
      '1688-142285-0001',
      '1688-142285-0005',
      '2033-164914-0005',
      '2033-164914-0009',
      '3331-159605-0007',
      '3331-159605-0009',
    ];
    const voices = await Promise.all(
      files.map(async (name) => {
        const pcm = decode(recording(`spk/librispeech_test_other/${name}.flac`), 16_000);
        return (await embedding.embed(pcm.subarray(0, 10 * 16_000)))!;
      }),
    );
    const likeness = (same: boolean) =>
      voices.flatMap((a, i) =>
        voices.flatMap((b, k) =>
          i < k && (files[i]!.split('-')[0] === files[k]!.split('-')[0]) === same ? [cosine(a, b)] : [],
        ),
      );
    expect(Math.min(...likeness(true))).toBeGreaterThan(embedding.threshold);
    expect(Math.max(...likeness(false))).toBeLessThan(embedding.threshold);
  });
});
