import { expect, test } from 'vitest';
import { keepNewest } from '../../media/newest.ts';

test('of a map and of a set what was put in first goes, and no more than it takes', () => {
  const map = new Map([1, 2, 3, 4].map((n) => [n, `${n}`]));
  keepNewest(map, 2);
  expect([...map.keys()]).toEqual([3, 4]);
  keepNewest(map, 2);
  expect(map.size).toBe(2);
  const set = new Set(['a', 'b', 'c']);
  keepNewest(set, 1);
  expect([...set]).toEqual(['c']);
});
