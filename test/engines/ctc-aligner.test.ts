import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { at } from '../../media/time.ts';
import { logProbabilities, placeLetters } from '../../models/align/alignment-letters.ts';
import { normalized } from '../../models/align/ctc-aligner.ts';
import { registry } from '../../models/index.ts';
import { openOnnx } from '../../models/runtime/onnx.ts';
import { floats, floatsOf } from '../../models/runtime/tensor.ts';
import type { Alignment, Language, Spoken, UtteranceId } from '../../pipeline/domain.ts';
import { conforms } from '../conformance/stage.ts';
import { chunksOf, decode, feed, missing, recording } from '../fakes/recordings.ts';
import { lacking, weights } from '../weights.ts';

const folder = fileURLToPath(new URL('../fixtures/ctc-aligner', import.meta.url));
const reference = JSON.parse(readFileSync(`${folder}/reference.json`, 'utf8')) as {
  readonly text: string;
  readonly samples: number;
  readonly columns: readonly number[];
  readonly words: readonly (readonly [number, number])[];
  readonly first: readonly number[];
};
/** Random weights find every text as unlikely as any other, so nothing is refused. */
const TINY = { model: folder, file: 'model.onnx', floor: 100 };
const HOP = 320;

const scope = new Scope('test');
afterAll(() => scope.close());
const load = (config: object = {}) => registry().load('aligner', 'ctc', { ...TINY, ...config }, scope);

/** The sound of `models/export/wav2vec2_ctc.py`. */
let seed = 1;
const sound = Float32Array.from({ length: reference.samples }, (_, n) => {
  seed = (seed * 16_807) % 2_147_483_647;
  return 0.3 * Math.sin(n * n * 4e-6) * Math.sin(n * 1e-3) + 0.2 * (seed / 2_147_483_647 - 0.5) + 0.05;
});

/** An utterance in pieces of 100 ms, a word with each of the last ones. */
function spoken(pcm: Float32Array, text: string, id = 'one', start = 0): Spoken[] {
  const words = text.split(' ');
  const chunks = chunksOf(pcm, 16_000, 1_600, at(start));
  return chunks.map((chunk, n) => ({
    ...chunk,
    utterance: id as UtteranceId,
    language: 'en' as Language,
    text: words[words.length - chunks.length + n] ?? '',
    last: n === chunks.length - 1,
  }));
}
const whole = (pcm: Float32Array, text: string): Spoken[] => [
  { start: at(0), rate: 16_000, pcm, utterance: 'one' as UtteranceId, language: 'en' as Language, text, last: true },
];
async function align(pieces: readonly Spoken[], config: object = {}): Promise<Alignment[]> {
  const stage = await load(config);
  const alignments: Alignment[] = [];
  const signal = new AbortController().signal;
  for await (const alignment of stage.run(feed(pieces), { signal, clock: new MonotonicClock() })) {
    alignments.push(alignment);
  }
  return alignments;
}

conforms(
  'ctc',
  () => load(),
  () => [...spoken(sound, reference.text), ...spoken(sound, reference.text, 'two', 3_000_000)],
);

describe('ctc', () => {
  test('hears the sound as the network was trained to hear it', async () => {
    const network = await openOnnx(`${folder}/model.onnx`, scope);
    const { logits } = await network.run({ input_values: floats(normalized(sound), [1, sound.length]) });
    const [first] = logProbabilities(floatsOf(logits, 'logits'), 32);
    for (const [n, value] of reference.first.entries()) expect(Math.abs(first![n]! - value)).toBeLessThan(1e-3);
  });

  test('takes the level and the offset out of the sound', () => {
    const [loud, level] = [normalized(sound), normalized(sound.map((sample) => sample / 7 + 0.1))];
    const mean = loud.reduce((sum, sample) => sum + sample, 0) / loud.length;
    const power = loud.reduce((sum, sample) => sum + sample ** 2, 0) / loud.length;
    expect(Math.abs(mean)).toBeLessThan(1e-4);
    expect(Math.abs(power - 1)).toBeLessThan(1e-3);
    for (const [n, sample] of loud.entries()) expect(Math.abs(level[n]! - sample)).toBeLessThan(1e-2);
  });

  test('finds the letters frame by frame where the reference finds them', async () => {
    const network = await openOnnx(`${folder}/model.onnx`, scope);
    const { logits } = await network.run({ input_values: floats(normalized(sound), [1, sound.length]) });
    const vocabulary = JSON.parse(readFileSync(`${folder}/vocab.json`, 'utf8')) as Record<string, number>;
    const words = reference.text.split(' ').map((word) => [[...word].map((letter) => vocabulary[letter]!)]);
    const alphabet = { blank: vocabulary['<pad>']!, between: vocabulary['|'], size: 32 };
    const placed = placeLetters(logProbabilities(floatsOf(logits, 'logits'), 32), words, alphabet, { open: false });
    expect([...placed!.columns]).toEqual(reference.columns);
  });

  test('hears a blank between two letters that are the same, though none is likely', () => {
    const likely = Float32Array.of(-9, 0, -9, -1);
    const frames = Array.from({ length: 5 }, () => likely);
    const alphabet = { blank: 0, between: undefined, size: 3 };
    const placed = (word: readonly number[]) => [...placeLetters(frames, [[word]], alphabet, { open: false })!.columns];
    expect(placed([1, 1]).filter((column) => column === 0).length).toBe(1);
    expect(placed([1])).toEqual([1, 1, 1, 1, 1]);
  });

  test('places words where the reference places them', async () => {
    const final = (await align(whole(sound, reference.text))).at(-1)!;
    expect(final.words.map(({ text }) => text)).toEqual(reference.text.split(' '));
    expect(final.words.map(({ start, end }) => [start, end])).toEqual(
      reference.words.map(([start, end]) => [(start * HOP * 1e6) / 16_000, (end * HOP * 1e6) / 16_000]),
    );
  });

  test('gives no words for a text that fits badly, that it cannot write, or that has more letters than frames', async () => {
    const nothing = [{ words: [], final: true }];
    const gist = (alignments: readonly Alignment[]) => alignments.map(({ words, final }) => ({ words, final }));
    expect(gist(await align(whole(sound, reference.text), { floor: 0.1 }))).toEqual(nothing);
    expect(gist(await align(whole(sound, 'это не английский')))).toEqual(nothing);
    expect(gist(await align(whole(sound.slice(0, 3_200), reference.text)))).toEqual(nothing);
    expect(gist(await align(whole(new Float32Array(0), reference.text)))).toEqual(nothing);
  });

  test('writes numbers as they are said, and gives what is not said no time', async () => {
    const final = (await align(whole(sound, 'see 22 — cats'))).at(-1)!;
    expect(final.words.map(({ text }) => text)).toEqual(['see', '22', '—', 'cats']);
    const [, number, dash] = final.words;
    expect(dash!.end).toBe(dash!.start);
    expect(number!.end - number!.start).toBeGreaterThanOrEqual(9 * 20_000);
  });

  test('refuses a list of letters that is none, and says which file', async () => {
    const copy = mkdtempSync(join(tmpdir(), 'livedub-ctc-'));
    try {
      cpSync(folder, copy, { recursive: true });
      writeFileSync(join(copy, 'vocab.json'), '[]');
      await expect(load({ model: copy })).rejects.toThrow(/vocab\.json.* it is no list of letters/);
    } finally {
      rmSync(copy, { recursive: true });
    }
    await expect(load({ model: '/nowhere' })).rejects.toThrow('/nowhere/vocab.json');
  });

  const network = 'align/wav2vec2-base-960h';
  const set = 'align/librivox';
  const absent = lacking(network) ?? missing(set);
  test.skipIf(absent)(`finds words in read speech with the published weights ${absent ?? ''}`, async () => {
    const base = recording(`${set}/sense_and_sensibility_01_austen_64kb-0870`);
    const truth = JSON.parse(readFileSync(`${base}.json`, 'utf8')) as { w: { b: number; t: string }[] };
    const text = readFileSync(`${base}.txt`, 'utf8').trim();
    const config = { model: weights(network), file: 'onnx/model.onnx', floor: 3 };
    const final = (await align(whole(decode(`${base}.wav`, 16_000), text), config)).at(-1)!;
    const starts = truth.w.filter(({ t }) => t !== '<sil>').map(({ b }) => b * 1e6);
    const off = final.words.map(({ start }, n) => Math.abs(start - starts[n]!)).toSorted((a, b) => a - b);
    expect(off[Math.floor(off.length / 2)]).toBeLessThan(60_000);
  });
});
