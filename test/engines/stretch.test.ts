import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { resample } from '../../media/resample.ts';
import { rubberband } from '../../media/rubberband.ts';
import type { Stretcher } from '../../media/stretch.ts';
import { decodeWav } from '../../media/wav.ts';
import { wsola } from '../../media/wsola.ts';

const media = process.env['LIVEDUB_MEDIA'] ?? fileURLToPath(new URL('../../../shared/media', import.meta.url));
const speechFile = join(media, 'talking/musetalk/eng.wav');
const { signal } = new AbortController();
const SPEEDS = [0.5, 0.9, 1.1, 1.2, 2] as const;

/** Loudness every 5 ms. */
function envelope(pcm: Float32Array, rate: number): Float64Array {
  const hop = rate / 200;
  return Float64Array.from({ length: Math.floor(pcm.length / hop) }, (_, k) =>
    Math.sqrt(pcm.subarray(k * hop, (k + 1) * hop).reduce((sum, x) => sum + x * x, 0) / hop),
  );
}
/** How many milliseconds `b` lags behind `a`, by the best correlation of their envelopes; steps of 5 ms. */
function lag(a: Float64Array, b: Float64Array): number {
  let best = { lag: 0, score: -1 };
  for (let shift = -20; shift <= 20; shift += 1) {
    let score = 0;
    for (let i = 20; i < Math.min(a.length, b.length) - 20; i += 1) score += (a[i] ?? 0) * (b[i + shift] ?? 0);
    if (score > best.score) best = { lag: shift * 5, score };
  }
  return best.lag;
}
/** The envelope read at another speed. */
const paced = (env: Float64Array, speed: number) =>
  Float64Array.from({ length: Math.floor(env.length / speed) }, (_, i) => env[Math.round(i * speed)] ?? 0);

/** Pitch at sample `at`, by the first strong peak of the autocorrelation of 40 ms; nothing where it is unvoiced. */
function pitch(pcm: Float32Array, at: number, rate: number): number | undefined {
  const size = Math.round(rate * 0.04);
  if (at < 0 || at + 2 * size > pcm.length) return undefined;
  const longest = Math.round(rate / 70);
  const shortest = Math.round(rate / 400);
  const likeness = (by: number) => {
    let product = 0;
    let a = 1e-9;
    let b = 1e-9;
    for (let i = 0; i < size; i += 2) {
      const x = pcm[at + i]!;
      const y = pcm[at + i + by]!;
      product += x * y;
      a += x * x;
      b += y * y;
    }
    return product / Math.sqrt(a * b);
  };
  const scores = Array.from({ length: longest + 2 }, (_, by) => (by < shortest - 1 ? 0 : likeness(by)));
  const top = Math.max(...scores.slice(shortest));
  if (top < 0.8) return undefined;
  const by = scores.findIndex(
    (s, i) => i >= shortest && s > 0.93 * top && s >= (scores[i + 1] ?? 0) && s > (scores[i - 1] ?? 0),
  );
  if (by < 0) return undefined;
  const [l, m, r] = [scores[by - 1]!, scores[by]!, scores[by + 1]!];
  return rate / (by + (0.5 * (l - r)) / (l - 2 * m + r));
}
const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;

const clicks = (rate: number, length: number, places: readonly number[]) => {
  const pcm = new Float32Array(length);
  for (const place of places) for (let i = 0; i < rate / 50; i += 1) pcm[place + i] = Math.sin(i * 0.4) * 0.8;
  return pcm;
};

describe.each([
  ['rubberband', rubberband],
  ['wsola', async () => wsola],
] as [string, () => Promise<Stretcher>][])('%s', (_name, make) => {
  test.for(SPEEDS)('at %d the length is exact, whatever it was', async (speed) => {
    const stretcher = await make();
    for (const length of [0, 1, 100, 479, 4_801, 48_000]) {
      const pcm = Float32Array.from({ length }, (_, i) => 0.3 * Math.sin(i / 20));
      for (const rate of [16_000, 48_000] as const) {
        expect(await stretcher.stretch(pcm, rate, speed, signal)).toHaveLength(Math.round(length / speed));
      }
    }
  });

  test.for(SPEEDS)('at %d what sounds at the start and at the end is where it belongs', async (speed) => {
    const rate = 24_000;
    const length = 2 * rate;
    const stretcher = await make();
    const heard = await stretcher.stretch(clicks(rate, length, [2_400, length - 4_800]), rate, speed, signal);
    const loud = envelope(heard, rate);
    const peaks = [loud.subarray(0, loud.length >> 1), loud.subarray(loud.length >> 1)].map((part) =>
      part.indexOf(Math.max(...part)),
    );
    expect(Math.abs(peaks[0]! * 5 - 105 / speed)).toBeLessThanOrEqual(35);
    expect(Math.abs((peaks[1]! + (loud.length >> 1)) * 5 - (2_000 - 195) / speed)).toBeLessThanOrEqual(35);
  });

  test('at 1 it is the same audio in another buffer', async () => {
    const pcm = Float32Array.of(0.1, 0.2, 0.3);
    const heard = await (await make()).stretch(pcm, 48_000, 1, signal);
    expect(heard).toEqual(pcm);
    expect(heard).not.toBe(pcm);
  });

  test('silence stays silence', async () => {
    const heard = await (await make()).stretch(new Float32Array(24_000), 24_000, 1.2, signal);
    expect(Math.max(...heard.map(Math.abs))).toBeLessThan(1e-6);
  });

  test.for([0.4, 2.1, Number.NaN])('a speed of %d is our mistake, said at once', async (speed) => {
    await expect((await make()).stretch(new Float32Array(10), 48_000, speed, signal)).rejects.toThrow(
      'within 0.5 and 2',
    );
  });

  test('the event loop has its turn while it works, and an abort is heard', async () => {
    const stretcher = await make();
    const abort = new AbortController();
    const running = stretcher.stretch(new Float32Array(48_000 * 20).fill(0.1), 48_000, 1.1, abort.signal);
    let turns = 0;
    const count = () => {
      turns += 1;
      if (turns === 20) abort.abort(new Error('enough'));
      else setImmediate(count);
    };
    setImmediate(count);
    await expect(running).rejects.toThrow('enough');
    expect(turns).toBe(20);
  });

  test('two at once do not disturb each other', async () => {
    const stretcher = await make();
    const one = Float32Array.from({ length: 24_000 }, (_, i) => 0.5 * Math.sin(i / 15));
    const two = Float32Array.from({ length: 30_000 }, (_, i) => 0.3 * Math.sin(i / 33));
    const alone = [
      await stretcher.stretch(one, 24_000, 1.15, signal),
      await stretcher.stretch(two, 24_000, 0.9, signal),
    ];
    const together = await Promise.all([
      stretcher.stretch(one, 24_000, 1.15, signal),
      stretcher.stretch(two, 24_000, 0.9, signal),
    ]);
    expect(together).toEqual(alone);
  });

  describe.skipIf(!existsSync(speechFile))(`real speech (skipped without ${speechFile})`, () => {
    test.for([0.9, 1.1, 1.2])('at %d pitch is kept and every syllable is in its place', async (speed) => {
      const rate = 48_000;
      const { pcm, rate: from } = decodeWav(readFileSync(speechFile));
      expect(from).toBe(16_000);
      const speech = resample(pcm.subarray(0, 16_000 * 12), 16_000, rate);
      const heard = await (await make()).stretch(speech, rate, speed, signal);
      expect(heard).toHaveLength(Math.round(speech.length / speed));
      expect(Math.abs(lag(paced(envelope(speech, rate), speed), envelope(heard, rate)))).toBeLessThanOrEqual(5);

      const low = [resample(speech, rate, 8_000), resample(heard, rate, 8_000)] as const;
      const cents: number[] = [];
      for (let t = 0.2; t < heard.length / rate - 0.2; t += 0.02) {
        const before = pitch(low[0], Math.round(t * speed * 8_000), 8_000);
        const after = pitch(low[1], Math.round(t * 8_000), 8_000);
        if (before && after) cents.push(1_200 * Math.log2(after / before));
      }
      expect(cents.length).toBeGreaterThan(100);
      expect(Math.abs(median(cents))).toBeLessThan(5);
      expect(median(cents.map(Math.abs))).toBeLessThan(20);
    });
  });
});

test('a thousand lines leave no memory behind in Rubber Band', async () => {
  const stretcher = await rubberband();
  const line = new Float32Array(4_800).fill(0.1);
  const grow = async (count: number) => {
    for (let i = 0; i < count; i += 1) await stretcher.stretch(line, 48_000, 1.1, signal);
    return process.memoryUsage().arrayBuffers + process.memoryUsage().rss;
  };
  await grow(100);
  const before = await grow(100);
  const after = await grow(1_000);
  expect(after - before).toBeLessThan(64 * 1024 * 1024);
});
