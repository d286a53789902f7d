import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type ClockTime, type Span, ms, seconds } from '../../media/time.ts';
import { Lag, type Timed } from '../../pipeline/lag.ts';

const lookahead = seconds(2);
/** A controller, a clock, and a delay that follows what is wanted by 100 ms a second. */
function control(bounds: { start: number; least: number; most: number }) {
  const lag = new Lag({ start: seconds(bounds.start), least: seconds(bounds.least), most: seconds(bounds.most) });
  let now = 0;
  let delay = bounds.start * 1e6;
  const history: number[] = [];
  /** A line every four seconds that would have needed `need` seconds; looked at once a second. */
  const speak = (need: (n: number) => number, count: number) => {
    for (let n = 0; n < count * 4; n += 1) {
      now += 1e6;
      if (n % 4 === 0) {
        const slack = Math.round(delay - need(n / 4) * 1e6) as Span;
        const line: Timed = slack > 0 ? { outcome: 'dubbed', slack } : { outcome: 'expired', slack: null };
        lag.line(line, delay as Span, now as ClockTime);
      }
      const wanted = lag.update(delay as Span, lookahead, now as ClockTime);
      delay += Math.max(-1e5, Math.min(1e5, wanted - delay));
      history.push(wanted / 1e6);
    }
  };
  return { lag, speak, history, wanted: () => lag.wanted / 1e6 };
}

describe('a delay that was given', () => {
  const five = { start: 5, least: 5, most: 10 };
  test('stays while lines come in time, however early', () => {
    const { speak, history } = control(five);
    speak(() => 2.6, 1_000);
    expect(new Set(history)).toEqual(new Set([5]));
  });
  test('stays when one line in ten is late', () => {
    const { speak, history } = control(five);
    speak((n) => (n % 10 === 0 ? 8 : 3), 500);
    expect(Math.max(...history)).toBe(5);
  });
  test('is raised when lines are late again and again, until they are not, and no further', () => {
    const { speak, wanted, history } = control(five);
    speak(() => 3, 20);
    speak(() => 6.2, 200);
    expect(wanted()).toBeGreaterThan(6.2);
    expect(wanted()).toBeLessThanOrEqual(7.5);
    const settled = wanted();
    speak(() => 6.2, 200);
    expect(wanted()).toBe(settled);
    expect(Math.max(...history)).toBeLessThanOrEqual(7.5);
  });
  test('is never raised beyond the most', () => {
    const { speak, wanted } = control(five);
    speak(() => 30, 500);
    expect(wanted()).toBe(10);
  });
  test('comes back slowly, and to itself', () => {
    const { speak, wanted, history } = control(five);
    speak(() => 6.2, 100);
    history.length = 0;
    speak(() => 3, 1_000);
    expect(wanted()).toBe(5);
    for (let n = 1; n < history.length; n += 1) expect(history[n - 1]! - history[n]!).toBeLessThanOrEqual(0.11);
  });
});

describe('a delay that is left to us', () => {
  const auto = { start: 5, least: 2, most: 15 };
  test('goes down to what lines need, with something to spare, and stays there', () => {
    const { speak, wanted, history } = control(auto);
    speak((n) => 2.8 + 0.3 * (n % 3), 1_000);
    expect(wanted()).toBeGreaterThanOrEqual(3.4 + 0.7 - 1e-6);
    expect(wanted()).toBeLessThanOrEqual(3.4 + 0.7 + 0.4);
    const before = wanted();
    speak((n) => 2.8 + 0.3 * (n % 3), 900);
    expect(wanted()).toBe(before);
    expect(Math.max(...history)).toBe(5);
  });
  test('goes up to what they need', () => {
    const { speak, wanted } = control(auto);
    speak(() => 9, 500);
    expect(wanted()).toBeGreaterThan(9);
    expect(wanted()).toBeLessThan(11);
  });
  test('is never below what the stages look ahead', () => {
    const lag = new Lag({ start: seconds(2), least: seconds(2), most: seconds(15) });
    expect(lag.update(seconds(2), seconds(4), 0 as ClockTime)).toBe(seconds(4.5));
  });
});

test('a stage that was down for a minute does not raise the delay, nor do the lines that were under way', () => {
  const lag = new Lag({ start: seconds(5), least: seconds(5), most: seconds(10) });
  const at = (n: number) => seconds(n) as number as ClockTime;
  for (let n = 0; n < 60; n += 1) lag.line({ outcome: 'dubbed', slack: seconds(2) }, seconds(5), at(n));
  for (let n = 60; n < 130; n += 1) {
    if (n < 120) lag.unable(at(n));
    lag.line({ outcome: 'expired', slack: null }, seconds(5), at(Math.min(n, 128)));
    expect(lag.update(seconds(5), lookahead, at(n))).toBe(seconds(5));
  }
  // What is late afterwards counts again.
  for (let n = 140; n < 150; n += 1) lag.line({ outcome: 'expired', slack: null }, seconds(5), at(n));
  expect(lag.update(seconds(5), lookahead, at(150))).toBeGreaterThan(seconds(5));
});

test('what an engine refuses says nothing about time', () => {
  const lag = new Lag({ start: seconds(5), least: seconds(5), most: seconds(10) });
  for (let n = 0; n < 100; n += 1) {
    lag.line({ outcome: 'refused', slack: null }, seconds(5), seconds(n) as number as ClockTime);
    lag.update(seconds(5), lookahead, seconds(n) as number as ClockTime);
  }
  expect(lag.wanted).toBe(seconds(5));
});

test('a start outside its bounds is refused', () => {
  expect(() => new Lag({ start: seconds(5), least: seconds(6), most: seconds(9) })).toThrow(RangeError);
});

test('whatever lines need, it stays within bounds and never goes down faster than a tenth of a second in ten', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: 0.5, max: 20, noNaN: true }), { minLength: 10, maxLength: 300 }), (needs) => {
      const { speak, history } = control({ start: 5, least: 3, most: 12 });
      speak((n) => needs[n % needs.length]!, needs.length * 2);
      for (const wanted of history) expect(wanted >= 3 && wanted <= 12).toBe(true);
      for (let n = 10; n < history.length; n += 1) expect(history[n - 10]! - history[n]!).toBeLessThanOrEqual(0.21);
      expect(ms(1)).toBe(1_000);
    }),
    { numRuns: 40, endOnFailure: true },
  );
});
