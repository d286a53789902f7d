import fc from 'fast-check';
import { expect, test } from 'vitest';
import { locate } from '../../bench/align.ts';

const RATE = 16_000;
/** Syllables of noise, 80 to 300 ms, with pauses between them: what a loudness curve sees of speech. */
function babble(seconds: number, seed: number): Float32Array {
  let state = seed >>> 0;
  const random = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  const pcm = new Float32Array(seconds * RATE);
  for (let at = 0; at < pcm.length;) {
    const length = Math.round((0.08 + 0.22 * random()) * RATE);
    const level = random() < 0.3 ? 0.001 : 0.05 + 0.4 * random();
    for (let i = at; i < Math.min(pcm.length, at + length); i += 1) pcm[i] = level * (2 * random() - 1);
    at += length;
  }
  return pcm;
}

test('a recording is found in its programme to 5 ms, wherever it was begun, also over the seam of the loop', () => {
  const programme = babble(6, 7);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: programme.length - 1 }), (begin) => {
      const heard = Float32Array.from({ length: 2 * RATE }, (_, i) => programme[(begin + i) % programme.length]!);
      const { at, likeness } = locate(heard, programme);
      const error = Math.abs(at - begin / RATE);
      expect(Math.min(error, programme.length / RATE - error)).toBeLessThanOrEqual(0.005);
      expect(likeness).toBeGreaterThan(0.6);
    }),
    { numRuns: 8, examples: [[0], [5.8 * RATE]] },
  );
});

test('also a quieter one, with noise of its own', () => {
  const programme = babble(6, 7);
  const noise = babble(3, 99);
  const heard = programme.slice(2 * RATE, 5 * RATE).map((x, i) => 0.3 * x + 0.002 * noise[i]!);
  const { at, likeness } = locate(heard, programme);
  expect(Math.abs(at - 2)).toBeLessThanOrEqual(0.005);
  expect(likeness).toBeGreaterThan(0.7);
});

test('another programme is not like it', () => {
  expect(locate(babble(20, 1), babble(24, 2)).likeness).toBeLessThan(0.5);
});
