import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { medianPitch, pitches } from '../../media/pitch.ts';
import { type SampleRate, ms, seconds } from '../../media/time.ts';

/** A voice of twelve harmonics, each weaker than the one below, without those below `from`. */
function voice(hertz: number, rate: SampleRate, length = 0.5, from = 1): Float32Array {
  return Float32Array.from({ length: Math.round(length * rate) }, (_, i) => {
    let sum = 0;
    for (let k = from; k <= 12 && k * hertz < rate / 2; k += 1)
      sum += Math.sin((2 * Math.PI * k * hertz * i) / rate) / k;
    return sum / 4;
  });
}
function noise(length: number, seed = 1): Float32Array {
  let state = seed;
  return Float32Array.from({ length }, () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0) / 2 ** 31);
}

describe('a voice’s pitch', () => {
  test('is found within one in a hundred, at any rate', () => {
    const rates = fc.constantFrom<SampleRate>(8_000, 16_000, 22_050, 24_000, 48_000);
    fc.assert(
      fc.property(fc.double({ min: 65, max: 480, noNaN: true }), rates, (hertz, rate) => {
        const found = medianPitch(voice(hertz, rate), rate);
        expect(Math.abs(found!.hertz / hertz - 1)).toBeLessThan(0.01);
        expect(Math.abs(found!.voiced - ms(460))).toBeLessThanOrEqual(ms(40));
      }),
      { numRuns: 60 },
    );
  });

  test('is found where a telephone took its fundamental', () => {
    expect(medianPitch(voice(110, 8_000, 1, 3), 8_000)?.hertz).toBeCloseTo(110, 0);
  });

  test('is found in noise as loud as half the voice', () => {
    const clean = voice(140, 16_000, 1);
    const hiss = noise(clean.length);
    const noisy = clean.map((x, i) => x + 0.15 * hiss[i]!);
    expect(Math.abs(medianPitch(noisy, 16_000)!.hertz / 140 - 1)).toBeLessThan(0.03);
  });

  test('is told with where it sounds', () => {
    const pcm = new Float32Array(48_000);
    pcm.set(voice(200, 16_000, 1), 16_000);
    const frames = pitches(pcm, 16_000, ms(10));
    expect(frames[0]!.offset).toBeGreaterThan(ms(960));
    expect(frames.at(-1)!.offset).toBeLessThan(ms(2_040));
    expect(medianPitch(pcm, 16_000)!.voiced).toBeLessThan(seconds(1.1));
  });

  test.for([
    ['noise', noise(16_000)],
    ['silence', new Float32Array(16_000)],
    ['a constant', new Float32Array(16_000).fill(0.5)],
    ['nothing', new Float32Array()],
    ['a click', new Float32Array(16_000).fill(0.9, 8_000, 8_001)],
  ] as const)('does not exist in %s', ([, pcm]) => {
    expect(medianPitch(pcm, 16_000)).toBeUndefined();
  });
});
