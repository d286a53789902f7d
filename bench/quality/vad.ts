import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Scope } from '../../media/scope.ts';
import { fsmnVad } from '../../models/detect/fsmn-vad.ts';
import { silero } from '../../models/detect/silero.ts';
import { tenVad } from '../../models/detect/ten-vad.ts';
import type { Activity } from '../../pipeline/domain.ts';
import { Segmenter } from '../../pipeline/segmenter.ts';
import type { Stage } from '../../pipeline/stage.ts';
import {
  type Judged,
  type Label,
  areaUnderCurve,
  labelAt,
  precisionAndRecall,
  readLabels,
} from '../metrics/detection.ts';
import type { Bench, Figure, Measurement } from './figure.ts';
import { decode, runOn } from './stage-run.ts';

/** Thirty hand-labelled recordings of TEN-VAD's test set. */
const SET = 'vad/ten_testset';
const COUNT = 30;
/** A detector calls it speech from here on. */
const THRESHOLD = 0.5;
/** How often the segmenter's decision is looked at, seconds. */
const STEP = 0.01;

interface Candidate {
  readonly name: string;
  /** Why it cannot be measured here, or nothing. */
  readonly lacking: string | undefined;
  readonly load: (scope: Scope) => Promise<Stage<'vad'>>;
}
function candidates(models: string): Candidate[] {
  const absent = (folder: string) => {
    const path = join(models, folder);
    return existsSync(path) ? undefined : `there is no ${path}`;
  };
  const bundled = silero.needs.find((need) => !need.present())?.install;
  const [fsmn, ten] = ['vad/fsmn-vad', 'vad/ten-vad'] as const;
  return [
    { name: 'silero v6', lacking: bundled, load: (scope) => silero.load({ version: 'v6' }, scope) },
    { name: 'silero v5', lacking: bundled, load: (scope) => silero.load({ version: 'v5' }, scope) },
    { name: 'fsmn-vad', lacking: absent(fsmn), load: (scope) => fsmnVad.load({ model: join(models, fsmn) }, scope) },
    { name: 'ten-vad', lacking: absent(ten), load: (scope) => tenVad.load({ model: join(models, ten) }, scope) },
  ];
}

/** What the segmenter, with its own thresholds, makes of a detector's line: speech or not, every 10 ms. */
function decided(activities: readonly Activity[], labels: readonly Label[]): Judged[] {
  const segmenter = new Segmenter();
  const stretches = [...activities.flatMap((activity) => segmenter.push(activity)), ...segmenter.end()];
  const judged: Judged[] = [];
  const end = (activities.at(-1)?.end ?? 0) / 1e6;
  for (let moment = STEP / 2; moment < end; moment += STEP) {
    const truth = labelAt(labels, moment);
    const inside = stretches.some((stretch) => moment * 1e6 >= stretch.start && moment * 1e6 < stretch.end);
    if (truth !== undefined) judged.push({ probability: inside ? 1 : 0, truth });
  }
  return judged;
}

async function measureOne({ load, name }: Candidate, { media, progress }: Bench, done: number, total: number) {
  const scope = new Scope(`bench ${name}`);
  try {
    const stage = await load(scope);
    const frames: Judged[] = [];
    const segments: Judged[] = [];
    const factors: number[] = [];
    for (let n = 1; n <= COUNT; n += 1) {
      progress(done + n - 1, total, `${name}: recording ${n} of ${COUNT}`);
      const path = join(media, SET, `testset-audio-${String(n).padStart(2, '0')}`);
      const labels = readLabels(readFileSync(`${path}.scv`, 'latin1'));
      const { outputs, factor } = await runOn(stage, decode(`${path}.wav`, 16_000));
      factors.push(factor);
      for (const { start, end, probability } of outputs) {
        const truth = labelAt(labels, (start + end) / 2e6);
        if (truth !== undefined) frames.push({ probability, truth });
      }
      segments.push(...decided(outputs, labels));
    }
    const figure = (engine: string, metric: string, unit: string, value: number, better: Figure['better']): Figure => ({
      stage: 'vad',
      engine,
      clip: `${SET}, ${COUNT} recordings`,
      metric,
      unit,
      value,
      better,
    });
    const [alone, together] = [precisionAndRecall(frames, THRESHOLD), precisionAndRecall(segments, THRESHOLD)];
    const segmented = `${name} + segmenter`;
    return [
      figure(name, 'AUC', '', areaUnderCurve(frames), 'higher'),
      figure(name, `precision at ${THRESHOLD}`, '%', 100 * alone.precision, 'higher'),
      figure(name, `recall at ${THRESHOLD}`, '%', 100 * alone.recall, 'higher'),
      figure(segmented, 'precision', '%', 100 * together.precision, 'higher'),
      figure(segmented, 'recall', '%', 100 * together.recall, 'higher'),
      figure(name, 'real-time factor', '', factors.reduce((sum, x) => sum + x) / factors.length, 'lower'),
    ];
  } finally {
    await scope.close();
  }
}

/** Voice activity detectors against hand-made labels, by themselves and behind the segmenter. */
export const vad: Measurement = {
  name: 'vad',
  async measure(bench) {
    const all = candidates(bench.models);
    const total = all.length * COUNT;
    const figures: Figure[] = [];
    for (const [n, candidate] of all.entries()) {
      const set = join(bench.media, SET);
      const lacking = candidate.lacking ?? (existsSync(set) ? undefined : `there is no ${set}`);
      if (lacking !== undefined) bench.progress((n + 1) * COUNT, total, `${candidate.name} left out: ${lacking}`);
      else figures.push(...(await measureOne(candidate, bench, n * COUNT, total)));
    }
    return figures;
  },
};
