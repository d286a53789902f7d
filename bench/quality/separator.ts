import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { samples } from '../../media/time.ts';
import { mdxNet } from '../../models/clean/mdx-net.ts';
import type { Stems } from '../../pipeline/domain.ts';
import type { Figure, Measurement } from './figure.ts';
import { chunksOf, decode } from './stage-run.ts';

const RATE = 44_100;
const CLIP = 'speech/librispeech_1089/1089-134686-0000.flac';
const FILE = 'UVR-MDX-NET-Voc_FT.onnx';
/** A chord, hertz. */
const CHORD = [220, 277.18, 329.63, 440];

/** Plucked strings, twice a second. */
const pluck = (n: number) => {
  const since = (n % (RATE / 2)) / RATE;
  const wave = (hertz: number) => Math.sin((2 * Math.PI * hertz * n) / RATE);
  return 0.04 * Math.exp(-4 * since) * CHORD.reduce((sum, hertz) => sum + wave(hertz) + 0.5 * wave(2 * hertz), 0);
};
/** How loud the wanted is against what is wrong with it, decibels. */
function ratio(got: Float32Array, wanted: Float32Array): number {
  let [good, bad] = [0, 0];
  for (const [n, sample] of wanted.entries()) {
    good += sample ** 2;
    bad += (got[n]! - sample) ** 2;
  }
  return 10 * Math.log10(good / bad);
}

/** Separators on speech over music that is made here, so that both are known. */
export const separator: Measurement = {
  name: 'separator',
  async measure({ media, models, progress }) {
    const folder = join(models, 'sep', 'mdx-net');
    const absent = [join(folder, FILE), join(media, CLIP)].find((path) => !existsSync(path));
    if (absent !== undefined) {
      progress(1, 1, `mdx-net: left out: there is no ${absent}`);
      return [];
    }
    const speech = decode(join(media, CLIP), RATE);
    const music = speech.map((_, n) => pluck(n));
    const mix = speech.map((sample, n) => sample + music[n]!);
    const scope = new Scope('bench separator');
    try {
      progress(0, 1, 'mdx-net');
      const stage = await mdxNet.load(mdxNet.config.parse({ model: folder }), scope);
      const stems: Stems[] = [];
      const before = process.cpuUsage();
      const run = { signal: new AbortController().signal, clock: new MonotonicClock() };
      for await (const each of stage.run(chunksOf(mix, RATE), run)) stems.push(each);
      const { user, system } = process.cpuUsage(before);
      const joined = (part: 'speech' | 'rest') => Float32Array.from(stems.flatMap((each) => [...each[part]]));
      const figure = (metric: string, unit: string, value: number, better: Figure['better']): Figure => ({
        stage: 'separator',
        engine: 'mdx-net voc-ft',
        clip: `${CLIP} over plucked strings`,
        metric,
        unit,
        value,
        better,
      });
      return [
        figure('SDR gain of speech', 'dB', ratio(joined('speech'), speech) - ratio(mix, speech), 'higher'),
        figure('SDR gain of the rest', 'dB', ratio(joined('rest'), music) - ratio(mix, music), 'higher'),
        figure('lookahead', 'ms', stage.caps.lookahead / 1_000, 'lower'),
        figure('real-time factor', '', (user + system) / samples(mix.length, RATE), 'lower'),
      ];
    } finally {
      await scope.close();
    }
  },
};
