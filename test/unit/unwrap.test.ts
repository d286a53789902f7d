import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Unwrapper, distance } from '../../media/unwrap.ts';

const bits = fc.constantFrom<16 | 32>(16, 32);

test('a counter that wraps comes out as one that does not', () => {
  fc.assert(
    fc.property(
      bits,
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.array(fc.double({ min: 0, max: 0.499, noNaN: true }), { maxLength: 100, size: 'max' }),
      (width, first, steps) => {
        const range = 2 ** width;
        const unwrapper = new Unwrapper(width);
        let value = Math.floor(first * (range - 1));
        expect(unwrapper.unwrap(value)).toBe(value);
        for (const step of steps) {
          value += Math.floor(step * range);
          expect(unwrapper.unwrap(value % range)).toBe(value);
        }
      },
    ),
  );
});

test('order does not matter within less than half the range', () => {
  const offsets = fc.array(fc.integer({ min: 0, max: 32_000 }), { minLength: 1, maxLength: 50, size: 'max' });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff }), offsets, (first, values) => {
      const unwrapper = new Unwrapper(16);
      unwrapper.unwrap(first);
      for (const offset of values) expect(unwrapper.unwrap((first + offset) & 0xffff)).toBe(first + offset);
    }),
  );
});

test('a packet from before the first one is before it, also below zero', () => {
  const unwrapper = new Unwrapper(16);
  expect(unwrapper.unwrap(1)).toBe(1);
  expect(unwrapper.unwrap(0xffff)).toBe(-1);
  expect(unwrapper.unwrap(2)).toBe(2);
});

test('a process that takes over goes on near where its predecessor stopped', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 2 ** 44 }),
      fc.integer({ min: -(2 ** 31) + 1, max: 2 ** 31 - 1 }),
      (near, away) => {
        const value = near + away;
        expect(new Unwrapper(32, near).unwrap(((value % 2 ** 32) + 2 ** 32) % 2 ** 32)).toBe(value);
      },
    ),
  );
});

test('how far back a packet is counts from the highest, not from the last', () => {
  const unwrapper = new Unwrapper(16);
  for (const value of [40_000, 10_000, 50_000]) expect(unwrapper.unwrap(value)).toBe(value);
  expect(distance(0, 0x8000, 16)).toBe(-0x8000);
});

test('peeking changes nothing', () => {
  const unwrapper = new Unwrapper(16);
  unwrapper.unwrap(10);
  expect(unwrapper.peek(30_000)).toBe(30_000);
  expect(unwrapper.highest).toBe(10);
  expect(distance(0xffff, 1, 16)).toBe(2);
  expect(distance(1, 0xffff, 16)).toBe(-2);
});
