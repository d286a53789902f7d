import { readdirSync } from 'node:fs';
import { afterAll, describe, expect, test } from 'vitest';
import { endOf } from '../../media/audio.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { Scope } from '../../media/scope.ts';
import { at, later, ms, seconds } from '../../media/time.ts';
import { registry } from '../../models/index.ts';
import type { SpeechChunk, Turn } from '../../pipeline/domain.ts';
import { conforms } from '../conformance/stage.ts';
import { decode, feed, flite, missing, recording, segmentOf } from '../fakes/recordings.ts';

const scope = new Scope('test');
afterAll(() => scope.close());
const load = (config: object = {}) => registry().load('diarizer', 'voices', config, scope);

function programme(...clips: readonly Float32Array[]): SpeechChunk[] {
  const chunks: SpeechChunk[] = [];
  for (const [n, pcm] of clips.entries()) {
    const before = chunks.at(-1);
    chunks.push(...segmentOf(pcm, n, before ? later(endOf(before), ms(500)) : at(seconds(1))));
  }
  return chunks;
}
const turnsOf = async (chunks: readonly SpeechChunk[], config: object = {}) => {
  const diarizer = await load(config);
  const turns: Turn[] = [];
  const signal = new AbortController().signal;
  for await (const turn of diarizer.run(feed(chunks), { signal, clock: new MonotonicClock() })) turns.push(turn);
  return turns;
};

const sentence = flite('Scientists have discovered a new species of bird in the rain forest, and they are very happy.');
conforms(
  'the diarizer',
  () => load(),
  () => programme(sentence, sentence.subarray(0, 12_000)),
);

describe('the diarizer', () => {
  test('gives a turn every two seconds, and the end of a segment to whoever spoke', async () => {
    const turns = await turnsOf(programme(sentence.subarray(0, 5.5 * 16_000)));
    expect(turns.map(({ start, end }) => Math.round((end - start) / 1e5) / 10)).toEqual([
      2,
      2,
      sentence.length > 88_000 ? 1.5 : expect.any(Number),
    ]);
    expect(new Set(turns.map(({ speaker }) => speaker))).toEqual(new Set(['s1']));
  });

  test('has a first speaker even when nothing can be said about a voice', async () => {
    expect(await turnsOf(programme(new Float32Array(3_200)))).toMatchObject([{ speaker: 's1' }]);
  });

  const [one, other] = ['2830', '3331'];
  const folder = 'spk/librispeech_test_other';
  const absent = missing(folder);
  const clips = absent ? [] : readdirSync(recording(folder)).toSorted();
  test.skipIf(absent)(`tells two readers apart as they take turns ${absent ?? ''}`, async () => {
    const speakers = [...new Set(clips.map((name) => name.split('-')[0]!))].filter((id) => /^\d+$/.test(id));
    const pair = [one, other].every((id) => speakers.includes(id)) ? [one, other] : speakers.slice(0, 2);
    const files = pair.map((id) => clips.filter((name) => name.startsWith(`${id}-`)).slice(0, 4));
    const order = [0, 1, 2, 3].flatMap((n) => files.map((names, who) => ({ who, file: names[n]! })));
    const pcms = order.map(({ file }) => decode(recording(`${folder}/${file}`), 16_000).subarray(0, 8 * 16_000));
    const chunks = programme(...pcms);
    const turns = await turnsOf(chunks, { maxSpeakers: 4 });
    const starts = order.map((_, n) => chunks.find(({ segment }) => segment === n)!.start);
    const counts = new Map<string, number>();
    for (const { start, end, speaker } of turns) {
      const { who } = order[starts.findLastIndex((from) => from <= start)]!;
      counts.set(`${who} ${speaker}`, (counts.get(`${who} ${speaker}`) ?? 0) + end - start);
    }
    const total = [...counts.values()].reduce((sum, x) => sum + x, 0);
    const most = (who: number) =>
      [...counts].filter(([key]) => key.startsWith(`${who} `)).toSorted(([, a], [, b]) => b - a)[0]!;
    expect(most(0)[0].slice(2)).not.toBe(most(1)[0].slice(2));
    expect((most(0)[1] + most(1)[1]) / total).toBeGreaterThan(0.8);
  });
});
