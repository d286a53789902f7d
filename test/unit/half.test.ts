import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { toFloats, toHalves } from '../../models/runtime/half.ts';

const half = (value: number) => toHalves(Float32Array.of(value))[0];
const roundTrip = (value: number) => toFloats(toHalves(Float32Array.of(value)))[0]!;

describe('float16', () => {
  test.for([
    [0, 0x00_00],
    [-0, 0x80_00],
    [1, 0x3c_00],
    [-2, 0xc0_00],
    [65_504, 0x7b_ff],
    [65_519.996, 0x7b_ff],
    [65_520, 0x7c_00],
    [-1e9, 0xfc_00],
    [Infinity, 0x7c_00],
    [2 ** -14, 0x04_00],
    [2 ** -24, 0x00_01],
    [2 ** -25, 0x00_00],
    [2 ** -25 * 1.01, 0x00_01],
    [0.333251953125, 0x35_55],
    // Half way between two: to the even one.
    [1 + 2 ** -11, 0x3c_00],
    [1 + 3 * 2 ** -11, 0x3c_02],
  ] as const)('of %d is %d (IEEE 754-2019 §3.4, §4.3.1)', ([value, bits]) => {
    expect(half(value)).toBe(bits);
  });

  test('not a number stays so', () => {
    expect(roundTrip(NaN)).toBeNaN();
  });

  test('every half there is survives being widened and rounded again', () => {
    const all = Uint16Array.from({ length: 0x1_00_00 }, (_, n) => n).filter(
      (n) => (n & 0x7c_00) !== 0x7c_00 || !(n & 0x3_ff),
    );
    expect(toHalves(toFloats(all))).toEqual(all);
  });

  test('rounding is never further off than half a step', () => {
    fc.assert(
      fc.property(fc.float({ min: -65_000, max: 65_000, noNaN: true }), (value) => {
        const step = Math.max(2 ** -24, 2 ** (Math.floor(Math.log2(Math.abs(value) || 1)) - 10));
        expect(Math.abs(roundTrip(value) - value)).toBeLessThanOrEqual(step / 2);
      }),
    );
  });
});
