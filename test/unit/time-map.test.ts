import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FURTHEST, GRID, MOST, SHORTEST, SLOWEST, type Slowing, type TimeMap, timeMap } from '../../media/time-map.ts';
import { timesExpression } from '../../media/picture-times.ts';
import { at, seconds } from '../../media/time.ts';

const HOUR = 3_600_000_000;
const request = fc
  .record({
    start: fc.integer({ min: -1_000_000, max: 60_000_000 }),
    length: fc.integer({ min: 0, max: 12_000_000 }),
    factor: fc.double({ min: 1, max: SLOWEST, noNaN: true }),
  })
  .map(({ start, length, factor }): Slowing => ({ start: at(start), end: at(start + length), factor }));
const requests = fc.array(request, { maxLength: 30 });
const moment = fc.integer({ min: -2_000_000, max: 2 * HOUR }).map(at);

const length = ({ start, end }: { start: number; end: number }) => end - start;

describe('where the programme runs slower', () => {
  test('a stretch of it takes as much longer as was asked for, and what follows is that much later', () => {
    const map = timeMap([{ start: at(2_000_000), end: at(4_000_000), factor: 1.1 }]);
    expect([0, 1, 2, 3, 4, 5].map((s) => map.at(at(seconds(s))))).toEqual([
      0, 1_000_000, 2_000_000, 3_100_000, 4_200_000, 5_200_000,
    ]);
    expect(map.at(at(-40_000))).toBe(-40_000);
    expect(map.added).toBe(200_000);
    expect(map.factor(at(3_000_000))).toBe(1.1);
    expect(map.factor(at(4_000_000))).toBe(1);
  });

  test('of requests that overlap, the largest counts', () => {
    const map = timeMap([
      { start: at(0), end: at(4_000_000), factor: 1.05 },
      { start: at(1_000_000), end: at(2_000_000), factor: 1.2 },
      { start: at(1_500_000), end: at(3_000_000), factor: 1.1 },
    ]);
    expect([0, 1, 2, 3, 4].map((s) => map.at(at(seconds(s))))).toEqual([0, 1_050_000, 2_250_000, 3_350_000, 4_400_000]);
  });

  test('nothing asked for is nothing slowed', () => {
    for (const none of [timeMap([]), timeMap([{ start: at(1), end: at(1_000_000), factor: 1 }])]) {
      expect(none.slowed).toEqual([]);
      expect(none.at(at(123_456_789))).toBe(123_456_789);
    }
  });

  test.for([0.99, 1.21, Number.NaN])('a factor of %d is refused', (factor) => {
    expect(() => timeMap([{ start: at(0), end: at(1_000_000), factor }])).toThrow(RangeError);
  });

  test.for([
    [1.5, 1.51],
    [FURTHEST, 2.01],
  ])('a programme that may run %d times as slow refuses %d', ([most, factor]) => {
    const asked = { start: at(0), end: at(1_000_000), factor: most! };
    expect(timeMap([asked], most).added).toBe((most! - 1) * 1_000_000);
    expect(timeMap([asked], most).slowest).toBe(most);
    expect(() => timeMap([{ ...asked, factor: factor! }], most)).toThrow(RangeError);
  });

  test.for([0.9, 2.01, Number.NaN])('no programme may run %d times as slow', (most) => {
    expect(() => timeMap([], most)).toThrow(/the most must be within 1 and 2/);
  });

  test('more stretches than FFmpeg takes are fewer and longer ones, slow enough for all', () => {
    const many = Array.from({ length: 1_500 }, (_, n): Slowing => {
      const start = n * 2_400_000 + (n % 7) * 100_000;
      return { start: at(start), end: at(start + 1_000_000), factor: 1 + ((n % 19) + 1) / 100 };
    });
    const map = timeMap(many);
    expect(map.slowed.length).toBe(MOST);
    for (const each of many) expectGranted(map, each);
  });

  test('as many as there may be fit one argument of FFmpeg, a day into a programme, too', () => {
    const day = Array.from({ length: MOST }, (_, n): Slowing => {
      const start = 24 * HOUR + n * 7_001_000;
      return { start: at(start), end: at(start + 3_457_000), factor: 1.1234 };
    });
    const map = timeMap(day);
    expect(map.slowed.length).toBe(MOST);
    const [pts, dts] = ['PTS', 'DTS'].map((time) => timesExpression(map, time, '1/90000'));
    expect(`setts=pts='${pts}':dts='${dts}'`.length).toBeLessThan(128 * 1_024);
  });
});

/** The stretch is as slow as was asked for, up to the grid. */
function expectGranted(map: TimeMap, { start, end, factor }: Slowing): void {
  if (end <= Math.max(0, start)) return;
  const got = length(map.interval({ start: at(Math.max(0, start)), end }));
  const most = (end - Math.max(0, start)) * factor;
  expect(got).toBeGreaterThanOrEqual(most - GRID - 1 - 1e-6);
}

describe('whatever is asked for', () => {
  test('the map rises strictly, no faster than the programme and no slower than a fifth', () => {
    fc.assert(
      fc.property(requests, moment, fc.integer({ min: 1, max: 10_000_000 }), (asked, t, by) => {
        const map = timeMap(asked);
        const took = map.at(at(t + by)) - map.at(t);
        expect(took).toBeGreaterThanOrEqual(by);
        expect(took).toBeLessThanOrEqual(by * SLOWEST + 1);
      }),
    );
  });

  test('with a larger most, the map rises no slower than that, leads back exactly, and gives what was asked for', () => {
    const most = fc.double({ min: SLOWEST, max: FURTHEST, noNaN: true });
    fc.assert(
      fc.property(requests, most, moment, fc.integer({ min: 1, max: 10_000_000 }), (asked, limit, t, by) => {
        const wider = asked.map((each) => ({ ...each, factor: 1 + ((each.factor - 1) / (SLOWEST - 1)) * (limit - 1) }));
        const within = wider.map((each) => ({ ...each, factor: Math.min(limit, each.factor) }));
        const map = timeMap(within, limit);
        const took = map.at(at(t + by)) - map.at(t);
        expect(took).toBeGreaterThanOrEqual(by);
        expect(took).toBeLessThanOrEqual(by * limit + 1);
        expect(map.back(map.at(t))).toBe(t);
        for (const each of within) expectGranted(map, each);
      }),
      { endOnFailure: true },
    );
  });

  test('a request over stretches whose factors are all but the same falls short by no more than a step', () => {
    const asked = (start: number, end: number, less: number) => ({
      start: at(start),
      end: at(end),
      factor: 1.4772177720961093 - less,
    });
    const all = [asked(-999_992, 6_942_664, 2e-15), asked(2_963_623, 7_307_385, 1e-15)];
    const map = timeMap(all, 1.4772177720961093);
    for (const each of all) expectGranted(map, each);
    expect(map.slowed).toHaveLength(1);
  });

  test('there and back again is where it was, and the way back is never a microsecond off', () => {
    fc.assert(
      fc.property(requests, moment, (asked, t) => {
        const map = timeMap(asked);
        expect(map.back(map.at(t))).toBe(t);
        expect(Math.abs(map.at(map.back(t)) - t)).toBeLessThanOrEqual(1);
      }),
    );
  });

  test('every request gets what it asked for', () => {
    fc.assert(
      fc.property(requests, (asked) => {
        const map = timeMap(asked);
        for (const each of asked) expectGranted(map, each);
      }),
    );
  });

  test('nothing runs slower but what was asked for, the grid around it and the short gaps between', () => {
    fc.assert(
      fc.property(requests, moment, (asked, t) => {
        const near = asked.some(({ start, end }) => start - SHORTEST <= t && t <= end + SHORTEST);
        if (!near) expect(timeMap(asked).factor(t)).toBe(1);
      }),
    );
  });

  test('pieces follow each other without a gap on both sides, on whole milliseconds, none too short for a cross-fade', () => {
    fc.assert(
      fc.property(requests, (asked) => {
        const { pieces } = timeMap(asked);
        let [from, to] = [0, 0];
        for (const piece of pieces) {
          expect([piece.from.start, piece.to.start]).toEqual([from, to]);
          expect([from % GRID, to % GRID]).toEqual([0, 0]);
          expect(length(piece.from)).toBeGreaterThanOrEqual(SHORTEST);
          [from, to] = [piece.from.end, piece.to.end];
        }
        expect([from, to]).toEqual([Infinity, Infinity]);
      }),
    );
  });
});
