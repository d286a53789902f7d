import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ClickDetector, findClicks } from '../../media/clicks.ts';

const RATE = 48_000;
/** A steady vowel: 25 harmonics of 120 Hz, and a little noise. */
const vowel = (seconds: number) => {
  let seed = 7;
  return Float32Array.from({ length: seconds * RATE }, (_, i) => {
    seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
    let x = (seed / 2 ** 30 - 1) * 1e-5;
    for (let k = 1; k <= 25; k += 1) x += (0.15 / k) * Math.sin((2 * Math.PI * 120 * k * i) / RATE + k * k);
    return x * Math.min(1, i / 4_800, (seconds * RATE - i) / 4_800);
  });
};

test('a vowel that fades in and out has no click, nor has silence', () => {
  expect(findClicks(vowel(1), RATE)).toEqual([]);
  expect(findClicks(new Float32Array(RATE), RATE)).toEqual([]);
});

test('a jump of the gain is found where it is, wherever there is sound to jump', () => {
  const clean = vowel(1);
  // Where the sound crosses zero, a change of its gain is no jump.
  const sounds = (place: number) => Math.abs(clean[place - 1]!) > 0.02 && Math.abs(clean[place]!) > 0.02;
  fc.assert(
    fc.property(fc.integer({ min: 9_600, max: 38_400 }).filter(sounds), (place) => {
      const clicks = findClicks(
        clean.map((x, i) => (i < place ? x : x * 0.7)),
        RATE,
      );
      expect(clicks.length).toBeGreaterThan(0);
      for (const click of clicks) expect(Math.abs(click.at - place)).toBeLessThan(96);
    }),
    { numRuns: 40 },
  );
});

test('a sound that starts or stops without a fade clicks there', () => {
  const middle = vowel(1).subarray(10_017, 30_005);
  const clicks = findClicks(middle, RATE);
  expect(clicks.some((click) => Math.abs(click.at) < 96)).toBe(true);
  expect(clicks.some((click) => Math.abs(click.at - middle.length) < 96)).toBe(true);
});

test('however sound is cut into blocks, the same clicks are found', () => {
  const pcm = vowel(1).map((x, i) => (i >= 20_000 && i < 20_010 ? 0 : i > 33_333 ? -x : x));
  const whole = findClicks(pcm, RATE);
  expect(whole.length).toBeGreaterThanOrEqual(2);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 9_000 }), { minLength: 1, maxLength: 6 }), (sizes) => {
      const detector = new ClickDetector(RATE);
      const found = [];
      for (let from = 0, n = 0; from < pcm.length; n += 1) {
        const to = from + sizes[n % sizes.length]!;
        found.push(...detector.push(pcm.subarray(from, to)));
        from = to;
      }
      expect([...found, ...detector.end()]).toEqual(whole);
    }),
    { numRuns: 10 },
  );
});
