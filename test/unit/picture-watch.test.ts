import { describe, expect, test } from 'vitest';
import { PictureWatch } from '../../media/picture-watch.ts';
import type { Span } from '../../media/time.ts';
import { at, ms, seconds } from '../../media/time.ts';

const ALL = seconds(4);
const EVERY = 40;

/** Pictures at those times, ms; a key frame every 25. What is handed on, ms; or why they cannot pass. */
function watched(times: readonly number[], longest: Span = ALL): readonly number[] | string {
  const watch = new PictureWatch(longest);
  try {
    return times.flatMap((time, n) => {
      const picture = { kind: 'video', codec: 'VP8', data: new Uint8Array(1) } as const;
      const seen = watch.see({ ...picture, start: at(ms(time)), keyFrame: n % 25 === 0 });
      return seen ? [seen.start / 1_000] : [];
    });
  } catch (failure) {
    return (failure as { why: string }).why;
  }
}
const steady = (count: number, from = 0) => Array.from({ length: count }, (_, n) => from + n * EVERY);

describe('pictures that pass as they are', () => {
  test.for([100, 200, 450])('go on in order when their clock is set back by %s ms, which is no B-frame', (back) => {
    const before = steady(30);
    const times = [...before, ...steady(60, 30 * EVERY - back)];
    const given = watched(times);
    expect(given).toHaveLength(times.length);
    const starts = given as readonly number[];
    expect(starts.every((start, n) => n === 0 || start > starts[n - 1]!)).toBe(true);
    expect(starts.at(-1)).toBe(times.at(-1));
  });

  test('do not when they have B-frames', () => {
    // I0 P3 B1 B2 P6 B4 B5 …, in the order of decoding.
    const times = [0, ...steady(8).flatMap((_, n) => [3 * n + 3, 3 * n + 1, 3 * n + 2].map((place) => place * EVERY))];
    expect(watched(times)).toBe('it has B-frames, which a live stream cannot carry');
  });
});
