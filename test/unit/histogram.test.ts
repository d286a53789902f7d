import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { ms, seconds } from '../../media/time.ts';
import { Histogram } from '../../models/runtime/histogram.ts';

describe('a histogram', () => {
  test('says nothing while nothing was measured', () => {
    expect(new Histogram().summary()).toEqual({ p50: null, p95: null, count: 0 });
  });

  test('gives the quantiles of what was measured, to 4.5 %', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1_000, max: 60_000_000 }), { minLength: 1, maxLength: 300 }), (spans) => {
        const histogram = new Histogram();
        for (const span of spans) histogram.add(ms(span / 1_000));
        const sorted = spans.toSorted((a, b) => a - b);
        for (const share of [0.01, 0.5, 0.95, 1]) {
          const exact = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)]!;
          expect(Math.abs(histogram.quantile(share)! / exact - 1)).toBeLessThan(0.045);
        }
        expect(histogram.summary().count).toBe(spans.length);
      }),
    );
  });

  test('keeps what is too short and what is too long in its first and its last bucket', () => {
    const histogram = new Histogram();
    histogram.add(ms(0));
    histogram.add(seconds(10_000));
    expect(histogram.quantile(0.5)).toBeLessThan(100);
    expect(histogram.quantile(1)).toBeGreaterThan(seconds(100));
  });

  test('is read from wherever its memory is', () => {
    const memory = new SharedArrayBuffer(4_096);
    new Histogram(memory, 64).add(ms(5));
    expect(new Histogram(memory, 64).count).toBe(1);
  });
});
