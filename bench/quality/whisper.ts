import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../gateway/root.ts';
import { Scope } from '../../media/scope.ts';
import { at, later, samples, toMs } from '../../media/time.ts';
import { registry } from '../../models/index.ts';
import { modelDirectory } from '../../models/store/weights.ts';
import { WHISPER_CARDS, type WhisperSize } from '../../models/recognize/whisper-cards.ts';
import type { SpeechChunk } from '../../pipeline/domain.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { digitStrings } from '../../test/fakes/digits.ts';
import { segmentOf } from '../../test/fakes/recordings.ts';
import { music, noise, silence } from '../../test/fakes/soundscapes.ts';
import { type WordErrors, errorRate, plainWords, wordErrors } from '../metrics/word-errors.ts';
import type { Bench, Figure, Measurement } from './figure.ts';
import { heard, median, segmented } from './hearing.ts';
import { decode } from './stage-run.ts';
import { transcribed } from './transcripts.ts';

/** Speech in segments, with what is said in it. */
interface Clip {
  readonly speech: readonly SpeechChunk[];
  readonly text: string;
  /** Seconds. */
  readonly length: number;
}
interface Model {
  readonly name: string;
  readonly settings: object;
  readonly set: string;
  readonly clips: (vad: Stage<'vad'>) => Promise<readonly Clip[]>;
}

const POLICIES = [
  { name: 'local-agreement', settings: { policy: 'local-agreement' } },
  { name: 'align-att', settings: { policy: 'align-att' } },
];
/** Seconds of each sound in which nobody speaks: behind a detector, which leaves little to recognise, and without one. */
const QUIET = 600;
const BARE = 60;
const SOUNDS = { silence, noise, music };

const figure = (engine: string, clip: string, metric: string, unit: string, value: number): Figure => ({
  stage: 'recognizer',
  engine,
  clip,
  metric,
  unit,
  value,
  better: 'lower',
});
const percentile = (values: readonly number[], part: number) =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * part))] ?? NaN;

/** The small model of the tests, which was taught ten digits, on strings in voices and a manner it was not taught with. */
const taught: Model = {
  name: 'whisper (taught ten digits)',
  settings: { model: join(root, 'test/fixtures/whisper'), language: 'en', context: 0 },
  set: '60 strings of digits by flite',
  clips: async () =>
    digitStrings(
      Array.from({ length: 60 }, (_, n) => 2 + (n % 5)),
      77,
    ).map(({ pcm, text }) => ({ speech: segmentOf(pcm, 0), text, length: pcm.length / 16_000 })),
};
/** A published model, on transcribed recordings behind the detector and the gate of the live chain. */
const pulled = (size: WhisperSize, media: string): Model => ({
  name: `whisper ${size}`,
  settings: { size, language: 'en' },
  set: 'all transcribed recordings',
  clips: (vad) =>
    Promise.all(
      transcribed(media).map(async ({ file, text }) => {
        const pcm = decode(file, 16_000);
        return { speech: await segmented(pcm, vad), text, length: pcm.length / 16_000 };
      }),
    ),
});

/** One model: streamed by either policy, beside the same model that hears every segment once, when it is over. */
async function streamed(model: Model, scope: Scope, vad: Stage<'vad'>): Promise<Figure[]> {
  const clips = await model.clips(vad);
  const load = (more: object) => registry().load('recognizer', 'whisper', { ...model.settings, ...more }, scope);
  const run = async (stage: Stage<'recognizer'>) => {
    const errors: WordErrors[] = [];
    const waits: number[] = [];
    let [cpu, changed] = [0, 0];
    for (const { speech, text } of clips) {
      const made = await heard(stage, speech);
      errors.push(wordErrors(plainWords(text), plainWords(made.text)));
      waits.push(...made.waits.map(toMs));
      cpu += made.cpu;
      changed += made.changed;
    }
    const length = clips.reduce((sum, clip) => sum + clip.length, 0);
    return { rate: 100 * errorRate(errors), waits, factor: cpu / length, changed };
  };
  const whole = await run(await load({ hop: 10 }));
  const figures: Figure[] = [];
  for (const { name, settings } of POLICIES) {
    const stage = await load(settings).catch((failure: unknown) => {
      // Not every published model tells what it attends to.
      if (name === 'align-att' && String(failure).includes('attention')) return undefined;
      throw failure;
    });
    if (!stage) continue;
    const made = await run(stage);
    const say = (metric: string, unit: string, value: number) =>
      figure(`${model.name}, ${name}`, model.set, metric, unit, value);
    figures.push(
      { ...say('WER', '%', made.rate), reference: { name: 'the same model offline', value: whole.rate } },
      say('words that changed after they were certain', '', made.changed),
      say('word certain after its end, p50, computing free', 'ms', median(made.waits)),
      say('word certain after its end, p95, computing free', 'ms', percentile(made.waits, 0.95)),
      say('real-time factor', '', made.factor),
    );
  }
  return figures;
}

/** Words a recogniser makes of sounds in which nobody speaks: behind the detector, and where there is none. */
async function invented(
  id: string,
  settings: object,
  name: string,
  scope: Scope,
  vad: Stage<'vad'>,
): Promise<Figure[]> {
  const stage = await registry().load('recognizer', id, settings, scope);
  const figures: Figure[] = [];
  for (const [sound, make] of Object.entries(SOUNDS)) {
    const bare = make(BARE);
    const whole = Array.from({ length: BARE / 6 }, (_, n) =>
      segmentOf(bare.slice(n * 96_000, (n + 1) * 96_000), n, later(at(0), samples(n * 96_000, 16_000))),
    ).flat();
    for (const [how, length, speech] of [
      ['behind the detector', QUIET, await segmented(make(QUIET), vad)],
      ['without a detector', BARE, whole],
    ] as const) {
      const { text } = await heard(stage, speech);
      const clip = `${length / 60} min of ${sound}, synthetic`;
      figures.push(figure(name, clip, `words invented, ${how}`, '', plainWords(text).length));
    }
  }
  return figures;
}

/** Whisper: streamed against offline with the same weights, and what recognisers make of sounds in which nobody speaks. */
export const whisper: Measurement = {
  name: 'whisper',
  async measure(bench: Bench) {
    const scope = new Scope('bench whisper');
    try {
      const vad = await registry().load('vad', 'silero', {}, scope);
      const sizes = Object.keys(WHISPER_CARDS) as WhisperSize[];
      const there = sizes.filter((size) => existsSync(join(modelDirectory(WHISPER_CARDS[size]), 'config.json')));
      const models = [taught, ...there.map((size) => pulled(size, bench.media))];
      const total = models.length + 2;
      const figures: Figure[] = [];
      for (const [n, model] of models.entries()) {
        bench.progress(n, total, model.name);
        figures.push(...(await streamed(model, scope, vad)));
      }
      const missing = sizes.filter((size) => !there.includes(size));
      if (missing.length > 0)
        bench.progress(models.length, total, `whisper ${missing.join(', ')} left out: not pulled`);
      const recognisers = [
        { id: 'pocketsphinx', settings: {}, name: 'pocketsphinx' },
        { id: 'whisper', settings: taught.settings, name: taught.name },
      ];
      for (const [n, { id, settings, name }] of recognisers.entries()) {
        bench.progress(models.length + n, total, `${name} in silence, noise and music`);
        figures.push(...(await invented(id, settings, name, scope, vad)));
      }
      return figures;
    } finally {
      await scope.close();
    }
  },
};
