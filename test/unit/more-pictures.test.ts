import fc from 'fast-check';
import { expect, test } from 'vitest';
import { heldFor, madeBetween, pairsOf, stretchedPictures } from '../../media/more-pictures.ts';
import { SLOWEST, TimeMap } from '../../media/time-map.ts';
import { at } from '../../media/time.ts';

const EVERY = 40_000;
const times = (count: number, first = 0) => Array.from({ length: count }, (_, n) => at((first + n) * EVERY));
const piece = (count: number, slope: number, first = 0, to = first * EVERY) => ({
  from: { start: at(first * EVERY), end: at((first + count) * EVERY) },
  to: { start: at(to), end: at(to + Math.round(count * EVERY * slope)) },
});

test.for([
  [1, 0],
  [1.2, 0],
  [1.21, 1],
  [2, 1],
  [2.4, 1],
  [2.5, 2],
  [3.6, 2],
  [4, 3],
])('a stretch that runs %f times as long gets %i pictures between two', ([slope, count]) => {
  expect(madeBetween(slope!)).toBe(count);
});

test('up to a fifth longer, pictures are retimed and none is made', () => {
  const showing = stretchedPictures(times(5, 10), piece(5, 1.2, 10, 500_000));
  expect(showing).toEqual([0, 1, 2, 3, 4].map((picture) => ({ at: at(500_000 + 48_000 * picture), picture })));
});

test('beyond that, pictures are made between those there are, at even distances', () => {
  const showing = stretchedPictures(times(3), piece(3, 2));
  expect(showing).toEqual([
    { at: at(0), picture: 0 },
    { at: at(40_000), picture: 0, of: { n: 1, count: 1 } },
    { at: at(80_000), picture: 1 },
    { at: at(120_000), picture: 1, of: { n: 1, count: 1 } },
    { at: at(160_000), picture: 2 },
  ]);
  expect(pairsOf(showing)).toEqual([
    { picture: 0, count: 1 },
    { picture: 1, count: 1 },
  ]);
});

test('at a cut the last picture stays, and nothing is made', () => {
  const showing = stretchedPictures(times(4), piece(4, 2), new Set([2]));
  expect(showing.filter(({ of }) => of).map(({ picture }) => picture)).toEqual([0, 2]);
  expect(heldFor(showing, piece(4, 2).to)).toEqual([40_000, 40_000, 80_000, 40_000, 40_000, 80_000]);
});

test('a gap of many times its length is not for making pictures', () => {
  expect(stretchedPictures(times(2), piece(2, 20)).some(({ of }) => of)).toBe(false);
});

test('a stretch that becomes shorter is a mistake', () => {
  expect(() => stretchedPictures(times(2), piece(2, 0.9))).toThrow(RangeError);
});

test('pictures stay with their sound, in order, and none is seen for more than a fifth longer than it was', () => {
  const pictures = fc.array(fc.integer({ min: 1_000, max: 100_000 }), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(
      pictures,
      fc.double({ min: 1, max: 6, noNaN: true }),
      fc.integer({ min: 0, max: 1e9 }),
      (gaps, slope, to) => {
        let t = 0;
        const starts = [at(0), ...gaps.map((gap) => at((t += gap)))];
        const from = { start: at(0), end: at(t + 40_000) };
        const stretch = { from, to: { start: at(to), end: at(to + Math.round(from.end * slope)) } };
        const exact = (stretch.to.end - stretch.to.start) / from.end;
        fc.pre(exact >= 1 && exact <= 6);
        const showing = stretchedPictures(starts, stretch);
        const map = new TimeMap([{ from, to: { start: at(0), end: at(stretch.to.end - to) } }]);
        for (const { at: where, picture, of } of showing) {
          if (!of) expect(Math.abs(where - to - map.at(starts[picture]!))).toBeLessThanOrEqual(1);
        }
        for (const [n, held] of heldFor(showing, stretch.to).slice(0, -1).entries()) {
          const { picture } = showing[n]!;
          if (picture + 1 < starts.length) {
            expect(held).toBeGreaterThan(0);
            expect(held).toBeLessThanOrEqual(SLOWEST * (starts[picture + 1]! - starts[picture]!) + 2);
          }
        }
      },
    ),
  );
});
