import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Fft } from '../../models/dsp/fft.ts';
import { Mfcc, RATE, WINDOW } from '../../models/dsp/mfcc.ts';
import { PITCH_WINDOW, Pitch } from '../../models/dsp/pitch.ts';
import { Speakers } from '../../models/speakers/speakers.ts';
import { VoiceMeasurer } from '../../models/speakers/voice.ts';

const sine = (hertz: number, length: number, rate = RATE) =>
  Float32Array.from({ length }, (_, i) => 0.3 * Math.sin((2 * Math.PI * hertz * i) / rate));
/** A voice of sorts: a pulse for every period, softened so that lower partials are louder. */
const voice = (hertz: number, length: number, softness = 0.9) => {
  let level = 0;
  let phase = 0;
  return Float32Array.from({ length }, () => {
    phase += hertz / RATE;
    if (phase >= 1) {
      phase -= 1;
      level += 0.5;
    }
    return (level *= softness);
  });
};

describe('the Fourier transform', () => {
  test('puts a sine into its bin', () => {
    const power = new Float64Array(33);
    new Fft(64).power(sine(1_000, 64), power);
    expect(power.indexOf(Math.max(...power))).toBe(4);
    expect(power[4]).toBeCloseTo((0.3 * 32) ** 2, 3);
  });

  test('has the power that the definition has', () => {
    const slow = (x: readonly number[], k: number) => {
      const [re, im] = x.reduce(
        ([c, s], v, i) =>
          [c + v * Math.cos((2 * Math.PI * k * i) / 16), s + v * Math.sin((2 * Math.PI * k * i) / 16)] as const,
        [0, 0] as readonly [number, number],
      );
      return re * re + im * im;
    };
    const fft = new Fft(16);
    const signal = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 3, maxLength: 16 });
    fc.assert(
      fc.property(signal, (x) => {
        const power = new Float64Array(9);
        fft.power(x, power);
        for (const [k, p] of power.entries()) expect(p).toBeCloseTo(slow(x, k), 6);
      }),
    );
  });

  test('refuses a size that is no power of two', () => {
    expect(() => new Fft(400)).toThrow(RangeError);
  });
});

describe('cepstral coefficients', () => {
  test('are the same at any level', () => {
    const mfcc = new Mfcc();
    const quiet = voice(120, WINDOW);
    const [a, b] = [mfcc.of(quiet), mfcc.of(quiet.map((x) => x * 8))];
    for (const [k, x] of a.entries()) expect(b[k]).toBeCloseTo(x, 2);
  });

  test('tell a dull sound from a bright one by their first', () => {
    const mfcc = new Mfcc();
    expect(mfcc.of(voice(120, WINDOW, 0.97))[0]).toBeGreaterThan(mfcc.of(voice(120, WINDOW, 0.5))[0]! + 10);
  });
});

describe('the pitch', () => {
  test.for([80, 110, 150, 220, 300, 380])('of a voice at %i Hz is found within one per cent', (hertz) => {
    expect(new Pitch().of(voice(hertz, PITCH_WINDOW)) / hertz).toBeCloseTo(1, 1.7);
  });

  test('of noise and of silence is none', () => {
    let seed = 1;
    const noise = Float32Array.from(
      { length: PITCH_WINDOW },
      () => (seed = (seed * 16_807) % 2_147_483_647) / 2 ** 30 - 1,
    );
    expect(new Pitch().of(noise)).toBe(0);
    expect(new Pitch().of(new Float32Array(PITCH_WINDOW))).toBe(0);
  });
});

test('a voice measures the same however its audio is cut', () => {
  const pcm = voice(140, 16_000);
  const [whole, parts] = [new VoiceMeasurer(), new VoiceMeasurer()];
  whole.hear(pcm);
  for (let from = 0; from < pcm.length; from += 333) parts.hear(pcm.subarray(from, from + 333));
  expect(parts.voiced).toBe(whole.voiced);
  expect(whole.voiced).toBeGreaterThan(0.8);
  expect([...parts.sum()]).toEqual([...whole.sum()]);
  expect(whole.voiced).toBe(0);
});

describe('speakers', () => {
  const at = (x: number) => Float64Array.of(x, 0);
  test('are named in the order they come and keep their names', () => {
    const speakers = new Speakers(5, 8);
    expect([0, 20, 1, 40, 21, 0].map((x) => speakers.name(at(x)))).toEqual(['s1', 's2', 's1', 's3', 's2', 's1']);
  });
  test('are no more than there may be: whoever comes then is the nearest', () => {
    const speakers = new Speakers(5, 2);
    expect([0, 20, 100, 2].map((x) => speakers.name(at(x)))).toEqual(['s1', 's2', 's2', 's1']);
  });
});
