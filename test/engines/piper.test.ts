import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { at } from '../../media/time.ts';
import { registry } from '../../models/index.ts';
import { piper } from '../../models/speak/piper.ts';
import { needsSpeakData, speakData } from '../../models/sherpa/sherpa-files.ts';
import { openVoice } from '../../models/sherpa/sherpa.ts';
import { sentencesOf, sherpaSynthesizer } from '../../models/speak/sherpa-speech.ts';
import type { Language, Line, SpeakerId, Speech, UtteranceId } from '../../pipeline/domain.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { conforms } from '../conformance/stage.ts';
import { unpacked } from '../fakes/unpacked.ts';

const line = (text: string, { n = 0, speaker = 's1', language = 'en' } = {}): Line => ({
  utterance: `u${n}` as UtteranceId,
  speaker: speaker as SpeakerId,
  language: language as Language,
  start: at(n * 10_000_000),
  end: at(n * 10_000_000 + 6_000_000),
  text,
});
async function spoken(stage: Stage<'synthesizer'>, lines: readonly Line[]): Promise<Speech[]> {
  const input = async function* () {
    yield* lines;
  };
  const speech: Speech[] = [];
  const scope = { signal: new AbortController().signal, clock: new MonotonicClock() };
  for await (const part of stage.run(input(), scope)) speech.push(part);
  return speech;
}
/** How alike two sounds are whatever their level. */
function correlation(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [ab, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i += 1) {
    ab += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}

describe('sentences', () => {
  const english = 'en' as Language;
  test.for([
    ['One sentence is enough.', ['One sentence is enough.']],
    ['This is the first. And that is the second!', ['This is the first.', 'And that is the second!']],
    ['Yes. That is what it says.', ['Yes. That is what it says.']],
    ['That is what it says. Yes.', ['That is what it says. Yes.']],
    ['Here comes Dr. Smith with his dog.', ['Here comes Dr. Smith with his dog.']],
    ['  ', []],
  ] as const)('of %s', ([text, sentences]) => {
    expect(sentencesOf(text, english)).toEqual(sentences);
  });
});

test.for([
  [
    'cannot be said',
    () => {
      throw new Error('TTS generation failed');
    },
    'broken: could not say the line',
  ],
  ['makes no sound', () => new Float32Array(), 'broken: made no sound of the line'],
  ['makes no numbers', () => Float32Array.of(0, NaN), 'broken: made samples that are no numbers'],
] as const)('a line that %s is rejected', async ([, say, message]) => {
  const stage = sherpaSynthesizer({
    engine: 'broken',
    caps: { languages: 'any', clonesVoice: false, voices: 1 },
    speakerFor: () => ({ rate: 16_000, say }),
  });
  await expect(spoken(stage, [line('Hello.')])).rejects.toMatchObject({ kind: 'rejected', message });
});

describe.skipIf(!needsSpeakData.present())('Piper, a tiny voice of random weights (needs libespeak-ng1)', () => {
  const { directory, remove } = unpacked('piper');
  const scope = new Scope('piper');
  afterAll(async () => {
    await scope.close();
    remove();
  });
  const TINY = { model: directory, file: 'tiny.onnx', noise: 0, rhythm: 0 };
  const load = (config: object = {}) => piper.load(piper.config.parse({ ...TINY, ...config }), scope);
  const reference = JSON.parse(readFileSync(join(directory, 'reference.json'), 'utf8')) as {
    readonly text: string;
    readonly rate: number;
    readonly samples: readonly [number, number];
  };
  const bytes = readFileSync(join(directory, 'reference.s16'));
  const all = new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  const said = [all.subarray(0, reference.samples[0]), all.subarray(reference.samples[0])];

  const sample = () => [
    line('This is the first sentence. And here is another one!'),
    line(' ', { n: 1 }),
    line('Good evening.', { n: 2, speaker: 's2' }),
  ];
  conforms('Piper', () => load(), sample);
  conforms('Piper in its thread', () => registry().load('synthesizer', 'piper', TINY, scope), sample);

  test.for([0, 1])('speaker %d says a sentence as PyTorch does, sample for sample', async (speaker) => {
    const files = {
      model: join(directory, 'tiny.onnx'),
      tokens: join(directory, 'tokens.txt'),
      dataDir: speakData(directory),
      noiseScale: 1e-6,
      noiseScaleW: 1e-6,
    };
    const voice = await openVoice({ vits: files }, 1);
    expect([voice.rate, voice.speakers]).toEqual([22_050, 2]);
    const pcm = voice.say({ text: reference.text, speaker, speed: 1 });
    expect(pcm.length).toBe(said[speaker]!.length);
    const off = pcm.map((x, i) => Math.abs(x - said[speaker]![i]! / 32_767));
    // Half of one of the reference's 16-bit steps, and what two runtimes round differently.
    expect(Math.max(...off)).toBeLessThan(1e-4);
  });

  test('a speaker keeps a voice, another has the other, and only the level is changed', async () => {
    const stage = await load();
    expect(stage.caps.voices).toBe(2);
    const lines = ['s1', 's2', 's1'].map((speaker, n) => line(reference.text, { n, speaker }));
    const [one, two, again] = await spoken(stage, lines);
    // No noise at all stands for the usual amount, so there is a millionth of it.
    expect(correlation(again!.chunk.pcm, one!.chunk.pcm)).toBeGreaterThan(0.999999);
    expect(again!.chunk.pcm.length).toBe(one!.chunk.pcm.length);
    expect(correlation(one!.chunk.pcm, said[0]!)).toBeGreaterThan(0.9999);
    expect(correlation(two!.chunk.pcm, said[1]!)).toBeGreaterThan(0.9999);
    expect(one!.chunk.pcm.reduce((most, x) => Math.max(most, Math.abs(x)), 0)).toBeLessThan(0.9);
  });

  test('a line comes sentence by sentence, as one stream', async () => {
    const parts = await spoken(await load(), [
      line('This is the first sentence. And here is another one! Is this the last one?'),
    ]);
    expect(parts.map(({ last }) => last)).toEqual([false, false, true]);
    let count = 0;
    for (const { chunk } of parts) {
      expect(chunk.start).toBe(Math.round((count * 1e6) / 22_050));
      count += chunk.pcm.length;
    }
  });

  test('speaks faster when it is told', async () => {
    const [calm] = await spoken(await load(), [line(reference.text)]);
    const [fast] = await spoken(await load({ speed: 2 }), [line(reference.text)]);
    expect(fast!.chunk.pcm.length).toBeLessThan(0.8 * calm!.chunk.pcm.length);
  });

  test('speaks as fast as a line asks for, and no faster than is natural', async () => {
    const stage = await load();
    expect(stage.caps.rates).toEqual({ slowest: 0.85, fastest: 1.2 });
    const length = async (rate: number) => {
      const [part] = await spoken(stage, [{ ...line(reference.text), delivery: { rate, energy: 0, pitch: 0 } }]);
      return part!.chunk.pcm.length;
    };
    const calm = await length(1);
    // The tiny network's phonemes have few frames each, and lengths are whole frames.
    for (const rate of [0.85, 1.15]) expect(Math.abs(calm / (await length(rate)) / rate - 1)).toBeLessThan(0.12);
    expect(await length(3)).toBe(await length(1.2));
  });

  test('a line in another language is rejected, and the next is said', async () => {
    const stage = await load();
    await expect(spoken(stage, [line('Guten Abend.', { language: 'de' })])).rejects.toMatchObject({
      kind: 'rejected',
      message: 'piper: does not speak de; it speaks en',
    });
    expect((await spoken(stage, [line(reference.text, { language: 'en-GB' })])).length).toBe(1);
  });

  test('a language that the voice does not speak is refused when it loads', async () => {
    await expect(load({ voice: 'fr_FR-siwis-medium', language: 'en' })).rejects.toMatchObject({
      kind: 'broken',
      message: "Cannot load Piper's fr_FR-siwis-medium: it does not speak 'en'; it speaks fr",
    });
  });

  describe('wrong files are a fault, and end nothing else', () => {
    const broken = (name: string, change: (directory: string) => void) => {
      const copy = join(directory, name);
      mkdirSync(copy);
      for (const file of ['tiny.onnx', 'tokens.txt']) cpSync(join(directory, file), join(copy, file));
      change(copy);
      return registry().load('synthesizer', 'piper', { ...TINY, model: copy }, scope);
    };
    const network = readFileSync(join(directory, 'tiny.onnx'));
    test.for([
      ['garbage', 'tiny.onnx', Buffer.alloc(5_000, 7), 'broken'],
      ['empty', 'tiny.onnx', Buffer.alloc(0), 'broken'],
      ['half', 'tiny.onnx', network.subarray(0, network.length / 2), 'broken'],
      [
        'nameless',
        'tiny.onnx',
        Buffer.from(network.toString('latin1').replace('sample_rate', 'sample_rope'), 'latin1'),
        'broken',
      ],
      ['another', 'tiny.onnx', readFileSync(new URL('../fixtures/zipformer/joiner.onnx', import.meta.url)), 'broken'],
      ['tokens', 'tokens.txt', Buffer.from('hello world 1\n'), 'broken'],
      ['twice', 'tokens.txt', Buffer.from('a 1\na 2\n'), 'broken'],
    ] as const)('%s', async ([name, file, content, kind]) => {
      const loading = broken(name, (copy) => writeFileSync(join(copy, file), content));
      await expect(loading).rejects.toMatchObject({
        kind,
        message: expect.stringContaining(join(name, file)) as string,
      });
    });
    test('none', async () => {
      await expect(registry().load('synthesizer', 'piper', { ...TINY, file: 'no.onnx' }, scope)).rejects.toMatchObject({
        kind: 'unavailable',
      });
    });
  });
});
