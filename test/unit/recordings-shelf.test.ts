import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rangeOf } from '../../gateway/byte-range.ts';
import { keyFits, keyFor } from '../../gateway/recordings-shelf.ts';

describe('a part of a file', () => {
  test.for([
    [undefined, 'whole'],
    ['bytes=0-', { first: 0, last: 99 }],
    ['bytes=10-19', { first: 10, last: 19 }],
    ['bytes=90-500', { first: 90, last: 99 }],
    ['bytes=-10', { first: 90, last: 99 }],
    ['bytes=-1000', { first: 0, last: 99 }],
    ['bytes=100-', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=20-10', 'whole'],
    ['bytes=0-1,5-6', 'whole'],
    ['lines=0-1', 'whole'],
    ['bytes=-', 'whole'],
  ] as const)('%s of 100 bytes is %j', ([header, expected]) => {
    expect(rangeOf(header, 100)).toEqual(expected);
  });
  test('is never outside the file, whatever is asked', () => {
    const part = fc.option(fc.nat(2_000), { nil: '' as const });
    const header = fc.oneof(
      fc.tuple(part, part).map(([from, to]) => `bytes=${from}-${to}`),
      fc.string(),
    );
    fc.assert(
      fc.property(header, fc.nat(1_000), (asked, size) => {
        const range = rangeOf(asked, size);
        if (typeof range === 'string') return;
        expect(range.first).toBeGreaterThanOrEqual(0);
        expect(range.last).toBeGreaterThanOrEqual(range.first);
        expect(range.last).toBeLessThan(size);
      }),
      { endOnFailure: true },
    );
  });
});

describe('the key in a recording’s address', () => {
  const token = 'a-token-of-the-gateway';
  const now = Date.parse('2026-03-01T12:00:00Z');
  const hours = 3_600_000;
  test('opens that recording for twelve hours', () => {
    const key = keyFor(token, 'talk', now);
    expect(keyFits(token, 'talk', key, now + 11.9 * hours)).toBe(true);
    expect(keyFits(token, 'talk', key, now + 12.1 * hours)).toBe(false);
    expect(keyFits(token, 'other', key, now)).toBe(false);
    expect(keyFits('another-token-altogether', 'talk', key, now)).toBe(false);
    expect(key).not.toContain(token);
  });
  test('is not made longer by writing another time into it', () => {
    const [, signature = ''] = keyFor(token, 'talk', now).split('.');
    const later = Math.ceil((now + 1_000 * hours) / 1_000).toString(36);
    expect(keyFits(token, 'talk', `${later}.${signature}`, now)).toBe(false);
  });
  test('without a token everything is open', () => {
    expect(keyFits(undefined, 'talk', keyFor(undefined, 'talk', now), now)).toBe(true);
  });
  test('nothing but a key is one', () => {
    fc.assert(
      fc.property(fc.string(), (key) => {
        expect(keyFits(token, 'talk', key, now)).toBe(false);
      }),
      { endOnFailure: true },
    );
  });
});
