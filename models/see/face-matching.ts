import type { Box } from '../../media/video-frame.ts';
import { overlap } from '../../media/box.ts';

/**
 * Which boxes are the same in two sets: pairs of places, best overlap first, each box in one pair at most.
 *
 * @param least overlap below which boxes are not the same
 */
export function matched(before: readonly Box[], now: readonly Box[], least: number): [before: number, now: number][] {
  const candidates = before
    .flatMap((a, i) => now.map((b, j) => ({ i, j, shared: overlap(a, b) })))
    .filter(({ shared }) => shared >= least)
    .toSorted((a, b) => b.shared - a.shared);
  const [left, right] = [new Set<number>(), new Set<number>()];
  const pairs: [number, number][] = [];
  for (const { i, j } of candidates) {
    if (left.has(i) || right.has(j)) continue;
    left.add(i);
    right.add(j);
    pairs.push([i, j]);
  }
  return pairs;
}
