import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Coding,
  decodingOf,
  encodingOf,
  matrixOf,
  packedRgb,
  planesOfRgb,
  toRgb,
  toYuv,
} from '../../media/colour.ts';
import { UNSPECIFIED } from '../../media/video-frame.ts';

const one = () => new Float64Array(3);
const rgbOf = (y: number, u: number, v: number, colour: Coding, rows: number) => {
  const into = one();
  toRgb(y, u, v, decodingOf(colour, rows), into);
  return [...into];
};
const coding: fc.Arbitrary<Coding> = fc.record({
  matrix: fc.constantFrom(1, 2, 4, 5, 6, 7, 9, 10, 0, 8),
  range: fc.constantFrom('limited', 'full'),
});

describe('colour', () => {
  test('a picture that does not say is BT.709 from 720 rows on and BT.601 below, whatever its width', () => {
    expect(matrixOf(UNSPECIFIED, 360)).toBe(6);
    expect(matrixOf(UNSPECIFIED, 719)).toBe(6);
    expect(matrixOf(UNSPECIFIED, 720)).toBe(1);
    expect(matrixOf({ matrix: 9 }, 360)).toBe(9);
    // Y'CgCo is none of luma and two differences.
    expect(matrixOf({ matrix: 8 }, 1080)).toBe(1);
  });

  test("the primaries of BT.601, BT.709 and BT.2020 are where the recommendations' own numbers put them", () => {
    // 8 bit codes of 100 % bars: BT.601-7 §2.5.1, BT.709-6 §3.4, BT.2020-2 table 5, limited range.
    for (const [matrix, red, green] of [
      [6, [81, 90, 240], [145, 54, 34]],
      [1, [63, 102, 240], [173, 42, 26]],
      [9, [74, 97, 240], [164, 47, 25]],
    ] as const) {
      const colour = { matrix, range: 'limited' } as const;
      const into = one();
      toYuv(255, 0, 0, encodingOf(colour, 1), into);
      expect([...into].map(Math.round)).toEqual(red);
      toYuv(0, 255, 0, encodingOf(colour, 1), into);
      expect([...into].map(Math.round)).toEqual(green);
    }
    expect(rgbOf(16, 128, 128, { matrix: 1, range: 'limited' }, 1)).toEqual([0, 0, 0]);
    expect(rgbOf(235, 128, 128, { matrix: 1, range: 'limited' }, 1).map((x) => Math.round(x))).toEqual([255, 255, 255]);
    expect(rgbOf(255, 128, 128, { matrix: 6, range: 'full' }, 1)).toEqual([255, 255, 255]);
  });

  test('there and back is the same, for every matrix and range', () => {
    const level = fc.double({ min: 0, max: 255, noNaN: true });
    fc.assert(
      fc.property(coding, fc.constantFrom(360, 1080), level, level, level, (colour, rows, y, u, v) => {
        const [r, g, b] = rgbOf(y, u, v, colour, rows) as [number, number, number];
        const into = one();
        toYuv(r, g, b, encodingOf(colour, rows), into);
        for (const [n, value] of [y, u, v].entries()) expect(into[n]).toBeCloseTo(value, 9);
      }),
    );
  });

  test('a part of a picture is converted as the whole of it is', () => {
    const planes = {
      width: 2,
      height: 2,
      y: Uint8Array.of(81, 81, 81, 81),
      u: Uint8Array.of(90),
      v: Uint8Array.of(240),
    };
    const small = packedRgb(planes, UNSPECIFIED);
    const large = packedRgb(planes, UNSPECIFIED, 1080);
    expect([...small.subarray(0, 3)].map((value, n) => Math.abs(value - [255, 0, 0][n]!) <= 1)).toEqual([
      true,
      true,
      true,
    ]);
    expect(large).not.toEqual(small);
    for (const [rgb, rows] of [
      [small, 2],
      [large, 1080],
    ] as const) {
      // What is outside of RGB is clipped on the way.
      const back = planesOfRgb(rgb, 2, 2, UNSPECIFIED, rows);
      expect(Math.abs(back.y[0]! - 81)).toBeLessThanOrEqual(rows === 2 ? 1 : 20);
    }
  });

  test('pixels that came of planes become those planes again, within rounding', () => {
    fc.assert(
      fc.property(
        coding,
        fc.array(fc.integer({ min: 60, max: 180 }), { minLength: 16, maxLength: 16 }),
        fc.array(fc.integer({ min: 118, max: 138 }), { minLength: 8, maxLength: 8 }),
        (colour, ys, chroma) => {
          const planes = {
            width: 4,
            height: 4,
            y: Uint8Array.from(ys),
            u: Uint8Array.from(chroma.slice(0, 4)),
            v: Uint8Array.from(chroma.slice(4)),
          };
          const back = planesOfRgb(packedRgb(planes, colour), 4, 4, colour);
          for (const plane of ['y', 'u', 'v'] as const) {
            for (const [n, value] of planes[plane].entries()) {
              expect(Math.abs(back[plane][n]! - value)).toBeLessThanOrEqual(1);
            }
          }
        },
      ),
    );
  });
});
