import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Opinion, openDnsmos } from '../../bench/metrics/dnsmos.ts';
import { siSdr } from '../../bench/metrics/si-sdr.ts';
import { type AudioChunk, endOf } from '../../media/audio.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { type SampleRate, at, ms, seconds } from '../../media/time.ts';
import { DeepFilterFeatures } from '../../models/clean/deepfilter-features.ts';
import { DFN3, DeepFilterNet, openDeepFilterNet } from '../../models/clean/deepfilternet.ts';
import { erbWidths } from '../../models/clean/erb.ts';
import { registry } from '../../models/index.ts';
import { openOnnx } from '../../models/runtime/onnx.ts';
import { Stft, vorbis } from '../../models/dsp/stft.ts';
import { floats, floatsOf } from '../../models/runtime/tensor.ts';
import { conforms } from '../conformance/stage.ts';
import { chunksOf, decode, feed, missing, recording } from '../fakes/recordings.ts';
import { lacking, weights } from '../weights.ts';

const scope = new Scope('test');
afterAll(() => scope.close());

interface Case {
  readonly id: string;
  readonly rate: SampleRate;
  readonly folder: string;
  /** How late it is, milliseconds. */
  readonly late: number;
  readonly absent: string | undefined;
}
const CASES: readonly Case[] = [
  { id: 'gtcrn', rate: 16_000, folder: 'se/gtcrn', late: 32, absent: lacking('se/gtcrn') },
  { id: 'deepfilternet3', rate: 48_000, folder: 'se/dfn3', late: 40, absent: lacking('se/dfn3') },
];
const load = ({ id, folder }: Pick<Case, 'id' | 'folder'>, config: object = {}) =>
  registry().load('enhancer', id, { model: weights(folder), ...config }, scope);
const [gtcrn, dfn] = CASES as [Case, Case];

/** White noise, always the same. */
const noise = (length: number, level: number) => {
  let seed = 7;
  return Float32Array.from({ length }, () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return level * (seed / 2 ** 31 - 1);
  });
};
const clean = async (each: Pick<Case, 'id' | 'folder'>, chunks: readonly AudioChunk[], config: object = {}) => {
  const enhancer = await load(each, config);
  const output: AudioChunk[] = [];
  const signal = new AbortController().signal;
  for await (const chunk of enhancer.run(feed(chunks), { signal, clock: new MonotonicClock() })) output.push(chunk);
  return output;
};
function joined(chunks: readonly AudioChunk[]): Float32Array {
  const pcm = new Float32Array(chunks.reduce((sum, chunk) => sum + chunk.pcm.length, 0));
  let from = 0;
  for (const chunk of chunks) {
    pcm.set(chunk.pcm, from);
    from += chunk.pcm.length;
  }
  return pcm;
}
const energy = (pcm: Float32Array) => pcm.reduce((sum, x) => sum + x * x, 0) / pcm.length;
/** The most by which two signals of one length differ. */
const apart = (a: Float32Array, b: Float32Array) =>
  a.length === b.length ? a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0) : NaN;

for (const each of CASES) {
  if (each.absent) continue;
  conforms(
    each.id,
    () => load(each),
    () => chunksOf(noise(each.rate, 0.1), each.rate, each.rate / 50),
  );
}

describe.for(CASES)('$id', (each) => {
  const { rate, late, absent } = each;

  test.skipIf(absent)(`is as late as it says it is, and no sample later ${absent ?? ''}`, async () => {
    const stage = await load(each);
    expect(stage.caps.lookahead).toBe(ms(late));
    let heard = 0;
    const listening = async function* () {
      for (const chunk of chunksOf(noise(rate / 4, 0.1), rate, 16)) {
        heard = endOf(chunk);
        yield chunk;
      }
      heard = Infinity;
    };
    let longest = 0;
    const signal = new AbortController().signal;
    for await (const { start } of stage.run(listening(), { signal, clock: new MonotonicClock() })) {
      if (heard < Infinity) longest = Math.max(longest, heard - start);
    }
    expect(longest).toBe(ms(late));
  });

  test.skipIf(absent)(`takes out steady noise ${absent ?? ''}`, async () => {
    const pcm = noise(2 * rate, 0.05);
    const cleaned = joined(await clean(each, chunksOf(pcm, rate, rate / 50)));
    expect(energy(cleaned.subarray(rate))).toBeLessThan(0.05 * energy(pcm));
  });

  test.skipIf(absent)(`cleans the same however the audio is cut ${absent ?? ''}`, async () => {
    const pcm = noise(30_001, 0.1);
    const cut = joined(await clean(each, chunksOf(pcm, rate, [7, 960, 1_500])));
    const whole = joined(await clean(each, chunksOf(pcm, rate, pcm.length)));
    expect(apart(cut, whole)).toBeLessThan(1e-5);
  });

  test.skipIf(absent)(`keeps every sample on either side of lost audio in its place ${absent ?? ''}`, async () => {
    const chunks = chunksOf(noise(30_000, 0.1), rate, 1_000, at(seconds(3)));
    const output = await clean(each, chunks.toSpliced(10, 5));
    expect(joined(output)).toHaveLength(25_000);
    const gap = output.findIndex(({ start }, n) => n > 0 && start - endOf(output[n - 1]!) > 1_000);
    expect(endOf(output[gap - 1]!)).toBe(chunks[10]!.start);
    expect(output[gap]!.start).toBe(chunks[15]!.start);
    expect(apart(joined(output.slice(gap)), joined(await clean(each, chunks.slice(15))))).toBeLessThan(1e-5);
  });
});

describe('gtcrn', () => {
  const [mix, theirs] = ['se/gtcrn_mix.wav', 'se/gtcrn_enh_stream.wav'] as const;
  const absent = gtcrn.absent ?? missing(mix, theirs);
  test.skipIf(absent)(`makes of a recording what its makers' own code made of it ${absent ?? ''}`, async () => {
    const [noisy, wanted] = [decode(recording(mix), 16_000), decode(recording(theirs), 16_000)];
    const cleaned = joined(await clean(gtcrn, chunksOf(noisy, 16_000, 320)));
    expect(cleaned.length).toBe(noisy.length);
    // 46.2 dB; at the very beginning theirs hears the audio mirrored where ours hears silence.
    expect(siSdr(wanted, cleaned)).toBeGreaterThan(40);
    expect(siSdr(wanted.subarray(8_000), cleaned.subarray(8_000))).toBeGreaterThan(48);
  });
});

describe('deepfilternet3', () => {
  const pair = ['se/dfn_noisy_snr0.wav', 'se/dfn_clean.wav'] as const;
  const absent = dfn.absent ?? missing(...pair);
  const [noisy, wanted] = absent ? [] : pair.map((name) => decode(recording(name), 48_000));

  test.skipIf(absent)(
    `cleans a recording in 0 dB of noise to 20 dB, each sample in its place ${absent ?? ''}`,
    async () => {
      const cleaned = joined(await clean(dfn, chunksOf(noisy!, 48_000, 960)));
      expect(cleaned.length).toBe(noisy!.length);
      expect(siSdr(wanted!, noisy!)).toBeCloseTo(6.05, 1);
      expect(siSdr(wanted!, cleaned)).toBeGreaterThan(19.9);
      for (const shift of [48, 480]) {
        expect(siSdr(wanted!.subarray(shift), cleaned.subarray(0, -shift))).toBeLessThan(10);
        expect(siSdr(wanted!.subarray(0, -shift), cleaned.subarray(shift))).toBeLessThan(10);
      }
    },
  );

  test.skipIf(absent)(`finds out frame by frame what its networks find out of the whole ${absent ?? ''}`, async () => {
    const count = 80;
    const stft = new Stft(vorbis(960));
    const features = new DeepFilterFeatures(erbWidths(48_000, 960, 32, 2), 96, 1 / 960);
    const net = new DeepFilterNet(
      await openDeepFilterNet({ stage: 'enhancer', card: DFN3, model: weights(dfn.folder) }, scope),
    );
    const spectrum = stft.spectrum();
    const [erbs, specs] = [new Float32Array(count * 32), new Float32Array(count * 192)];
    const [gains, filters] = [new Float32Array(count * 32), new Float32Array(count * 960)];
    for (let t = 0; t < count; t += 1) {
      stft.analyse(noisy!.subarray(48_000 + t * 480, 48_000 + (t + 1) * 480), spectrum);
      const heard = features.of(spectrum);
      erbs.set(heard.erb, t * 32);
      for (const part of [0, 1]) specs.set(heard.spec.subarray(part * 96, part * 96 + 96), (part * count + t) * 96);
      const found = await net.hear(heard);
      gains.set(found.gains, t * 32);
      filters.set(found.weights, t * 960);
    }
    const open = (name: string) => openOnnx(weights(`${dfn.folder}/${name}`), scope);
    const [encoder, bandDecoder, filterDecoder] = await Promise.all(
      ['enc', 'erb_dec', 'df_dec'].map((n) => open(`${n}.onnx`)),
    );
    const { e0, e1, e2, e3, emb, c0 } = await encoder!.run({
      feat_erb: floats(erbs, [1, 1, count, 32]),
      feat_spec: floats(specs, [1, 2, count, 96]),
    });
    const { m } = await bandDecoder!.run({ emb: emb!, e3: e3!, e2: e2!, e1: e1!, e0: e0! });
    const { coefs } = await filterDecoder!.run({ emb: emb!, c0: c0! });
    expect(apart(gains, floatsOf(m, 'm'))).toBeLessThan(1e-5);
    expect(apart(filters, floatsOf(coefs, 'coefs'))).toBeLessThan(1e-5);
  });

  test.skipIf(dfn.absent)(`turns noise down by no more than it is told to ${dfn.absent ?? ''}`, async () => {
    const pcm = noise(96_000, 0.05);
    const left = async (attenuation: number) => {
      const cleaned = joined(await clean(dfn, chunksOf(pcm, 48_000, 960), { attenuation }));
      return 10 * Math.log10(energy(cleaned.subarray(48_000)) / energy(pcm.subarray(48_000)));
    };
    expect(await left(0)).toBeCloseTo(0, 3);
    expect(await left(12)).toBeCloseTo(-12, 0);
    expect(await left(100)).toBeLessThan(-20);
    const untouched = joined(await clean(dfn, chunksOf(pcm, 48_000, 960), { attenuation: 0 }));
    expect(apart(untouched.subarray(480), pcm.subarray(480))).toBeLessThan(1e-5);
  });
});

const real = lacking('se/dfn3', 'se/gtcrn');
describe.skipIf(real)(`an enhancer's files ${real ?? ''}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'livedub-enhancers-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('that are not there are named, with the command that brings them', async () => {
    copyFileSync(weights('se/dfn3/enc_conv_streaming.onnx'), join(folder, 'enc_conv_streaming.onnx'));
    const loading = registry().load('enhancer', 'deepfilternet3', { model: folder }, scope);
    await expect(loading).rejects.toMatchObject({ name: 'Fault', kind: 'unavailable', stage: 'enhancer' });
    await expect(loading).rejects.toThrow(join(folder, 'enc_gru_streaming.onnx'));
    await expect(loading).rejects.toThrow('livedub models pull deepfilternet3');
  });

  test('that are another network are refused by name', async () => {
    copyFileSync(weights('se/dfn3/df_dec_streaming.onnx'), join(folder, 'gtcrn_simple.onnx'));
    const loading = registry().load('enhancer', 'gtcrn', { model: folder }, scope);
    await expect(loading).rejects.toMatchObject({ kind: 'broken', stage: 'enhancer' });
    await expect(loading).rejects.toThrow(/gtcrn_simple\.onnx .* inputs emb, c0, df_h0 where mix, .*models pull gtcrn/);
  });
});

describe('DNSMOS', () => {
  const files = ['se/dfn_noisy_snr0.wav', 'se/dfn_clean.wav', 'se/gtcrn_mix.wav', 'se/gtcrn_enh_stream.wav'];
  const absent = lacking('mos/dnsmos') ?? missing(...files);
  test.skipIf(absent)(
    `gives recordings the scores that somebody else's implementation gave them ${absent ?? ''}`,
    async () => {
      const listen = await openDnsmos(weights('mos/dnsmos'), scope);
      const opinions: Opinion[] = [];
      for (const file of files) opinions.push(await listen(decode(recording(file), 16_000)));
      const [noisy, clear, mix, enhanced] = opinions as [Opinion, Opinion, Opinion, Opinion];
      // From shared/models/MODELS.md. FFmpeg's resampling of the 48 kHz ones is not theirs.
      expect(noisy.overall).toBeCloseTo(2.61, 1);
      expect(clear.overall).toBeCloseTo(3.31, 1);
      expect(noisy.quality).toBeCloseTo(3.0, 1);
      expect(clear.quality).toBeCloseTo(3.92, 1);
      expect([mix.overall, mix.background]).toEqual([expect.closeTo(2.57, 1), expect.closeTo(2.64, 1)]);
      expect([enhanced.overall, enhanced.background]).toEqual([expect.closeTo(3.08, 1), expect.closeTo(3.99, 1)]);
    },
  );
});
