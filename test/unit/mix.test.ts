import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decibels, factor } from '../../media/decibels.ts';
import { mixOf, panned, softLimit } from '../../media/mix.ts';
import { type Overlay, type Played, Timeline, type TimelineOptions } from '../../media/timeline.ts';
import { type ClockTime, at, ms, seconds } from '../../media/time.ts';

// 8 kHz: eight samples a millisecond.
const RATE = 8_000 as const;
const PER_MS = 8;
const now = (millis: number) => (millis * 1_000) as ClockTime;
const anchor = { media: at(0), clock: now(0) };

const timelineOf = (mix: TimelineOptions['mix'] = {}) =>
  new Timeline({ delay: ms(1_000), rate: RATE, anchor, mix, keep: seconds(20) });
const level = (value: number, fromMs: number, untilMs: number) => ({
  start: at(fromMs * 1_000),
  rate: RATE,
  pcm: new Float32Array((untilMs - fromMs) * PER_MS).fill(value),
});
const clip = (fromMs: number, untilMs: number, value = 0, pan?: number): Overlay => ({
  start: at(fromMs * 1_000),
  end: at(untilMs * 1_000),
  pcm: new Float32Array((untilMs - fromMs) * PER_MS).fill(value),
  ...(pan !== undefined && { pan }),
});
const hear = (timeline: Timeline, untilMs: number) => timeline.take(now(1_000 + untilMs)).dubs.get('es')!;
const sampleAt = (pcm: Float32Array, millis: number) => pcm[millis * PER_MS]!;

describe('under a clip', () => {
  // The original is a voice of 0.3 over a background of 0.1.
  const under = (mix: TimelineOptions['mix'], background: boolean) => {
    const timeline = timelineOf(mix);
    timeline.pushOriginal(level(0.4, 0, 3_000));
    if (background) timeline.pushBackground(level(0.1, 0, 3_000));
    timeline.dub('es').place(clip(1_000, 2_000));
    const { left } = hear(timeline, 3_000);
    expect(sampleAt(left, 900)).toBe(Math.fround(0.4));
    expect(sampleAt(left, 2_300)).toBe(Math.fround(0.4));
    return sampleAt(left, 1_500);
  };
  test.for([
    ['replace', 'the background is heard whole, and nothing else', true, 0.1],
    ['replace', 'nothing is heard where the background is not known', false, 0],
    ['duck', 'the background is heard whole', true, 0.1],
    ['duck', 'the original is 20 dB down where the background is not known', false, 0.04],
    [
      'voice-over',
      'the original is 12 dB down, voice and all, though the background is known',
      true,
      0.4 * factor(-12),
    ],
    ['voice-over', 'the original is 12 dB down', false, 0.4 * factor(-12)],
  ] as const)('%s: %s', ([mode, , background, expected]) => {
    expect(under({ mode }, background)).toBeCloseTo(expected, 6);
  });

  test('how far down is for the session to say', () => {
    expect(under({ under: -6 }, false)).toBeCloseTo(0.4 * factor(-6), 6);
    expect(under({ mode: 'voice-over', under: -Infinity }, false)).toBe(0);
    expect(decibels(factor(-13))).toBeCloseTo(-13, 12);
    expect(() => mixOf({ under: Number.NaN })).toThrow('under must be 0 dB at most, received NaN');
  });

  test('a background that is missing for a while is cross-faded with the lowered original, whatever its order', () => {
    const timeline = timelineOf();
    timeline.pushOriginal(level(0.4, 0, 4_000));
    for (const [from, until] of [
      [2_000, 4_000],
      [1_200, 1_600],
      [0, 1_200],
    ] as const) {
      timeline.pushBackground(level(0.1, from, until));
    }
    timeline.dub('es').place(clip(1_000, 3_000));
    const { left } = hear(timeline, 4_000);
    for (const [millis, expected] of [
      [1_500, 0.1],
      [1_700, 0.04],
      [1_950, 0.04],
      [2_100, 0.1],
    ] as const) {
      expect(sampleAt(left, millis)).toBeCloseTo(expected, 6);
    }
    const steps = left.slice(1).map((x, i) => Math.abs(x - left[i]!));
    expect(Math.max(...steps.subarray(1_100 * PER_MS, 2_900 * PER_MS))).toBeLessThan(0.06 / 90);
  });

  test('a background that first comes in the middle of a clip is faded in', () => {
    const timeline = timelineOf();
    timeline.pushOriginal(level(0.4, 0, 3_000));
    timeline.dub('es').place(clip(500, 2_000));
    const before = hear(timeline, 1_000).left;
    timeline.pushBackground(level(0.1, 0, 3_000));
    const left = Float32Array.from([...before, ...hear(timeline, 2_900).left]);
    expect([sampleAt(left, 999), sampleAt(left, 1_021)]).toEqual([
      expect.closeTo(0.04, 6) as number,
      expect.closeTo(0.1, 6) as number,
    ]);
    expect(bend(left)).toBeLessThan(0.001);
  });

  test('a loud background does not click where the limiter sets in', () => {
    const timeline = timelineOf();
    timeline.pushOriginal(level(1.2, 0, 3_000));
    timeline.pushBackground(level(1.2, 0, 3_000));
    timeline.dub('es').place(clip(1_000, 2_000, 0.5));
    const { left } = hear(timeline, 2_900);
    expect(sampleAt(left, 500)).toBe(Math.fround(1.2));
    expect(sampleAt(left, 1_500)).toBeLessThanOrEqual(1);
    const steps = left.slice(1).map((x, i) => Math.abs(x - left[i]!));
    expect(Math.max(...steps)).toBeLessThan(0.01);
  });
});

describe('between clips', () => {
  const down = (left: Float32Array, millis: number) => sampleAt(left, millis) < 0.041;
  test('the original stays down in a short pause and comes back in a long one', () => {
    const timeline = timelineOf();
    timeline.pushOriginal(level(0.4, 0, 6_000));
    const es = timeline.dub('es');
    // In any order; the pauses are 500 ms, 501 ms, and 100 ms in the time of a third.
    for (const one of [clip(3_501, 4_000), clip(2_000, 3_000), clip(1_000, 1_500), clip(4_100, 5_000)]) es.place(one);
    const { left } = hear(timeline, 6_000);
    for (let millis = 1_001; millis < 3_000; millis += 1) expect(down(left, millis)).toBe(true);
    expect(sampleAt(left, 3_250)).toBe(Math.fround(0.4));
    for (let millis = 3_502; millis < 5_000; millis += 1) expect(down(left, millis)).toBe(true);
    expect(sampleAt(left, 5_300)).toBe(Math.fround(0.4));
  });

  test('a clip that is known only when the original is on its way back pulls nothing', () => {
    const timeline = timelineOf();
    timeline.pushOriginal(level(0.4, 0, 4_000));
    timeline.dub('es').place(clip(1_000, 1_500));
    const before = hear(timeline, 1_600).left;
    expect(timeline.dub('es').place(clip(1_800, 2_500))).toBe(true);
    const left = Float32Array.from([...before, ...hear(timeline, 3_000).left]);
    expect(sampleAt(left, 1_710)).toBeGreaterThan(0.39);
    const steps = left.slice(1).map((x, i) => Math.abs(x - left[i]!));
    expect(Math.max(...steps)).toBeLessThan((0.36 * Math.PI) / 2 / (79 * PER_MS));
  });

  test('clips that overlap, in whatever order they come, are one stretch', () => {
    for (const order of [
      [clip(1_000, 2_000), clip(1_500, 1_700), clip(1_900, 2_500)],
      [clip(1_900, 2_500), clip(1_500, 1_700), clip(1_000, 2_000)],
    ]) {
      const timeline = timelineOf();
      timeline.pushOriginal(level(0.4, 0, 4_000));
      for (const one of order) timeline.dub('es').place(one);
      const { left } = hear(timeline, 3_000);
      for (let millis = 1_001; millis < 2_500; millis += 1) expect(down(left, millis)).toBe(true);
      expect(sampleAt(left, 900)).toBe(Math.fround(0.4));
      expect(sampleAt(left, 2_800)).toBe(Math.fround(0.4));
    }
  });
});

describe('two voices at once', () => {
  const mix = { under: -Infinity } as const;
  test('both: alike', () => {
    const timeline = timelineOf({ ...mix, overlap: 'both' });
    timeline.dub('es').place(clip(1_000, 2_000, 0.2));
    timeline.dub('es').place(clip(1_500, 2_500, 0.4, -1));
    const { left, right, voice } = hear(timeline, 3_000);
    expect(right).toBe(left);
    for (const [millis, expected] of [
      [1_200, 0.2],
      [1_750, 0.6],
      [2_200, 0.4],
    ] as const) {
      expect(sampleAt(left, millis)).toBeCloseTo(expected, 6);
      expect(sampleAt(voice, millis)).toBeCloseTo(expected, 6);
    }
  });

  test('duck: whoever began first steps back by 8 dB while the other speaks, whichever was ready first', () => {
    for (const order of [
      [clip(1_000, 3_000, 0.2), clip(1_500, 2_000, 0.4)],
      [clip(1_500, 2_000, 0.4), clip(1_000, 3_000, 0.2)],
    ]) {
      const timeline = timelineOf({ ...mix, overlap: 'duck' });
      for (const one of order) timeline.dub('es').place(one);
      const { voice } = hear(timeline, 4_000);
      for (const [millis, expected] of [
        [1_200, 0.2],
        [1_750, 0.4 + 0.2 * factor(-8)],
        [2_300, 0.2],
      ] as const) {
        expect(sampleAt(voice, millis)).toBeCloseTo(expected, 6);
      }
      const steps = voice.slice(1).map((x, i) => Math.abs(x - voice[i]!));
      expect(Math.max(...steps)).toBeLessThan(0.6 * 0.01);
    }
  });

  test('pan: each in its place with the same power, the middle as loud as ever, mono where nobody is panned', () => {
    const timeline = timelineOf({ ...mix, overlap: 'pan' });
    for (const [start, pan] of [
      [1_000, -1],
      [2_000, 0.3],
      [3_000, 1],
    ] as const) {
      timeline.dub('es').place(clip(start, start + 500, 0.2, pan));
    }
    timeline.dub('es').place(clip(4_000, 4_500, 0.2));
    const { left, right, voice } = hear(timeline, 3_700);
    expect([sampleAt(left, 1_250), sampleAt(right, 1_250)]).toEqual([
      expect.closeTo(0.2 * Math.SQRT2, 6),
      expect.closeTo(0, 6),
    ]);
    expect([sampleAt(left, 3_250), sampleAt(right, 3_250)]).toEqual([
      expect.closeTo(0, 6),
      expect.closeTo(0.2 * Math.SQRT2, 6),
    ]);
    expect(sampleAt(left, 2_250) ** 2 + sampleAt(right, 2_250) ** 2).toBeCloseTo(2 * 0.2 ** 2, 6);
    expect(sampleAt(right, 2_250)).toBeGreaterThan(sampleAt(left, 2_250));
    for (const millis of [1_250, 2_250, 3_250]) expect(sampleAt(voice, millis)).toBeCloseTo(0.2, 6);
    const mono = hear(timeline, 5_000);
    expect(mono.right).toBe(mono.left);
    expect(sampleAt(mono.left, 4_250 - 3_700)).toBeCloseTo(0.2, 6);
    expect(panned(0)).toEqual({ left: expect.closeTo(1, 12) as number, right: expect.closeTo(1, 12) as number });
  });
});

test('for a viewer who mixes for himself there is the voice alone, and one silence for all who do not speak', () => {
  const timeline = timelineOf();
  timeline.pushOriginal(level(0.4, 0, 3_000));
  timeline.dub('es').place(clip(500, 700, 0.95));
  timeline.dub('fr');
  const first = timeline.take(now(1_400));
  const [es, fr] = ['es', 'fr'].map((name) => first.dubs.get(name)!);
  expect(es!.voice).toBe(fr!.voice);
  expect(es!.voice).toHaveLength(first.pcm.length);
  expect(es!.voice.every((x) => x === 0)).toBe(true);
  const second = timeline.take(now(1_800)).dubs.get('es')!;
  expect(sampleAt(second.voice, 200)).toBeCloseTo(softLimit(0.95), 6);
  expect(sampleAt(second.left, 200)).toBeCloseTo(softLimit(0.95 + 0.04), 6);
  expect(sampleAt(second.voice, 350)).toBe(0);
});

test('a language that is taken away in the middle of a word fades out, and can come back at once', () => {
  const timeline = timelineOf();
  timeline.pushOriginal(level(0.4, 0, 6_000));
  timeline.dub('es').place(clip(1_000, 3_000, 0.3));
  timeline.dub('es').place(clip(3_300, 4_000, 0.3));
  const parts: number[][] = [[...hear(timeline, 2_000).left]];
  timeline.endDub('es');
  parts.push([...hear(timeline, 2_050).left]);
  expect(timeline.dub('es').place(clip(2_400, 2_600, 0.3))).toBe(true);
  parts.push([...hear(timeline, 5_000).left]);
  const left = Float32Array.from(parts.flat());
  expect(sampleAt(left, 1_999)).toBeCloseTo(0.34, 6);
  expect(sampleAt(left, 2_021)).toBeCloseTo(0.04, 3);
  expect(sampleAt(left, 2_300)).toBe(Math.fround(0.4));
  expect(sampleAt(left, 2_500)).toBeCloseTo(0.34, 6);
  expect(sampleAt(left, 3_600)).toBe(Math.fround(0.4));
  timeline.endDub('es');
  expect(timeline.take(now(6_100)).dubs.size).toBe(0);
});

/** The sharpest bend of a sound: what a click has and a smooth sound has not. */
function bend(pcm: readonly number[] | Float32Array): number {
  let worst = 0;
  for (let i = 2; i < pcm.length; i += 1) worst = Math.max(worst, Math.abs(pcm[i]! - 2 * pcm[i - 1]! + pcm[i - 2]!));
  return worst;
}
const wave = (hertz: number, size: number, from: number, length: number, phase = 0) =>
  Float32Array.from({ length }, (_, i) => size * Math.cos((2 * Math.PI * hertz * (from + i)) / RATE + phase));

describe('no edge clicks', () => {
  const SIZE = 0.25;
  const event = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constant('original' as const),
        from: fc.integer({ min: -800, max: 4_000 }),
        length: fc.nat(6_000),
      }),
    },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('background' as const),
        from: fc.integer({ min: -800, max: 4_000 }),
        length: fc.nat(6_000),
      }),
    },
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('clip' as const),
        from: fc.nat(8_000),
        length: fc.integer({ min: 400, max: 9_000 }),
        pan: fc.option(fc.double({ min: -1, max: 1, noNaN: true })),
        phase: fc.double({ min: 0, max: 6, noNaN: true }),
      }),
    },
    { weight: 10, arbitrary: fc.record({ do: fc.constant('play' as const), after: fc.nat(300) }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('stall' as const), after: fc.integer({ min: 900, max: 2_500 }) }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constantFrom('end' as const, 'begin' as const), after: fc.constant(0) }),
    },
  );
  const mode = fc.constantFrom('replace' as const, 'duck' as const, 'voice-over' as const);
  const overlap = fc.constantFrom('both' as const, 'duck' as const, 'pan' as const);

  test('of a hole, a clip, a stall, a background that comes and goes, a language that comes and goes', () => {
    fc.assert(
      fc.property(
        fc.array(event, { minLength: 20, maxLength: 120, size: 'max' }),
        mode,
        overlap,
        (events, mode, overlap) => {
          const timeline = timelineOf({ mode, overlap });
          const es = () => timeline.dub('es');
          const heard: Record<'pcm' | 'left' | 'right' | 'voice', number[]> = {
            pcm: [],
            left: [],
            right: [],
            voice: [],
          };
          const listen = (played: Played) => {
            const { pcm, dubs } = played;
            const sound = dubs.get('es') ?? { left: pcm, right: pcm, voice: new Float32Array(pcm.length) };
            expect([sound.left.length, sound.right.length, sound.voice.length]).toEqual(Array(3).fill(pcm.length));
            heard.pcm.push(...pcm);
            for (const part of ['left', 'right', 'voice'] as const) heard[part].push(...sound[part]);
          };
          const position = () => Math.round((timeline.position * RATE) / 1e6);
          let [clock, ends] = [1_000, 0];
          es();
          for (const it of events) {
            if (it.do === 'original' || it.do === 'background') {
              const from = Math.max(0, position() + it.from);
              const start = at((from * 1e6) / RATE);
              if (it.do === 'original')
                timeline.pushOriginal({ start, rate: RATE, pcm: wave(17, SIZE, from, it.length) });
              else timeline.pushBackground({ start, rate: RATE, pcm: wave(11, SIZE / 2, from, it.length) });
            } else if (it.do === 'clip') {
              // At most three voices at once are as loud as the limiter leaves alone.
              const from = Math.max(ends, position() + it.from);
              const pcm = wave(19, 0.2, 0, it.length, it.phase);
              const pan = it.pan ?? 0;
              if (
                es().place({ start: at((from * 1e6) / RATE), end: at(((from + it.length) * 1e6) / RATE), pcm, pan })
              ) {
                ends = from + (it.length >> 1);
              }
            } else if (it.do === 'end') timeline.endDub('es');
            else if (it.do === 'begin') es();
            else {
              clock += it.after;
              for (const played of timeline.frames(now(clock))) listen(played);
            }
          }
          for (const part of Object.values(heard)) expect(bend(part)).toBeLessThan(0.04);
        },
      ),
      { numRuns: 300 },
    );
  }, 120_000);

  test('and the measure finds the clicks of a mix without fades', () => {
    const timeline = timelineOf({ fade: ms(0.125), attack: ms(0.125), release: ms(0.125) });
    timeline.pushOriginal({ start: at(0), rate: RATE, pcm: wave(17, SIZE, 0, 16_000) });
    timeline.dub('es').place({ ...clip(600, 900), pcm: wave(19, 0.2, 0, 2_400) });
    expect(bend(hear(timeline, 1_500).left)).toBeGreaterThan(0.1);
  });
});
