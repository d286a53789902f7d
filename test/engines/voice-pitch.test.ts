import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { medianPitch } from '../../media/pitch.ts';
import { Scope } from '../../media/scope.ts';
import { type LoadedNetwork, openOnnx } from '../../models/runtime/onnx.ts';
import { Cast, registerOf } from '../../pipeline/casting.ts';
import type { SpeakerId } from '../../pipeline/domain.ts';
import { chunksOf, decode, missing, recording } from '../fakes/recordings.ts';
import { lacking, weights } from '../weights.ts';

const FOLDER = 'spk/librispeech_test_other';
const CREPE = 'pitch/crepe_tiny/crepe_tiny.onnx';
const RATE = 16_000;
const why = missing(FOLDER) ?? lacking(CREPE);

/**
 * The median pitch by CREPE (Kim et al., ICASSP 2018), a network that knows nothing of ours: 64 ms frames, normalised, to
 * 360 bins of 20 cents above 31.7 Hz; those of which it is sure count.
 */
async function crepe(network: LoadedNetwork, pcm: Float32Array): Promise<number> {
  const starts = Array.from({ length: Math.floor((pcm.length - 1_024) / 800) }, (_, n) => n * 800);
  const data = new Float32Array(starts.length * 1_024);
  for (const [n, start] of starts.entries()) {
    const frame = pcm.subarray(start, start + 1_024);
    const mean = frame.reduce((sum, x) => sum + x, 0) / 1_024;
    const spread = Math.sqrt(frame.reduce((sum, x) => sum + (x - mean) ** 2, 0) / 1_023);
    for (const [i, x] of frame.entries()) data[n * 1_024 + i] = (x - mean) / Math.max(1e-10, spread);
  }
  const { activation } = await network.run({ frames: { data, dims: [starts.length, 1_024] } });
  const sure = starts.flatMap((_, n) => {
    const bins = activation!.data.subarray(n * 360, (n + 1) * 360) as Float32Array;
    const best = bins.reduce((top, x, bin) => (x > bins[top]! ? bin : top), 0);
    return bins[best]! > 0.5 ? [10 * 2 ** ((20 * best + 1_997.38) / 1_200)] : [];
  });
  return sure.sort((a, b) => a - b)[sure.length >> 1] ?? NaN;
}

/** White noise 5 dB below the speech. */
function noisy(pcm: Float32Array): Float32Array {
  const rms = Math.sqrt(pcm.reduce((sum, x) => sum + x * x, 0) / pcm.length);
  let state = 1;
  const random = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0) / 2 ** 31;
  return pcm.map((x) => x + rms * Math.sqrt(3) * random() * 10 ** (-5 / 20));
}
/** What a telephone lets through: nothing below 300 Hz, 24 dB an octave. */
function telephone(pcm: Float32Array): Float32Array {
  let out = pcm;
  const keep = 1 / (1 + (2 * Math.PI * 300) / RATE);
  for (let pole = 0; pole < 4; pole += 1) {
    let [before, last] = [0, 0];
    out = out.map((x) => {
      last = keep * (last + x - before);
      before = x;
      return last;
    });
  }
  return out;
}

describe.skipIf(why)(`ten readers’ pitch (${why ?? 'real speech, CREPE'})`, () => {
  const scope = new Scope('pitch');
  let network: LoadedNetwork;
  const readers = new Map<string, Float32Array[]>();
  beforeAll(async () => {
    network = await openOnnx(weights(CREPE), scope);
    const files = readdirSync(recording(FOLDER)).filter((file) => file.endsWith('.flac'));
    for (const file of files) {
      const reader = file.split('-')[0] ?? '';
      const heard = readers.get(reader) ?? [];
      readers.set(reader, heard);
      if (heard.length < 3) heard.push(decode(recording(`${FOLDER}/${file}`), RATE).slice(0, 8 * RATE));
    }
  });
  afterAll(() => scope.close());

  test('is what CREPE hears, within a semitone and a half, and within half of one usually', async () => {
    const off: number[] = [];
    for (const pcm of [...readers.values()].flat()) {
      off.push(Math.abs(12 * Math.log2(medianPitch(pcm, RATE)!.hertz / (await crepe(network, pcm)))));
    }
    off.sort((a, b) => a - b);
    expect(off.length).toBe(30);
    expect(off[15]).toBeLessThan(0.5);
    expect(off.at(-1)).toBeLessThan(2);
  });

  test.for([
    ['in noise', noisy, 2.5],
    ['on the telephone', telephone, 2.5],
  ] as const)('is nearly the same %s', ([, spoil, most]) => {
    for (const [reader, [first]] of readers) {
      const clean = medianPitch(first!, RATE)!.hertz;
      const spoilt = medianPitch(spoil(first!), RATE)!.hertz;
      expect(Math.abs(12 * Math.log2(spoilt / clean)), reader).toBeLessThan(most);
    }
  });

  test('casts them as CREPE would, from one utterance, whichever it is', async () => {
    for (const [reader, heard] of readers) {
      const heights = await Promise.all(heard.map((pcm) => crepe(network, pcm)));
      const usual = heights.toSorted((a, b) => a - b)[1]!;
      // Whoever lies between men and women may be cast as either.
      if (usual > 150 && usual < 180) continue;
      for (const pcm of heard) {
        const cast = new Cast();
        const id = reader as SpeakerId;
        for (const chunk of chunksOf(pcm, RATE, RATE * 4)) cast.hears(id, chunk);
        expect(cast.of(id).register, `${reader} at ${usual} Hz`).toBe(registerOf(usual));
      }
    }
  });
});
