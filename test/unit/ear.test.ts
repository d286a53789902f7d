import fc from 'fast-check';
import { Subject, firstValueFrom, from, toArray } from 'rxjs';
import { TestScheduler } from 'rxjs/testing';
import { expect, test } from 'vitest';
import { type AudioChunk, endOf } from '../../media/audio.ts';
import { ManualClock } from '../../media/clock.ts';
import { type ClockTime, at, ms, samples } from '../../media/time.ts';
import type { Hypothesis, SpeechChunk } from '../../pipeline/domain.ts';
import { Load } from '../../pipeline/load.ts';
import { Patch } from '../../pipeline/patch.ts';
import { toRate } from '../../pipeline/rate.ts';
import type { Part } from '../../pipeline/rx.ts';
import { wholeSegments } from '../../pipeline/segments.ts';
import { slice } from '../../pipeline/slice.ts';

/** A ramp at 16 kHz: sample n of the programme is n, cleaned it is −n. */
const audio = (fromMs: number, toMs: number, sign = 1): AudioChunk => ({
  start: at(fromMs * 1_000),
  rate: 16_000,
  pcm: Float32Array.from({ length: (toMs - fromMs) * 16 }, (_, n) => sign * (fromMs * 16 + n)),
});
const joined = (chunks: readonly AudioChunk[]) => chunks.flatMap(({ pcm }) => [...pcm]);

test('a slice begins and ends at samples', () => {
  const part = slice(audio(100, 120), { start: at(105_000), end: at(110_000) });
  expect([part.start, part.pcm[0], part.pcm.length]).toEqual([105_000, 105 * 16, 80]);
  expect(slice(audio(100, 120), { start: at(0), end: at(50_000) }).pcm).toHaveLength(0);
});

test('cleaned audio is taken where there is some, the audio as it came elsewhere, each sample once', () => {
  const steps = fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 60 })), { minLength: 10, maxLength: 100 });
  fc.assert(
    fc.property(steps, (moves) => {
      const patch = new Patch(ms(200));
      const out: AudioChunk[] = [];
      let [raw, clean] = [0, 0];
      for (const [cleans, length] of moves) {
        if (!cleans) {
          out.push(...patch.raw(audio(raw, raw + length)));
          raw += length;
        } else if (clean + length <= raw) {
          out.push(...patch.cleaned(audio(clean, clean + length, -1)));
          clean += length;
        }
      }
      out.push(...patch.end());
      expect(joined(out).map(Math.abs)).toEqual(Array.from({ length: raw * 16 }, (_, n) => n));
      for (const { start, pcm } of out) expect(start).toBe(samples(Math.abs(pcm[0]!), 16_000));
    }),
    { numRuns: 40 },
  );
});

test('a cleaner that keeps up is always heard; one that fell silent is not waited for', () => {
  const patch = new Patch(ms(200));
  const out: AudioChunk[] = [];
  for (let t = 0; t < 1_000; t += 20) {
    out.push(...patch.raw(audio(t, t + 20)));
    if (t < 500 && t >= 40) out.push(...patch.cleaned(audio(t - 40, t - 20, -1)));
  }
  const heard = joined(out);
  expect(heard.slice(1, 440 * 16).every((x) => x < 0)).toBe(true);
  expect(heard.slice(460 * 16).every((x) => x > 0)).toBe(true);
  expect(heard).toHaveLength(800 * 16);
  patch.patience = ms(0);
  expect(endOf(patch.raw(audio(1_000, 1_020)).at(-1)!)).toBe(1_020_000);
});

test.for([48_000, 16_000, 24_000] as const)(
  'at another rate (%i) audio stays in its place, over a gap too',
  async (rate) => {
    const chunk = (n: number, fromMs: number): AudioChunk => ({
      start: at((fromMs + n * 20) * 1_000),
      rate,
      pcm: new Float32Array(rate / 50).fill(0.5),
    });
    const chunks = [0, 1, 2, 3, 4].map((n) => chunk(n, 0)).concat([0, 1, 2].map((n) => chunk(n, 500)));
    const out = await firstValueFrom(from(chunks).pipe(toRate(16_000), toArray()));
    const before = out.filter(({ start }) => start < 500_000);
    const after = out.filter(({ start }) => start >= 500_000);
    for (const [part, start, count] of [
      [before, 0, 1_600],
      [after, 500_000, 960],
    ] as const) {
      expect(part[0]!.start).toBe(start);
      expect(joined(part)).toHaveLength(count);
      part.slice(1).forEach((next, n) => expect(next.start).toBe(endOf(part[n]!)));
    }
  },
);

test('audio at its own rate passes at once, in a buffer of its own, and ends with its source', () => {
  const scheduler = new TestScheduler((actual, expected) => expect(actual).toEqual(expected));
  scheduler.run(({ cold, expectObservable }) => {
    const [a, b] = [audio(0, 10), audio(10, 20)];
    expectObservable(cold('-a--b-|', { a, b }).pipe(toRate(16_000))).toBe('-a--b-|', { a, b });
  });
  const source = new Subject<AudioChunk>();
  let out: AudioChunk | undefined;
  source.pipe(toRate(16_000)).subscribe((chunk) => (out = chunk));
  const borrowed = audio(0, 10);
  source.next(borrowed);
  borrowed.pcm.fill(9);
  expect(out!.pcm[1]).toBe(1);
});

const speech = (segment: number, fromMs: number, toMs: number, last = false): SpeechChunk => ({
  ...audio(fromMs, toMs),
  segment,
  last,
});
async function through(chunks: readonly SpeechChunk[], startBy?: (t: number) => ClockTime) {
  const heard: [number, number, number, boolean][] = [];
  const skipped: number[] = [];
  const ear: Part<SpeechChunk, Hypothesis> = {
    kind: 'recognizer',
    async *run(input) {
      for await (const { segment, start, pcm, last } of input)
        heard.push([segment, start / 1_000, pcm.length / 16, last]);
    },
  };
  const part = wholeSegments(ear, {
    clock: new ManualClock(),
    onSkip: ({ start }) => skipped.push(start / 1_000),
    ...(startBy && { startBy }),
  });
  const input = (async function* () {
    yield* chunks;
  })();
  for await (const _ of part.run(input, { signal: new AbortController().signal, clock: new ManualClock() }));
  return { heard, skipped };
}

test('whole segments pass as they are', async () => {
  const { heard, skipped } = await through([speech(0, 0, 20), speech(0, 20, 40, true), speech(1, 100, 120, true)]);
  expect(heard).toEqual([[0, 0, 20, false], [0, 20, 20, true], [1, 100, 20, true]]); // prettier-ignore
  expect(skipped).toEqual([]);
});

test('a segment with a hole ends at the hole, and the rest of it is skipped', async () => {
  const { heard, skipped } = await through([
    speech(0, 0, 20),
    speech(0, 40, 60),
    speech(0, 60, 80, true),
    speech(1, 100, 120, true),
  ]);
  expect(heard).toEqual([[0, 0, 20, false], [0, 20, 0, true], [1, 100, 20, true]]); // prettier-ignore
  expect(skipped).toEqual([40, 60]);
});

test('a segment whose end was lost ends when the next begins, or with the input', async () => {
  const { heard } = await through([speech(0, 0, 20), speech(1, 100, 120)]);
  expect(heard).toEqual([[0, 0, 20, false], [0, 20, 0, true], [1, 100, 20, false], [1, 120, 0, true]]); // prettier-ignore
});

test('a segment that comes too late is skipped whole', async () => {
  const late = (t: number) => (t < 50_000 ? 0 : 1) as ClockTime;
  const { heard, skipped } = await through(
    [speech(0, 0, 20), speech(0, 20, 40, true), speech(1, 100, 120, true)],
    late,
  );
  expect(heard).toEqual([[1, 100, 20, true]]);
  expect(skipped).toEqual([0, 20]);
});

test('the feeder goes on when little enough waits, and stops waiting when it is told to', async () => {
  const load = new Load();
  const [a, b] = [load.gauge('a'), load.gauge('b')];
  a.set(3, true);
  b.set(2, false);
  expect(load.gauge('a')).toBe(a);
  expect(load.pending).toBe(6);
  const abort = new AbortController();
  const never = load.below(1, abort.signal);
  let went = false;
  const soon = load.below(3).then(() => (went = true));
  a.set(1, true);
  await Promise.resolve();
  expect(went).toBe(false);
  b.set(1, false);
  await soon;
  abort.abort(new Error('over'));
  await expect(never).rejects.toThrow('over');
  await expect(load.below(1, abort.signal)).rejects.toThrow('over');
});
