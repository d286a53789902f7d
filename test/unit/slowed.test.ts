import { describe, expect, test } from 'vitest';
import type { AudioChunk } from '../../media/audio.ts';
import { slowed } from '../../media/slowed.ts';
import type { Stretcher } from '../../media/stretch.ts';
import { type TimeMap, timeMap } from '../../media/time-map.ts';
import { at, seconds } from '../../media/time.ts';
import { wsola } from '../../media/wsola.ts';
import { chunksOf, decode, feed, missing, recording } from '../fakes/recordings.ts';

const { signal } = new AbortController();
const second = (s: number) => at(seconds(s));
const tone = (length: number) =>
  Float32Array.from({ length: length * 48_000 }, (_, i) => 0.4 * Math.sin((2 * Math.PI * 220 * i) / 48_000));

async function slow(pcm: Float32Array, map: TimeMap, stretcher: Stretcher = wsola): Promise<Float32Array> {
  const parts: AudioChunk[] = [];
  let end = 0;
  for await (const chunk of slowed(feed(chunksOf(pcm, 48_000, 960)), map, stretcher, signal)) {
    expect(chunk.start).toBe(Math.round((end * 1e6) / 48_000));
    end += chunk.pcm.length;
    parts.push(chunk);
  }
  return Float32Array.from(parts.flatMap((part) => [...part.pcm]));
}
/** The largest step from one sample to the next. */
const step = (pcm: Float32Array) => pcm.reduce((most, x, i) => Math.max(most, Math.abs(x - (pcm[i - 1] ?? x))), 0);
const loudness = (pcm: Float32Array) => Math.sqrt(pcm.reduce((sum, x) => sum + x * x, 0) / pcm.length);

describe('the programme’s sound, slowed', () => {
  const map = timeMap([
    { start: second(1), end: second(2), factor: 1.2 },
    { start: second(2), end: second(2.5), factor: 1.1 },
    { start: second(4), end: second(4.5), factor: 1.15 },
  ]);

  test('is as long as the map says, and the very same where nothing is slowed', async () => {
    const pcm = tone(6);
    const slower = await slow(pcm, map);
    expect(slower.length).toBe((map.at(second(6)) * 48) / 1_000);
    const same = (from: number, until: number) => {
      const start = (map.at(second(from)) * 48) / 1_000;
      expect(slower.slice(start, start + Math.round((until - from) * 48_000))).toEqual(
        pcm.slice(Math.round(from * 48_000), Math.round(until * 48_000)),
      );
    };
    same(0, 0.99);
    same(2.51, 3.99);
    same(4.51, 6);
  });

  test('has no click and no hole at its borders', async () => {
    const slower = await slow(tone(6), map);
    expect(step(slower)).toBeLessThan(1.6 * step(tone(1)));
    for (let i = 0; i + 960 <= slower.length; i += 480) {
      expect(loudness(slower.subarray(i, i + 960))).toBeGreaterThan(0.12);
    }
  });

  test.for([
    ['before anything is slowed', 0.5],
    ['within a slowed stretch', 1.7],
    ['at its border', 2],
    ['right behind it', 2.505],
    ['within the last', 4.3],
  ] as const)('a programme that ends %s has its length', async ([, length]) => {
    const slower = await slow(tone(6).subarray(0, length * 48_000), map);
    expect(slower.length).toBe(Math.round((map.at(second(length)) * 48) / 1_000));
  });

  test('begins slow where the map does, and stretches what is long part by part', async () => {
    const calls: number[] = [];
    const watched: Stretcher = {
      name: 'watched',
      stretch: (pcm, ...rest) => {
        calls.push(pcm.length / 48_000);
        return wsola.stretch(pcm, ...rest);
      },
    };
    const long = timeMap([{ start: second(0), end: second(40), factor: 1.1 }]);
    const slower = await slow(tone(41), long, watched);
    expect(slower.length).toBe(45 * 48_000);
    expect(calls.length).toBe(3);
    expect(Math.max(...calls)).toBeLessThan(16);
    expect(step(slower)).toBeLessThan(1.6 * step(tone(1)));
  });

  test.skipIf(missing('talking/musetalk/eng.wav'))(
    'keeps every onset of real speech where the map puts it',
    async () => {
      const { rubberband } = await import('../../media/rubberband.ts');
      const pcm = decode(recording('talking/musetalk/eng.wav'), 48_000).subarray(0, 20 * 48_000);
      const speech = timeMap([
        { start: second(2), end: second(7), factor: 1.2 },
        { start: second(9), end: second(12), factor: 1.1 },
      ]);
      const slower = await slow(pcm, speech, await rubberband());
      const envelope = (x: Float32Array) =>
        Float64Array.from({ length: Math.floor(x.length / 240) }, (_, k) =>
          loudness(x.subarray(k * 240, (k + 1) * 240)),
        );
      const [before, after] = [envelope(pcm), envelope(slower)];
      // Where 2 s of the programme lie in the output, as found by correlation, against where the map says.
      for (const middle of [1, 4.5, 8, 10.5, 16]) {
        let best = { lag: 0, score: -1 };
        for (let lag = -20; lag <= 20; lag += 1) {
          let score = 0;
          for (let t = middle - 1; t < middle + 1; t += 0.005) {
            score += (before[Math.round(t * 200)] ?? 0) * (after[Math.round(speech.at(second(t)) / 5_000) + lag] ?? 0);
          }
          if (score > best.score) best = { lag, score };
        }
        expect(Math.abs(best.lag * 5), `${middle} s`).toBeLessThanOrEqual(10);
      }
    },
    60_000,
  );
});
