import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FairQueue } from '../../models/serve/fair-queue.ts';

interface Piece {
  readonly of: string;
  readonly n: number;
  readonly cost: number;
}
function filled(capacity: number, flows: Readonly<Record<string, readonly number[]>>) {
  const queue = new FairQueue<Piece>(capacity);
  for (const [of, costs] of Object.entries(flows)) {
    for (const [n, cost] of costs.entries()) queue.push(of, { of, n, cost }, cost);
  }
  return queue;
}
const names = (pieces: readonly Piece[]) => pieces.map(({ of, n }) => `${of}${n}`).join(' ');

describe('a fair queue', () => {
  test('serves flows in turn, each in its own order', () => {
    const queue = filled(100, { a: [1, 1, 1, 1], b: [1, 1], c: [1] });
    expect(names(queue.take(4))).toBe('a0 b0 c0 a1');
    expect(names(queue.take(4))).toBe('b1 a2 a3');
    expect([queue.cost, queue.flows]).toEqual([0, 0]);
  });

  test('gives a flow of large things as much as one of small things, not as many', () => {
    const queue = filled(1_000, { big: Array<number>(20).fill(4), small: Array<number>(80).fill(1) });
    const got = { big: 0, small: 0 };
    for (let run = 0; run < 10; run += 1) for (const { of, cost } of queue.take(8)) got[of as 'big'] += cost;
    expect(Math.abs(got.big - got.small)).toBeLessThanOrEqual(4);
  });

  test('what does not fit is first the next time, and is not overtaken for ever', () => {
    const queue = filled(100, { big: [8], small: Array<number>(30).fill(1) });
    expect(names(queue.take(4))).toBe('small0 small1 small2 small3');
    expect(names(queue.take(8))).toBe('big0');
    expect(names(queue.take(3))).toBe('small4 small5 small6');
  });

  test('what is not alike waits, and its flow is first the next time', () => {
    const queue = filled(100, { a: [1, 1], b: [1, 1], c: [1, 1] });
    expect(names(queue.take(8, ({ of }) => of !== 'a'))).toBe('b0 c0 b1 c1');
    expect(names(queue.take(8))).toBe('a0 a1');
  });

  test('when it is full, who has most in it loses what came last', () => {
    const queue = filled(6, { hog: [1, 1, 1, 1, 1, 1] });
    expect(names(queue.push('late', { of: 'late', n: 0, cost: 1 }, 1))).toBe('hog5');
    expect(names(queue.push('hog', { of: 'hog', n: 6, cost: 1 }, 1))).toBe('hog6');
    expect(names(queue.push('late', { of: 'late', n: 1, cost: 2 }, 2))).toBe('hog4 hog3');
    expect(names(queue.take(6))).toBe('hog0 late0 hog1 late1 hog2');
  });

  test('tells what is served before something would be', () => {
    const queue = filled(100, { hog: Array<number>(50).fill(1), other: [1, 1] });
    // One turn of each, then its own.
    expect(queue.ahead('new', 1)).toBe(3);
    expect(queue.ahead('other', 1)).toBe(6);
    expect(queue.ahead('hog', 1)).toBe(53);
  });

  test('never gives two flows that both have something waiting shares that differ by more than one large thing', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 60, maxLength: 60 });
    fc.assert(
      fc.property(sizes, sizes, sizes, fc.integer({ min: 6, max: 20 }), (a, b, c, room) => {
        const queue = filled(10_000, { a, b, c });
        const got: Record<string, number> = { a: 0, b: 0, c: 0 };
        for (let run = 0; run < 5; run += 1) {
          for (const { of, cost } of queue.take(room)) got[of]! += cost;
        }
        if (queue.flows < 3) return;
        const shares = Object.values(got);
        // The largest thing of each.
        expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(12);
      }),
      { endOnFailure: true },
    );
  });

  test('gains nothing for a flow that leaves and comes back', () => {
    const queue = filled(100, { steady: Array<number>(20).fill(1) });
    const got = { steady: 0, coming: 0 };
    for (let run = 0; run < 10; run += 1) {
      queue.push('coming', { of: 'coming', n: run, cost: 1 }, 1);
      for (const { of } of queue.take(1)) got[of as 'steady'] += 1;
    }
    expect(got).toEqual({ steady: 5, coming: 5 });
  });

  test('loses and invents nothing', () => {
    const step = fc.oneof(
      fc.record({ flow: fc.constantFrom('a', 'b', 'c'), cost: fc.integer({ min: 1, max: 5 }) }),
      fc.record({ room: fc.integer({ min: 1, max: 8 }) }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const queue = new FairQueue<Piece>(12);
        const inside = new Set<Piece>();
        for (const [n, each] of steps.entries()) {
          if ('room' in each) {
            const taken = queue.take(each.room);
            expect(taken.reduce((sum, { cost }) => sum + cost, 0)).toBeLessThanOrEqual(each.room);
            for (const piece of taken) expect(inside.delete(piece)).toBe(true);
          } else {
            const piece = { of: each.flow, n, cost: each.cost };
            inside.add(piece);
            for (const lost of queue.push(each.flow, piece, each.cost)) expect(inside.delete(lost)).toBe(true);
          }
          expect(new Set(queue)).toEqual(inside);
          expect(queue.cost).toBe([...inside].reduce((sum, { cost }) => sum + cost, 0));
          expect(queue.cost).toBeLessThanOrEqual(12);
        }
      }),
      { endOnFailure: true },
    );
  });
});
