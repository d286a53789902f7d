import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LoudnessMeter, speechLoudness } from '../../media/loudness.ts';
import type { SampleRate } from '../../media/time.ts';
import { decibels } from '../../media/decibels.ts';
import { TruePeakMeter, truePeak } from '../../media/true-peak.ts';

const RATES = [8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000] as const;
/** A sine of `hertz` whose peak lies at `db` below full scale. */
const sine = (seconds: number, db: number, rate: SampleRate = 48_000, hertz = 1_000) =>
  Float32Array.from(
    { length: Math.round(seconds * rate) },
    (_, i) => 10 ** (db / 20) * Math.sin((2 * Math.PI * hertz * i) / rate),
  );
const joined = (...parts: Float32Array[]) => Float32Array.from(parts.flatMap((part) => [...part]));
const measured = (pcm: Float32Array, rate: SampleRate = 48_000) => {
  const meter = new LoudnessMeter(rate);
  meter.push(pcm);
  return meter;
};

// EBU Tech 3341 (2016), table 1: stereo sines at 1 kHz in phase, to be measured within 0.1 LU.
describe('EBU Tech 3341', () => {
  test.for([-23, -33])('cases 1 and 2: a sine at %d dBFS is as loud in all three windows', (level) => {
    const meter = measured(sine(20, level));
    for (const loudness of [meter.momentary, meter.shortTerm, meter.integrated]) {
      expect(Math.abs(loudness - level)).toBeLessThan(0.1);
    }
  });
  test.for<[string, [seconds: number, level: number][]]>([
    [
      '3: what lies 13 LU below does not count',
      [
        [10, -36],
        [60, -23],
        [10, -36],
      ],
    ],
    [
      '4: nor does what lies below −70',
      [
        [10, -72],
        [10, -36],
        [60, -23],
        [10, -36],
        [10, -72],
      ],
    ],
    [
      '5: what lies 6 LU above and below does',
      [
        [20, -26],
        [20.1, -20],
        [20, -26],
      ],
    ],
  ])('case %s', ([, parts]) => {
    expect(Math.abs(measured(joined(...parts.map(([s, db]) => sine(s, db)))).integrated + 23)).toBeLessThan(0.1);
  });
  test('case 9: short-term stays where two levels take turns within its window', () => {
    const meter = new LoudnessMeter(48_000);
    for (let n = 0; n < 5; n += 1) meter.push(joined(sine(1.34, -20), sine(1.66, -30)));
    expect(Math.abs(meter.shortTerm + 23)).toBeLessThan(0.1);
  });
  test('case 12: momentary stays where two levels take turns within its window', () => {
    const meter = new LoudnessMeter(48_000);
    for (let n = 0; n < 25; n += 1) meter.push(joined(sine(0.18, -20), sine(0.22, -30)));
    expect(Math.abs(meter.momentary + 23)).toBeLessThan(0.1);
  });
  test.for([
    [12_000, 0, -6],
    [12_000, 45, -6],
    [8_000, 60, -6],
    [6_000, 67.5, -6],
    [12_000, 45, 3],
  ] as const)('cases 15 … 19: a sine of %d Hz from %d° on has its true peak at %d dBTP', ([hertz, phase, db]) => {
    const pcm = Float32Array.from(
      { length: 48_000 },
      (_, i) =>
        10 ** (db / 20) *
        Math.sin(2 * Math.PI * ((hertz * i) / 48_000 + phase / 360)) *
        Math.min(1, i / 480, (48_000 - i) / 480),
    );
    expect(truePeak(pcm) - db).toBeGreaterThan(-0.4);
    expect(truePeak(pcm) - db).toBeLessThan(0.2);
  });
});

// EBU Tech 3342, table 1: 20 s at each level.
test.for([
  [-20, -30, 10],
  [-20, -15, 5],
  [-40, -20, 20],
] as const)('Tech 3342: 20 s at %d and 20 s at %d dBFS have a range of %d LU', ([first, second, range]) => {
  expect(Math.abs(measured(joined(sine(20, first), sine(20, second))).range - range)).toBeLessThan(1);
});

test.for(RATES)('a sine of 500 Hz is as loud at %d Hz as at 48 kHz', (rate) => {
  const [here, there] = [measured(sine(5, -23, rate, 500), rate), measured(sine(5, -23, 48_000, 500))];
  expect(Math.abs(here.integrated - there.integrated)).toBeLessThan(0.05);
  expect(Math.abs(speechLoudness(sine(5, -23, rate, 500), rate)! - there.integrated)).toBeLessThan(0.1);
});

test('a sound left alone is 3 dB quieter than on both sides, and two buffers of the same are as loud as one', () => {
  const pcm = sine(3, -23);
  const [alone, same] = [new LoudnessMeter(48_000), new LoudnessMeter(48_000)];
  alone.push(pcm, new Float32Array(pcm.length));
  same.push(pcm, pcm.slice());
  expect(measured(pcm).integrated - alone.integrated).toBeCloseTo(3.0103, 3);
  expect(same.integrated).toBeCloseTo(measured(pcm).integrated, 9);
});

test('before the first 400 ms there is no loudness, nor in silence', () => {
  expect(measured(sine(0.39, -23)).momentary).toBe(Number.NEGATIVE_INFINITY);
  const silence = measured(new Float32Array(48_000 * 4));
  for (const value of [silence.momentary, silence.shortTerm, silence.integrated]) {
    expect(value).toBe(Number.NEGATIVE_INFINITY);
  }
  expect(silence.range).toBe(0);
  expect(speechLoudness(new Float32Array(16_000), 16_000)).toBeUndefined();
  expect(speechLoudness(new Float32Array(0), 16_000)).toBeUndefined();
  expect(speechLoudness(sine(1, -70, 16_000), 16_000)).toBeUndefined();
});

test('one broken sample costs the loudness of its own 400 ms, no more', () => {
  const pcm = sine(10, -23);
  pcm[48_000] = Number.NaN;
  const meter = measured(pcm);
  expect(meter.momentary).toBeCloseTo(measured(sine(10, -23)).momentary, 3);
  expect(Math.abs(meter.integrated + 23)).toBeLessThan(0.2);
});

test('however sound is cut, loudness and true peak are the same', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 9_000 }), { minLength: 1, maxLength: 20 }),
      fc.boolean(),
      (cuts, stereo) => {
        const left = joined(sine(0.4, -30), sine(0.8, -6, 48_000, 11_950));
        const right = stereo ? left.map((x, i) => x * Math.sin(i / 999)) : left;
        const [whole, cut] = [new LoudnessMeter(48_000), new LoudnessMeter(48_000)];
        const [wholePeak, cutPeak] = [new TruePeakMeter(), new TruePeakMeter()];
        whole.push(left, right);
        wholePeak.push(right);
        for (let from = 0, n = 0; from < left.length; n += 1) {
          const to = from + cuts[n % cuts.length]!;
          const piece = left.subarray(from, to);
          cut.push(piece, stereo ? right.subarray(from, to) : piece);
          cutPeak.push(right.subarray(from, to));
          from = to;
        }
        expect(cut.integrated).toBeCloseTo(whole.integrated, 9);
        expect(cut.momentary).toBeCloseTo(whole.momentary, 9);
        expect(cutPeak.truePeak).toBe(wholePeak.truePeak);
      },
    ),
    { numRuns: 30 },
  );
});

test('a peak between two samples is seen', () => {
  // A quarter of the rate, 45° off: every sample lies at 0.707 of the wave's height.
  const pcm = Float32Array.from(
    { length: 4_800 },
    (_, i) => Math.sin((Math.PI / 2) * i + Math.PI / 4) * Math.min(1, i / 480),
  );
  expect(decibels(Math.max(...pcm))).toBeCloseTo(-3.01, 1);
  expect(Math.abs(truePeak(pcm))).toBeLessThan(0.2);
});
