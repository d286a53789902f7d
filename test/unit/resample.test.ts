import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Resampler, resample } from '../../media/resample.ts';
import { type SampleRate, toMs } from '../../media/time.ts';

const PAIRS = [
  [48_000, 16_000],
  [16_000, 48_000],
  [22_050, 48_000],
  [24_000, 48_000],
  [8_000, 48_000],
] as const satisfies [SampleRate, SampleRate][];

const tone = (hz: number, rate: number, length: number, phase = 0) =>
  Float32Array.from({ length }, (_, i) => Math.sin((2 * Math.PI * hz * i) / rate + phase));
/** Level of what is at `hz`, in dB below a full-scale sine; edges left out, Hann window. */
function level(pcm: Float32Array, hz: number, rate: number): number {
  const cut = pcm.subarray(600, pcm.length - 600);
  let re = 0;
  let im = 0;
  let weight = 0;
  cut.forEach((x, i) => {
    const w = 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / cut.length);
    re += w * x * Math.cos((2 * Math.PI * hz * i) / rate);
    im += w * x * Math.sin((2 * Math.PI * hz * i) / rate);
    weight += w;
  });
  return 20 * Math.log10((2 * Math.hypot(re, im)) / weight + 1e-12);
}
const rms = (pcm: Float32Array) => Math.sqrt(pcm.reduce((sum, x) => sum + x * x, 0) / pcm.length);
const db = (x: number) => 20 * Math.log10(x + 1e-12);

test.for(PAIRS)('%d → %d Hz: ripple below 0.05 dB up to 0.427 of the lower rate', ([from, to]) => {
  const edge = 0.427 * Math.min(from, to);
  for (let k = 1; k <= 20; k += 1) {
    const hz = (edge * k) / 20;
    expect(Math.abs(level(resample(tone(hz, from, from / 2), from, to), hz, to))).toBeLessThan(0.05);
  }
});

test.for([
  [48_000, 16_000],
  [48_000, 8_000],
  [24_000, 16_000],
] as const)('%d → %d Hz: what the lower rate cannot carry is more than 60 dB down', ([from, to]) => {
  for (let hz = to / 2; hz < from / 2; hz += 97) {
    const alias = resample(tone(hz, from, from / 4, 1), from, to);
    expect(db(rms(alias.subarray(200, -200)) * Math.SQRT2), `${hz} Hz`).toBeLessThan(-60);
  }
});

test.for(PAIRS.slice(1))('%d → %d Hz: images of what was there are more than 60 dB down', ([from, to]) => {
  for (const hz of [200, 1_000, 0.3 * from, 0.427 * from]) {
    const heard = resample(tone(hz, from, from / 2), from, to);
    for (let image = from; image <= to; image += from) {
      if (image - hz < to / 2) expect(level(heard, image - hz, to), `${image - hz} Hz`).toBeLessThan(-60);
      if (image + hz < to / 2) expect(level(heard, image + hz, to), `${image + hz} Hz`).toBeLessThan(-60);
    }
  }
});

test.for(PAIRS)('%d → %d Hz: sample 0 out is sample 0 in', ([from, to]) => {
  const hz = 300;
  const heard = resample(tone(hz, from, from / 2), from, to);
  const wanted = tone(hz, to, heard.length);
  const error = heard.map((x, i) => x - (wanted[i] ?? 0)).subarray(600, -600);
  expect(db(rms(error))).toBeLessThan(-60);
});

test('however a stream is cut, the same samples come out, and as many as its length says', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(700), { maxLength: 20 }), fc.constantFrom(...PAIRS), (cuts, [from, to]) => {
      const total = cuts.reduce((sum, cut) => sum + cut, 0);
      const input = tone(440, from, total);
      const resampler = new Resampler(from, to);
      for (let round = 0; round < 2; round += 1) {
        const heard: number[] = [];
        let at = 0;
        for (const cut of cuts) heard.push(...resampler.push(input.subarray(at, (at += cut))));
        heard.push(...resampler.flush());
        expect(heard).toHaveLength(Math.round((total * to) / from));
        expect(heard).toEqual([...resample(input, from, to)]);
      }
    }),
    { numRuns: 60 },
  );
});

test('output trails input by no more than the lookahead it states', () => {
  for (const [from, to] of PAIRS) {
    const resampler = new Resampler(from, to);
    const heard = resampler.push(new Float32Array(from));
    expect(toMs(resampler.lookahead)).toBeLessThanOrEqual(4);
    expect(1_000 - (heard.length * 1_000) / to).toBeLessThanOrEqual(toMs(resampler.lookahead) + 0.1);
  }
});

test('a rate that stays the same costs nothing and changes nothing', () => {
  const pcm = tone(440, 48_000, 480);
  expect(resample(pcm, 48_000, 48_000)).toEqual(pcm);
});
