import { expect, test } from 'vitest';
import { type ClockTime, at, between, later, ms, sampleIndex, samples, seconds } from '../../media/time.ts';

test('media time and clock time cannot be mixed', () => {
  const media = at(0);
  const clock = 0 as ClockTime;
  // @ts-expect-error a programme position is not a clock reading
  between(media, clock);
  // @ts-expect-error a span is not a position
  between(media, ms(1));
  expect(between(media, later(media, ms(5)))).toBe(5_000);
});

test('counting samples does not drift, adding up spans does', () => {
  const chunk = 512; // 10.6667 ms at 48 kHz
  const hour = 3_600 * 48_000;
  let summed = 0;
  for (let n = 0; n + chunk <= hour; n += chunk) summed += samples(chunk, 48_000);
  expect(samples(hour, 48_000)).toBe(seconds(3_600));
  expect(summed - seconds(3_600)).toBeGreaterThan(100_000); // > 100 ms after one hour
});

test('sample index is the inverse of samples', () => {
  for (const n of [0, 1, 511, 512, 12_345, 172_800_000]) expect(sampleIndex(samples(n, 48_000), 48_000)).toBe(n);
});
