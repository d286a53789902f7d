import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Span, at } from '../../media/time.ts';
import { blank } from '../../media/video-frame.ts';
import type { Face, FaceId, Seen, Unfit } from '../../pipeline/face.ts';
import {
  type Thumbnail,
  idleFill,
  idleRuns,
  mixed,
  thumbnailOf,
  toAndFro,
  unlike,
  withoutJumps,
} from '../../pipeline/idle.ts';

const EVERY = 40_000 as Span;
const face = ({
  opening = 0,
  yaw = 0,
  x = 0,
  unfit,
}: { opening?: number; yaw?: number; x?: number; unfit?: Unfit } = {}): Face => {
  const landmarks = new Float32Array(136);
  for (let n = 36; n < 48; n += 1) landmarks[2 * n] = x + (n < 42 ? 0 : 50);
  return {
    id: 'f' as FaceId,
    box: { left: 0, top: 0, width: 100, height: 100 },
    landmarks,
    pose: { yaw, pitch: 0, roll: 0 },
    opening,
    score: 1,
    ...(unfit && { unfit }),
  };
};
const seenOf = (faces: readonly (Face | undefined)[], cuts: readonly number[] = []): Seen[] =>
  faces.map((each, n) => ({ start: at(n * EVERY), faces: each ? [each] : [], cut: cuts.includes(n) }));
const runsOf = (faces: readonly (Face | undefined)[], cuts: readonly number[] = []) =>
  idleRuns(seenOf(faces, cuts), ({ faces: [first] }) => first);
const some = <T>(count: number, of: (n: number) => T) => Array.from({ length: count }, (_, n) => of(n));

describe('somebody idles', () => {
  test('while the mouth is closed and the head nearly still', () => {
    expect(runsOf(some(20, () => face()))).toEqual([{ from: 0, to: 19 }]);
  });
  test.for([
    ['the mouth is open', face({ opening: 0.2 })],
    ['the face is turned away', face({ unfit: 'profile' })],
    ['nobody is there', undefined],
  ] as const)('not while %s', ([, between]) => {
    const faces = [...some(12, () => face()), between, ...some(12, () => face())];
    expect(runsOf(faces)).toEqual([
      { from: 0, to: 11 },
      { from: 13, to: 24 },
    ]);
  });
  test('not while the head turns or moves', () => {
    expect(runsOf(some(20, (n) => face({ yaw: n })))).toEqual([]);
    expect(runsOf(some(20, (n) => face({ x: 2 * n })))).toEqual([]);
    expect(runsOf(some(20, (n) => face({ yaw: n / 10, x: n / 10 })))).toEqual([{ from: 0, to: 19 }]);
  });
  test('on either side of a cut, but not across it', () => {
    expect(
      runsOf(
        some(20, () => face()),
        [10],
      ),
    ).toEqual([
      { from: 0, to: 9 },
      { from: 10, to: 19 },
    ]);
  });
  test('for a third of a second at least', () => {
    expect(runsOf(some(8, () => face()))).toEqual([]);
  });
});

test('to and fro, a picture is followed by its neighbour', () => {
  expect(toAndFro({ from: 3, to: 6 }, 5, true, 9)).toEqual([5, 6, 5, 4, 3, 4, 5, 6, 5]);
  expect(toAndFro({ from: 3, to: 6 }, 5, false, 4)).toEqual([5, 4, 3, 4]);
  expect(toAndFro({ from: 4, to: 4 }, 4, true, 2)).toEqual([4, 4]);
  fc.assert(
    fc.property(
      fc.nat(50),
      fc.integer({ min: 1, max: 20 }),
      fc.nat(20),
      fc.boolean(),
      (from, length, first, forwards) => {
        const run = { from, to: from + length };
        const order = toAndFro(run, from + (first % (length + 1)), forwards, 100);
        for (const [n, picture] of order.entries()) {
          expect(picture >= run.from && picture <= run.to).toBe(true);
          if (n > 0) expect(Math.abs(picture - order[n - 1]!)).toBe(1);
        }
      },
    ),
  );
});

/** Pictures of one grey each. */
const greys = (...levels: number[]): Thumbnail[] =>
  levels.map((level) => ({ width: 2, height: 2, grey: new Uint8Array(4).fill(level) }));

test('pictures are compared by how unlike they are', () => {
  const [a, b] = greys(10, 14) as [Thumbnail, Thumbnail];
  expect(unlike(a, b)).toBe(4);
  const planes = blank(17, 16);
  planes.y.fill(100, 0, 17 * 8);
  expect(thumbnailOf(planes)).toEqual({ width: 2, height: 2, grey: Uint8Array.of(100, 100, 16, 16) });
});

describe('a gap is filled', () => {
  // The programme is at 0 before the gap and at 40 behind it; the speaker idles between 10 and 50.
  const thumbnails = greys(0, 10, 20, 30, 40, 50, 40);
  const gap = { start: at(1e6), end: at(1e6 + 12 * EVERY) };

  test('from the idle picture that is most like what was, to the one that is most like what comes', () => {
    const fill = idleFill(gap, { before: 0, after: 6 }, [{ from: 1, to: 5 }], thumbnails, EVERY, {
      ...{ closed: 0, turning: 0, moving: 0, shortest: 0 as Span },
      fade: (2 * EVERY) as Span,
    });
    expect(fill.map(({ at: where }) => where)).toEqual(some(12, (n) => at(1e6 + n * EVERY)));
    expect(fill[0]).toEqual({ at: at(1e6), picture: 1, mix: { under: 0, share: expect.closeTo(1 / 3, 9) as number } });
    expect(fill[1]?.mix?.share).toBeCloseTo(2 / 3, 9);
    expect(fill.slice(2, 10).every(({ mix }) => mix === undefined)).toBe(true);
    expect(fill.at(-1)).toMatchObject({ picture: 4, mix: { under: 6 } });
    expect(fill.at(-1)?.mix?.share).toBeCloseTo(1 / 3, 9);
  });

  test('by nothing where nobody idles', () => {
    expect(idleFill(gap, {}, [], thumbnails, EVERY)).toEqual([]);
  });

  test('without fading at the programme’s ends', () => {
    const fill = idleFill(gap, { before: 0 }, [{ from: 1, to: 5 }], thumbnails, EVERY);
    expect(fill.at(-1)?.mix).toBeUndefined();
    expect(fill[0]?.mix).toBeDefined();
  });

  test('never across a jump within a run', () => {
    const jumping = greys(1, 2, 3, 4, 90, 91, 92, 93);
    expect(withoutJumps([{ from: 0, to: 7 }], jumping)).toEqual([
      { from: 0, to: 3 },
      { from: 4, to: 7 },
    ]);
    const fill = idleFill(gap, { before: 0, after: 0 }, [{ from: 0, to: 7 }], jumping, EVERY);
    expect(Math.max(...fill.map(({ picture }) => picture))).toBeLessThan(4);
  });

  test('mixed pictures are as much of each as they should be', () => {
    const [a, b] = [blank(4, 4), blank(4, 4)];
    a.y.fill(100);
    expect([...mixed(a, b, 0.25).y].every((value) => value === 37)).toBe(true);
  });
});
