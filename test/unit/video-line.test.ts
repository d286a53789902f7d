import fc from 'fast-check';
import { expect, test } from 'vitest';
import { at, ms } from '../../media/time.ts';
import { VideoLine } from '../../media/video-line.ts';
import type { AccessUnit } from '../../media/video.ts';

const unit = (millis: number, keyFrame = false): AccessUnit => ({ start: at(millis * 1_000), keyFrame, payloads: [] });
const starts = (units: readonly AccessUnit[]) => units.map((one) => one.start / 1_000);

test('pictures come out when the play-head reaches them, in order, once', () => {
  const line = new VideoLine();
  for (const millis of [0, 40, 80]) line.push(unit(millis, millis === 0));
  expect(starts(line.take(at(-1)))).toEqual([]);
  expect(starts(line.take(at(40_000)))).toEqual([0, 40]);
  expect(starts(line.take(at(40_000)))).toEqual([]);
  expect(starts(line.take(at(1_000_000)))).toEqual([80]);
});

test('the first picture that comes out is a key frame', () => {
  const line = new VideoLine();
  expect([unit(0), unit(40), unit(80, true), unit(120)].map((one) => line.push(one))).toEqual([
    false,
    false,
    true,
    true,
  ]);
  expect(line.refused).toBe(2);
  expect(starts(line.take(at(1e9)))).toEqual([80, 120]);
});

test('a line that is too long loses its oldest pictures up to a key frame', () => {
  const line = new VideoLine({ duration: ms(160) });
  for (const millis of [0, 40, 80, 120, 160]) line.push(unit(millis, millis % 80 === 0));
  expect(line.dropped).toBe(0);
  line.push(unit(200));
  expect(line.dropped).toBe(2);
  expect(starts(line.take(at(1e9)))).toEqual([80, 120, 160, 200]);
});

test('without a key frame to go on with everything is lost and one is asked for', () => {
  const line = new VideoLine({ capacity: 3 });
  for (const millis of [0, 40, 80]) line.push(unit(millis, millis === 0));
  expect(line.push(unit(120))).toBe(false);
  expect([line.size, line.dropped, line.needsKeyFrame]).toEqual([0, 4, true]);
  expect(line.push(unit(160))).toBe(false);
  expect(line.push(unit(200, true))).toBe(true);
  expect(line.needsKeyFrame).toBe(false);
});

test('whatever happens, what comes out can be decoded, the line keeps its bounds, and every picture is accounted for', () => {
  const step = fc.record({ gap: fc.integer({ min: 1, max: 120 }), key: fc.nat(9), take: fc.nat(4) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300, size: 'max' }), fc.integer({ min: 1, max: 30 }), (steps, capacity) => {
      const line = new VideoLine({ capacity, duration: ms(800) });
      let millis = 0;
      let taken = 0;
      let before: number | undefined;
      const index = new Map<AccessUnit, number>();
      for (const { gap, key, take } of steps) {
        millis += gap;
        const one = unit(millis, key === 0);
        index.set(one, index.size);
        line.push(one);
        expect(line.size).toBeLessThanOrEqual(capacity);
        if (take !== 0) continue;
        for (const out of line.take(at((millis - 400) * 1_000))) {
          expect(out.keyFrame || index.get(out) === before! + 1).toBe(true);
          before = index.get(out)!;
          taken += 1;
        }
      }
      expect(taken + line.size + line.dropped + line.refused).toBe(steps.length);
    }),
  );
});
