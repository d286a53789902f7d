import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Plane, luma, psnr, ssim } from '../../media/ssim.ts';
import { blank } from '../../media/video-frame.ts';

const plane = (width: number, height: number, at: (x: number, y: number) => number): Plane => ({
  width,
  height,
  pixels: Uint8Array.from({ length: width * height }, (_, i) => at(i % width, Math.floor(i / width))),
});
const texture = plane(64, 48, (x, y) => (x * 37 + y * 91 + ((x * y) % 13) * 9) & 0xff);

test('equal planes have similarity 1 and no noise', () => {
  expect(ssim(texture, texture)).toBe(1);
  expect(psnr(texture, texture)).toBe(Infinity);
  expect(ssim(luma(blank(16, 16)), luma(blank(16, 16)))).toBe(1);
});

test('a difference of one everywhere is 48.13 dB', () => {
  const [a, b] = [plane(16, 16, () => 100), plane(16, 16, () => 101)];
  expect(psnr(a, b)).toBeCloseTo(20 * Math.log10(255), 6);
});

test('a single window is what the formula of the paper gives', () => {
  const a = plane(8, 8, (x) => 10 * x);
  const b = plane(8, 8, (x, y) => 10 * x + 5 * y);
  const mean = (p: Plane) => p.pixels.reduce((sum, one) => sum + one, 0) / 64;
  const [ma, mb] = [mean(a), mean(b)];
  const moment = (p: Plane, q: Plane, mp: number, mq: number) =>
    p.pixels.reduce((sum, one, i) => sum + (one - mp) * (q.pixels[i]! - mq), 0) / 63;
  const [c1, c2] = [(0.01 * 255) ** 2, (0.03 * 255) ** 2];
  const expected =
    ((2 * ma * mb + c1) * (2 * moment(a, b, ma, mb) + c2)) /
    ((ma * ma + mb * mb + c1) * (moment(a, a, ma, ma) + moment(b, b, mb, mb) + c2));
  expect(ssim(a, b)).toBeCloseTo(expected, 3);
});

test('what is left out does not count, and nothing else is left out', () => {
  const box = { left: 16, top: 16, width: 8, height: 8 };
  const inside = (x: number, y: number) => x >= 16 && x < 24 && y >= 16 && y < 24;
  const spoilt = plane(64, 48, (x, y) => (inside(x, y) ? 0 : texture.pixels[y * 64 + x]!));
  expect(ssim(texture, spoilt)).toBeLessThan(1);
  expect(ssim(texture, spoilt, { except: [box] })).toBe(1);
  expect(psnr(texture, spoilt, { except: [box] })).toBe(Infinity);
  expect(ssim(texture, spoilt, { within: box })).toBeLessThan(0.5);
  expect(psnr(texture, spoilt, { except: [{ ...box, width: 7 }] })).toBeLessThan(Infinity);
  expect(ssim(texture, spoilt, { except: [{ ...box, left: 32 }] })).toBeLessThan(1);
  expect(ssim(texture, spoilt, { within: box, except: [box] })).toBeNaN();
  expect(psnr(texture, spoilt, { within: box, except: [box] })).toBeNaN();
  const halves = [
    { ...box, width: 4 },
    { ...box, left: 20, width: 4 },
  ];
  expect(ssim(texture, spoilt, { except: halves })).toBe(1);
  expect(psnr(texture, spoilt, { except: halves })).toBe(Infinity);
  expect(psnr(texture, spoilt, { except: halves.slice(1) })).toBeLessThan(Infinity);
});

test('similarity is symmetric, at most 1, and falls with noise', () => {
  const noise = fc.array(fc.integer({ min: -40, max: 40 }), { minLength: 64 * 48, maxLength: 64 * 48 });
  fc.assert(
    fc.property(noise, (offsets) => {
      const noisy = (scale: number) =>
        plane(64, 48, (x, y) => {
          const i = y * 64 + x;
          return Math.min(255, Math.max(0, texture.pixels[i]! + Math.round(offsets[i]! * scale)));
        });
      const [little, much] = [noisy(0.1), noisy(1)];
      expect(ssim(texture, much)).toBeCloseTo(ssim(much, texture), 12);
      expect(ssim(texture, much)).toBeLessThanOrEqual(ssim(texture, little) + 1e-9);
      expect(ssim(texture, little)).toBeLessThanOrEqual(1);
    }),
    { numRuns: 20, endOnFailure: true },
  );
});

test('planes of different sizes are not compared', () => {
  expect(() =>
    ssim(
      texture,
      plane(8, 8, () => 0),
    ),
  ).toThrow(RangeError);
  expect(() =>
    psnr(
      texture,
      plane(8, 8, () => 0),
    ),
  ).toThrow(/64 × 48 with 8 × 8/);
});
