import { expect, test } from 'vitest';
import type { ClockTime, Span } from '../../media/time.ts';
import { Hurry } from '../../models/restore/hurry.ts';

const t = (milliseconds: number) => (milliseconds * 1_000) as ClockTime & Span;

test('a network is tried beside the pictures first, and waited for once it is known to be in time', () => {
  const hurry = new Hurry(t(30));
  expect(hurry.ask(t(0))).toBe('try');
  expect(hurry.ask(t(10))).toBe('leave');
  hurry.ended(t(12), t(12));
  expect(hurry.ask(t(40))).toBe('wait');
  expect(hurry.usual).toBe(12_000);
});

test('one that is too slow is left alone for longer each time', () => {
  const hurry = new Hurry(t(30));
  let now = 0;
  const tries: number[] = [];
  for (; now < 40_000; now += 40) {
    if (hurry.ask(t(now)) === 'leave') continue;
    tries.push(now);
    hurry.ended(t(100), t(now));
  }
  const rests = tries.slice(1).map((each, n) => Math.round((each - tries[n]!) / 1_000));
  expect(rests).toEqual([2, 4, 8, 16]);
});

test('one late run is enough, and one that is in time again', () => {
  const hurry = new Hurry(t(30));
  hurry.ask(t(0));
  hurry.ended(t(5), t(5));
  hurry.ask(t(40));
  hurry.ended(t(90), t(130));
  expect(hurry.ask(t(160))).toBe('leave');
  expect(hurry.ask(t(2_200))).toBe('try');
  hurry.ended(t(5), t(2_205));
  expect(hurry.ask(t(2_240))).toBe('wait');
});

test('where there is no hurry, every picture waits', () => {
  const hurry = new Hurry(t(0));
  for (let n = 0; n < 3; n += 1) {
    expect(hurry.ask(t(n))).toBe('wait');
    hurry.ended(t(5_000), t(n));
  }
});
