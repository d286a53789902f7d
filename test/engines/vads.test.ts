import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { type Judged, areaUnderCurve, labelAt, precisionAndRecall, readLabels } from '../../bench/metrics/detection.ts';
import type { AudioChunk } from '../../media/audio.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { at, seconds } from '../../media/time.ts';
import { registry } from '../../models/index.ts';
import type { Activity } from '../../pipeline/domain.ts';
import { conforms } from '../conformance/stage.ts';
import { chunksOf, decode, feed, flite, missing, recording } from '../fakes/recordings.ts';
import { lacking, weights } from '../weights.ts';

const scope = new Scope('test');
afterAll(() => scope.close());

/** A detector whose weights are real. */
interface Case {
  readonly id: string;
  readonly config: object;
  /** What the reference was written to, by models/export/vad_reference.py. */
  readonly fixture: string;
  /** Samples of a frame. */
  readonly frame: number;
  /** The most that a frame may differ from the reference: measured 2e-6, 9e-7, 7e-4, 9e-7. */
  readonly tolerance: number;
  /**
   * Area under the ROC curve, less a little. Measured over these recordings: 0.964, 0.910, 0.942, 0.927; over all
   * thirty: 0.957, 0.924, 0.949, 0.934.
   */
  readonly area: number;
  readonly absent: string | undefined;
}
const CASES: readonly Case[] = [
  {
    id: 'silero',
    config: { version: 'v6' },
    fixture: 'silero/v6.json',
    frame: 512,
    tolerance: 1e-3,
    area: 0.962,
    absent: undefined,
  },
  {
    id: 'silero',
    config: { version: 'v5' },
    fixture: 'silero/v5.json',
    frame: 512,
    tolerance: 1e-3,
    area: 0.908,
    absent: undefined,
  },
  {
    id: 'ten-vad',
    config: { model: weights('vad/ten-vad') },
    fixture: 'ten-vad/clip.json',
    frame: 256,
    tolerance: 1e-3,
    area: 0.94,
    absent: lacking('vad/ten-vad'),
  },
  {
    id: 'fsmn-vad',
    config: { model: weights('vad/fsmn-vad') },
    fixture: 'fsmn-vad/clip.json',
    frame: 160,
    tolerance: 1e-4,
    area: 0.925,
    absent: lacking('vad/fsmn-vad'),
  },
];

const SET = 'vad/ten_testset';
/** Six of thirty; bench/quality/vad.ts measures all of them. */
const recordings = ['01', '05', '09', '13', '17', '21'].map((n) => `${SET}/testset-audio-${n}`);

/** A second of nothing, a sentence, a second of nothing. */
const sentence = flite('The quick brown fox jumps over the lazy dog.');
const speech = new Float32Array(32_000 + sentence.length);
speech.set(sentence, 16_000);

const hear = async ({ id, config }: Pick<Case, 'id' | 'config'>, chunks: readonly AudioChunk[]) => {
  const vad = await registry().load('vad', id, config, scope);
  const activities: Activity[] = [];
  const signal = new AbortController().signal;
  for await (const activity of vad.run(feed(chunks), { signal, clock: new MonotonicClock() }))
    activities.push(activity);
  return activities;
};

for (const { id, config, absent } of CASES.slice(2)) {
  if (absent) continue;
  conforms(
    id,
    () => registry().load('vad', id, config, scope),
    () => chunksOf(speech, 16_000, 320),
  );
}

describe.for(CASES)('$id $config.version', (each) => {
  const { id, fixture, frame, tolerance, area, absent } = each;
  const file = `${recordings[0]!}.wav`;
  const whyNot = absent ?? missing(SET);

  test.skipIf(whyNot)(
    `says of every frame of a real recording what its makers' own code says ${whyNot ?? ''}`,
    async () => {
      const url = new URL(`../fixtures/${fixture}`, import.meta.url);
      const reference = JSON.parse(readFileSync(url, 'utf8')) as {
        clip: string;
        frame: number;
        probabilities: number[];
      };
      expect([reference.clip, reference.frame]).toEqual([file, frame]);
      const activities = await hear(each, chunksOf(decode(recording(file), 16_000), 16_000, 320));
      expect(reference.probabilities.length).toBeGreaterThan(300);
      const off = reference.probabilities.map((p, n) => Math.abs(activities[n]!.probability - p));
      expect(Math.max(...off)).toBeLessThan(tolerance);
      for (const [n, { start }] of activities.entries()) {
        expect(Math.abs(start - (n * frame * 1e6) / 16_000)).toBeLessThanOrEqual(1);
      }
    },
  );

  test.skipIf(whyNot)(`tells speech from the rest on hand-labelled recordings ${whyNot ?? ''}`, async () => {
    const judged: Judged[] = [];
    for (const name of recordings) {
      const labels = readLabels(readFileSync(recording(`${name}.scv`), 'latin1'));
      const pcm = decode(recording(`${name}.wav`), 16_000);
      for (const { start, end, probability } of await hear(each, chunksOf(pcm, 16_000, 4_096))) {
        const truth = labelAt(labels, (start + end) / 2e6);
        if (truth !== undefined) judged.push({ probability, truth });
      }
    }
    expect(judged.length).toBeGreaterThan((45 * 16_000) / frame);
    expect(areaUnderCurve(judged)).toBeGreaterThan(area);
    const { precision, recall } = precisionAndRecall(judged, 0.5);
    expect(precision).toBeGreaterThan(0.88);
    expect(recall).toBeGreaterThan(0.78);
  });

  test.skipIf(absent)(`hears a sentence and not the silence around it ${absent ?? ''}`, async () => {
    const activities = await hear(each, chunksOf(speech, 16_000, 320));
    const mean = (from: number, to: number) => {
      const some = activities.filter(({ start, end }) => start >= from * 1e6 && end <= to * 1e6);
      return some.reduce((sum, { probability }) => sum + probability, 0) / some.length;
    };
    const end = 1 + sentence.length / 16_000;
    expect(mean(0.3, 0.9)).toBeLessThan(0.35);
    expect(mean(1.1, end - 0.3)).toBeGreaterThan(0.75);
    expect(mean(end + 0.4, end + 1)).toBeLessThan(0.35);
    expect(activities.at(-1)?.end).toBe(Math.round((speech.length * 1e6) / 16_000));
  });

  test.skipIf(absent)(`hears the same however the audio is cut ${absent ?? ''}`, async () => {
    const whole = await hear(each, chunksOf(speech, 16_000, speech.length));
    const cut = await hear(each, chunksOf(speech, 16_000, [1, 333, 1_024, 77]));
    expect(cut.map(({ start, end }) => [start, end])).toEqual(whole.map(({ start, end }) => [start, end]));
    for (const [n, { probability }] of cut.entries()) expect(probability).toBeCloseTo(whole[n]!.probability, 4);
  });

  test.skipIf(absent)(`gives the time of lost audio as silence, and begins anew after it ${absent ?? ''}`, async () => {
    const chunks = chunksOf(speech, 16_000, 320, at(seconds(7)));
    const activities = await hear(each, chunks.toSpliced(80, 20));
    for (const [n, { start }] of activities.entries()) if (n > 0) expect(start).toBe(activities[n - 1]!.end);
    expect(activities.find(({ start, end }) => end - start === 400_000)?.probability).toBe(0);
    const after = activities.filter(({ start }) => start >= chunks[100]!.start);
    const fresh = await hear(each, chunks.slice(100));
    expect(after.map(({ start, end }) => [start, end])).toEqual(fresh.map(({ start, end }) => [start, end]));
    for (const [n, { probability }] of after.entries()) expect(probability).toBeCloseTo(fresh[n]!.probability, 4);
    expect(id).toBe(each.id);
  });
});

const real = lacking('vad/ten-vad', 'vad/fsmn-vad', 'se/gtcrn');
describe.skipIf(real)(`a detector's files ${real ?? ''}`, () => {
  const folder = mkdtempSync(join(tmpdir(), 'livedub-vads-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  test('that are not there are named, with the command that brings them', async () => {
    const loading = registry().load('vad', 'ten-vad', { model: folder }, scope);
    await expect(loading).rejects.toMatchObject({ name: 'Fault', kind: 'unavailable', stage: 'vad' });
    await expect(loading).rejects.toThrow(join(folder, 'ten-vad.onnx'));
    await expect(loading).rejects.toThrow('livedub models pull ten-vad');
  });

  test('that are another network are refused by name', async () => {
    copyFileSync(weights('se/gtcrn/gtcrn_simple.onnx'), join(folder, 'ten-vad.onnx'));
    const loading = registry().load('vad', 'ten-vad', { model: folder }, scope);
    await expect(loading).rejects.toMatchObject({ kind: 'broken', stage: 'vad' });
    await expect(loading).rejects.toThrow(
      /ten-vad\.onnx .* it is another network, with inputs mix, .*models pull ten-vad/,
    );
  });

  test('that are no network at all are refused by name', async () => {
    copyFileSync(weights('vad/fsmn-vad/am.mvn'), join(folder, 'fsmnvad-online.onnx'));
    copyFileSync(weights('vad/fsmn-vad/am.mvn'), join(folder, 'am.mvn'));
    const network = registry().load('vad', 'fsmn-vad', { model: folder }, scope);
    await expect(network).rejects.toMatchObject({ kind: 'broken' });
    await expect(network).rejects.toThrow(join(folder, 'fsmnvad-online.onnx'));
    copyFileSync(weights('vad/fsmn-vad/config.yaml'), join(folder, 'am.mvn'));
    const scales = registry().load('vad', 'fsmn-vad', { model: folder }, scope);
    await expect(scales).rejects.toThrow(/am\.mvn .* does not hold two rows of 400 numbers/);
  });
});

test('the order of preference leads to Silero, and never to TEN-VAD, whose licence is not free', () => {
  const order = registry()
    .list()
    .filter(({ kind }) => kind === 'vad');
  expect(order[0]).toMatchObject({ id: 'silero', licence: 'MIT', missing: [] });
  const ten = order.find(({ id }) => id === 'ten-vad');
  expect(ten?.licence).toContain('non-compete');
  expect(ten?.summary).toContain('forbids to compete');
  expect(order.at(-1)?.id).toBe('ten-vad');
});
