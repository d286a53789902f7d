import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type FbankOptions, KaldiFbank, fbank } from '../../models/dsp/kaldi-fbank.ts';

/** Written by models/export/vad_reference.py, in NumPy with double precision and checked against torchaudio's. */
interface Reference {
  readonly first: readonly number[];
  readonly cases: readonly {
    readonly options: {
      readonly bands: number;
      readonly window: 'povey' | 'hamming' | 'hanning';
      readonly snip: boolean;
      readonly scale: number;
      readonly lowest?: number;
      readonly highest?: number;
    };
    readonly count: number;
    /** The first, the second, the middle and the last row. */
    readonly rows: readonly (readonly number[])[];
  }[];
}
const file = new URL('../fixtures/kaldi-fbank/drawn.json', import.meta.url);
const { first, cases } = JSON.parse(readFileSync(file, 'utf8')) as Reference;

/** The same signal as in the script, made of integers. */
function drawn(count: number): Float32Array {
  let seed = 7;
  return Float32Array.from({ length: count }, (_, i) => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    const saw = ((i * (50 + Math.floor(i / 64))) % 16_384) - 8_192;
    return (saw + (seed >>> 20) - 2_048) / 32_768;
  });
}
const signal = drawn(2_000);
const given = ({ options: { snip, ...rest } }: Reference['cases'][number]): FbankOptions => ({
  ...rest,
  snipEdges: snip,
});

describe('the Kaldi filter bank', () => {
  test('is compared on the signal that the reference was made of', () => {
    for (const [n, sample] of first.entries()) expect(signal[n]).toBeCloseTo(sample, 6);
  });

  test.for(cases)('gives what Kaldi gives: $options', (reference) => {
    const { data, dims } = fbank(signal, given(reference));
    const { count, rows } = reference;
    expect(dims).toEqual([count, reference.options.bands]);
    for (const [n, at] of [0, 1, Math.floor(count / 2), count - 1].entries()) {
      const row = [...data.subarray(at * dims[1]!, (at + 1) * dims[1]!)].map(Number);
      const worst = Math.max(...row.map((x, band) => Math.abs(x - rows[n]![band]!)));
      expect(worst).toBeLessThan(1e-4);
    }
  });

  test.for(cases)('gives the same however the signal is cut: $options', (reference) => {
    const whole = fbank(signal, given(reference));
    const bank = new KaldiFbank(given(reference));
    const rows: Float32Array[] = [];
    for (let offset = 0, n = 0; offset < signal.length; n += 1) {
      const size = [1, 333, 7, 160, 512][n % 5]!;
      rows.push(...bank.push(signal.subarray(offset, offset + size)));
      offset += size;
    }
    rows.push(...bank.end());
    expect(rows.flatMap((row) => [...row])).toEqual([...whole.data]);
  });

  test('begins anew after the end of a signal', () => {
    const bank = new KaldiFbank();
    bank.push(signal.subarray(0, 777));
    bank.end();
    expect(bank.push(signal)).toEqual(new KaldiFbank().push(signal));
  });

  test('gives a row as soon as its window is full, and says nothing of silence but the floor', () => {
    const bank = new KaldiFbank({ bands: 8 });
    expect(bank.push(new Float32Array(399))).toEqual([]);
    expect(bank.push(new Float32Array(1))).toEqual([new Float32Array(8).fill(Math.log(2 ** -23))]);
  });

  test('refuses bands that lie outside of the spectrum', () => {
    expect(() => new KaldiFbank({ highest: 9_000 })).toThrow(/20 … 9000 Hz/);
  });
});
