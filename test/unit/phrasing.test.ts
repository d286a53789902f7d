import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Span, at, ms } from '../../media/time.ts';
import type { SpeechMark, Word } from '../../pipeline/domain.ts';
import { FITTING, endOfPart, plan } from '../../pipeline/fit.ts';
import { pairPhrases, sourcePhrases, voiceWords } from '../../pipeline/phrasing.ts';

const word = (text: string, from: number, to: number): Word => ({ text, start: at(from * 1_000), end: at(to * 1_000) });
const phrase = (from: number, to: number) => ({ start: at(from * 1_000), end: at(to * 1_000) });
/** A voice at 16 kHz that sounds during `loud` (ms) and is silent elsewhere. */
function sounding(length: number, loud: readonly (readonly [number, number])[]): Float32Array {
  const pcm = new Float32Array(length * 16);
  for (const [from, to] of loud) pcm.fill(0.5, from * 16, to * 16);
  return pcm;
}
const marksAt = (texts: string, offsets: readonly number[]): SpeechMark[] =>
  texts.split(' ').map((text, n) => ({ type: 'word', offset: offsets[n]! * 1_000, text }));

test('words between which nobody speaks for 150 ms are of two phrases', () => {
  const words = [word('one', 0, 300), word('two', 440, 700), word('three', 850, 1_200)];
  expect(sourcePhrases(words)).toEqual([phrase(0, 700), phrase(850, 1_200)]);
  expect(sourcePhrases([])).toEqual([]);
});

describe('a voice is parted before a word', () => {
  test('where it is silent: the silence belongs to neither phrase', () => {
    const pcm = sounding(2_000, [
      [0, 900],
      [1_000, 2_000],
    ]);
    const [first, second] = voiceWords('uno dos', marksAt('uno dos', [0, 990]), pcm, 16_000);
    expect(first).toMatchObject({ text: 'uno', offset: 0 });
    expect(second!.partFrom / 1_000).toBeCloseTo(900, -1);
    expect(second!.partUntil / 1_000).toBeGreaterThanOrEqual(980);
    expect(second!.partUntil / 1_000).toBeLessThanOrEqual(1_000);
  });
  test('else where it is quietest around the mark', () => {
    const pcm = sounding(2_000, [[0, 2_000]]);
    pcm.fill(0.1, 1_020 * 16, 1_026 * 16);
    const [, second] = voiceWords('uno dos', marksAt('uno dos', [0, 1_000]), pcm, 16_000);
    expect(second!.partFrom).toBe(second!.partUntil);
    expect(second!.partFrom / 1_000).toBe(1_020);
  });
  test('and knows the punctuation before it', () => {
    const pcm = sounding(1_000, [[0, 1_000]]);
    const words = voiceWords('Sí, «bueno» no. ¿Ya?', marksAt('Sí bueno no Ya', [0, 200, 500, 700]), pcm, 16_000);
    expect(words.map(({ punctuated }) => punctuated)).toEqual([false, true, false, true]);
  });
});

describe('pauses of the source', () => {
  const even = (count: number, length: number) =>
    voiceWords(
      Array.from({ length: count }, (_, n) => `w${n}`).join(' '),
      marksAt(
        Array.from({ length: count }, (_, n) => `w${n}`).join(' '),
        Array.from({ length: count }, (_, n) => (n * length) / count),
      ),
      sounding(length, [[0, length]]),
      16_000,
    );
  test('fall on the same share of the voice', () => {
    const pairs = pairPhrases([phrase(0, 1_000), phrase(1_200, 2_200)], even(8, 2_000), ms(2_000))!;
    expect(pairs.map(({ from, to }) => [from / 1_000, to / 1_000])).toEqual([
      [0, expect.closeTo(1_000, -2)],
      [expect.closeTo(1_000, -2), 2_000],
    ]);
    expect(pairs.map(({ source }) => source)).toEqual([phrase(0, 1_000), phrase(1_200, 2_200)]);
  });
  test('move to a comma nearby', () => {
    const text = 'a b c, d e f g h';
    const marks = marksAt('a b c d e f g h', [0, 250, 500, 750, 1_000, 1_250, 1_500, 1_750]);
    const words = voiceWords(text, marks, sounding(2_000, [[0, 2_000]]), 16_000);
    const [first] = pairPhrases([phrase(0, 1_000), phrase(1_200, 2_200)], words, ms(2_000))!;
    expect(first!.to / 1_000).toBeCloseTo(750, -2);
  });
  test('that have no place are not kept, the others are', () => {
    // Three phrases, but the voice has one boundary: in the middle.
    const words = even(2, 2_000);
    const pairs = pairPhrases([phrase(0, 1_000), phrase(1_200, 2_000), phrase(2_200, 2_300)], words, ms(2_000))!;
    expect(pairs.map(({ source }) => source)).toEqual([phrase(0, 1_000), phrase(1_200, 2_300)]);
  });
  test.for([
    ['one phrase', [phrase(0, 2_000)], 8],
    ['no words of the source', [], 8],
    ['a voice of one word', [phrase(0, 1_000), phrase(1_200, 2_000)], 1],
    ['a voice that tells no words', [phrase(0, 1_000), phrase(1_200, 2_000)], 0],
  ] as const)('%s: the line is one', ([, source, count]) => {
    expect(pairPhrases(source, count === 0 ? [] : even(count, 2_000), ms(2_000))).toBeUndefined();
  });

  test('whatever the phrases and words, each part of the voice is in one phrase at most, in order', () => {
    const gaps = fc.array(
      fc.record({ length: fc.integer({ min: 50, max: 2_000 }), pause: fc.integer({ min: 150, max: 900 }) }),
      {
        minLength: 1,
        maxLength: 6,
      },
    );
    fc.assert(
      fc.property(
        gaps,
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 200, max: 6_000 }),
        (spoken, count, length) => {
          let t = 0;
          const source = spoken.map(({ length: part, pause }) => {
            const from = t;
            t += part + pause;
            return phrase(from, from + part);
          });
          const pairs = pairPhrases(source, even(count, length), ms(length)) ?? [];
          expect(pairs.length === 0 || pairs.length >= 2).toBe(true);
          expect(pairs.length).toBeLessThanOrEqual(source.length);
          let last = 0;
          for (const { from, to } of pairs) {
            expect(from).toBeGreaterThanOrEqual(last);
            expect(to).toBeGreaterThanOrEqual(from);
            last = to;
          }
          if (pairs.length > 0) {
            expect(pairs[0]!.from).toBe(0);
            expect(last).toBe(ms(length));
            expect(pairs[0]!.source.start).toBe(source[0]!.start);
            expect(pairs.at(-1)!.source.end).toBe(source.at(-1)!.end);
          }
        },
      ),
      { endOnFailure: true },
    );
  });
});

describe('a line of two phrases', () => {
  const line = phrase(10_000, 12_200);
  const source = [phrase(10_000, 11_000), phrase(11_200, 12_200)] as const;
  const spoken = (first: number, second: number) => ({
    length: ms(first + second),
    words: [],
    count: 8,
    phrases: [
      { from: ms(0), to: ms(first), source: source[0] },
      { from: ms(first), to: ms(first + second), source: source[1] },
    ],
  });
  const around = (quiet = 12_200) => ({ quietUntil: at(quiet * 1_000), busyUntil: at(0) });
  test('is spoken phrase by phrase: the dub pauses where the source does', () => {
    const decided = plan(line, spoken(950, 1_000), around())!;
    expect(decided.parts.map((part) => [part.at / 1_000, endOfPart(part) / 1_000, part.speed])).toEqual([
      [10_000, 10_950, 1],
      [11_200, 12_200, 1],
    ]);
    expect(decided.fit).toMatchObject({ rung: 'natural', speed: 1, shifted: 0, lead: 0, overrun: 0 });
    expect(decided.fit.phrases.map((each) => each.source)).toEqual(source);
  });
  test('may use the pause between them, but for a breath', () => {
    const decided = plan(line, spoken(1_120, 1_000), around())!;
    expect(endOfPart(decided.parts[0]!)).toBe(at(11_120_000));
    expect(decided.fit.rung).toBe('borrowed');
    const faster = plan(line, spoken(1_250, 1_100), around())!;
    expect(endOfPart(faster.parts[0]!)).toBe(at(11_200_000 - FITTING.breath));
    expect(faster.fit.rung).toBe('stretched');
  });
  test('is one where a phrase would have to be too fast, or much faster than the other', () => {
    expect(plan(line, spoken(1_500, 500), around())!.parts).toHaveLength(1);
    expect(plan(line, spoken(1_360, 700), around())!.parts).toHaveLength(1);
  });
  test('is one when it starts late', () => {
    expect(plan(line, spoken(900, 900), { ...around(), busyUntil: at(10_100_000) })!.parts).toHaveLength(1);
  });
  test('whatever their lengths, every bound holds', () => {
    const length = fc.integer({ min: 50, max: 3_000 });
    fc.assert(
      fc.property(length, length, fc.integer({ min: 12_200, max: 14_000 }), (first, second, quiet) => {
        const decided = plan(line, spoken(first, second), around(quiet));
        if (!decided) return;
        for (const { speed } of decided.parts) {
          expect(speed).toBeGreaterThanOrEqual(FITTING.slowest);
          expect(speed).toBeLessThanOrEqual(FITTING.fastest);
        }
        const [one, two] = decided.parts;
        if (two) expect(two.at - endOfPart(one!)).toBeGreaterThanOrEqual(FITTING.breath - 2);
        const end = endOfPart(decided.parts.at(-1)!);
        expect(end - Math.max(line.end, at(quiet * 1_000))).toBeLessThanOrEqual(FITTING.overrun + 2);
      }),
      { endOnFailure: true },
    );
  });
});

test('the pause before a line is used only when that behind it is not enough, and never further than the lead', () => {
  const line = phrase(10_000, 12_000);
  const voice = (length: number) => ({ length: ms(length), words: [], count: 8 });
  const quiet = (from: number) => ({ quietFrom: at(from * 1_000), quietUntil: at(12_100_000), busyUntil: at(0) });
  expect(plan(line, voice(2_100), quiet(9_000))!.fit).toMatchObject({ lead: 0, rung: 'borrowed' });
  expect(plan(line, voice(2_150), quiet(9_000))!.fit).toMatchObject({ lead: 50_000, rung: 'borrowed' });
  expect(plan(line, voice(2_500), quiet(9_000))!.fit).toMatchObject({ lead: FITTING.lead, rung: 'stretched' });
  expect(plan(line, voice(2_500), quiet(9_970))!.fit).toMatchObject({ lead: 30_000 });
  // A dub that has just ended leaves less of it.
  expect(plan(line, voice(2_500), { ...quiet(9_000), busyUntil: at(9_960_000) })!.fit).toMatchObject({ lead: 40_000 });
  expect(plan(line, voice(2_500), quiet(9_000))!.fit.borrowed as Span).toBe(100_000);
});
