import { firstValueFrom, from, toArray } from 'rxjs';
import { expect, test } from 'vitest';
import type { AudioChunk } from '../../media/audio.ts';
import { at, later, ms, samples } from '../../media/time.ts';
import { windows } from '../../pipeline/windows.ts';

const chunksOf = (total: number, size: number): AudioChunk[] =>
  Array.from({ length: total / size }, (_, i) => ({
    start: later(at(0), samples(i * size, 16_000)),
    rate: 16_000,
    pcm: Float32Array.from({ length: size }, (_, j) => i * size + j),
  }));

test.for([160, 256, 333, 1_000, 5_000])('windows are exact whatever the chunk size (%i)', async (size) => {
  const total = Math.floor(16_000 / size) * size;
  const out = await firstValueFrom(from(chunksOf(total, size)).pipe(windows(ms(400), ms(100), 16_000), toArray()));
  expect(out).toHaveLength(1 + Math.floor((total - 6_400) / 1_600));
  out.forEach((w, i) => {
    expect(w.start).toBe(i * 100_000);
    expect(w.pcm[0]).toBe(i * 1_600);
    expect(w.pcm.at(-1)).toBe(i * 1_600 + 6_399);
  });
  expect(out[1]?.fresh).toEqual({ start: 400_000, end: 500_000 });
});

test('a hop longer than the window is refused', () => {
  expect(() => windows(ms(100), ms(200), 16_000)).toThrow(RangeError);
});
