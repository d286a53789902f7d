import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type AudioChunk, endOf } from '../../media/audio.ts';
import { type Interval, at, later, ms, samples, seconds } from '../../media/time.ts';
import type { Activity, SpeechChunk } from '../../pipeline/domain.ts';
import { Gate } from '../../pipeline/gate.ts';

const segmenting = { shortest: ms(50), hold: ms(300), before: ms(100), after: ms(100) };
/** A ramp: sample n of the programme is n. */
const audio = (fromMs: number, toMs: number): AudioChunk => ({
  start: at(fromMs * 1_000),
  rate: 16_000,
  pcm: Float32Array.from({ length: (toMs - fromMs) * 16 }, (_, n) => fromMs * 16 + n),
});
const activity = (fromMs: number, toMs: number, probability: number): Activity => ({
  start: at(fromMs * 1_000),
  end: at(toMs * 1_000),
  probability,
});
const speaks = (t: number) => (t >= 500 && t < 1_500) || (t >= 2_500 && t < 3_000);
/** Every segment's first and last sample, having checked that it is gapless, true to media time and ends once. */
function segments(chunks: readonly SpeechChunk[]): [number, number][] {
  const out: [number, number][] = [];
  let open: SpeechChunk | undefined;
  for (const chunk of chunks) {
    if (chunk.pcm.length > 0) expect(chunk.start).toBe(samples(chunk.pcm[0]!, 16_000));
    if (open) {
      expect(chunk.segment).toBe(open.segment);
      if (chunk.pcm.length > 0) expect(chunk.pcm[0]).toBe(open.pcm.at(-1)! + 1);
    } else out.push([chunk.pcm[0] ?? -1, -1]);
    if (chunk.pcm.length > 0) out.at(-1)![1] = chunk.pcm.at(-1)!;
    if (chunk.pcm.length > 0 || chunk.last) open = chunk.last ? undefined : chunk;
  }
  expect(open).toBeUndefined();
  return out;
}
const SPOKEN = [
  [400 * 16, 1_600 * 16 - 1],
  [2_400 * 16, 3_100 * 16 - 1],
];

test('speech comes out sample for sample, in its place, and each segment ends once', () => {
  const gate = new Gate({ segmenting });
  const out: SpeechChunk[] = [];
  for (let t = 0; t < 4_000; t += 20) {
    out.push(...gate.audio(audio(t, t + 20)), ...gate.activity(activity(t, t + 20, speaks(t) ? 1 : 0)));
  }
  expect(segments([...out, ...gate.end()])).toEqual(SPOKEN);
  expect(gate.unheard).toBe(0);
});

test('however audio and activity are cut and whichever comes first, the same speech comes out', () => {
  const cuts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 400, maxLength: 400 });
  fc.assert(
    fc.property(cuts, fc.infiniteStream(fc.boolean()), (sizes, order) => {
      const gate = new Gate({ segmenting, patience: seconds(10) });
      const out: SpeechChunk[] = [];
      let [heard, known] = [0, 0];
      for (const size of sizes) {
        if (heard < 4_000 && (order.next().value || known >= heard + 400)) {
          const to = Math.min(4_000, heard + size);
          out.push(...gate.audio(audio(heard, to)));
          heard = to;
        } else if (known < 4_000) {
          out.push(...gate.activity(activity(known, known + 20, speaks(known) ? 1 : 0)));
          known += 20;
        }
      }
      if (heard < 4_000) out.push(...gate.audio(audio(heard, 4_000)));
      for (; known < 4_000; known += 20) out.push(...gate.activity(activity(known, known + 20, speaks(known) ? 1 : 0)));
      expect(segments([...out, ...gate.end()])).toEqual(SPOKEN);
    }),
    { numRuns: 30 },
  );
});

test('a VAD that restarts loses what it did not hear and no more', () => {
  const blind: Interval[] = [];
  const gate = new Gate({ segmenting, onBlind: (interval) => blind.push(interval) });
  const out: SpeechChunk[] = [];
  for (let t = 0; t < 4_000; t += 20) {
    out.push(...gate.audio(audio(t, t + 20)));
    if (t < 1_000 || t >= 1_200) out.push(...gate.activity(activity(t, t + 20, speaks(t) ? 1 : 0)));
  }
  expect(segments([...out, ...gate.end()])).toEqual([
    [400 * 16, 1_000 * 16 - 1],
    [1_200 * 16, 1_600 * 16 - 1],
    SPOKEN[1],
  ]);
  expect(blind).toEqual([{ start: 1_000_000, end: 1_200_000 }]);
  expect(gate.unheard).toBe(200_000);
});

test('audio nobody judges is dropped after a while and counted; memory stays bounded', () => {
  const gate = new Gate({ segmenting, patience: seconds(1) });
  let most = 0;
  const out: SpeechChunk[] = [];
  for (let t = 0; t < 700; t += 20)
    out.push(...gate.audio(audio(t, t + 20)), ...gate.activity(activity(t, t + 20, speaks(t) ? 1 : 0)));
  for (let t = 700; t < 20_000; t += 20) {
    out.push(...gate.audio(audio(t, t + 20)));
    most = Math.max(most, gate.held);
  }
  expect(segments(out)).toEqual([[400 * 16, 700 * 16 - 1]]);
  expect(most).toBeLessThanOrEqual(16_000 + 320);
  expect(gate.unheard).toBe(18_300_000);
});

test('silence is not kept', () => {
  const gate = new Gate({ segmenting });
  for (let t = 0; t < 60_000; t += 20) {
    gate.audio(audio(t, t + 20));
    gate.activity(activity(t, t + 20, 0));
  }
  expect(gate.held).toBeLessThanOrEqual(120 * 16);
  expect(gate.settled).toBe(59_900_000);
});

test('activity over audio that never came ends its segment with an empty chunk', () => {
  const gate = new Gate({ segmenting });
  for (let t = 0; t < 600; t += 20) gate.activity(activity(t, t + 20, 1));
  const out = gate.end();
  expect(out.map(({ last, pcm }) => [last, pcm.length])).toEqual([[true, 0]]);
  expect(endOf(out[0]!)).toBe(later(at(0), ms(600)));
});
