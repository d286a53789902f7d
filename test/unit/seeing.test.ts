import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { at, ms } from '../../media/time.ts';
import { type Colour, type VideoFrame, UNSPECIFIED, blank } from '../../media/video-frame.ts';
import { overlap } from '../../media/box.ts';
import { inverse, movedPoints, ontoBox, ontoSquare, similarity } from '../../media/affine.ts';
import { letterbox, surest } from '../../models/see/detection.ts';
import { readScrfd, readUltralight, readYuNet } from '../../models/see/detectors.ts';
import { normalised } from '../../models/see/face-embedding.ts';
import { faceBetween, facesBetween } from '../../models/see/face-between.ts';
import { matched } from '../../models/see/face-matching.ts';
import { type Condition, Fitness } from '../../models/see/fitness.ts';
import { landmarkPose, meshPose } from '../../models/see/head-pose.ts';
import { eyeDistance, openingOf, tiltOf } from '../../pipeline/ibug.ts';
import { INSIGHT_TO_IBUG, MESH_TO_IBUG, picked } from '../../models/see/ibug-points.ts';
import { OneEuro } from '../../models/see/one-euro.ts';
import { type Sampling, sampleImage, sampleLuma } from '../../models/see/sample-image.ts';
import { SceneCuts } from '../../models/see/scene-cut.ts';
import type { Face, FaceId } from '../../pipeline/face.ts';

const box = (left: number, top: number, width: number, height = width) => ({ left, top, width, height });
const expectClose = (a: ArrayLike<number>, b: ArrayLike<number>, by = 1e-3) => {
  expect(a).toHaveLength(b.length);
  for (let n = 0; n < a.length; n += 1) expect(Math.abs(a[n]! - b[n]!)).toBeLessThan(by);
};

describe('maps of the plane', () => {
  const number = fc.double({ min: -100, max: 100, noNaN: true });

  test('a similarity is found again from points that it moved, and undone', () => {
    const points = fc.array(fc.tuple(number, number), { minLength: 3, maxLength: 8 });
    const turn = fc.tuple(number, number, fc.double({ min: 0.1, max: 5, noNaN: true }), number, number);
    fc.assert(
      fc.property(points, turn, (some, [angle, , scale, x, y]) => {
        const flat = [0, 0, 50, 10, ...some.flat()];
        const [cos, sin] = [Math.cos(angle) * scale, Math.sin(angle) * scale];
        const map = { a: cos, b: -sin, c: x, d: sin, e: cos, f: y };
        const there = movedPoints(flat, map);
        expectClose(movedPoints(flat, similarity(flat, there)), there, 0.01);
        expectClose(movedPoints(there, inverse(map)), flat, 0.01);
      }),
    );
  });

  test('a tilted square is looked at so that its content is upright', () => {
    const onto = ontoSquare(100, 40, 30, 20, Math.PI / 2);
    expectClose(movedPoints([50, 50, 100, 50], onto), [40, 30, 40, 40]);
  });

  test('a picture is laid into the upper left of another without changing its shape', () => {
    const onto = letterbox(box(10, 20, 640, 360), 320, 192);
    expectClose(movedPoints([0, 0, 320, 180], onto), [10, 20, 650, 380]);
  });
});

describe('looking at a part of a picture', () => {
  const [width, height] = [320, 192];
  const full: Sampling = { width, height, channels: 'rgb', layout: 'pixels', scale: 1, offset: 0, outside: 'edge' };
  /** A picture of soft colours as planes, and as FFmpeg makes it red, green and blue. */
  function both(matrix: 'bt601' | 'bt709', range: 'tv' | 'pc'): [VideoFrame, Uint8Array] {
    const source = `gradients=s=${width}x${height}:c0=red:c1=green:c2=blue:c3=yellow:n=4:seed=7:x0=0:y0=0:x1=${width}:y1=${height}`;
    const ffmpeg = (args: readonly string[], input?: Uint8Array) =>
      execFileSync('ffmpeg', ['-v', 'error', ...args, '-f', 'rawvideo', '-'], input ? { input } : {});
    const to = `scale=out_color_matrix=${matrix}:out_range=${range}:flags=accurate_rnd+full_chroma_inp`;
    const planes = ffmpeg(['-f', 'lavfi', '-i', source, '-frames:v', '1', '-vf', to, '-pix_fmt', 'yuv420p']);
    const back = `scale=in_color_matrix=${matrix}:in_range=${range}:flags=accurate_rnd+full_chroma_int+bilinear`;
    const raw = ['-f', 'rawvideo', '-s', `${width}x${height}`, '-pix_fmt', 'yuv420p', '-i', '-'];
    const rgb = ffmpeg([...raw, '-vf', back, '-pix_fmt', 'rgb24'], planes);
    const luma = width * height;
    const colour: Colour = {
      range: range === 'pc' ? 'full' : 'limited',
      primaries: 2,
      transfer: 2,
      matrix: matrix === 'bt709' ? 1 : 6,
    };
    const [y, u, v] = [
      planes.subarray(0, luma),
      planes.subarray(luma, luma * 1.25),
      planes.subarray(luma * 1.25, luma * 1.5),
    ].map((plane) => new Uint8Array(plane)) as [Uint8Array, Uint8Array, Uint8Array];
    return [{ start: at(0), colour, width, height, y, u, v }, rgb];
  }

  test.for([
    ['bt601', 'tv'],
    ['bt601', 'pc'],
    ['bt709', 'tv'],
    ['bt709', 'pc'],
  ] as const)('%s in %s range gets the colours that FFmpeg gives it', ([matrix, range]) => {
    const [frame, rgb] = both(matrix, range);
    const mine = sampleImage(
      frame,
      ontoBox(width, height, box(0, 0, width, height)),
      full,
      new Float32Array(rgb.length),
    );
    const off = [...mine].map((value, n) => Math.abs(value - rgb[n]!));
    expect(off.reduce((sum, each) => sum + each, 0) / off.length).toBeLessThan(1.2);
    const other = { ...frame, colour: { ...frame.colour, matrix: matrix === 'bt709' ? 6 : 1 } };
    const wrong = sampleImage(
      other,
      ontoBox(width, height, box(0, 0, width, height)),
      full,
      new Float32Array(rgb.length),
    );
    const worse = [...wrong].map((value, n) => Math.abs(value - rgb[n]!));
    expect(worse.reduce((sum, each) => sum + each, 0)).toBeGreaterThan(2 * off.reduce((sum, each) => sum + each, 0));
  });

  /** Luma that is its own position. */
  const ramp = (): VideoFrame => {
    const planes = blank(16, 8);
    for (const n of planes.y.keys()) planes.y[n] = 16 + (n % 16) * 8;
    return { ...planes, start: at(0), colour: UNSPECIFIED };
  };
  const look = (onto: ReturnType<typeof ontoBox>, sampling: Partial<Sampling>) => {
    const wanted = { ...full, width: 4, height: 2, ...sampling };
    return sampleImage(ramp(), onto, wanted, new Float32Array(3 * wanted.width * wanted.height));
  };

  test('planes and pixels hold the same, and blue comes first where it is asked for', () => {
    const onto = ontoBox(4, 2, box(2, 2, 4, 2));
    const pixels = look(onto, {});
    const planes = look(onto, { layout: 'planes' });
    for (let n = 0; n < 8; n += 1) {
      expect([planes[n], planes[8 + n], planes[16 + n]]).toEqual([...pixels.subarray(3 * n, 3 * n + 3)]);
    }
    const blue: VideoFrame = { ...blank(8, 8), start: at(0), colour: UNSPECIFIED };
    blue.y.fill(41);
    blue.u.fill(240);
    blue.v.fill(110);
    const first = (channels: 'rgb' | 'bgr') =>
      sampleImage(blue, onto, { ...full, width: 4, height: 2, channels }, new Float32Array(24)).slice(0, 3);
    expectClose(first('rgb'), [0, 0, 255], 2);
    expectClose(first('bgr'), [255, 0, 0], 2);
  });

  test('a part that lies well inside looks the same as when it is looked at together with what lies outside', () => {
    const size = { width: 64, height: 48 };
    const noise = (count: number, step: number) =>
      Uint8Array.from({ length: count }, (_, n) => (n * step + (n >> 3) * 29) % 251);
    const [y, u, v] = [noise(64 * 48, 37), noise(32 * 24, 53), noise(32 * 24, 71)];
    const frame: VideoFrame = { ...size, y, u, v, start: at(0), colour: UNSPECIFIED };
    for (const layout of ['planes', 'pixels'] as const) {
      // Turned a little, and a little less than one pixel of the picture each; the larger begins 40 pixels before the smaller.
      const turned = { a: 0.8, b: 0.1, d: -0.1, e: 0.8 };
      const inner = sampleImage(
        frame,
        { ...turned, c: 10, f: 12 },
        { ...full, layout, width: 20, height: 20, outside: 'edge' },
      );
      const [c, f] = [10 - 40 * (0.8 + 0.1), 12 - 40 * (0.8 - 0.1)];
      const outer = sampleImage(
        frame,
        { ...turned, c, f },
        { ...full, layout, width: 100, height: 100, outside: 'edge' },
      );
      const value = (of: Float32Array, edge: number, x: number, row: number, channel: number) =>
        layout === 'planes' ? of[channel * edge * edge + row * edge + x]! : of[3 * (row * edge + x) + channel]!;
      for (let n = 0; n < 20 * 20 * 3; n += 1) {
        const [channel, x, row] = [n % 3, Math.floor(n / 3) % 20, Math.floor(n / 60)];
        expect(value(inner, 20, x, row, channel)).toBeCloseTo(value(outer, 100, x + 40, row + 40, channel), 3);
      }
    }
  });

  test('half a pixel to the right is half a step up the ramp', () => {
    const step = (8 * 255) / 219;
    const [whole, half] = [look(ontoBox(4, 2, box(2, 2, 4, 2)), {}), look(ontoBox(4, 2, box(2.5, 2, 4, 2)), {})];
    expect(half[0]! - whole[0]!).toBeCloseTo(step / 2, 3);
  });

  test('many pixels in one are averaged, so that fine stripes do not alias', () => {
    const stripes: VideoFrame = { ...blank(64, 64), start: at(0), colour: { ...UNSPECIFIED, range: 'full' } };
    for (const n of stripes.y.keys()) stripes.y[n] = n % 2 === 0 ? 0 : 200;
    const onto = ontoBox(16, 16, box(0, 0, 64, 64));
    const seen = sampleImage(stripes, onto, { ...full, width: 16, height: 16 }, new Float32Array(3 * 256));
    expectClose(seen, new Float32Array(3 * 256).fill(100), 1);
    expectClose(sampleLuma(stripes, onto, 16, 16), new Uint8Array(256).fill(100), 8);
  });

  test('outside the picture is its edge, or black, as asked; values are scaled and shifted', () => {
    const onto = ontoBox(4, 2, box(-8, 0, 8, 4));
    expectClose(look(onto, { scale: 1 / 128, offset: -127.5 / 128 }), new Float32Array(24).fill(-127.5 / 128), 0.01);
    const edge = look(ontoBox(4, 2, box(16, 0, 8, 4)), {});
    expect(edge[0]).toBeCloseTo(((16 + 15 * 8 - 16) * 255) / 219, 2);
    const black = look(ontoBox(4, 2, box(16, 0, 8, 4)), { outside: 'black' });
    expect([...black]).toEqual(new Array(24).fill(0));
  });
});

describe('detections', () => {
  test('of boxes that overlap the surest is kept', () => {
    const found = [
      { box: box(0, 0, 10), score: 0.6 },
      { box: box(1, 0, 10), score: 0.9 },
      { box: box(30, 0, 10), score: 0.7 },
    ];
    expect(surest(found, 0.4).map(({ score }) => score)).toEqual([0.9, 0.7]);
    expect(overlap(box(0, 0, 10), box(5, 0, 10))).toBeCloseTo(1 / 3);
  });

  test('each face is matched once, the best overlap first', () => {
    const pairs = matched([box(0, 0, 10), box(4, 0, 10)], [box(3, 0, 10), box(100, 0, 10), box(-2, 0, 10)], 0.2);
    expect(pairs).toEqual([
      [1, 0],
      [0, 2],
    ]);
  });

  const tensors = (entries: Record<string, readonly [number[], number[]]>) =>
    Object.fromEntries(
      Object.entries(entries).map(([name, [dims, data]]) => [name, { dims, data: Float32Array.from(data) }]),
    );
  const zeros = (count: number) => new Array<number>(count).fill(0);

  test('YuNet: the cell, its shift and its size make the box, in the picture’s pixels', () => {
    const cells = { 8: 32, 16: 8, 32: 2 } as const;
    const made = tensors(
      Object.fromEntries(
        Object.entries(cells).flatMap(([step, count]) =>
          (
            [
              ['cls', 1],
              ['obj', 1],
              ['bbox', 4],
              ['kps', 10],
            ] as const
          ).map(([name, width]) => {
            const data = zeros(count * width);
            // Second column, first row of cells of 16 pixels, on an input of 64 × 32.
            if (step === '16') {
              if (name === 'cls') data[1] = 0.81;
              if (name === 'obj') data[1] = 1;
              if (name === 'bbox') data.splice(4, 4, 0.5, 0.25, Math.log(2), Math.log(1));
              if (name === 'kps') data.splice(10, 2, 1, 0.5);
            }
            return [`${name}_${step}`, [[1, count, width], data] as const];
          }),
        ),
      ),
    );
    const [face, ...others] = readYuNet(made, 64, 32, 0.5, { scale: 2, left: 100, top: 10 });
    expect(others).toEqual([]);
    expect(face!.score).toBeCloseTo(0.9);
    // Centre (16 + 8, 4), 32 × 16, twice as large, shifted.
    expectClose(Object.values(face!.box), [100 + 2 * 8, 10 + 2 * -4, 64, 32]);
    expectClose(face!.points!.subarray(0, 2), [100 + 2 * 32, 10 + 2 * 8]);
  });

  test('SCRFD: two anchors a cell, distances to the four edges', () => {
    const size = 32;
    const made = tensors(
      Object.fromEntries(
        [8, 16, 32].flatMap((step) =>
          ([1, 4, 10] as const).map((width) => {
            const count = 2 * (size / step) ** 2;
            const data = zeros(count * width);
            // Third cell of 8 pixels, second anchor.
            if (step === 8 && width === 1) data[5] = 0.7;
            if (step === 8 && width === 4) data.splice(20, 4, 1, 0.5, 2, 1.5);
            return [`out${step}x${width}`, [[1, count, width], data] as const];
          }),
        ),
      ),
    );
    const [face, ...others] = readScrfd(made, size, 0.5, { scale: 1, left: 0, top: 0 });
    expect(others).toEqual([]);
    expect(face!.box).toEqual(box(16 - 8, -4, 24, 16));
  });

  test('ultra-light: corners in parts of the picture', () => {
    const found = readUltralight(
      Float32Array.of(0.9, 0.1, 0.2, 0.8),
      Float32Array.of(0, 0, 1, 1, 0.25, 0.5, 0.5, 0.75),
      0.6,
      box(0, 0, 640, 360),
    );
    expect(found.map((each) => each.box)).toEqual([box(160, 180, 160, 90)]);
  });
});

/** A face that looks into the camera, eyes 60 pixels apart. */
function upright(): Float32Array {
  const points = new Float32Array(136);
  const put = (n: number, x: number, y: number) => points.set([x, y], 2 * n);
  for (let n = 0; n < 17; n += 1)
    put(n, 100 - 60 * Math.cos((Math.PI * n) / 16), 100 + 70 * Math.sin((Math.PI * n) / 16));
  for (let n = 17; n < 27; n += 1) put(n, 55 + 10 * (n - 17), 80);
  for (let n = 27; n < 31; n += 1) put(n, 100, 100 + 8.6 * (n - 27));
  for (let n = 31; n < 36; n += 1) put(n, 92 + 4 * (n - 31), 130);
  for (let n = 36; n < 42; n += 1) put(n, 70, 100);
  for (let n = 42; n < 48; n += 1) put(n, 130, 100);
  for (let n = 48; n < 60; n += 1)
    put(n, 100 - 25 * Math.cos((Math.PI * (n - 48)) / 6), 160 - 12 * Math.sin((Math.PI * (n - 48)) / 6));
  for (let n = 60; n < 68; n += 1)
    put(n, 100 - 18 * Math.cos((Math.PI * (n - 60)) / 4), 160 - 6 * Math.sin((Math.PI * (n - 60)) / 4));
  return points;
}

describe('what 68 points say', () => {
  test('the opening is the lips’ distance over the eyes’, however the head is tilted', () => {
    const face = upright();
    expect(eyeDistance(face)).toBeCloseTo(60);
    const mean = (2 * 12 + 2 * 12 * Math.SQRT1_2) / 4;
    expect(openingOf(face)).toBeCloseTo(mean / 60, 4);
    const tilted = movedPoints(face, ontoSquare(200, 300, 200, 400, 0.5));
    expect(tiltOf(tilted)).toBeCloseTo(0.5);
    expect(openingOf(tilted)).toBeCloseTo(mean / 60, 4);
    expect(openingOf(tilted, 240)).toBeCloseTo(mean / 120, 4);
    const crossed = face.slice();
    for (const n of [65, 66, 67]) crossed[2 * n + 1]! -= 30;
    expect(openingOf(crossed)).toBe(0);
  });

  test('each table names 68 different points of its network, mirrored left and right', () => {
    for (const [table, most] of [
      [MESH_TO_IBUG, 468],
      [INSIGHT_TO_IBUG, 106],
    ] as const) {
      expect(table).toHaveLength(68);
      expect(new Set(table).size).toBe(68);
      for (const n of table) expect(n >= 0 && n < most).toBe(true);
    }
    expect([...picked([0, 0, 0, 1, 2, 3, 4, 5, 6], [2, 1], 3)]).toEqual([4, 5, 1, 2]);
  });

  test('a nose to the right is a head turned to the picture’s right; lower is down', () => {
    const face = upright();
    const pose = landmarkPose(face);
    expect(Math.abs(pose.yaw)).toBeLessThan(1);
    expect(Math.abs(pose.pitch)).toBeLessThan(3);
    const right = face.slice();
    right[60]! += 15;
    expect(landmarkPose(right).yaw).toBeGreaterThan(20);
    const down = face.slice();
    down[61]! += 8;
    expect(landmarkPose(down).pitch).toBeLessThan(-8);
    expect(landmarkPose(movedPoints(face, ontoSquare(200, 0, 0, 200, 0.3))).roll).toBeCloseTo((0.3 * 180) / Math.PI);
  });

  test('a mesh turned by known angles says so', () => {
    const mesh = new Float32Array(468 * 3);
    const [yaw, pitch] = [0.6, 0];
    // A point's x to the right, y down, z away from the camera; a head turned to the right has its right side further away.
    const put = (n: number, x: number, y: number, z: number) =>
      mesh.set([x * Math.cos(yaw) - z * Math.sin(yaw), y + pitch, x * Math.sin(yaw) + z * Math.cos(yaw)], 3 * n);
    put(234, -70, 0, 0);
    put(454, 70, 0, 0);
    put(10, 0, -90, 0);
    put(152, 0, 90, 0);
    const pose = meshPose(mesh, 0.1);
    expect(pose.yaw).toBeCloseTo((0.6 * 180) / Math.PI, 3);
    expect(pose.roll).toBeCloseTo((0.1 * 180) / Math.PI, 3);
    mesh[3 * 152 + 2] = -60;
    expect(meshPose(mesh, 0).pitch).toBeGreaterThan(10);
  });

  test('vectors are made as long as one', () => {
    expectClose(normalised(Float32Array.of(3, 4)), [0.6, 0.8], 1e-6);
    expect([...normalised(Float32Array.of(0, 0))]).toEqual([0, 0]);
  });
});

describe('smoothing', () => {
  const smooth = () => new OneEuro(() => ({ still: 3, follow: 12 }));

  test('jitter of a point that stands still is taken to less than half', () => {
    const filter = smooth();
    let [raw, kept, seed] = [0, 0, 1];
    let last = [0, 0] as [number, number];
    for (let n = 0; n < 200; n += 1) {
      seed = (seed * 16_807) % 2_147_483_647;
      const x = 100 + (seed / 2_147_483_647 - 0.5) * 0.4;
      const [y] = filter.push([x, 50], 0.04, 50);
      if (n > 20) {
        raw += Math.abs(x - last[0]);
        kept += Math.abs(y! - last[1]);
      }
      last = [x, y!];
    }
    expect(kept).toBeLessThan(0.5 * raw);
  });

  test('a point that moves fast is followed within a twentieth of a second', () => {
    const filter = smooth();
    let behind = 0;
    for (let n = 0; n < 50; n += 1) {
      const x = 100 + n * 4;
      const [y] = filter.push([x, 50], 0.04, 50);
      if (n > 5) behind = Math.max(behind, x - y!);
    }
    // 4 pixels a picture of 40 ms.
    expect(behind / 4).toBeLessThan(50 / 40 / 2);
  });

  test('the first points, and points after no time, come back as they are', () => {
    const filter = smooth();
    expect([...filter.push([1, 2], 0)]).toEqual([1, 2]);
    expect([...filter.push([9, 9], 0)]).toEqual([9, 9]);
  });
});

const face = (id: string, shift: number, more: Partial<Face> = {}): Face => ({
  id: id as FaceId,
  box: box(shift, 0, 50),
  landmarks: upright().map((value, n) => (n % 2 === 0 ? value + shift : value)),
  pose: { yaw: shift, pitch: 0, roll: 0 },
  opening: shift / 100,
  score: 0.9,
  ...more,
});

describe('between two looks', () => {
  test('a face moves in a straight line', () => {
    const middle = faceBetween(face('a', 0), face('a', 10), 0.3);
    expect(middle.box.left).toBeCloseTo(3);
    expect(middle.landmarks[60]! - upright()[60]!).toBeCloseTo(3, 4);
    expect(middle.opening).toBeCloseTo(0.03);
    expect(middle.pose.yaw).toBeCloseTo(3);
    expect(middle.unfit).toBeUndefined();
  });

  test('it is unfit where either look is, lost where it was not seen again, and its embedding is said once', () => {
    expect(faceBetween(face('a', 0), face('a', 10, { unfit: 'fast' }), 0.5).unfit).toBe('fast');
    const embedding = Float32Array.of(1);
    const [gone] = facesBetween([face('a', 0, { embedding })], [face('b', 0)], 0.5);
    expect(gone).toMatchObject({ id: 'a', unfit: 'lost' });
    expect(gone).not.toHaveProperty('embedding');
    expect(facesBetween([face('a', 0)], undefined, 0)[0]!.unfit).toBeUndefined();
  });
});

describe('whether a mouth is better left alone', () => {
  const well: Condition = { sinceCut: undefined, found: true, eyes: 50, yaw: 0, speed: 0, covered: false };
  const said = (conditions: readonly Partial<Condition>[]) => {
    const fitness = new Fitness(20);
    return conditions.map((each, n) => fitness.push(at(n * 40_000), { ...well, ...each }));
  };

  test.for([
    ['small', { eyes: 19 }],
    ['profile', { yaw: -46 }],
    ['fast', { speed: 6 }],
    ['occluded', { covered: true }],
    ['lost', { found: false }],
    ['cut', { sinceCut: ms(40) }],
  ] as const)('%s', ([reason, condition]) => {
    expect(said([{}, condition])).toEqual([undefined, reason]);
  });

  test('a reason that comes and goes holds for 160 ms, and has two thresholds', () => {
    expect(said([{ speed: 6 }, {}, {}, {}, {}])).toEqual(['fast', 'fast', 'fast', 'fast', undefined]);
    const turned = [46, 43, 43, 43, 43, 43, 43, 38, 38, 38, 38, 43].map((yaw) => ({ yaw }));
    expect(said(turned).map((each) => each === 'profile')).toEqual([
      ...new Array<boolean>(10).fill(true),
      false,
      false,
    ]);
  });
});

describe('cuts', () => {
  const picture = (seed: number, lighter = 0): VideoFrame => {
    const planes = blank(64, 36);
    for (const n of planes.y.keys()) {
      const [x, y] = [n % 64, Math.floor(n / 64)];
      planes.y[n] = 128 + lighter + 60 * Math.sin(x / (4 + seed) + seed) * Math.cos(y / (3 + seed));
    }
    return { ...planes, start: at(0), colour: UNSPECIFIED };
  };

  test('another picture is a cut; the first, the same, and one a little lighter are not', () => {
    const cuts = new SceneCuts();
    const judged = [picture(0), picture(0), picture(0, 4), picture(3, 30), picture(3, 30)].map((each) =>
      cuts.push(each),
    );
    expect(judged).toEqual([false, false, false, true, false]);
  });

  test('where every picture differs from the one before, as in a pan, none is a cut', () => {
    const cuts = new SceneCuts();
    const pan = Array.from({ length: 20 }, (_, n) => {
      const planes = blank(64, 36);
      for (const i of planes.y.keys()) planes.y[i] = 128 + 70 * Math.sin((i % 64) / 8 + n * 0.28);
      return { ...planes, start: at(0), colour: UNSPECIFIED };
    });
    const judged = pan.map((each) => cuts.push(each));
    expect(judged.slice(4)).toEqual(new Array(16).fill(false));
  });
});
