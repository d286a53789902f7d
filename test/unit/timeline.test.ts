import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../media/clock.ts';
import { decibels } from '../../media/decibels.ts';
import { rise, softLimit } from '../../media/mix.ts';
import { type Played, Timeline, type TimelineOptions } from '../../media/timeline.ts';
import { type ClockTime, at, ms, seconds } from '../../media/time.ts';

// 8 kHz: eight samples a millisecond, 160 a frame.
const RATE = 8_000;
const PER_MS = 8;
/** Samples that the edge of a hole and a cross-fade take: 5 ms. */
const EDGE = 40;
const now = (millis: number) => (millis * 1_000) as ClockTime;
const anchor = { media: at(0), clock: now(0) };
/** Fades of 2 ms, ducking in 4 ms, back in 6 ms: short enough to read. */
const mix = { under: decibels(0.25), fade: ms(2), attack: ms(4), release: ms(6), hold: ms(0) };

const timelineOf = (options: Partial<TimelineOptions> = {}) =>
  new Timeline({ delay: ms(4_000), rate: RATE, anchor, mix, ...options });
/** Original whose every sample says its own index, in 1/4096ths so that nothing rounds. */
const ramp = (fromMs: number, untilMs: number) =>
  ({
    start: at(fromMs * 1_000),
    rate: RATE,
    pcm: Float32Array.from({ length: (untilMs - fromMs) * PER_MS }, (_, i) => named(fromMs * PER_MS + i)),
  }) as const;
const named = (index: number) => ((index % 3_000) + 1) / 4_096;
const clip = (fromMs: number, untilMs: number, level = 0.5) => ({
  start: at(fromMs * 1_000),
  end: at(untilMs * 1_000),
  pcm: new Float32Array((untilMs - fromMs) * PER_MS).fill(level),
});
const programme = (options: Partial<TimelineOptions> = {}) => {
  const timeline = timelineOf({ keep: seconds(20), ...options });
  for (let i = 0; i < 10; i += 1) timeline.pushOriginal(ramp(i * 1_000, (i + 1) * 1_000));
  return timeline;
};
const sampleAt = (pcm: Float32Array | undefined, millis: number) => pcm?.[millis * PER_MS];

describe('the original', () => {
  test('nothing plays before the delay has passed', () => {
    expect(programme().take(now(4_000)).pcm).toHaveLength(0);
    expect(programme().frames(now(3_999))).toHaveLength(0);
  });

  test('comes out sample for sample, however it is asked for', () => {
    const timeline = programme();
    const heard = [4_001, 4_001, 4_700, 4_703, 9_000].flatMap((t) => [...timeline.take(now(t)).pcm]);
    expect(heard).toEqual(Array.from({ length: 40_000 }, (_, i) => named(i)));
    expect(timeline.missing).toBe(0);
  });

  test('what never came is silence, faded out and in, and is counted', () => {
    const timeline = timelineOf();
    timeline.pushOriginal(ramp(0, 100));
    timeline.pushOriginal(ramp(150, 200));
    const { pcm } = timeline.take(now(4_200));
    expect(pcm).toHaveLength(1_600);
    expect(pcm.subarray(800, 1_200).every((x) => x === 0)).toBe(true);
    expect([pcm[760], pcm[1_239]]).toEqual([named(760), named(1_239)]);
    for (const away of [1, 13, 39]) {
      expect(pcm[800 - away]).toBeCloseTo(named(800 - away) * rise(away / EDGE), 6);
      expect(pcm[1_199 + away]).toBeCloseTo(named(1_199 + away) * rise(away / EDGE), 6);
    }
    expect(timeline.missing).toBe(400);
  });

  test('a packet that comes after its concealment replaces it', () => {
    const timeline = timelineOf();
    timeline.pushOriginal({ start: at(0), rate: RATE, pcm: new Float32Array(800).fill(0.25) });
    timeline.pushOriginal(ramp(20, 40));
    const { pcm } = timeline.take(now(4_100));
    expect([pcm[159], pcm[160], pcm[319], pcm[320]]).toEqual([0.25, named(160), named(319), 0.25]);
  });

  test('what comes after it was played, or far too soon, is dropped and counted', () => {
    const timeline = timelineOf({ keep: ms(5_000) });
    timeline.take(now(4_100));
    timeline.pushOriginal(ramp(50, 150));
    timeline.pushOriginal(ramp(5_050, 5_150));
    expect([timeline.late, timeline.early]).toEqual([50 * PER_MS, 50 * PER_MS]);
    const { pcm } = timeline.take(now(9_200));
    expect([pcm[EDGE], pcm[400 - EDGE], pcm[400]]).toEqual([named(800 + EDGE), named(1_200 - EDGE), 0]);
    expect(sampleAt(pcm, 4_980)).toBe(named(5_080 * PER_MS));
    expect(sampleAt(pcm, 5_000)).toBe(0);
  });

  test('a decoder that gives NaN is heard as silence', () => {
    const timeline = timelineOf();
    timeline.pushOriginal({ start: at(0), rate: RATE, pcm: new Float32Array(160).fill(Number.NaN) });
    const { pcm } = timeline.take(now(4_020));
    expect(pcm.every((x) => x === 0)).toBe(true);
    expect(timeline.missing).toBe(160);
  });

  test('audio at another rate is our mistake, said at once', () => {
    expect(() => timelineOf().pushOriginal({ start: at(0), rate: 16_000, pcm: new Float32Array(1) })).toThrow(
      'expected 8000 Hz, received 16000 Hz',
    );
  });
});

describe('a clip', () => {
  test('is heard in its place over the lowered original; everything else is the original bit for bit', () => {
    const timeline = programme();
    expect(timeline.dub('es').place(clip(500, 900))).toBe(true);
    const { pcm, dubs } = timeline.take(now(5_000));
    const heard = dubs.get('es')!.left;
    for (let i = 0; i < 8_000; i += 1) if (i < 496 * PER_MS || i >= 906 * PER_MS) expect(heard[i]).toBe(pcm[i]);
    for (const t of [502, 700, 897]) expect(sampleAt(heard, t)).toBeCloseTo(0.5 + 0.25 * sampleAt(pcm, t)!, 6);
    expect(sampleAt(heard, 498)).toBeCloseTo(sampleAt(pcm, 498)! * (1 - 0.75 * rise(0.5)), 6);
    expect(sampleAt(heard, 903)).toBeCloseTo(sampleAt(pcm, 903)! * (1 - 0.75 * rise(0.5)), 6);
    expect(pcm.every((x, i) => x === named(i))).toBe(true);
  });

  test('that is late is refused and the original is heard', () => {
    const timeline = programme();
    const es = timeline.dub('es');
    timeline.take(now(4_500));
    expect(es.place(clip(501, 900))).toBe(false);
    expect(es.late).toBe(1);
    const { pcm, dubs } = timeline.take(now(5_000));
    expect(dubs.get('es')?.left).toBe(pcm);
  });

  test('that comes at its deadline makes it, one frame later does not', () => {
    for (const [t, expected] of [
      [0, true],
      [20, false],
    ] as const) {
      const timeline = programme();
      const es = timeline.dub('es');
      const deadline = timeline.deadline(at(515_000));
      for (let slot = 4_000; slot < deadline / 1_000 + t; slot += 20) timeline.frames(now(slot));
      expect(es.place(clip(515, 900))).toBe(expected);
    }
  });

  test('placed within its attack still brings the original down without a jump', () => {
    const timeline = timelineOf();
    timeline.pushOriginal({ start: at(0), rate: RATE, pcm: new Float32Array(8_000).fill(0.5) });
    timeline.take(now(4_497));
    expect(timeline.dub('es').place(clip(500, 900, 0))).toBe(true);
    const heard = timeline.take(now(5_000)).dubs.get('es')!.left;
    const steps = heard.slice(1).map((x, i) => Math.abs(x - heard[i]!));
    expect(heard[0]).toBe(0.5);
    expect(Math.max(...steps)).toBeLessThan((0.375 * Math.PI) / 2 / 23);
    expect(heard[3 * PER_MS]).toBeCloseTo(0.125, 6);
  });

  test('of a second speaker at the same time is heard too, and the sum does not clip', () => {
    const timeline = timelineOf();
    const es = timeline.dub('es');
    es.place(clip(100, 300, 0.3));
    es.place(clip(200, 400, 0.4));
    es.place(clip(500, 700, 0.9));
    es.place(clip(500, 700, 0.9));
    const heard = timeline.take(now(4_800)).dubs.get('es')!.left;
    expect(sampleAt(heard, 150)).toBeCloseTo(0.3, 6);
    expect(sampleAt(heard, 250)).toBeCloseTo(0.7, 6);
    expect(sampleAt(heard, 350)).toBeCloseTo(0.4, 6);
    expect(sampleAt(heard, 600)).toBeGreaterThan(0.99);
    expect(Math.max(...heard)).toBeLessThanOrEqual(1);
  });

  test('is heard in its own language only, and a language can come and go', () => {
    const timeline = programme();
    timeline.dub('es').place(clip(100, 200));
    timeline.dub('fr');
    const first = timeline.take(now(4_300));
    expect(first.dubs.get('fr')?.left).toBe(first.pcm);
    expect(first.dubs.get('es')?.left).not.toBe(first.pcm);
    timeline.endDub('es');
    timeline.dub('de').place(clip(400, 500));
    const second = timeline.take(now(4_600));
    expect([...second.dubs.keys()]).toEqual(['fr', 'de']);
    expect(sampleAt(second.dubs.get('de')?.left, 150)).toBeCloseTo(0.5 + 0.25 * named(450 * PER_MS), 6);
  });

  test('an empty clip and a thousand too many are refused', () => {
    const es = timelineOf().dub('es');
    expect(es.place(clip(100, 100))).toBe(false);
    for (let i = 0; i < 1_100; i += 1) es.place(clip(100, 110));
    expect([es.size, es.refused]).toEqual([1_024, 76]);
  });

  test('an original that is to be louder under a dub is our mistake, said at once', () => {
    expect(() => timelineOf({ mix: { under: 1 } })).toThrow('under must be 0 dB at most, received 1');
  });
});

describe('frames', () => {
  test('cover the 20 ms grid of media time, each as soon as its first sample is due', () => {
    const timeline = programme();
    const heard: Played[] = [];
    for (let t = 4_000; t < 5_000; t += 20) heard.push(...timeline.frames(now(t)));
    expect(heard.map((frame) => frame.start)).toEqual(Array.from({ length: 50 }, (_, k) => k * 20_000));
    expect(heard.flatMap((frame) => [...frame.pcm])).toEqual(Array.from({ length: 8_000 }, (_, i) => named(i)));
  });

  test('a timeline that starts between two grid points starts with the later one', () => {
    const timeline = timelineOf({ anchor: { media: at(7_000), clock: now(0) } });
    timeline.pushOriginal(ramp(0, 100));
    const [first] = timeline.frames(now(4_013));
    expect(first?.start).toBe(20_000);
    expect(first?.pcm[0]).toBe(named(160));
  });

  test('a short stall is caught up in one burst, a long one is skipped and counted', () => {
    const timeline = programme();
    timeline.frames(now(4_000));
    expect(timeline.frames(now(4_160))).toHaveLength(8);
    const after = timeline.frames(now(6_160));
    expect(after.map((frame) => frame.start)).toEqual(Array.from({ length: 50 }, (_, i) => (59 + i) * 20_000));
    expect(after[0]?.pcm[EDGE]).toBe(named(59 * 160 + EDGE));
    expect(timeline.skipped).toBe(50);
    // What would have come was frame 9; it goes on for a moment.
    for (const i of [0, 17, EDGE - 1]) {
      const level = rise((i + 1) / (EDGE + 1));
      expect(after[0]?.pcm[i]).toBeCloseTo(named(9 * 160 + i) * (1 - level) + named(59 * 160 + i) * level, 6);
    }
  });

  test('a clip begun in a skipped stretch sounds on where it would have been', () => {
    const timeline = programme();
    timeline.dub('es').place(clip(500, 3_000));
    timeline.frames(now(4_000));
    const [frame] = timeline.frames(now(6_000));
    expect(frame?.dubs.get('es')?.left[EDGE]).toBeCloseTo(0.5 + 0.25 * frame!.pcm[EDGE]!, 6);
  });

  test('a process that takes over goes on where the play-head is, on the same grid', () => {
    const before = programme();
    for (let t = 4_000; t <= 5_000; t += 20) before.frames(now(t));
    const after = programme({ now: now(5_337) });
    expect(after.frames(now(5_338)).map((f) => f.start)).toEqual([]);
    expect(after.frames(now(5_340)).map((f) => [f.start, f.pcm[0]])).toEqual([[1_340_000, named(1_340 * PER_MS)]]);
    expect(after.deadline(at(2_000_000))).toBe(before.deadline(at(2_000_000)));
  });
});

test('hours of programme are held in bounded memory, without a gap and without drifting', async () => {
  const clock = new ManualClock();
  const timeline = new Timeline({
    delay: seconds(5),
    rate: RATE,
    anchor: { media: at(0), clock: clock.now() },
    mix,
  });
  const hours = 3;
  const frame = ramp(0, 20);
  let frames = 0;
  let gaps = 0;
  for (let t = 0; t < hours * 3_600_000; t += 20) {
    timeline.pushOriginal({ ...frame, start: at(t * 1_000) });
    if (t % 4_000 === 0) timeline.dub('es').place(clip(t + 100, t + 2_100));
    await clock.advance(ms(20));
    for (const frame of timeline.frames(clock.now())) {
      if (frame.start !== frames * 20_000) gaps += 1;
      frames += 1;
    }
    if (t % 600_000 === 0) expect(timeline.dub('es').size).toBeLessThan(5);
  }
  expect(frames).toBe((hours * 3_600_000 - 5_000) / 20 + 1);
  expect([gaps, timeline.missing, timeline.skipped, timeline.early, timeline.late]).toEqual([0, 0, 0, 0, 0]);
});

test('rise and its mirror image add up to one', () => {
  const x = fc.double({ min: -1, max: 2, noNaN: true });
  fc.assert(
    fc.property(x, (x) => {
      expect(rise(x) + rise(1 - x)).toBeCloseTo(1, 12);
    }),
  );
});
test('the limiter leaves what is quiet alone and never goes beyond one', () => {
  fc.assert(
    fc.property(fc.double({ min: -100, max: 100, noNaN: true }), (x) => {
      expect(Math.abs(softLimit(x))).toBeLessThanOrEqual(1);
      if (Math.abs(x) <= 0.9) expect(softLimit(x)).toBe(x);
    }),
  );
});

/** What happens to a timeline, at 8 kHz, in samples. */
type Step =
  | { readonly do: 'push'; readonly from: number; readonly length: number }
  | { readonly do: 'place'; readonly from: number; readonly length: number }
  | { readonly do: 'take' | 'frames'; readonly after: number };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('push' as const), from: fc.nat(8_000), length: fc.nat(900) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('place' as const), from: fc.nat(8_000), length: fc.nat(900) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('take' as const, 'frames' as const), after: fc.nat(120) }) },
);
const time = (index: number) => at((index * 1_000) / PER_MS);

test('whatever comes in whatever order, every sample is played once, and equals the original outside clips', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: 'max' }), fc.constantFrom('take', 'frames'), (steps, reader) => {
      const timeline = timelineOf({ keep: ms(700) });
      const ground = new Float32Array(40_000);
      const there = new Uint8Array(40_000);
      const touched = new Uint8Array(40_000);
      /** Near what was missing when its time came, or shortly before. */
      const faded = new Uint8Array(40_000);
      const es = timeline.dub('es');
      let clock = 4_000;
      let played = 0;
      let level = 0;
      for (const it of steps) {
        if (it.do === 'push') {
          level = level > 0.125 ? level - 0.125 : 1;
          timeline.pushOriginal({
            start: time(it.from),
            rate: RATE,
            pcm: new Float32Array(it.length).fill(level),
          });
          for (let i = it.from; i < it.from + it.length; i += 1) {
            if (i < played || i >= played + 700 * PER_MS) continue;
            ground[i] = level;
            there[i] = 1;
          }
        } else if (it.do === 'place') {
          const pcm = new Float32Array(it.length).fill(0.1);
          const placed = es.place({ start: time(it.from), end: time(it.from + it.length), pcm });
          expect(placed).toBe(it.length > 0 && it.from - 2 * PER_MS >= played);
          if (placed) touched.fill(1, Math.max(0, it.from - 4 * PER_MS), it.from + it.length + 6 * PER_MS);
        } else {
          clock += it.after;
          for (const heard of reader === 'take' ? [timeline.take(now(clock))] : timeline.frames(now(clock))) {
            expect(heard.start).toBe(time(played));
            const dub = heard.dubs.get('es')!.left;
            for (let i = played; i < played + heard.pcm.length + EDGE; i += 1) {
              if (heard.pcm.length > 0 && !there[i]) faded.fill(1, Math.max(0, i - EDGE + 1), i + EDGE);
            }
            expect(dub).toHaveLength(heard.pcm.length);
            for (let i = 0; i < heard.pcm.length; i += 1) {
              const [sample, whole] = [heard.pcm[i]!, ground[played + i]!];
              if (faded[played + i] ? sample < 0 || sample > whole : sample !== whole) expect(sample).toBe(whole);
              if (!touched[played + i] && dub[i] !== heard.pcm[i]) expect(dub[i]).toBe(heard.pcm[i]);
            }
            played += heard.pcm.length;
          }
          if (reader === 'take') expect(played).toBe((clock - 4_000) * PER_MS);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('how the programme is cut into takes changes nothing in it', () => {
  const clips = [clip(100, 300, 0.3), clip(250, 420, 0.4), clip(424, 430, 0.9), clip(700, 701, 0.2)];
  const hear = (cuts: readonly number[]) => {
    const timeline = programme();
    for (const it of clips) timeline.dub('es').place(it);
    return [...cuts, 1_000].flatMap((t) => [...timeline.take(now(4_000 + t)).dubs.get('es')!.left]);
  };
  const whole = hear([]);
  fc.assert(
    fc.property(fc.array(fc.nat(1_000), { maxLength: 30 }), (cuts) => {
      expect(hear(cuts.sort((a, b) => a - b))).toEqual(whole);
    }),
    { numRuns: 60 },
  );
});
