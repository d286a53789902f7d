import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deepFilter } from '../../models/clean/deep-filter.ts';
import { DeepFilterFeatures } from '../../models/clean/deepfilter-features.ts';
import { bandsOfBins, erbWidths } from '../../models/clean/erb.ts';
import { RealFft, spectrumOf } from '../../models/dsp/real-fft.ts';
import { Stft, rootHann, vorbis } from '../../models/dsp/stft.ts';

/** A signal made of integers, as models/export/deepfilternet_reference.py makes it. */
function drawn(count: number): Float32Array {
  let seed = 7;
  return Float32Array.from({ length: count }, (_, i) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    const saw = ((i * (50 + Math.floor(i / 64))) % 16_384) - 8_192;
    return (saw + (seed >>> 20) - 2_048) / 32_768;
  });
}

describe('the Fourier transform of real signals', () => {
  test.for([2, 6, 8, 30, 60, 512, 960])('of %i samples is what the definition says', (size) => {
    const signal = drawn(size);
    const spectrum = spectrumOf(size);
    new RealFft(size).forward(signal, spectrum);
    for (let k = 0; k <= size / 2; k += 1) {
      let [re, im] = [0, 0];
      for (const [i, x] of signal.entries()) {
        re += x * Math.cos((2 * Math.PI * k * i) / size);
        im -= x * Math.sin((2 * Math.PI * k * i) / size);
      }
      expect(spectrum.re[k]).toBeCloseTo(re, 9);
      expect(spectrum.im[k]).toBeCloseTo(im, 9);
    }
  });

  test('goes back to where it came from', () => {
    const fft = new RealFft(60);
    const signal = fc.array(fc.double({ min: -1, max: 1, noNaN: true }), { minLength: 60, maxLength: 60 });
    fc.assert(
      fc.property(signal, (x) => {
        const [spectrum, back] = [spectrumOf(60), new Float64Array(60)];
        fft.forward(x, spectrum);
        fft.inverse(spectrum, back);
        for (const [i, sample] of back.entries()) expect(sample).toBeCloseTo(x[i]!, 12);
      }),
    );
  });

  test('refuses a size that it cannot take apart', () => {
    for (const size of [0, 1, 15, 14, 321]) expect(() => new RealFft(size)).toThrow(`Cannot transform ${size} samples`);
  });
});

describe('the short-time transform', () => {
  test.for([
    ['rootHann', rootHann(512)],
    ['vorbis', vorbis(960)],
  ] as const)('gives a signal back a hop later, with %s', ([, window]) => {
    const stft = new Stft(window);
    const signal = drawn(20 * stft.hop);
    const spectrum = stft.spectrum();
    const back = new Float32Array(signal.length);
    for (let at = 0; at < signal.length; at += stft.hop) {
      stft.analyse(signal.subarray(at, at + stft.hop), spectrum);
      back.set(stft.synthesise(spectrum), at);
    }
    for (let i = stft.hop; i < signal.length; i += 1) expect(back[i]).toBeCloseTo(signal[i - stft.hop]!, 6);
  });
});

describe("DeepFilterNet's signal processing", () => {
  interface Reference {
    readonly frames: number;
    readonly widths: number[];
    readonly shown: readonly number[];
    readonly erb: readonly (readonly number[])[];
    /** Every sixth bin. */
    readonly real: readonly (readonly number[])[];
    readonly imaginary: readonly (readonly number[])[];
    /** Of each hop every 96th sample, from the fifth on. */
    readonly filtered: readonly (readonly number[])[];
  }
  const file = new URL('../fixtures/deepfilternet/drawn.json', import.meta.url);
  const reference = JSON.parse(readFileSync(file, 'utf8')) as Reference;
  const widths = erbWidths(48_000, 960, 32, 2);
  const signal = drawn(reference.frames * 480);

  test('divides the spectrum into the bands that the network was taught', () => {
    expect(widths).toEqual(reference.widths);
    expect(widths).toEqual([
      ...new Array<number>(13).fill(2),
      ...[5, 5, 7, 7, 8, 10, 12, 13, 15, 18, 20, 24, 28, 31, 37, 42, 50, 56, 67],
    ]);
    expect(bandsOfBins(widths)).toHaveLength(481);
  });

  test('hears the features that NumPy finds', () => {
    const stft = new Stft(vorbis(960));
    const features = new DeepFilterFeatures(widths, 96, 1 / 960);
    const spectrum = stft.spectrum();
    for (let t = 0; t < reference.frames; t += 1) {
      stft.analyse(signal.subarray(t * 480, (t + 1) * 480), spectrum);
      const { erb, spec } = features.of(spectrum);
      const row = reference.shown.indexOf(t);
      if (row < 0) continue;
      for (const [band, level] of reference.erb[row]!.entries()) expect(erb[band]).toBeCloseTo(level, 5);
      for (const [n, x] of reference.real[row]!.entries()) expect(spec[6 * n]).toBeCloseTo(x, 5);
      for (const [n, y] of reference.imaginary[row]!.entries()) expect(spec[96 + 6 * n]).toBeCloseTo(y, 5);
    }
  });

  test('makes of gains and filters the sound that NumPy makes', () => {
    const stft = new Stft(vorbis(960));
    const out = stft.spectrum();
    const heard = Array.from({ length: 5 }, () => stft.spectrum());
    for (let t = 0; t < reference.frames; t += 1) {
      const spectrum = heard.shift()!;
      heard.push(spectrum);
      stft.analyse(signal.subarray(t * 480, (t + 1) * 480), spectrum);
      const gains = Array.from({ length: 32 }, (_, band) => ((t * 31 + band * 17) % 100) / 100);
      const weights = Array.from({ length: 960 }, (_, i) => {
        const [bin, order, part] = [Math.floor(i / 10), Math.floor(i / 2) % 5, i % 2];
        return (((t * 7 + bin * 13 + order * 5 + part * 3) % 41) - 20) / 40;
      });
      deepFilter(heard, { gains, weights }, bandsOfBins(widths), 96, 0, out);
      const samples = stft.synthesise(out);
      for (const [n, x] of reference.filtered[t]!.entries()) expect(samples[5 + 96 * n]).toBeCloseTo(x, 5);
    }
  });

  test('leaves in as much of the original as it is told to', () => {
    const [a, b] = [spectrumOf(960), spectrumOf(960)];
    a.re.fill(1);
    const silence = { gains: new Float32Array(32), weights: new Float32Array(960) };
    deepFilter([b, b, a, b, b], silence, bandsOfBins(widths), 96, 0.25, b);
    expect([...new Set(b.re)]).toEqual([0.25]);
  });
});
