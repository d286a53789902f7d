import { afterAll, describe, expect, test } from 'vitest';
import { type AudioChunk, endOf } from '../../media/audio.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { at, seconds } from '../../media/time.ts';
import { registry } from '../../models/index.ts';
import { conforms } from '../conformance/stage.ts';
import { chunksOf, decode, feed, missing, recording } from '../fakes/recordings.ts';

const scope = new Scope('test');
afterAll(() => scope.close());
const load = () => registry().load('enhancer', 'rnnoise', {}, scope);

/** White noise, always the same. */
const noise = (length: number, level: number) => {
  let seed = 7;
  return Float32Array.from({ length }, () => {
    seed = (seed * 1_664_525 + 1_013_904_223) >>> 0;
    return level * (seed / 2 ** 31 - 1);
  });
};
const clean = async (chunks: readonly AudioChunk[]) => {
  const enhancer = await load();
  const output: AudioChunk[] = [];
  const signal = new AbortController().signal;
  for await (const chunk of enhancer.run(feed(chunks), { signal, clock: new MonotonicClock() })) output.push(chunk);
  return output;
};
const join = (chunks: readonly AudioChunk[]) => Float32Array.from(chunks.flatMap(({ pcm }) => [...pcm]));
const energy = (pcm: Float32Array) => pcm.reduce((sum, x) => sum + x * x, 0) / pcm.length;

/** Scale-invariant signal-to-distortion ratio in dB (Le Roux et al., "SDR – half-baked or well done?", 2019). */
function siSdr(reference: Float32Array, estimate: Float32Array): number {
  let dot = 0;
  let power = 0;
  for (const [i, x] of reference.entries()) {
    dot += x * (estimate[i] ?? 0);
    power += x * x;
  }
  const gain = dot / power;
  let target = 0;
  let error = 0;
  for (const [i, x] of reference.entries()) {
    target += (gain * x) ** 2;
    error += ((estimate[i] ?? 0) - gain * x) ** 2;
  }
  return 10 * Math.log10(target / error);
}

conforms('rnnoise', load, () => chunksOf(noise(60_000, 0.2), 48_000, 960));

describe('rnnoise', () => {
  test('takes out steady noise', async () => {
    const pcm = noise(192_000, 0.1);
    const cleaned = join(await clean(chunksOf(pcm, 48_000, 960)));
    expect(energy(cleaned.subarray(144_000))).toBeLessThan(0.1 * energy(pcm));
  });

  test('cleans the same however the audio is cut', async () => {
    const pcm = noise(30_001, 0.1);
    expect(join(await clean(chunksOf(pcm, 48_000, [7, 960, 1_500])))).toEqual(
      join(await clean(chunksOf(pcm, 48_000, 480))),
    );
  });

  test('keeps every sample on either side of lost audio in its place', async () => {
    const chunks = chunksOf(noise(30_000, 0.1), 48_000, 1_000, at(seconds(3)));
    const output = await clean(chunks.toSpliced(10, 5));
    expect(join(output)).toHaveLength(25_000);
    const gap = output.findIndex(({ start }, n) => n > 0 && start - endOf(output[n - 1]!) > 1_000);
    expect(endOf(output[gap - 1]!)).toBe(chunks[10]!.start);
    expect(output[gap]!.start).toBe(chunks[15]!.start);
  });

  const pair = ['se/dfn_noisy_snr0.wav', 'se/dfn_clean.wav'] as const;
  const absent = missing(...pair);
  test.skipIf(absent)(
    `improves real noisy speech, and its output lies where its input lay ${absent ?? ''}`,
    async () => {
      const [noisy, wanted] = pair.map((name) => decode(recording(name), 48_000)) as [Float32Array, Float32Array];
      const cleaned = join(await clean(chunksOf(noisy, 48_000, 960)));
      expect(cleaned.length).toBe(noisy.length);
      const gain = siSdr(wanted, cleaned) - siSdr(wanted, noisy);
      expect(gain).toBeGreaterThan(4);
      // A shift by 10 ms, the network's own delay, would leave nothing of that.
      expect(siSdr(wanted.subarray(480), cleaned.subarray(0, -480))).toBeLessThan(0);
    },
  );
});
