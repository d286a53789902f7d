import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { at, seconds } from '../../media/time.ts';
import { UNSPECIFIED, type VideoFrame } from '../../media/video-frame.ts';
import { FaceStrips, STRIP, greyFace, stripBox } from '../../pipeline/face-strip.ts';
import { voiced } from '../../pipeline/voiced.ts';
import { faceAt } from '../fakes/seen-faces.ts';

const picture = (of: (x: number, y: number) => number, start = 0, [width, height] = [320, 180]): VideoFrame => ({
  start: at(start),
  width,
  height,
  colour: { ...UNSPECIFIED, range: 'full' },
  y: Uint8Array.from({ length: width * height }, (_, i) => of(i % width, Math.floor(i / width))),
  u: new Uint8Array((width / 2) * (height / 2)),
  v: new Uint8Array((width / 2) * (height / 2)),
});
const flat = (value: number, start = 0) => picture(() => value, start);
const box = { left: 100, top: 40, width: 80, height: 100 };

describe('a face in grey', () => {
  test('is the square around the middle of its box, as wide as the longer side', () => {
    const grey = greyFace(
      picture((x) => x - 50),
      box,
    );
    // The square begins at 90, and its pixels are 100 / 112 wide.
    expect(grey[0]).toBe(40);
    expect(grey[STRIP - 1]).toBe(139);
    expect(grey[56 * STRIP + 56]).toBe(90);
  });

  test('takes the mean of what a pixel covers', () => {
    const grey = greyFace(
      picture((x, y) => ((x + y) % 2) * 200, 0, [1_200, 1_200]),
      { left: 40, top: 40, width: 1_120, height: 1_120 },
    );
    expect(grey.every((each) => Math.abs(each - 100) <= 40)).toBe(true);
    expect(grey.reduce((sum, each) => sum + each, 0) / grey.length).toBeCloseTo(100, 0);
  });

  test('is stretched to the full range, and grey outside the picture', () => {
    const frame = { ...flat(126), colour: UNSPECIFIED };
    const grey = greyFace(frame, { left: -50, top: 40, width: 100, height: 100 });
    expect([grey[0], grey[STRIP - 1]]).toEqual([110, 128]);
    expect(greyFace({ ...flat(235), colour: UNSPECIFIED }, box)[0]).toBe(255);
    expect(greyFace({ ...flat(5), colour: UNSPECIFIED }, box)[0]).toBe(0);
  });
});

describe('strips', () => {
  const sound = () => new Float32Array(0);

  test.for([24, 25, 30, 50, 60])('hold 25 pictures a second of %i', (rate) => {
    const strips = new FaceStrips();
    for (let n = 0; n < rate * 2; n += 1) {
      const start = (n * 1e6) / rate;
      strips.push(flat(Math.round(start / 10_000), start), { faces: [faceAt('a', box)] });
    }
    const { faces, start, end } = strips.scene({ start: at(0), end: at(2e6) }, sound);
    expect([start, end]).toEqual([0, 2e6]);
    const shown = Array.from({ length: 50 }, (_, n) => faces[0]!.grey[n * STRIP * STRIP]!);
    expect(faces[0]!.grey).toHaveLength(50 * STRIP * STRIP);
    // Each is the picture nearest to its time: half a picture off at most, or one where two of 24 share a place.
    for (const [n, value] of shown.entries()) {
      expect(Math.abs(value - n * 4)).toBeLessThanOrEqual(Math.ceil(100 / Math.min(25, rate)));
    }
  });

  test('go on with the picture before where a face is missed, and leave out who is not there', () => {
    const strips = new FaceStrips();
    for (let n = 0; n < 25; n += 1) {
      const faces = [...(n < 10 || n > 14 ? [faceAt('a', box)] : []), ...(n === 20 ? [faceAt('b', box)] : [])];
      strips.push(flat(n, n * 40_000), { faces });
    }
    const { faces } = strips.scene({ start: at(10_000), end: at(990_000) }, sound);
    expect(faces.map(({ id }) => id)).toEqual(['a']);
    expect([9, 12, 15].map((n) => faces[0]!.grey[n * STRIP * STRIP])).toEqual([9, 9, 15]);
  });

  test('are cut where the sound is cut', () => {
    const strips = new FaceStrips();
    strips.push(flat(1), { faces: [] });
    const asked: unknown[] = [];
    strips.scene({ start: at(50_001), end: at(119_000) }, (within) => {
      asked.push(within);
      return new Float32Array(0);
    });
    expect(asked).toEqual([{ start: 40_000, end: 120_000 }]);
  });

  test('forget what is old, and who was not seen for longest', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(20), { minLength: 1, maxLength: 80 }), (who) => {
        const strips = new FaceStrips({ keep: seconds(1), most: 3 });
        for (const [n, id] of who.entries()) strips.push(flat(1, n * 40_000), { faces: [faceAt(`${id}`, box)] });
        const { faces } = strips.scene({ start: at(0), end: at(who.length * 40_000) }, sound, 1);
        const lately = [...new Set(who.slice(-26).toReversed())].slice(0, 3);
        expect(faces.map(({ id }) => Number(id)).toSorted((a, b) => a - b)).toEqual(lately.toSorted((a, b) => a - b));
      }),
      { endOnFailure: true, numRuns: 30 },
    );
  });
});

test('somebody is heard where it is not much quieter than where it is loudest', () => {
  const pcm = Float32Array.from({ length: 640 * 6 }, (_, i) => [0, 0.5, 0.5, 0.05, 0.001, 0][Math.floor(i / 640)]!);
  expect([...voiced(pcm, 6)]).toEqual([0, 1, 1, 1, 0, 0]);
  expect([...voiced(new Float32Array(640 * 2), 3)]).toEqual([0, 0, 0]);
});

test('the square of a strip stays where it is while the chin goes up and down, and follows the head', () => {
  const points = (chin: number, dx = 0) => {
    const landmarks = new Float32Array(136);
    const put = (n: number, x: number, y: number) => landmarks.set([x + dx, y], 2 * n);
    for (let n = 36; n < 42; n += 1) put(n, 80, 100);
    for (let n = 42; n < 48; n += 1) put(n, 140, 100);
    put(33, 110, 140);
    put(8, 110, 200 + chin);
    return landmarks;
  };
  const box = { left: 60, top: 60, width: 100, height: 140 };
  const still = stripBox({ box, landmarks: points(0) });
  expect(stripBox({ box: { ...box, height: 160 }, landmarks: points(20) })).toEqual(still);
  expect(stripBox({ box, landmarks: points(0, 12) })).toEqual({ ...still, left: still.left + 12 });
  expect(still.width).toBeCloseTo(3.2 * 60, 3);
  expect(still.left + still.width / 2).toBeCloseTo(110, 3);
  // Of a face of which only the box is known, that is taken.
  expect(stripBox({ box, landmarks: new Float32Array(136) })).toBe(box);
});
