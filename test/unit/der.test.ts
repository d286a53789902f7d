import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Spoke, assign, diarizationError, parseRttm } from '../../bench/metrics/der.ts';

const spoke = (speaker: string, start: number, end: number): Spoke => ({ speaker, start, end });
const truth = [spoke('A', 0, 10), spoke('B', 10, 20)];
const percent = (x: number) => Math.round(x * 1e4) / 100;

describe('the diarization error rate', () => {
  test('of the truth under other names is zero', () => {
    expect(diarizationError(truth, [spoke('s2', 0, 10), spoke('s1', 10, 20)])).toMatchObject({ rate: 0, spoken: 20 });
  });

  test('of one name for two speakers is what the lesser of them spoke', () => {
    const { rate, confused } = diarizationError([spoke('A', 0, 12), spoke('B', 12, 20)], [spoke('s1', 0, 20)]);
    expect([percent(rate), confused]).toEqual([40, 8]);
  });

  test('counts what is missed, what is made up and what is given to somebody else', () => {
    // A: 2 s missed at the beginning; B: 3 s given to A's name; 1 s after the end made up.
    const heard = [spoke('s1', 2, 13), spoke('s2', 13, 21)];
    expect(diarizationError(truth, heard)).toMatchObject({ missed: 2, confused: 3, falseAlarm: 1, rate: 0.3 });
  });

  test('counts two who speak at the same time twice', () => {
    const both = [spoke('A', 0, 10), spoke('B', 8, 10)];
    expect(diarizationError(both, [spoke('s1', 0, 10)])).toMatchObject({ spoken: 12, missed: 2, confused: 0 });
    expect(diarizationError(both, [spoke('s1', 0, 10), spoke('s2', 8, 10)]).rate).toBe(0);
    expect(diarizationError([spoke('A', 0, 10)], [spoke('s1', 0, 10), spoke('s2', 8, 10)])).toMatchObject({
      falseAlarm: 2,
    });
  });

  test('leaves a collar on either side of each beginning and end of the reference out', () => {
    // 0.2 s late at the change: inside a collar of 0.25 s. The collars take 1 s of the 20.
    const late = [spoke('s1', 0, 10.2), spoke('s2', 10.2, 20)];
    expect(diarizationError(truth, late).confused).toBeCloseTo(0.2, 9);
    const scored = diarizationError(truth, late, { collar: 0.25 });
    expect(scored.rate).toBe(0);
    expect(scored.spoken).toBeCloseTo(19, 9);
    // 0.4 s late: 0.15 s of it lies outside.
    const later = [spoke('s1', 0, 10.4), spoke('s2', 10.4, 20)];
    expect(diarizationError(truth, later, { collar: 0.25 }).confused).toBeCloseTo(0.15, 9);
  });

  test('scores what it is told to, and nothing where people speak at a time when it is told so', () => {
    const within = [{ start: 5, end: 15 }];
    expect(diarizationError(truth, [spoke('s1', 0, 10)], { within })).toMatchObject({ spoken: 10, missed: 5 });
    const both = [spoke('A', 0, 10), spoke('B', 8, 12)];
    expect(diarizationError(both, [spoke('s1', 0, 8)], { skipOverlap: true })).toMatchObject({ spoken: 10, missed: 2 });
  });

  test('of nothing heard is 1, and of nothing said 0 or 1', () => {
    expect(diarizationError(truth, []).rate).toBe(1);
    expect(diarizationError([], []).rate).toBe(0);
    expect(diarizationError([], truth).rate).toBe(1);
  });

  test('matches speakers so that no other match is better', () => {
    const gains = fc.array(fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 4, maxLength: 4 }), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(gains, (gain) => {
        const best = (row: number, used: ReadonlySet<number>): number => {
          if (row === gain.length) return 0;
          const choices = gain[row]!.flatMap((g, k) => (used.has(k) ? [] : [g + best(row + 1, new Set([...used, k]))]));
          return Math.max(best(row + 1, used), ...choices);
        };
        const pairs = [...assign(gain)];
        expect(new Set(pairs.map(([, column]) => column)).size).toBe(pairs.length);
        expect(pairs.reduce((sum, [row, column]) => sum + gain[row]![column]!, 0)).toBe(best(0, new Set()));
      }),
    );
  });
});

test('an RTTM file is read for one recording, in order', () => {
  const text = [
    'SPEAKER b 1 2.5 1.5 <NA> <NA> x <NA> <NA>',
    'SPEAKER a 1 0 1 <NA> <NA> y <NA> <NA>',
    'SPEAKER b 1 0.25 1 <NA> <NA> z <NA> <NA>',
  ];
  expect(parseRttm(text.join('\n'), 'b')).toEqual([spoke('z', 0.25, 1.25), spoke('x', 2.5, 4)]);
});
