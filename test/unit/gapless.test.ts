import { expect, test } from 'vitest';
import type { AudioChunk } from '../../media/audio.ts';
import { bytesFrom } from '../../media/bytes.ts';
import { Gapless } from '../../media/gapless.ts';
import { at } from '../../media/time.ts';

const PER_MS = 48;
const packet = (fromMs: number, lengthMs: number, level: number) =>
  [at(fromMs * 1_000), bytesFrom(new Float32Array(lengthMs * PER_MS).fill(level), 'f32le')] as const;
/** Level of every millisecond of what came out. */
const heard = (chunks: readonly AudioChunk[]) => {
  chunks.forEach(({ start }, i) => expect(start).toBe(i * 20_000));
  const pcm = chunks.flatMap((chunk) => [...chunk.pcm]);
  return Array.from({ length: pcm.length / PER_MS }, (_, i) => pcm[i * PER_MS]);
};
const times = (count: number, level: number) => new Array<number>(count).fill(level);

test('packets become chunks of 20 ms', () => {
  const sound = new Gapless(Number.POSITIVE_INFINITY);
  expect(heard([...sound.push(...packet(0, 21, 1))])).toEqual(times(20, 1));
});

test('a hole is silence, an overlap is cut, and a container that rounds changes nothing', () => {
  const sound = new Gapless(Number.POSITIVE_INFINITY);
  const chunks = [
    ...sound.push(...packet(10, 30, 0.125)),
    ...sound.push(...packet(41, 20, 0.25)),
    ...sound.push(...packet(100, 20, 0.5)),
    ...sound.push(...packet(95, 45, 1)),
    ...sound.end(),
  ];
  expect(heard(chunks)).toEqual([
    ...times(10, 0),
    ...times(30, 0.125),
    ...times(20, 0.25),
    ...times(40, 0),
    ...times(20, 0.5),
    ...times(20, 1),
  ]);
});

test('where nothing more comes is silence, and what comes for there after all is cut', () => {
  const sound = new Gapless(Number.POSITIVE_INFINITY);
  const chunks = [...sound.until(at(50_000)), ...sound.push(...packet(20, 40, 1)), ...sound.end()];
  expect(heard(chunks)).toEqual([...times(50, 0), ...times(10, 1)]);
});

test('a round has the length it was given: longer is cut, shorter goes on as silence', () => {
  const longer = new Gapless(40 * PER_MS);
  expect(heard([...longer.push(...packet(0, 90, 1)), ...longer.end()])).toEqual(times(40, 1));
  const shorter = new Gapless(40 * PER_MS);
  expect(heard([...shorter.push(...packet(0, 10, 1)), ...shorter.end()])).toEqual([...times(10, 1), ...times(30, 0)]);
});
