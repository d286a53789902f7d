import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { type AudioChunk, endOf } from '../../media/audio.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { at, seconds } from '../../media/time.ts';
import { registry } from '../../models/index.ts';
import type { Stems } from '../../pipeline/domain.ts';
import { conforms } from '../conformance/stage.ts';
import { chunksOf, decode, feed, missing, recording } from '../fakes/recordings.ts';
import { lacking, weights } from '../weights.ts';

const RATE = 44_100;
const folder = fileURLToPath(new URL('../fixtures/mdx-net', import.meta.url));
const reference = JSON.parse(readFileSync(`${folder}/reference.json`, 'utf8')) as {
  readonly shape: { fft: number; hop: number; stride: number; compensate: number };
  readonly count: number;
  readonly every: number;
  readonly voices: readonly number[];
};
const { fft, hop, stride, compensate } = reference.shape;
const TINY = { model: folder, file: 'mdx.onnx', fft, hop, compensate, stride: stride / RATE };

const scope = new Scope('test');
afterAll(() => scope.close());
const load = (config: object = {}) => registry().load('separator', 'mdx-net', { ...TINY, ...config }, scope);

/** The mix of `models/export/mdx_net.py`. */
function mix(count: number): Float32Array {
  let seed = 1;
  return Float32Array.from({ length: count }, (_, n) => {
    seed = (seed * 16_807) % 2_147_483_647;
    return 0.3 * Math.sin(n * 0.05) + 0.2 * Math.sin(n * n * 2e-6) + 0.1 * (seed / 2_147_483_647 - 0.5);
  });
}
async function separate(chunks: readonly AudioChunk[], config: object = {}): Promise<Stems[]> {
  const separator = await load(config);
  const stems: Stems[] = [];
  const signal = new AbortController().signal;
  for await (const each of separator.run(feed(chunks), { signal, clock: new MonotonicClock() })) stems.push(each);
  return stems;
}
const joined = (stems: readonly Stems[], part: 'speech' | 'rest') =>
  Float32Array.from(stems.flatMap((each) => [...each[part]]));

conforms(
  'mdx-net',
  () => load(),
  () => chunksOf(mix(20_000), RATE, 882),
);

describe('mdx-net', () => {
  test('finds the voices that the published way of running it finds', async () => {
    const speech = joined(await separate(chunksOf(mix(reference.count), RATE, 441)), 'speech');
    expect(speech.length).toBe(reference.count);
    for (const [n, value] of reference.voices.entries()) {
      expect(Math.abs(speech[n * reference.every]! - value)).toBeLessThan(1e-4);
    }
    // Something is found, and something is left.
    expect(Math.max(...reference.voices)).toBeGreaterThan(0.05);
  });

  test('keeps what is not voice, so that both together are the mix', async () => {
    const pcm = mix(9_001);
    const stems = await separate(chunksOf(pcm, RATE, [1, 333, 1_024, 77]));
    const [speech, rest] = [joined(stems, 'speech'), joined(stems, 'rest')];
    expect(rest.length).toBe(pcm.length);
    for (const [n, sample] of pcm.entries()) expect(Math.abs(speech[n]! + rest[n]! - sample)).toBeLessThan(1e-6);
  });

  test('gives what a network of instruments makes as the rest', async () => {
    const chunks = chunksOf(mix(6_000), RATE, 600);
    const [speech, rest] = [
      joined(await separate(chunks), 'speech'),
      joined(await separate(chunks, { voices: false }), 'rest'),
    ];
    expect(rest).toEqual(speech);
  });

  test('finds the same however the mix is cut, and begins anew where audio is missing', async () => {
    const pcm = mix(12_000);
    const whole = joined(await separate(chunksOf(pcm, RATE, 2_000)), 'speech');
    expect(joined(await separate(chunksOf(pcm, RATE, [1, 333, 1_024, 77])), 'speech')).toEqual(whole);
    const chunks = chunksOf(pcm, RATE, 2_000, at(seconds(7)));
    const stems = await separate(chunks.toSpliced(3, 1));
    expect(joined(stems, 'speech').length).toBe(10_000);
    // What was made before the gap was heard is the same.
    expect(joined(stems, 'speech').slice(0, 2 * stride)).toEqual(whole.slice(0, 2 * stride));
    const gap = stems.find(({ start }) => start >= chunks[4]!.start);
    expect(Math.abs(gap!.start - chunks[4]!.start)).toBeLessThan(30);
    const last = stems.at(-1)!;
    expect(Math.abs(endOf({ ...last, pcm: last.speech }) - endOf(chunks.at(-1)!))).toBeLessThan(30);
  });

  test('says how late it is: two strides', async () => {
    const { caps } = await load();
    expect(caps.lookahead).toBe(Math.round((2 * stride * 1e6) / RATE));
  });

  test('refuses a stride that the network cannot be moved by, and says which would do', async () => {
    await expect(load({ stride: 5 })).rejects.toThrow(/'stride' must be between 0\.\d+ and 0\.\d+ seconds/);
    await expect(load({ fft: 120 })).rejects.toThrow(/'fft' must be at least 198/);
  });

  const network = 'sep/mdx-net';
  const clip = 'speech/librispeech_1089/1089-134686-0000.flac';
  const absent = lacking(`${network}/UVR-MDX-NET-Voc_FT.onnx`) ?? missing(clip);
  test.skipIf(absent)(`parts speech from music with the published weights ${absent ?? ''}`, async () => {
    const speech = decode(recording(clip), RATE).slice(0, 6 * RATE);
    // A chord of plucked strings, twice a second.
    const music = speech.map((_, n) => {
      const since = (n % (RATE / 2)) / RATE;
      const chord = [220, 277.18, 329.63, 440].reduce(
        (sum, hertz) =>
          sum + Math.sin((2 * Math.PI * hertz * n) / RATE) + 0.5 * Math.sin((4 * Math.PI * hertz * n) / RATE),
        0,
      );
      return 0.04 * Math.exp(-4 * since) * chord;
    });
    const chunks = chunksOf(
      speech.map((sample, n) => sample + music[n]!),
      RATE,
      4_410,
    );
    const separator = await registry().load('separator', 'mdx-net', { model: weights(network) }, scope);
    const stems: Stems[] = [];
    const signal = new AbortController().signal;
    for await (const each of separator.run(feed(chunks), { signal, clock: new MonotonicClock() })) stems.push(each);
    /** How loud the wanted is against what is wrong with it, decibels. */
    const ratio = (got: Float32Array, wanted: Float32Array) => {
      let [good, bad] = [0, 0];
      for (const [n, sample] of wanted.entries()) [good, bad] = [good + sample ** 2, bad + (got[n]! - sample) ** 2];
      return 10 * Math.log10(good / bad);
    };
    const before = ratio(
      speech.map((sample, n) => sample + music[n]!),
      speech,
    );
    expect(ratio(joined(stems, 'speech'), speech) - before).toBeGreaterThan(5);
    expect(ratio(joined(stems, 'rest'), music)).toBeGreaterThan(5);
  });
});
