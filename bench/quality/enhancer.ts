import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { resample } from '../../media/resample.ts';
import { Scope } from '../../media/scope.ts';
import { deepfilternet } from '../../models/clean/deepfilternet.ts';
import { gtcrn } from '../../models/clean/gtcrn.ts';
import { rnnoise } from '../../models/clean/rnnoise.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { openDnsmos } from '../metrics/dnsmos.ts';
import { siSdr } from '../metrics/si-sdr.ts';
import type { Bench, Figure, Measurement } from './figure.ts';
import { decode, joined, runOn } from './stage-run.ts';

interface Clip {
  readonly noisy: string;
  /** The same without noise, where that is known. */
  readonly clear?: string;
}
const CLIPS: readonly Clip[] = [
  { noisy: 'se/dfn_noisy_snr0.wav', clear: 'se/dfn_clean.wav' },
  { noisy: 'se/gtcrn_mix.wav' },
];

interface Candidate {
  readonly name: string;
  readonly folder?: string;
  readonly load: (scope: Scope, model: string) => Promise<Stage<'enhancer'>>;
}
const CANDIDATES: readonly Candidate[] = [
  { name: 'rnnoise', load: (scope) => rnnoise.load({}, scope) },
  { name: 'gtcrn', folder: 'se/gtcrn', load: (scope, model) => gtcrn.load({ model }, scope) },
  {
    name: 'deepfilternet3',
    folder: 'se/dfn3',
    load: (scope, model) => deepfilternet.load({ model, attenuation: 100 }, scope),
  },
];
/** What a clip is before anything is done to it. */
const BEFORE = 'untouched';
const DNSMOS = 'mos/dnsmos';

/** Speech enhancers on noisy recordings: what they gain against the clean speech, and in a listener's opinion. */
export const enhancer: Measurement = {
  name: 'enhancer',
  async measure({ models, media, progress }: Bench) {
    const scope = new Scope('bench enhancer');
    const figures: Figure[] = [];
    const total = CLIPS.length * (CANDIDATES.length + 1);
    let done = 0;
    try {
      const mos = join(models, DNSMOS);
      const listen = existsSync(mos) ? await openDnsmos(mos, scope) : undefined;
      if (!listen) progress(0, total, `DNSMOS left out: there is no ${mos}`);
      for (const { noisy, clear } of CLIPS) {
        const absent = [noisy, clear ?? noisy].find((name) => !existsSync(join(media, name)));
        if (absent !== undefined) {
          done += CANDIDATES.length + 1;
          progress(done, total, `${noisy} left out: there is no ${join(media, absent)}`);
          continue;
        }
        const figure = (engine: string, metric: string, unit: string, value: number, better: Figure['better']) => {
          figures.push({ stage: 'enhancer', engine, clip: noisy, metric, unit, value, better });
        };
        const opine = async (engine: string, pcm: Float32Array) => {
          if (!listen) return;
          const { signal, background, overall, quality } = await listen(pcm);
          figure(engine, 'DNSMOS overall', '', overall, 'higher');
          figure(engine, 'DNSMOS signal', '', signal, 'higher');
          figure(engine, 'DNSMOS background', '', background, 'higher');
          figure(engine, 'DNSMOS P.808', '', quality, 'higher');
        };
        progress(done, total, `${BEFORE}: ${noisy}`);
        await opine(BEFORE, decode(join(media, noisy), 16_000));
        done += 1;
        for (const { name, folder = '', load } of CANDIDATES) {
          const model = join(models, folder);
          if (!existsSync(model)) {
            progress(++done, total, `${name} left out: there is no ${model}`);
            continue;
          }
          progress(done, total, `${name}: ${noisy}`);
          const stage = await load(scope, model);
          const { rate } = stage.caps;
          const pcm = decode(join(media, noisy), rate);
          const { outputs, factor } = await runOn(stage, pcm);
          const cleaned = joined(outputs, rate);
          if (clear !== undefined) {
            const wanted = decode(join(media, clear), rate);
            figure(name, 'SI-SDR', 'dB', siSdr(wanted, cleaned), 'higher');
            figure(name, 'SI-SDR gain', 'dB', siSdr(wanted, cleaned) - siSdr(wanted, pcm), 'higher');
          }
          await opine(name, resample(cleaned, rate, 16_000));
          figure(name, 'real-time factor', '', factor, 'lower');
          figure(name, 'algorithmic delay', 'ms', stage.caps.lookahead / 1_000, 'lower');
          done += 1;
        }
      }
    } finally {
      await scope.close();
    }
    return figures;
  },
};
