import fc from 'fast-check';
import { expect, test } from 'vitest';
import { JitterBuffer, type Released } from '../../media/jitter.ts';
import { type ClockTime, ms } from '../../media/time.ts';

interface Numbered {
  readonly sequence: number;
}
const at = (millis: number) => ms(millis) as number as ClockTime;

function popAll(buffer: JitterBuffer<Numbered>, now: ClockTime): Released<Numbered>[] {
  const out: Released<Numbered>[] = [];
  for (let item = buffer.pop(now); item; item = buffer.pop(now)) out.push(item);
  return out;
}
/** Sequence numbers released; losses as negative counts. */
const told = (items: Released<Numbered>[]) =>
  items.map((item) => (item.type === 'packet' ? item.packet.sequence : item.type === 'lost' ? -item.count : 'restart'));

function script(buffer: JitterBuffer<Numbered>, arrivals: readonly (readonly [millis: number, sequence: number])[]) {
  return arrivals.map(([millis, sequence]) => {
    buffer.push({ sequence }, at(millis));
    return told(popAll(buffer, at(millis)));
  });
}

test('packets in order pass at once', () => {
  expect(
    script(new JitterBuffer(), [
      [0, 65_534],
      [20, 65_535],
      [40, 0],
    ]),
  ).toEqual([[65_534], [65_535], [0]]);
});

test('a packet overtaken by two is waited for and comes first', () => {
  expect(
    script(new JitterBuffer(), [
      [0, 1],
      [20, 3],
      [40, 4],
      [50, 2],
    ]),
  ).toEqual([[1], [], [], [2, 3, 4]]);
});

test('a packet that does not come is lost when the hold is over, not before', () => {
  const buffer = new JitterBuffer<Numbered>({ hold: ms(80) });
  expect(
    script(buffer, [
      [0, 1],
      [20, 4],
    ]),
  ).toEqual([[1], []]);
  expect(buffer.due).toBe(at(100));
  expect(popAll(buffer, at(99))).toEqual([]);
  expect(told(popAll(buffer, at(100)))).toEqual([-2, 4]);
  expect(buffer.due).toBeUndefined();
  expect(buffer.counts).toMatchObject({ received: 2, lost: 2, late: 0 });
});

test('each gap is waited for by itself', () => {
  const buffer = new JitterBuffer<Numbered>({ hold: ms(80) });
  script(buffer, [
    [0, 1],
    [20, 3],
    [60, 5],
  ]);
  expect(told(popAll(buffer, at(100)))).toEqual([-1, 3]);
  expect(told(popAll(buffer, at(140)))).toEqual([-1, 5]);
});

test('what comes after it was given up is late, what comes twice is a duplicate', () => {
  const buffer = new JitterBuffer<Numbered>({ hold: ms(80) });
  script(buffer, [
    [0, 1],
    [20, 3],
  ]);
  popAll(buffer, at(100));
  expect(
    script(buffer, [
      [110, 2],
      [111, 2],
      [112, 3],
      [113, 5],
      [114, 5],
    ]).flat(),
  ).toEqual([]);
  expect(buffer.counts).toMatchObject({ late: 1, duplicate: 3 });
});

test('a gap that fills the buffer is given up at once', () => {
  const buffer = new JitterBuffer<Numbered>({ capacity: 3 });
  expect(
    script(buffer, [
      [0, 1],
      [1, 3],
      [1, 4],
      [1, 5],
    ]),
  ).toEqual([[1], [], [], [-1, 3, 4, 5]]);
  expect(buffer.size).toBe(0);
});

test.for([40_000, 10_000])('a sender at %s that counts anew is followed after two packets, without waiting', (last) => {
  const buffer = new JitterBuffer<Numbered>();
  const out = script(buffer, [
    [0, last],
    [20, 9],
    [40, 10],
    [60, 11],
  ]);
  expect(out).toEqual([[last], [], ['restart', 9, 10], [11]]);
  expect(buffer.counts.restarts).toBe(1);
});

test('a single stray number changes nothing', () => {
  expect(
    script(new JitterBuffer(), [
      [0, 100],
      [20, 40_000],
      [21, 101],
    ]),
  ).toEqual([[100], [], [101]]);
});

test('whatever the network does, packets come out in order, once, and each is given out or lost', () => {
  const network = fc.array(fc.tuple(fc.integer({ min: 0, max: 300 }), fc.integer({ min: 0, max: 2 }), fc.boolean()), {
    minLength: 2,
    maxLength: 300,
    size: 'max',
  });
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 0xffff }), network, (first, delays) => {
      const arrivals = delays.flatMap(([delay, copies, spread], i) =>
        Array.from({ length: i === 0 ? 1 : copies }, (_, copy) => ({
          when: i * 20 + (i === 0 ? 0 : delay) + (spread ? copy * 7 : 0),
          index: i,
        })),
      );
      arrivals.sort((a, b) => a.when - b.when);
      const buffer = new JitterBuffer<Numbered & { index: number }>({ hold: ms(80) });
      const items: Released<Numbered & { index: number }>[] = [];
      const collect = (now: ClockTime) => {
        for (let item = buffer.pop(now); item; item = buffer.pop(now)) items.push(item);
      };
      for (const { when, index } of arrivals) {
        buffer.push({ sequence: (first + index) & 0xffff, index }, at(when));
        collect(at(when));
      }
      collect(at(1e9));
      let next = arrivals[0]!.index;
      for (const item of items) {
        if (item.type === 'lost') next += item.count;
        else if (item.type === 'packet') expect(item.packet.index).toBe(next++);
      }
      const { received, lost, late, duplicate, restarts } = buffer.counts;
      expect(received).toBe(arrivals.length);
      expect(restarts).toBe(0);
      expect(items.filter((item) => item.type === 'packet').length + late + duplicate).toBe(received);
      expect(lost).toBe(items.reduce((sum, item) => sum + (item.type === 'lost' ? item.count : 0), 0));
      expect(buffer.size).toBe(0);
    }),
  );
});
