import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { endOf } from '../../media/audio.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { voices } from '../../models/speakers/diarizer-voices.ts';
import { Wq2012 } from '../../models/speakers/embedding-wq2012.ts';
import { openOnnx } from '../../models/runtime/onnx.ts';
import { pyannote } from '../../models/speakers/pyannote.ts';
import { Segmentation } from '../../models/speakers/pyannote-segmentation.ts';
import type { SpeechChunk, Turn } from '../../pipeline/domain.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { type Spoke, diarizationError } from '../metrics/der.ts';
import { type Conversation, chance, readersIn, recorded, segmentsOf, speechOf, taking } from './conversations.ts';
import type { Bench, Figure, Measurement } from './figure.ts';
import { diarizeOffline } from './offline-diarizer.ts';

const SEGMENTATION = 'diar/pyannote-seg-3.0-int8';
const VOICES = 'spk/wq2012';
const NETWORK = 'saved_model.bilstm.mean.all.gpu100000.onnx';
/** Conversations of readers: how many of two people and of three. Their seeds were not used for choosing anything. */
const EACH = 4;
const SEED = 9_000;

/** Everything that there is to diarize: recordings, and readers of LibriSpeech who take turns. */
function conversations(media: string): { readonly set: string; readonly some: readonly Conversation[] }[] {
  const readers = readersIn(media);
  const read = (size: number) =>
    Array.from({ length: readers.length < size ? 0 : EACH }, (_, n) => {
      const random = chance(SEED + 10 * size + n);
      const order = readers.map((reader) => ({ reader, at: random() })).toSorted((a, b) => a.at - b.at);
      const people = order.slice(0, size).map(({ reader }) => reader);
      return taking(media, people.join(' '), people, SEED + 100 * size + n);
    });
  const real = recorded(media).map((each) => ({ set: each.name, some: [each] }));
  return [...real, ...[2, 3].map((size) => ({ set: `${EACH} conversations of ${size} readers`, some: read(size) }))];
}

/** Turns, and for each how much of the programme had been heard when it came, in seconds. */
export async function turnsOf(stage: Stage<'diarizer'>, speech: readonly SpeechChunk[]) {
  const turns: { readonly turn: Turn; readonly heard: number }[] = [];
  let heard = 0;
  const input = async function* () {
    for (const chunk of speech) {
      heard = endOf(chunk) / 1e6;
      yield chunk;
    }
  };
  const before = process.cpuUsage();
  const scope = { signal: new AbortController().signal, clock: new MonotonicClock() };
  for await (const turn of stage.run(input(), scope)) turns.push({ turn, heard });
  const { user, system } = process.cpuUsage(before);
  return { turns, seconds: (user + system) / 1e6 };
}

/** Turns as the stretches that people speak. */
export const spokesOf = (turns: readonly Turn[]): Spoke[] =>
  turns.flatMap(({ start, end, speaker, overlap = [] }) =>
    [speaker, ...overlap].map((each) => ({ speaker: each, start: start / 1e6, end: end / 1e6 })),
  );

/** How long after people begin to speak it is said who they are, seconds: the middle of all beginnings that were heard. */
function latency(truth: readonly Spoke[], turns: readonly { readonly turn: Turn; readonly heard: number }[]): number {
  const delays = truth.flatMap(({ start, end }) => {
    const first = turns.find(({ turn }) => turn.end > start * 1e6 && turn.start < end * 1e6);
    return first ? [Math.max(0, first.heard - Math.max(start, first.turn.start / 1e6))] : [];
  });
  return delays.toSorted((a, b) => a - b)[Math.floor(delays.length / 2)] ?? 0;
}

const mean = (some: readonly number[]) => some.reduce((sum, x) => sum + x, 0) / some.length;

/** Live diarizers, and the same segmentation and voices with everything heard before anything is said. */
export const diarizer: Measurement = {
  name: 'diarizer',
  async measure({ models, media, progress }: Bench) {
    const scope = new Scope('bench diarizer');
    const figures: Figure[] = [];
    try {
      const stages: { name: string; load: () => Promise<Stage<'diarizer'>> }[] = [
        { name: 'voices', load: () => voices.load({ maxSpeakers: 4 }, scope) },
      ];
      const [segmenting, knowing] = [join(models, SEGMENTATION), join(models, VOICES)];
      const able = existsSync(segmenting) && existsSync(knowing);
      if (able) {
        const config = { model: segmenting, embedding: 'wq2012', embeddingModel: knowing, maxSpeakers: 8 } as const;
        stages.push({ name: 'pyannote wq2012', load: () => pyannote.load(config, scope) });
      } else progress(0, 1, `pyannote left out: there is no ${segmenting} or ${knowing}`);
      const segmentation = able && new Segmentation(await openOnnx(join(segmenting, 'model.int8.onnx'), scope));
      const embedding = able && new Wq2012(await openOnnx(join(knowing, NETWORK), scope));
      const sets = conversations(media);
      const total = sets.reduce((sum, { some }) => sum + some.length, 0);
      let done = 0;
      for (const { set, some } of sets) {
        const rows = new Map<
          string,
          {
            quarter: number[];
            none: number[];
            confused: number[];
            names: number[];
            late: number[];
            factor: number[];
            offline: number[][];
          }
        >();
        for (const conversation of some) {
          progress(done, total, `${set}: ${conversation.name}`);
          const { pcm, truth } = conversation;
          const speech = await speechOf(pcm, scope);
          // Where readers pause is not known: what is scored of them is what was taken for speech.
          const within = set === conversation.name ? undefined : segmentsOf(speech);
          const score = (heard: readonly Spoke[], collar: number) =>
            diarizationError(truth, heard, within ? { collar, within } : { collar });
          const offline =
            segmentation && embedding
              ? await diarizeOffline(pcm, (window) => segmentation.of(window), embedding)
              : undefined;
          for (const { name, load } of stages) {
            const { turns, seconds } = await turnsOf(await load(), speech);
            const heard = spokesOf(turns.map(({ turn }) => turn));
            const row = rows.get(name) ?? {
              quarter: [],
              none: [],
              confused: [],
              names: [],
              late: [],
              factor: [],
              offline: [[], []],
            };
            rows.set(name, row);
            const quarter = score(heard, 0.25);
            row.quarter.push(100 * quarter.rate);
            row.none.push(100 * score(heard, 0).rate);
            row.confused.push((100 * quarter.confused) / quarter.spoken);
            row.names.push(new Set(heard.map(({ speaker }) => speaker)).size);
            row.late.push(latency(truth, turns));
            row.factor.push((seconds * 16_000) / pcm.length);
            if (offline && name !== 'voices')
              for (const [n, collar] of [0.25, 0].entries()) row.offline[n]!.push(100 * score(offline, collar).rate);
          }
          done += 1;
        }
        for (const [engine, row] of rows) {
          const figure = (metric: string, unit: string, values: readonly number[], reference?: readonly number[]) => {
            const against =
              reference && reference.length > 0 ? { reference: { name: 'offline', value: mean(reference) } } : {};
            figures.push({
              stage: 'diarizer',
              engine,
              clip: set,
              metric,
              unit,
              value: mean(values),
              better: 'lower',
              ...against,
            });
          };
          figure('DER collar 0.25 s', '%', row.quarter, row.offline[0]);
          figure('DER collar 0', '%', row.none, row.offline[1]);
          figure('confusion collar 0.25 s', '%', row.confused);
          figure('names given', '', row.names);
          figure(
            'latency to first label',
            'ms',
            row.late.map((x) => 1_000 * x),
          );
          figure('real-time factor', '', row.factor);
        }
      }
    } finally {
      await scope.close();
    }
    return figures;
  },
};
