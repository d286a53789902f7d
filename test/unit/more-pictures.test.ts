import fc from 'fast-check';
import { expect, test } from 'vitest';
import { madeBetween } from '../../media/more-pictures.ts';
import { FURTHEST, SLOWEST, timeMap } from '../../media/time-map.ts';
import { type Span, at, between, ms } from '../../media/time.ts';

const EVERY = ms(40);
const times = (span: Span, slope: number) => Math.round(span * slope) as Span;

test.for([
  [1, 0],
  [1.2, 0],
  [1.21, 1],
  [2, 1],
  [2.4, 1],
  [2.5, 2],
  [3.6, 2],
  [4, 3],
])('between two pictures that are %f times as far apart, %i are made', ([slope, count]) => {
  expect(madeBetween(EVERY, times(EVERY, slope!))).toBe(count);
});

test('a gap of many times its length is not for making pictures, nor is what lies between two slides', () => {
  expect(madeBetween(EVERY, times(EVERY, 20))).toBe(0);
  expect(madeBetween(ms(150), ms(300))).toBe(1);
  expect(madeBetween(ms(2_000), ms(4_000))).toBe(0);
});

test('pictures that have come nearer to each other are a mistake, but for a microsecond of rounding', () => {
  expect(madeBetween(EVERY, (EVERY - 1) as Span)).toBe(0);
  expect(() => madeBetween(EVERY, times(EVERY, 0.9))).toThrow(RangeError);
  expect(() => madeBetween(ms(0), EVERY)).toThrow(RangeError);
});

test('wherever the programme runs slower, no picture is seen for more than a fifth longer, and no more are made than that takes', () => {
  const stretch = fc
    .record({
      start: fc.integer({ min: 0, max: 3_000_000 }),
      length: fc.integer({ min: 1, max: 2_000_000 }),
      factor: fc.double({ min: 1, max: FURTHEST, noNaN: true }),
    })
    .map(({ start, length, factor }) => ({ start: at(start), end: at(start + length), factor }));
  const gaps = fc.array(fc.integer({ min: 1_000, max: 150_000 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(fc.array(stretch, { maxLength: 6 }), gaps, (slower, distances) => {
      const map = timeMap(slower, FURTHEST);
      let t = at(0);
      for (const distance of distances) {
        const next = at(t + distance);
        const is = between(map.at(t), map.at(next));
        const count = madeBetween(distance as Span, is);
        expect(is / (count + 1)).toBeLessThanOrEqual(SLOWEST * distance + 1);
        if (count > 0) expect(is / count).toBeGreaterThan(SLOWEST * distance);
        t = next;
      }
    }),
    { endOnFailure: true },
  );
});
