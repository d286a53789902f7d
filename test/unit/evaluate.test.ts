import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { at } from '../../media/time.ts';
import { UNSPECIFIED, type VideoFrame } from '../../media/video-frame.ts';
import { evalPage } from '../../gateway/eval-page.ts';
import { inWords } from '../../gateway/eval-video.ts';
import { type Watched, evaluateVideo } from '../../models/evaluate/evaluate-video.ts';
import {
  closedBelow,
  correlation,
  mouthOffset,
  mouthShape,
  silences,
  soundLevels,
  tremble,
  vowelLevels,
} from '../../models/evaluate/mouth-measures.ts';
import { eigenvalues, frechetDistance } from '../../models/evaluate/perceptual.ts';
import { mouthSharpness, sharpness, squareOf } from '../../models/evaluate/picture-measures.ts';
import { VideoReport } from '../../models/evaluate/video-report.ts';
import type { Face, FaceId } from '../../pipeline/face.ts';

let seed = 1;
const random = () => (seed = (seed * 16_807) % 2_147_483_647) / 2_147_483_647;

/** A plain face of 68 points: 100 pixels wide, the mouth open by `opening` eye distances. */
function points(left: number, top: number, opening: number): Float32Array {
  const all = Array.from({ length: 68 }, (_, n) => {
    if (n < 17) return [50 - 45 * Math.cos((Math.PI * n) / 16), 40 + 55 * Math.sin((Math.PI * n) / 16)];
    if (n < 36) return [30 + (n - 17) * 2, 30 + ((n * 7) % 10)];
    if (n < 42) return [30 + ((n - 36) % 3), 35 + (n % 2)];
    if (n < 48) return [70 + ((n - 42) % 3), 35 + (n % 2)];
    const turn = (2 * Math.PI * (n - 48)) / (n < 60 ? 12 : 8);
    return [50 - 14 * Math.cos(turn), 72 - (4 + 20 * opening) * Math.sin(turn)];
  });
  return Float32Array.from(all.flatMap(([x, y]) => [left + x!, top + y!]));
}
const face = (n: number, { left = 20, opening = 0.1, id = 'a' } = {}): Face => ({
  id: id as FaceId,
  box: { left, top: 20, width: 100, height: 100 },
  landmarks: points(left, 20, opening),
  pose: { yaw: 0, pitch: 0, roll: 0 },
  opening,
  score: 1,
  ...(n % 10 === 0 && { embedding: Float32Array.of(1, 0, 0) }),
});
function frame(n: number, noise = 0, width = 160): VideoFrame {
  const y = Uint8Array.from({ length: width * 140 }, (_, i) => 60 + ((i * 31 + (i >> 5) * 17) % 90) + noise * random());
  const chroma = () => new Uint8Array((width / 2) * 70).fill(128);
  return { width, height: 140, y, u: chroma(), v: chroma(), start: at(n * 40_000), colour: UNSPECIFIED };
}
async function* watched(count: number, of: (n: number) => { frame: VideoFrame; faces: readonly Face[] }) {
  for (let n = 0; n < count; n += 1) {
    const { frame: picture, faces } = of(n);
    yield { frame: picture, seen: { start: picture.start, faces, cut: false } } satisfies Watched;
  }
}
const NONE = { syncnet: 'no SyncNet here', lpips: 'no LPIPS here', inception: 'no Inception here' };
/** Syllables: bursts of a vowel's formants, 16 kHz, and how open the mouth is with them. */
function syllables(count: number, late = 0) {
  const pcm = new Float32Array(count * 640);
  const openings = Array.from({ length: count }, () => 0.02);
  const own = 7;
  seed = own;
  for (let n = 3; n + 4 < count; n += 5 + Math.floor(random() * 6)) {
    const long = 2 + Math.floor(random() * 3);
    for (let i = n; i < n + long; i += 1) openings[i] = 0.3;
    for (let i = (n + late) * 640; i < Math.min(pcm.length, (n + late + long) * 640); i += 1) {
      pcm[i] = 0.2 * Math.sin(i * 0.31) + 0.2 * Math.sin(i * 0.6);
    }
  }
  return { pcm, openings };
}

describe('mouths', () => {
  test.for([-5, -1, 0, 3, 9])('sound that is %i pictures late is found to be', (late) => {
    const { pcm, openings } = syllables(200, late);
    const found = mouthOffset(openings, vowelLevels(pcm, 200), 15);
    expect(found!.late).toBeCloseTo(late, 0);
    expect(found!.correlation).toBeGreaterThan(0.7);
  });
  test('a mouth that has nothing to do with the sound has no offset', () => {
    const { pcm } = syllables(400);
    seed = 99;
    const openings = Array.from({ length: 400 }, random);
    expect(mouthOffset(openings, vowelLevels(pcm, 400), 15)).toBeUndefined();
    expect(mouthOffset(openings.slice(0, 20), vowelLevels(pcm, 20), 15)).toBeUndefined();
  });
  test('correlation is 1 with itself, −1 with its contrary, and nothing where there is nothing to tell', () => {
    const a = Array.from({ length: 20 }, (_, n) => Math.sin(n));
    expect(correlation(a, a)).toBeCloseTo(1, 9);
    expect(
      correlation(
        a,
        a.map((x) => 3 - 2 * x),
      ),
    ).toBeCloseTo(-1, 9);
    expect(
      correlation(
        a,
        a.map((x, n) => (n % 3 === 0 ? Number.NaN : x)),
      ),
    ).toBeCloseTo(1, 9);
    expect(
      correlation(
        a,
        a.map(() => 1),
      ),
    ).toBeUndefined();
    expect(correlation(a.slice(0, 7), a)).toBeUndefined();
  });
  test('a mouth’s shape does not depend on where the head is or how large', () => {
    const a = points(0, 0, 0.2);
    const b = a.map((value, n) => 3 * value + (n % 2 === 0 ? 40 : -10));
    const [one, other] = [mouthShape(a), mouthShape(b)];
    for (const [n, value] of one.entries()) expect(other[n]).toBeCloseTo(value, 4);
    expect(Math.max(...mouthShape(points(0, 0, 0.4)).map((value, n) => Math.abs(value - one[n]!)))).toBeGreaterThan(
      0.05,
    );
  });
  test('steady movement is no trembling, one picture out of line is', () => {
    const still = tremble(points(0, 0, 0.1), points(2, 1, 0.1), points(4, 2, 0.1));
    expect(still.face).toBeCloseTo(0, 5);
    expect(still.mouth).toBeCloseTo(0, 5);
    const jumped = tremble(points(0, 0, 0.1), points(2, 0, 0.1), points(0, 0, 0.1));
    // Two pixels there and back are a second difference of four; eyes are 40 pixels apart.
    expect(jumped.face).toBeCloseTo(0.1, 2);
    expect(jumped.mouth).toBeCloseTo(0, 5);
    expect(tremble(points(0, 0, 0.1), points(0, 0, 0.3), points(0, 0, 0.1)).mouth).toBeGreaterThan(0.1);
  });
  test('silence is told from sound, whatever the gain', () => {
    const { pcm } = syllables(100);
    for (const gain of [1, 0.01]) {
      const levels = soundLevels(
        pcm.map((value) => value * gain),
        100,
      );
      const quiet = silences(levels);
      expect(levels[4]).toBeGreaterThan(0.9);
      expect(quiet[4]).toBe(false);
    }
    const found = silences([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1]).map(Number);
    expect(found).toEqual([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 0]);
    expect(soundLevels(new Float32Array(6_400), 10)).toEqual(Array(10).fill(0));
    expect(closedBelow([0, 0, 0, Number.NaN, 0.5, 0.5])).toBeCloseTo(0.1, 5);
  });
});

describe('pictures', () => {
  test('what is blurred is less sharp, and a mouth is told against its face', () => {
    const sharp = frame(0);
    const landmarks = points(20, 20, 0.1);
    const blurred = { ...sharp, y: sharp.y.slice() };
    for (let row = 75; row < 112; row += 1) {
      for (let x = 50; x < 92; x += 1) {
        const i = row * 160 + x;
        blurred.y[i] = (sharp.y[i - 1]! + sharp.y[i]! + sharp.y[i + 1]! + sharp.y[i - 160]! + sharp.y[i + 160]!) / 5;
      }
    }
    const whole = { left: 0, top: 0, width: 160, height: 140 };
    expect(sharpness(blurred, whole)).toBeLessThan(sharpness(sharp, whole)!);
    expect(sharpness({ ...sharp, y: sharp.y.map(() => 90) }, whole)).toBe(0);
    expect(mouthSharpness(blurred, landmarks)! / mouthSharpness(sharp, landmarks)!).toBeLessThan(0.7);
    expect(sharpness(sharp, { left: 0, top: 0, width: 5, height: 5 })).toBeUndefined();
  });
  test('a square taken at its own size is what it was', () => {
    const rgb = Uint8Array.from({ length: 3 * 6 * 6 }, (_, n) => n);
    const square = squareOf(
      rgb,
      { left: 10, top: 20, width: 6, height: 6 },
      { left: 11, top: 22, width: 4, height: 4 },
      4,
    );
    expect([...square.subarray(0, 5)]).toEqual([39, 42, 45, 48, 57]);
    expect(square[16]).toBe(40);
  });
  test('eigenvalues of a symmetric matrix add up to its trace, and its square’s to theirs', () => {
    fc.assert(
      fc.property(fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 15, maxLength: 15 }), (values) => {
        const m = Array.from({ length: 5 }, () => new Float64Array(5));
        let n = 0;
        for (let i = 0; i < 5; i += 1) for (let j = i; j < 5; j += 1) m[i]![j] = m[j]![i] = values[n++]!;
        const found = eigenvalues(m);
        const sum = found.reduce((a, b) => a + b, 0);
        expect(sum).toBeCloseTo(
          m.reduce((a, row, i) => a + row[i]!, 0),
          6,
        );
        const squares = m.reduce((a, row) => a + row.reduce((b, x) => b + x * x, 0), 0);
        expect(found.reduce((a, b) => a + b * b, 0)).toBeCloseTo(squares, 5);
      }),
    );
  });
  test('the Fréchet distance of a set from itself is 0, and a shift counts with its square', () => {
    seed = 3;
    const set = Array.from({ length: 12 }, () => Float32Array.from({ length: 6 }, random));
    expect(frechetDistance(set, set)).toBeCloseTo(0, 6);
    const moved = set.map((each) => each.map((value) => value + 2));
    expect(frechetDistance(set, moved)).toBeCloseTo(24, 4);
    expect(frechetDistance(set, set.slice(0, 1))).toBeUndefined();
  });
});

describe('a comparison of two videos', () => {
  const { pcm, openings } = syllables(150);
  const side = (count: number, of: Parameters<typeof watched>[1], sound = pcm) => ({
    pictures: watched(count, of),
    pcm: sound,
  });
  const speaking = (n: number) => ({ frame: frame(n), faces: [face(n, { opening: openings[n]! })] });

  test('with itself says that nothing has changed, and why what has no network is not told', async () => {
    const progress: number[] = [];
    const report = await evaluateVideo({
      original: side(150, speaking),
      dubbed: side(150, speaking),
      judges: NONE,
      progress: (n) => progress.push(n),
    });
    expect(VideoReport.parse(report)).toEqual(report);
    const { measures } = report;
    expect(measures).toMatchObject({
      ssim: { value: 1 },
      ssimOutside: { value: 1 },
      landmarkDistance: { value: 0 },
      landmarkVelocity: { value: 0 },
      sharpness: { value: 1 },
      identity: { value: 1 },
      facesSeen: { value: 100 },
      closedInSilence: { value: 100 },
      lseD: { value: null, original: null, why: 'no SyncNet here' },
      lpips: { value: null, why: 'no LPIPS here' },
      fid: { value: null, why: 'no Inception here' },
    });
    expect(measures.mouthCorrelation.value).toBeGreaterThan(0.7);
    expect(measures.mouthOffset.value).toBeCloseTo(0, -1.5);
    expect(report.worst).toEqual([]);
    expect(progress).toEqual(Array.from({ length: 150 }, (_, n) => n + 1));
  });

  test('tells the moments at which something is wrong', async () => {
    const lost = (n: number) => (n >= 100 && n < 110 ? { frame: frame(n), faces: [] } : speaking(n));
    const open = (n: number) => ({ ...lost(n), ...(n === 60 && { faces: [face(n, { opening: 0.4 })] }) });
    const dub = { ...side(150, open), pcm: new Float32Array(pcm.length).map((_, i) => (i < 40 * 640 ? pcm[i]! : 0)) };
    const report = await evaluateVideo({ original: side(150, speaking), dubbed: dub, judges: NONE });
    const told = report.worst.map(({ at: when, what }) => `${what} ${when}`);
    expect(told).toContain('open in silence 2.4');
    expect(told).toContain('trembling 2.4');
    expect(told.some((each) => each.startsWith('face lost 4'))).toBe(true);
    expect(report.measures.facesSeen.value).toBeCloseTo(100 * (140 / 150), 2);
    expect(report.measures.closedInSilence.value).toBeLessThan(100);
    expect(report.strip.openings.dubbed[105]).toBeNull();
  });

  test('follows the largest face and the one in its place, not another', async () => {
    const two = (n: number) => {
      const small = { ...face(n, { id: 'b' }), box: { left: 100, top: 0, width: 30, height: 30 } };
      return { frame: frame(n), faces: [small, face(n, { opening: openings[n]! })] };
    };
    const other = (n: number) => ({ frame: frame(n), faces: [two(n).faces[0]!] });
    const both = await evaluateVideo({ original: side(60, two), dubbed: side(60, two), judges: NONE });
    expect(both.measures.mouthCorrelation.value).toBeGreaterThan(0.7);
    const gone = await evaluateVideo({ original: side(60, two), dubbed: side(60, other), judges: NONE });
    expect(gone.measures.facesSeen.value).toBe(0);
    expect(gone.measures.sharpness).toEqual({
      value: null,
      original: null,
      why: 'no face is seen in the same place in the dubbed video',
    });
  });

  test('of different sizes, or without faces, tells what it can', async () => {
    const wide = (n: number) => ({ frame: frame(n, 0, 200), faces: [] });
    const report = await evaluateVideo({ original: side(20, wide), dubbed: side(30, speaking), judges: NONE });
    expect(report.pictures).toBe(20);
    expect(report.measures.ssim).toMatchObject({ value: null, why: 'the pictures are of different sizes' });
    expect(report.measures.identity.why).toBe('no face is seen in the original');
    expect(report.measures.facesSeen.value).toBeNull();
  });

  test('is a page that needs nothing else, with its reasons, and words for a terminal', async () => {
    const report = await evaluateVideo({ original: side(150, speaking), dubbed: side(150, speaking), judges: NONE });
    const still = { at: 1.5, original: Uint8Array.of(1, 2), dubbed: Uint8Array.of(3) };
    const page = evalPage(report, { original: '<a>.mp4', dubbed: 'b.mp4' }, [still]);
    expect(page).toContain('&lt;a&gt;.mp4');
    expect(page).not.toContain('<a>.mp4');
    expect(page).toContain('Not measured: no SyncNet here.');
    expect(page).toContain('data:image/jpeg;base64,AQI=');
    expect(page).not.toMatch(/NaN|undefined|Infinity/);
    expect(inWords(report)).toMatch(/LSE-D +— .*no SyncNet here/);
  });
});
