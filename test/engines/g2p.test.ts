import { afterAll, expect, test } from 'vitest';
import { Scope } from '../../media/scope.ts';
import { readDictionary } from '../../models/align/alignment-lexicon.ts';
import { arpabet, openEspeakG2p } from '../../models/align/g2p-espeak.ts';
import { type Pronouncer, openG2p } from '../../models/align/g2p.ts';
import { lacking, weights } from '../weights.ts';

const scope = new Scope('test');
afterAll(() => scope.close());

/** How many sounds of 200 words of the dictionary are wrong, of 100. */
async function errorRate(pronounce: Pronouncer): Promise<number> {
  const words = readDictionary('/usr/share/pocketsphinx/model/en-us/cmudict-en-us.dict');
  const plain = [...words.keys()].filter((word) => /^[a-z]{3,}$/.test(word));
  let [wrong, all] = [0, 0];
  for (let n = 0; n < 200; n += 1) {
    const word = plain[Math.floor(((n + 0.5) * plain.length) / 200)]!;
    const ours = await pronounce(word);
    const ways = words
      .get(word)!
      .split('\n')
      .map((way) => way.split(/\s+/));
    const [best] = ways
      .map((way) => ({ errors: distance(ours, way), length: way.length }))
      .toSorted((a, b) => a.errors - b.errors);
    wrong += best!.errors;
    all += best!.length;
  }
  return (100 * wrong) / all;
}
function distance(a: readonly string[], b: readonly string[]): number {
  let row = Array.from({ length: b.length + 1 }, (_, n) => n);
  for (const [i, x] of a.entries()) {
    const next = [i + 1];
    for (const [j, y] of b.entries()) next.push(Math.min(next[j]! + 1, row[j + 1]! + 1, row[j]! + (x === y ? 0 : 1)));
    row = next;
  }
  return row.at(-1)!;
}

const network = 'g2p/g2p_en';
const absent = lacking(network);
test.skipIf(absent)(`the network pronounces words as the dictionary does ${absent ?? ''}`, async () => {
  const pronounce = await openG2p(weights(network), scope);
  expect((await pronounce('hello')).join(' ')).toBe('HH EH L OW');
  expect((await pronounce('activationist')).join(' ')).toBe('AE K T IH V EY SH AH N IH S T');
  // Published: 7.5 % on 400 words.
  expect(await errorRate(pronounce)).toBeLessThan(10);
});

test('eSpeak NG pronounces words nearly as well', async () => {
  const pronounce = openEspeakG2p(scope);
  expect((await pronounce('activationist')).join(' ')).toBe('AE K T IH V EY SH AH N IH S T');
  expect(await errorRate(pronounce)).toBeLessThan(14);
});

test('IPA is read longest sounds first, without stress', () => {
  expect(arpabet('ˈtʃɔɪs')).toEqual(['CH', 'OY', 'S']);
  expect(arpabet('kwˈɪk')).toEqual(['K', 'W', 'IH', 'K']);
  expect(arpabet('☃')).toEqual([]);
});
