import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { at, seconds } from '../../media/time.ts';
import type { AudioChunk } from '../../media/audio.ts';
import { registry } from '../../models/index.ts';
import type { Activity } from '../../pipeline/domain.ts';
import { conforms } from '../conformance/stage.ts';
import { chunksOf, decode, feed, flite, missing, recording } from '../fakes/recordings.ts';

const scope = new Scope('test');
afterAll(() => scope.close());
const load = (config: object = {}) => registry().load('vad', 'silero', config, scope);

/** A second of nothing, a sentence, a second of nothing. */
const sentence = flite('The quick brown fox jumps over the lazy dog.');
const speech = new Float32Array(32_000 + sentence.length);
speech.set(sentence, 16_000);

const hear = async (chunks: readonly AudioChunk[], config: object = {}) => {
  const vad = await load(config);
  const activities: Activity[] = [];
  const signal = new AbortController().signal;
  for await (const activity of vad.run(feed(chunks), { signal, clock: new MonotonicClock() }))
    activities.push(activity);
  return activities;
};

conforms(
  'silero',
  () => load(),
  () => chunksOf(speech, 16_000, 320),
);

describe('silero', () => {
  test('hears a sentence and not the silence around it', async () => {
    const activities = await hear(chunksOf(speech, 16_000, 320));
    const mean = (from: number, to: number) => {
      const some = activities.filter(({ start, end }) => start >= from * 1e6 && end <= to * 1e6);
      return some.reduce((sum, { probability }) => sum + probability, 0) / some.length;
    };
    const end = 1 + sentence.length / 16_000;
    expect(mean(0, 0.95)).toBeLessThan(0.1);
    expect(mean(1.1, end - 0.3)).toBeGreaterThan(0.8);
    expect(mean(end + 0.3, end + 1)).toBeLessThan(0.1);
  });

  test('hears the same however the audio is cut', async () => {
    const whole = await hear(chunksOf(speech, 16_000, 512));
    expect(await hear(chunksOf(speech, 16_000, [1, 333, 1_024, 77]))).toEqual(whole);
  });

  test('gives the time of lost audio as silence, so that nothing is missing from the stream', async () => {
    const chunks = chunksOf(speech, 16_000, 320, at(seconds(7)));
    const activities = await hear(chunks.toSpliced(60, 10));
    for (const [n, { start }] of activities.entries()) if (n > 0) expect(start).toBe(activities[n - 1]!.end);
    expect(activities.find(({ start, end }) => end - start === 200_000)?.probability).toBe(0);
  });

  const set = 'vad/ten_testset';
  const absent = missing(set);
  // Measured over all thirty: 0.957 with v6, 0.924 with v5, which is why v6 is the default. Over these six: 0.964, and
  // 0.960 when the network is not given the 64 samples before its frame.
  test.skipIf(absent)(`tells speech from the rest on hand-labelled recordings ${absent ?? ''}`, async () => {
    const judged: { probability: number; speech: boolean }[] = [];
    for (const n of ['01', '05', '09', '13', '17', '21']) {
      const pcm = decode(recording(`${set}/testset-audio-${n}.wav`), 16_000);
      const [, ...cells] = readFileSync(recording(`${set}/testset-audio-${n}.scv`), 'latin1')
        .trim()
        .split(',')
        .map(Number);
      const labels = Array.from({ length: cells.length / 3 }, (_, i) => cells.slice(i * 3, i * 3 + 3));
      for (const { start, end, probability } of await hear(chunksOf(pcm, 16_000, 512))) {
        const middle = (start + end) / 2e6;
        const label = labels.find(([from = 0, to = 0]) => middle >= from && middle < to);
        if (label) judged.push({ probability, speech: label[2] === 1 });
      }
    }
    // The area under the ROC curve is the chance that a speech frame is given more than a frame without speech.
    const ranks = judged.toSorted((a, b) => a.probability - b.probability);
    const positives = judged.filter((each) => each.speech).length;
    const sum = ranks.reduce((total, each, n) => total + (each.speech ? n + 1 : 0), 0);
    const area = (sum - (positives * (positives + 1)) / 2) / positives / (judged.length - positives);
    expect(area).toBeGreaterThan(0.962);
  });
});
