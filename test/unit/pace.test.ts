import { expect, test } from 'vitest';
import { type Clock, MonotonicClock, pace } from '../../media/clock.ts';
import { type ClockTime, type Span, later, ms } from '../../media/time.ts';

/** A clock whose every wake-up is `late` by the same amount, as an event loop's is. */
const lateBy = (late: Span): Clock & { t: number } => ({
  t: 0,
  now() {
    return this.t as ClockTime;
  },
  async until(when) {
    this.t = Math.max(this.t, later(when, late));
  },
});

test('one minute of 20 ms slots woken 1 ms late ends 1 ms late, not 3 s', async () => {
  const clock = lateBy(ms(1));
  const stop = new AbortController();
  let slots = 0;
  await pace(clock, ms(20), stop.signal, (slot) => {
    slots += 1;
    if (slot === 3_000) stop.abort();
  });
  expect(slots).toBe(3_001);
  expect(clock.t).toBeLessThan(ms(60_022));
});

test('a five-second stall is skipped over, not replayed', async () => {
  const clock = lateBy(ms(5_000));
  const stop = new AbortController();
  const ticks: [slot: number, skipped: number][] = [];
  await pace(clock, ms(20), stop.signal, (...tick) => {
    ticks.push(tick);
    if (ticks.length === 3) stop.abort();
  });
  expect(ticks).toEqual([
    [0, 0],
    [251, 250],
    [502, 250],
  ]);
});

test('being stopped mid-wait is a return, not an error', async () => {
  let ticks = 0;
  await pace(new MonotonicClock(), ms(60_000), AbortSignal.timeout(10), () => (ticks += 1));
  expect(ticks).toBe(1);
});
