import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type MediaTime, at, ms, seconds } from '../../media/time.ts';
import { Planner, type PlannerOptions } from '../../pipeline/delivery.ts';
import type { Language, Line, SpeakerId, Utterance, UtteranceId } from '../../pipeline/domain.ts';
import { FITTING, Floor } from '../../pipeline/fit.ts';
import { Pace, ROUGHLY } from '../../pipeline/pace.ts';
import { Pauses } from '../../pipeline/pauses.ts';

const [en, es] = ['en', 'es'] as [Language, Language];
const speaker = 's1' as SpeakerId;
/** Every letter is a syllable; five a second are usual. */
const letters = { count: (text: string) => text.replaceAll(/\s/g, '').length, usual: () => 5 };
const text = (count: number) => 'a'.repeat(count);
const utterance = (length: number, syllables: number): Utterance => ({
  id: 'u0.0' as UtteranceId,
  speaker,
  language: en,
  start: at(10_000_000),
  end: at(10_000_000 + length * 1_000),
  text: text(syllables),
  words: [],
});
const line = (length: number, syllables: number): Line => ({
  utterance: 'u0.0' as UtteranceId,
  speaker,
  language: es,
  start: at(10_000_000),
  end: at(10_000_000 + length * 1_000),
  text: text(syllables),
});
/** A planner that knows nothing of what follows the line, unless told. */
const planner = (extra: Partial<PlannerOptions> = {}) =>
  new Planner({ from: en, to: es, syllables: letters, pauses: new Pauses(), floor: new Floor(), ...extra });

describe('a pace', () => {
  test('is the usual one until the voice has spoken, and then its own', () => {
    const pace = new Pace(5);
    expect(pace.predict(10, 'a')).toBe(ms(2_120));
    pace.learn(10, ms(1_620), 1, 'a');
    expect(pace.perSyllable('a')).toBe(150_000);
    expect(pace.predict(10, 'a')).toBe(ms(1_620));
    // Of whom nothing is known, the language's voices tell.
    expect(pace.perSyllable('b')).toBe(150_000);
  });
  test('is what the voice would have at its own rate', () => {
    const pace = new Pace(5);
    pace.learn(10, ms(1_060), 2, 'a');
    expect(pace.perSyllable('a')).toBe(200_000);
  });
  test('is not thrown by one odd line, and learns nothing of a word', () => {
    const pace = new Pace(5);
    for (let n = 0; n < 20; n += 1) pace.learn(10, ms(2_120), 1, 'a');
    pace.learn(10, ms(9_000), 1, 'a');
    expect(pace.perSyllable('a')).toBeLessThan(230_000);
    pace.learn(1, ms(900), 1, 'b');
    expect(pace.perSyllable('b')).toBeCloseTo(pace.perSyllable('nobody'), -3);
  });
  test('what fits a span is predicted to last no longer than it', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 200, max: 9_000 }),
        fc.double({ min: 0.8, max: 1.5, noNaN: true }),
        (length, rate) => {
          const pace = new Pace(5);
          const count = pace.fitting(ms(length), rate, 'a');
          if (count > 0) expect(pace.predict(count, 'a')).toBeLessThanOrEqual(length * 1_000 * rate + 1);
          expect(pace.predict(count + 1, 'a')).toBeGreaterThan(length * 1_000 * rate - 1);
        },
      ),
    );
  });
  test('syllables are counted roughly in any script', () => {
    expect(ROUGHLY.count('The programme goes on.', en)).toBeGreaterThan(4);
    expect(ROUGHLY.count('会议开始了', 'zh' as Language)).toBe(5);
    expect(ROUGHLY.count('…', en)).toBe(0);
  });
});

describe('the budget of a translation', () => {
  test('is what the voice says in the interval, and at most what can still be made to fit', () => {
    // 2 s at 5 a second, less the edges; the speaker speaks as is usual.
    const { aim, most } = planner().budget(utterance(2_000, 10));
    expect(aim).toBe(9);
    expect(most).toBe(Math.floor(((2_000 + 100) * FITTING.fastest - 120) / 200));
  });
  test('follows the tempo of the speaker within bounds', () => {
    const of = (syllables: number) => planner().budget(utterance(4_000, syllables)).aim;
    expect(of(40)).toBeGreaterThan(of(20));
    expect(of(80)).toBe(of(40));
  });
  test('grows with the pause that is known to follow, and with a voice that can hurry', () => {
    const pauses = new Pauses();
    const before = planner({ pauses }).budget(utterance(2_000, 10)).most;
    pauses.settle(at(13_000_000));
    const after = planner({ pauses }).budget(utterance(2_000, 10)).most;
    expect(after).toBeGreaterThan(before);
    expect(
      planner({ pauses, rates: { slowest: 0.9, fastest: 1.2 } }).budget(utterance(2_000, 10)).most,
    ).toBeGreaterThan(after);
  });
  test('shrinks while the dub before it still speaks', () => {
    const floor = new Floor();
    floor.take({ start: at(8_000_000), end: at(10_000_000), speaker }, { start: at(8_000_000), end: at(10_500_000) });
    expect(planner({ floor }).budget(utterance(2_000, 10)).aim).toBeLessThan(
      planner().budget(utterance(2_000, 10)).aim,
    );
  });
  test('a line within it is not too long, one beyond it is, by as much as it says', () => {
    const plan = planner();
    const { most } = plan.budget(utterance(2_000, 10));
    expect(plan.tooLong(line(2_000, most))).toBeUndefined();
    expect(plan.tooLong(line(2_000, most + 1))).toEqual({ text: text(most + 1), syllables: most + 1 });
  });
  test('nothing is so short that it cannot be said: four syllables are always allowed', () => {
    expect(planner().tooLong(line(150, 4))).toBeUndefined();
    expect(planner().budget(utterance(150, 2)).aim).toBe(4);
  });
});

describe('the rate of a voice', () => {
  const rates = { slowest: 0.9, fastest: 1.15 };
  test.for([
    ['its own where the line fits', 9, 2_000, 1],
    ['its own where it nearly does', 10, 2_060, 1],
    ['faster where it does not', 10, 1_950, 2_120 / 1_950],
    ['no faster than sounds natural', 20, 2_000, 1.15],
    ['slower where there is room', 8, 2_000, (8 * 200 + 120) / 1_800],
    ['no slower than sounds natural', 3, 2_000, 0.9],
  ] as const)('%s', ([, syllables, slot, rate]) => {
    expect(planner({ rates }).delivery(line(slot, syllables)).rate).toBeCloseTo(rate, 6);
  });
  test('a voice with one rate is not asked for another', () => {
    expect(planner().delivery(line(500, 20))).toMatchObject({ rate: 1, aim: ms(500) });
  });
  test('what it learned makes the next line fit', () => {
    const plan = planner({ rates });
    // A voice a tenth slower than is usual.
    for (let n = 0; n < 5; n += 1) plan.learn(line(2_000, 10), ms(2_320), 1);
    expect(plan.delivery(line(2_120, 10)).rate).toBeCloseTo(2_320 / 2_120, 2);
  });
});

test('whatever is around it, a budget is positive and its most no less than its aim', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 20_000 }),
      fc.integer({ min: 0, max: 200 }),
      fc.integer({ min: 0, max: 20_000 }),
      fc.integer({ min: -2_000, max: 4_000 }),
      (length, syllables, settled, busy) => {
        const pauses = new Pauses();
        pauses.settle(at(10_000_000 + settled * 1_000));
        const floor = new Floor();
        const start = at(9_000_000);
        floor.take({ start, end: at(10_000_000), speaker }, { start, end: (10_000_000 + busy * 1_000) as MediaTime });
        const { aim, most } = planner({ pauses, floor }).budget(utterance(length, syllables));
        expect(aim).toBeGreaterThanOrEqual(4);
        expect(most).toBeGreaterThanOrEqual(aim);
        expect(most).toBeLessThan((length / 1_000 + 2) * 5 * 2 + 10);
      },
    ),
    { endOnFailure: true },
  );
  expect(seconds(1)).toBe(1_000_000);
});
