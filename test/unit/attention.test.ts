import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Interval, at } from '../../media/time.ts';
import { Attention } from '../../pipeline/attention.ts';

const stretch = (start: number, end: number): Interval => ({ start: at(start), end: at(end) });

test('stretches that meet are looked at as one, others one after the other', () => {
  const attention = new Attention();
  attention.add(stretch(100, 200));
  attention.add(stretch(300, 400));
  attention.add(stretch(200, 250));
  expect(attention.after(at(0))).toEqual(stretch(100, 250));
  expect(attention.after(at(250))).toEqual(stretch(300, 400));
  attention.add(stretch(240, 310));
  expect(attention.after(at(150))).toEqual(stretch(100, 400));
  expect(attention.after(at(400))).toBeUndefined();
});

test('every instant that was asked for is looked at, and no other', () => {
  const some = fc.array(fc.tuple(fc.nat(300), fc.integer({ min: 1, max: 40 })), { maxLength: 40 });
  fc.assert(
    fc.property(some, fc.nat(350), (asked, t) => {
      const attention = new Attention(64);
      for (const [start, length] of asked) attention.add(stretch(start, start + length));
      const found = attention.after(at(t));
      const inside = asked.some(([start, length]) => t >= start && t < start + length);
      expect(found !== undefined && found.start <= t).toBe(inside);
    }),
    { endOnFailure: true },
  );
});

test('what was asked for longest ago is forgotten when there is too much', () => {
  const attention = new Attention(2);
  for (const start of [0, 100, 200]) attention.add(stretch(start, start + 10));
  expect(attention.after(at(0))).toEqual(stretch(100, 110));
});
