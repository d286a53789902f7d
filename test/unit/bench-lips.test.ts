import { describe, expect, test } from 'vitest';
import { cpuPage } from '../../bench/lips/cpu-page.ts';
import type { CpuResult } from '../../bench/lips/cpu.ts';
import { summed } from '../../bench/lips/cpu.ts';
import { cpuText, reelRows } from '../../bench/lips/cpu-text.ts';
import { apart, astray } from '../../bench/lips/looking.ts';
import { Meter, coreShare, figureOf, quantile, ratePerCore } from '../../bench/lips/meter.ts';
import { type PathPass, STAGES } from '../../bench/lips/path.ts';
import { type Reel, benchmarked } from '../../bench/lips/reel.ts';
import { at } from '../../media/time.ts';
import type { Seen } from '../../pipeline/face.ts';
import { drawnFace } from '../fakes/drawn-faces.ts';

/** A meter whose clock goes on by what the work says it takes. */
function meter() {
  let now = 0;
  const made = new Meter(() => now);
  const work = (stage: string, ms: number) => made.time(stage, () => void (now += ms));
  return { made, work, pass: (ms: number) => void (now += ms) };
}

describe('CPU time by stage and picture', () => {
  test('what a stage does several times within a picture is one sum, and what it does not do is nothing', async () => {
    const { made, work, pass } = meter();
    work('look', 2);
    work('look', 3);
    made.next();
    pass(100);
    await made.wait('drive', () => Promise.resolve(pass(4)));
    made.next();
    made.next();
    expect(made.pictures).toBe(3);
    expect(made.of('look')).toEqual([5, 0, 0]);
    expect(made.of('drive')).toEqual([0, 4, 0]);
    expect(made.of('never')).toEqual([0, 0, 0]);
    expect(made.together(['look', 'drive'])).toEqual([5, 4, 0]);
  });

  test('what was done for all pictures at once is shared out', () => {
    const { made } = meter();
    for (let n = 0; n < 4; n += 1) made.next();
    made.share('who speaks', 10);
    expect(made.of('who speaks')).toEqual([2.5, 2.5, 2.5, 2.5]);
  });

  test('unless told, it is the CPU of this process that counts', () => {
    const real = new Meter();
    real.time('busy', () => {
      const begun = process.cpuUsage();
      for (let used = process.cpuUsage(begun); used.user + used.system < 20_000; used = process.cpuUsage(begun));
    });
    real.next();
    expect(real.of('busy')[0]).toBeGreaterThanOrEqual(20);
  });

  test('quantiles are values that were measured', () => {
    const values = [5, 1, 4, 2, 3];
    expect([quantile(values, 0), quantile(values, 0.5), quantile(values, 0.95)]).toEqual([1, 3, 5]);
    expect(figureOf([1, 2, 3, 10])).toEqual({ count: 4, mean: 4, p50: 2, p95: 10 });
  });

  test('20 ms a picture are 50 pictures a second a core, and half a core at 25', () => {
    expect(ratePerCore(20)).toBe(50);
    expect(coreShare(20, 25)).toBe(0.5);
  });
});

describe('looking less often', () => {
  const seen = (start: number, by: number, opening: number): Seen => {
    const { landmarks, ...rest } = drawnFace({ x: 160, y: 150, eyes: 70, gap: 4, start: at(start) });
    return {
      start: at(start),
      faces: [{ ...rest, opening, landmarks: landmarks.map((value, n) => value + (n % 2 ? 0 : by)) }],
      cut: false,
    };
  };

  test('is told by how far off the points of the same face in the same picture are', () => {
    const truth = [seen(0, 0, 0.1), seen(40_000, 0, 0.3), seen(80_000, 0, 0.5)];
    const found = astray(truth, [seen(40_000, 3, 0.2), seen(0, 0, 0.1), seen(120_000, 50, 0.9)]);
    expect(found.faces).toBe(2);
    expect(found.px).toBeCloseTo(1.5);
    expect(found.mouthPx).toBeCloseTo(1.5);
    expect(found.opening).toBeCloseTo(0.05);
    expect(found.openingP95).toBeCloseTo(0.1);
    expect(found.mouthP95).toBeCloseTo(2 * found.mouth);
  });

  test('points before the first that counts are left out', () => {
    expect(apart([0, 0, 3, 4], [9, 9, 0, 0], 1)).toBe(5);
  });
});

describe('the result', () => {
  const reel = { name: 'a clip', faces: 1, width: 640, height: 360 } as unknown as Reel;
  const passWith = (ms: number): PathPass => {
    const { made, work } = meter();
    for (const [stage] of STAGES('VP8')) work(stage, ms);
    for (const [stage] of STAGES('H264')) if (!STAGES('VP8').some(([name]) => name === stage)) work(stage, 2 * ms);
    made.next();
    return { meter: made, driven: 1, always: [], seldom: [] };
  };
  const result = summed(reel, [passWith(500), passWith(2), passWith(4)], { VP8: 9, H264: 6 });

  test('leaves the pass that warmed up out, and adds up the stages of a codec', () => {
    expect(result.pictures).toBe(2);
    expect(result.driver.mean).toBe(6);
    // Nine stages of 2 and of 4 ms; of H.264 three of them take twice that.
    expect(result.whole.VP8.mean).toBe(27);
    expect(result.whole.H264.mean).toBe(36);
  });

  test('says how many mouths a second a core drives, its share, and the ratio to plain encoding', () => {
    const [vp8, h264] = reelRows([{ ...result, driven: 2 }]);
    expect(vp8).toEqual(['a clip, VP8', '2.00', '6.00', '15 %', '333', '27.00', '68 %', '74', '9.00', '3.0 ×']);
    expect(h264!.slice(-5)).toEqual(['36.00', '90 %', '56', '6.00', '6.0 ×']);
  });

  test('is a table and a page', () => {
    const whole: CpuResult = {
      machine: 'a <machine>',
      when: '2026-01-01T00:00:00Z',
      load: [1, 2],
      size: { width: 640, height: 360 },
      seconds: 5,
      rounds: 2,
      cold: figureOf([12]),
      reels: [result],
    };
    expect(cpuText(whole)).toMatch(/all, H264 {2,}36\.00/);
    expect(cpuText(whole)).toMatch(/the first 1 pictures of a process take it 12\.00 ms each/);
    expect(cpuPage(whole)).toMatch(/a &lt;machine&gt;/);
    expect(cpuPage(whole)).toMatch(/a clip: stage by stage/);
  });

  test('FFmpeg’s own account is read, or missed aloud', () => {
    expect(benchmarked('frame= 100\nbench: utime=0.250s stime=0.050s rtime=1.000s\n')).toBeCloseTo(0.3);
    expect(() => benchmarked('Conversion failed!')).toThrow(/Conversion failed/);
  });
});
