import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { at, seconds } from '../../media/time.ts';
import { registry } from '../../models/index.ts';
import { wordsOf } from '../../models/recognize/zipformer-words.ts';
import { zipformer } from '../../models/recognize/zipformer.ts';
import type { Hypothesis, SpeechChunk } from '../../pipeline/domain.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { conforms } from '../conformance/stage.ts';
import { decode, feed, flite, missing, recording, segmentOf } from '../fakes/recordings.ts';
import { unpacked } from '../fakes/unpacked.ts';

const { directory, remove } = unpacked('zipformer');
const scope = new Scope('zipformer');
afterAll(async () => {
  await scope.close();
  remove();
});
const TINY = { directory };
const load = (config: object = {}) => zipformer.load(zipformer.config.parse({ ...TINY, ...config }), scope);
const reference = JSON.parse(readFileSync(join(directory, 'reference.json'), 'utf8')) as {
  readonly clip: string;
  readonly tokens: readonly string[];
  readonly frames: readonly number[];
};

async function hear(stage: Stage<'recognizer'>, chunks: readonly SpeechChunk[]): Promise<Hypothesis[]> {
  const beliefs: Hypothesis[] = [];
  const signal = new AbortController().signal;
  for await (const belief of stage.run(feed(chunks), { signal, clock: new MonotonicClock() })) beliefs.push(belief);
  return beliefs;
}

const sentence = flite('The quick brown fox jumps over the lazy dog.');
const sample = () => [
  ...segmentOf(sentence, 0, at(seconds(2))),
  ...segmentOf(sentence.slice(0, 20_000), 1, at(seconds(9))),
];
conforms('zipformer', () => load(), sample);
conforms('zipformer in its thread', () => registry().load('recognizer', 'zipformer', TINY, scope), sample);

describe('words', () => {
  const place = (times: readonly number[], tokens: readonly string[]) =>
    wordsOf({ tokens, times }, at(seconds(1)), at(seconds(3))).map(({ text, start, end }) => [
      text,
      start / 1e6,
      end / 1e6,
    ]);

  test('begin where a blank is, a frame before their first token, and end with their last', () => {
    expect(place([0, 0.08, 0.4, 0.52], [' HE', 'LLO', ' WORLD', 'S'])).toEqual([
      ['HELLO', 1, 1.12],
      ['WORLDS', 1.36, 1.56],
    ]);
  });
  test('are single characters where a script has no blanks', () => {
    expect(place([0.2, 0.4, 0.6], ['你', '好', ' OK']).map(([text]) => text)).toEqual(['你', '好', 'OK']);
  });
  test('do not overlap, and none ends after the sound', () => {
    expect(place([0.2, 0.24, 2.2], [' A', ' B', ' C'])).toEqual([
      ['A', 1.16, 1.2],
      ['B', 1.2, 1.28],
      ['C', 2.96, 3],
    ]);
  });
  test('do not contain what stands for no sound', () => {
    expect(place([0, 0.1, 0.2], ['<blk>', ' A', '<unk>']).map(([text]) => text)).toEqual(['A']);
  });
});

const clip = 'speech/librispeech_1089/1089-134691-0000.flac';
const absent = missing(clip);
test.skipIf(absent)(
  `hears in a clip what PyTorch hears, word for word and frame for frame ${absent ?? ''}`,
  async () => {
    expect(clip).toContain(reference.clip.replace('.wav', ''));
    const pcm = decode(recording(clip), 16_000);
    const beliefs = await hear(await load(), segmentOf(pcm, 0, at(seconds(5))));
    const last = beliefs.at(-1)!;
    const heard = { tokens: reference.tokens, times: reference.frames.map((frame) => frame * 0.04) };
    expect(last.stable).toEqual(wordsOf(heard, last.start, last.end));
    expect(last.stable.length).toBeGreaterThan(5);
  },
);

test('hears the same however the sound is cut', async () => {
  const stage = await load();
  const [whole] = (await hear(stage, segmentOf(sentence, 0))).slice(-1);
  const odd: SpeechChunk[] = [];
  for (let from = 0, n = 0; from < sentence.length; n += 1) {
    const pcm = sentence.slice(from, from + [77, 4_000, 333][n % 3]!);
    odd.push({ start: at(Math.round(from * 62.5)), rate: 16_000, pcm, segment: 0, last: false });
    from += pcm.length;
  }
  odd.push({
    start: at(Math.round(sentence.length * 62.5)),
    rate: 16_000,
    pcm: new Float32Array(),
    segment: 0,
    last: true,
  });
  expect((await hear(stage, odd)).at(-1)!.stable).toEqual(whole!.stable);
});

test('tells words while they are being said, and none changes', async () => {
  const beliefs = await hear(await load(), segmentOf(sentence, 0));
  const early = beliefs.findIndex(({ stable }) => stable.length > 0);
  expect(early).toBeLessThan(beliefs.length / 2);
  const final = beliefs.at(-1)!.stable;
  for (const { stable } of beliefs) expect(final.slice(0, stable.length)).toEqual(stable);
});

test('a segment does not hear the one before', async () => {
  const stage = await load();
  const twice = await hear(stage, [...segmentOf(sentence, 0), ...segmentOf(sentence, 1)]);
  const [one, two] = [0, 1].map((segment) => twice.findLast((each) => each.segment === segment)!.stable);
  expect(two).toEqual(one);
});

describe('what it cannot load is refused', () => {
  test('a language', async () => {
    await expect(load({ model: 'en-2023-06-26', language: 'fr' })).rejects.toMatchObject({
      kind: 'broken',
      message: "Cannot load a zipformer for 'fr': the zipformer 'en-2023-06-26' is here for en",
    });
  });
  test.for([
    ['encoder.onnx', Buffer.alloc(3_000, 7)],
    ['decoder.onnx', readFileSync(join(directory, 'joiner.onnx'))],
    [
      'joiner.onnx',
      Buffer.from(readFileSync(join(directory, 'joiner.onnx'), 'latin1').replace('joiner_dim', 'joiner_dam'), 'latin1'),
    ],
    ['tokens.txt', Buffer.from('one 1 1\n')],
  ] as const)('a wrong %s, and the process lives', async ([file, content]) => {
    const copy = `${directory}-${file}`;
    cpSync(directory, copy, { recursive: true });
    scope.defer(() => import('node:fs').then(({ rmSync }) => rmSync(copy, { recursive: true, force: true })));
    writeFileSync(join(copy, file), content);
    await expect(registry().load('recognizer', 'zipformer', { directory: copy }, scope)).rejects.toMatchObject({
      kind: 'broken',
      message: expect.stringContaining(file) as string,
    });
  });
  test('nothing', async () => {
    await expect(load({ directory: '/nonexistent' })).rejects.toMatchObject({ kind: 'unavailable' });
  });
});
