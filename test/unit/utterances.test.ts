import fc from 'fast-check';
import { expect, test } from 'vitest';
import { at, ms, seconds } from '../../media/time.ts';
import type { Hypothesis, Language, SpeakerId, Turn, Utterance, Word } from '../../pipeline/domain.ts';
import { Utterances } from '../../pipeline/utterances.ts';

const en = 'en' as Language;
/** Words of 200 ms, 50 ms apart; `|400` is a silence of 400 ms on top. */
function say(script: string, from = 0): Word[] {
  let t = from;
  const words: Word[] = [];
  for (const token of script.split(' ')) {
    if (token.startsWith('|')) {
      t += Number(token.slice(1));
      continue;
    }
    words.push({ text: token, start: at(t * 1_000), end: at((t + 200) * 1_000) });
    t += 250;
  }
  return words;
}
const hypothesis = (stable: readonly Word[], final: boolean, segment = 0): Hypothesis => ({
  segment,
  stable,
  final,
  draft: '',
  start: stable[0]?.start ?? at(0),
  end: stable.at(-1)?.end ?? at(0),
});
const turn = (speaker: string, from: number, to: number): Turn => ({
  speaker: speaker as SpeakerId,
  start: at(from * 1_000),
  end: at(to * 1_000),
});
const texts = (utterances: readonly Utterance[]) => utterances.map(({ text }) => text);

test.for([
  ['a segment that is over is closed', 'one two three', ['one two three']],
  ['a pause between words closes', 'one two |301 three', ['one two', 'three']],
  ['a breath does not', 'one two |300 three', ['one two three']],
  [
    'a long one closes where a clause begins',
    'the house is old and the garden that we saw is very big',
    ['the house is old and the garden', 'that we saw is very big'],
  ],
  ['a short one does not', 'we came and saw', ['we came and saw']],
  ['a full stop closes whatever the length', 'Stop. Go on', ['Stop.', 'Go on']],
  [
    'a comma closes a long one',
    'when we had come back home again, he left',
    ['when we had come back home again,', 'he left'],
  ],
] as [string, string, string[]][])('%s', ([, script, expected]) => {
  expect(texts(new Utterances({ language: en }).push(hypothesis(say(script), true)))).toEqual(expected);
});

test('one that gets too long is cut at its longest silence in the later half', () => {
  const script = 'a b c d e f g h |200 i j k l m n o p';
  const out = new Utterances({ language: en }).push(hypothesis(say(script), true));
  expect(texts(out)).toEqual(['a b c d e f g h', 'i j k l m n o p']);
});

test('without a silence it is cut at the limit', () => {
  const letters = [...'abcdefghijklmnopqrstuvwxyz'].join(' ');
  const out = new Utterances({ language: 'xx' as Language }).push(hypothesis(say(letters), true));
  expect(out.map(({ words }) => words.length)).toEqual([14, 12]);
});

test('a language without a table is cut by pauses and length alone', () => {
  const script = 'the house is old and the garden and the big tree';
  expect(new Utterances({ language: 'de' as Language }).push(hypothesis(say(script), true))).toHaveLength(1);
});

test('it closes on stable words without waiting for the segment to be over', () => {
  const utterances = new Utterances({ language: en, generation: 3 });
  const words = say('one two |400 three');
  expect(utterances.push(hypothesis(words.slice(0, 2), false))).toEqual([]);
  const [first] = utterances.push(hypothesis(words, false));
  expect(first).toMatchObject({ id: 'u3.0', text: 'one two', start: 0, end: 450_000, speaker: 's1' });
  expect(utterances.unfinished).toMatchObject({ id: 'u3.1', words: [{ text: 'three' }] });
  expect(texts(utterances.push(hypothesis(words, true)))).toEqual(['three']);
});

test('a change of speaker closes, where both are known', () => {
  const utterances = new Utterances({ language: en });
  utterances.turn(turn('s1', 0, 700));
  utterances.turn(turn('s2', 700, 1_500));
  const out = utterances.push(hypothesis(say('one two three four five six'), true));
  expect(out.map(({ speaker, text }) => [speaker, text])).toEqual([
    ['s1', 'one two three'],
    ['s2', 'four five six'],
  ]);
});

test('an utterance is whose turns overlap it most; unknown, it is whoever spoke last', () => {
  const utterances = new Utterances({ language: en });
  utterances.turn(turn('s2', 0, 450));
  const [first] = utterances.push(hypothesis(say('one two three'), true));
  const [second] = utterances.push(hypothesis(say('four', 5_000), true, 1));
  expect([first?.speaker, second?.speaker]).toEqual(['s2', 's2']);
});

test('a segment that never ended is closed by the next one', () => {
  const utterances = new Utterances({ language: en });
  utterances.push(hypothesis(say('one two'), false, 0));
  expect(texts(utterances.push(hypothesis(say('three', 3_000), true, 1)))).toEqual(['one two', 'three']);
});

test('a recogniser restarted within a segment goes on where it came back', () => {
  const utterances = new Utterances({ language: en });
  const words = say('one two three four');
  utterances.push(hypothesis(words.slice(0, 2), false));
  expect(texts(utterances.push(hypothesis(words.slice(2), true)))).toEqual(['one two three four']);
});

test('whatever is heard and however it comes, each word is in exactly one utterance, in order, and none is too long', () => {
  const word = fc.record({
    text: fc.constantFrom('and', 'which', 'tree', 'house,', 'end.', 'green', 'so'),
    gap: fc.constantFrom(0, 0, 0, 40, 100, 360, 900),
    length: fc.integer({ min: 40, max: 700 }),
    stop: fc.boolean(),
    cut: fc.integer({ min: 0, max: 9 }),
  });
  const turns = fc.array(fc.tuple(fc.constantFrom('s1', 's2', 's3'), fc.integer({ min: 0, max: 60_000 })), {
    maxLength: 8,
  });
  fc.assert(
    fc.property(fc.array(word, { maxLength: 120 }), turns, (spoken, changes) => {
      const utterances = new Utterances({ language: en });
      for (const [speaker, from] of changes) utterances.turn(turn(speaker, from, from + 4_000));
      const out: Utterance[] = [];
      const all: Word[] = [];
      let [t, segment] = [0, 0];
      let stable: Word[] = [];
      for (const { text, gap, length, stop, cut } of spoken) {
        t += gap;
        const next = { text, start: at(t * 1_000), end: at((t + length) * 1_000) };
        t += length;
        stable = [...stable, next];
        all.push(next);
        const final = cut === 0;
        if (stop || final) out.push(...utterances.push(hypothesis(stable, final, segment)));
        if (!final) continue;
        segment += 1;
        stable = [];
      }
      out.push(...utterances.push(hypothesis(stable, true, segment)), ...utterances.end());
      expect(out.flatMap(({ words }) => words)).toEqual(all);
      expect(out.map(({ id }) => id)).toEqual(out.map((_, n) => `u0.${n}`));
      for (const { words, start, end, text } of out) {
        expect(words.length).toBeLessThanOrEqual(14);
        expect(end - start).toBeLessThanOrEqual(seconds(5));
        expect(end).toBeGreaterThan(start);
        expect(text).toBe(words.map((each) => each.text).join(' '));
      }
    }),
  );
});

test('an utterance is never without length', () => {
  const still = { text: 'uh', start: at(0), end: at(0) };
  expect(new Utterances({ language: en }).push(hypothesis([still], true))[0]?.end).toBe(ms(1));
});
