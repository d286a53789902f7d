import { expect, test } from 'vitest';
import { type Finisher, type Played, type Sides, Timeline, type TimelineOptions } from '../../media/timeline.ts';
import { type ClockTime, at, ms, seconds } from '../../media/time.ts';

// 8 kHz: eight samples a millisecond, 160 a frame.
const RATE = 8_000 as const;
const PER_MS = 8;
const now = (millis: number) => (millis * 1_000) as ClockTime;
const named = (index: number) => ((index % 3_000) + 1) / 4_096;
const ramp = (fromMs: number, untilMs: number) => ({
  start: at(fromMs * 1_000),
  rate: RATE,
  pcm: Float32Array.from({ length: (untilMs - fromMs) * PER_MS }, (_, i) => named(fromMs * PER_MS + i)),
});
const clip = (fromMs: number, untilMs: number, level = 0.5, pan?: number) => ({
  start: at(fromMs * 1_000),
  end: at(untilMs * 1_000),
  pcm: new Float32Array((untilMs - fromMs) * PER_MS).fill(level),
  ...(pan !== undefined && { pan }),
});

/** Makes everything half as loud, and notes what it was given. */
class Halving implements Finisher {
  readonly lookahead: number;
  readonly track: string | null;
  readonly taken: { readonly at: number; readonly first: number | undefined; readonly count: number }[] = [];
  #waiting: Sides;

  constructor(lookahead: number, track: string | null) {
    this.lookahead = lookahead;
    this.track = track;
    this.#waiting = { left: new Float32Array(lookahead), right: new Float32Array(lookahead) };
  }
  process({ left, right }: Sides, at: number): Sides {
    const count = left.length;
    this.taken.push({ at, first: left[0], count });
    const [joinedLeft, joinedRight] = [
      [this.#waiting.left, left],
      [this.#waiting.right, right],
    ].map(([before, after]) => Float32Array.from([...before!, ...after!.map((sample) => sample / 2)])) as [
      Float32Array,
      Float32Array,
    ];
    this.#waiting = { left: joinedLeft.slice(count), right: joinedRight.slice(count) };
    return { left: joinedLeft.subarray(0, count), right: joinedRight.subarray(0, count) };
  }
}

function pair(lookahead: number, options: Partial<TimelineOptions> = {}) {
  const finishers = new Map<string | null, Halving>();
  const common = {
    delay: ms(1_000),
    rate: RATE,
    anchor: { media: at(0), clock: now(0) },
    keep: seconds(20),
    ...options,
  } as const;
  const plain = new Timeline(common);
  const finished = new Timeline({
    ...common,
    finish: (track) => {
      const finisher = new Halving(lookahead, track);
      finishers.set(track, finisher);
      return finisher;
    },
  });
  for (const timeline of [plain, finished]) {
    for (let i = 0; i < 10; i += 1) timeline.pushOriginal(ramp(i * 1_000, (i + 1) * 1_000));
  }
  return { plain, finished, finishers };
}
/** The finished programme is the plain one half as loud, at the same places; the voice is as it was. */
function same(plain: readonly Played[], finished: readonly Played[]): void {
  expect(finished.map(({ start }) => start)).toEqual(plain.map(({ start }) => start));
  const half = (pcm: Float32Array) => pcm.map((sample) => sample / 2);
  plain.forEach((played, i) => {
    const { pcm, dubs } = finished[i]!;
    expect(pcm).toEqual(half(played.pcm));
    expect([...dubs.keys()]).toEqual([...played.dubs.keys()]);
    for (const [name, { left, right, voice }] of played.dubs) {
      expect(dubs.get(name)).toEqual({ left: half(left), right: half(right), voice });
    }
  });
}

test.for([0, 1, 37, 160, 4_000])(
  'looking %d samples ahead, every track is finished and in its place to the sample',
  (lookahead) => {
    const { plain, finished, finishers } = pair(lookahead, { mix: { overlap: 'pan' } });
    for (const timeline of [plain, finished]) {
      timeline.dub('es').place(clip(600, 900));
      timeline.dub('es').place(clip(1_200, 1_500, 0.3, 0.7));
    }
    const heard: [Played[], Played[]] = [[], []];
    for (let t = 1_000; t < 4_000; t += 10) {
      if (t === 2_500) for (const timeline of [plain, finished]) timeline.dub('fr').place(clip(2_300, 2_600));
      heard[0].push(...plain.frames(now(t)));
      heard[1].push(...finished.frames(now(t)));
    }
    expect(heard[0]).toHaveLength(150);
    same(...heard);
    expect([...finishers.keys()]).toEqual([null, 'es', 'fr']);
    // Without a gap and without an overlap, each from where it begins.
    for (const { taken } of finishers.values()) {
      const whole = taken.filter(({ count }) => count > 0);
      whole.slice(1).forEach(({ at }, i) => expect(at).toBe(whole[i]!.at + whole[i]!.count));
      for (const { at, first } of finishers.get(null)!.taken) if (lookahead > 0) expect(first).toBe(named(at));
    }
  },
);

test.for([37, 4_000, 10_000])(
  'looking %d samples ahead, what is skipped after a stall is skipped, and the rest is in its place',
  (lookahead) => {
    const { plain, finished } = pair(lookahead);
    const heard: [Played[], Played[]] = [[], []];
    for (const t of [1_000, 1_020, 2_700, 2_720, 4_800, 4_820, 4_840]) {
      heard[0].push(...plain.frames(now(t)));
      heard[1].push(...finished.frames(now(t)));
    }
    expect(finished.skipped).toBe(plain.skipped);
    expect(finished.skipped).toBeGreaterThan(50);
    same(...heard);
  },
);

test('whatever piece is asked for, the programme comes out whole', () => {
  const { plain, finished } = pair(300);
  for (const timeline of [plain, finished]) timeline.dub('es').place(clip(600, 900));
  for (const t of [1_001, 1_001, 1_700, 1_703, 2_000, 5_000]) same([plain.take(now(t))], [finished.take(now(t))]);
  expect(finished.position).toBe(4_000_000);
});

test('a deadline is so much earlier as the finisher looks ahead, and is true to the frame', () => {
  for (const [late, expected] of [
    [0, true],
    [20, false],
  ] as const) {
    const { plain, finished } = pair(400);
    expect(plain.deadline(at(2_510_000)) - finished.deadline(at(2_510_000))).toBe(40_000);
    const deadline = finished.deadline(at(2_510_000)) / 1_000;
    for (let t = 1_000; t < deadline + late; t += 20) finished.frames(now(t));
    expect(finished.dub('es').place(clip(2_510, 2_900))).toBe(expected);
  }
});

test('finishers that do not look equally far ahead are our mistake, said at once', () => {
  const timeline = new Timeline({
    delay: ms(1_000),
    rate: RATE,
    anchor: { media: at(0), clock: now(0) },
    finish: (track) => new Halving(track === null ? 10 : 20, track),
  });
  expect(() => timeline.dub('es')).toThrow("its finisher looks 20 samples ahead, the original's 10");
});

test('voices that go out by themselves are as loud as in the mix, and come to a new gain without a step', () => {
  let gain = 0.5;
  const timeline = new Timeline({
    delay: ms(1_000),
    rate: RATE,
    anchor: { media: at(0), clock: now(0) },
    mix: { mode: 'replace' },
    finish: () => ({
      lookahead: 0,
      get gain() {
        return gain;
      },
      process: ({ left, right }) => ({ left: left.map((x) => x * gain), right: right.map((x) => x * gain) }),
    }),
  });
  timeline.pushOriginal(ramp(0, 3_000));
  expect(timeline.dub('es').place(clip(500, 2_500, 0.4))).toBe(true);
  timeline.take(now(1_000));
  const before = timeline.take(now(2_000)).dubs.get('es')!;
  const at600 = 600 * PER_MS;
  expect(before.voice[at600]).toBeCloseTo(0.2, 5);
  expect(before.voice[at600]).toBeCloseTo(before.left[at600]!, 5);
  gain = 1;
  const { voice } = timeline.take(now(2_500)).dubs.get('es')!;
  expect(voice.at(-1)).toBeCloseTo(0.4, 2);
  const steps = voice.subarray(1).map((x, i) => Math.abs(x - voice[i]!));
  expect(Math.max(...steps)).toBeLessThan(0.001);
  expect(voice[0]).toBeCloseTo(0.2, 2);
});

test('where a finisher follows, loud voices are not bent: that is left to its limiter', () => {
  const { plain, finished } = pair(0, { mix: { mode: 'replace' } });
  for (const timeline of [plain, finished]) {
    expect(timeline.dub('es').place(clip(500, 1_500, 1.4))).toBe(true);
    timeline.take(now(1_000));
  }
  const middle = ({ dubs }: Played) => dubs.get('es')!.left[1_000 * PER_MS]!;
  expect(middle(plain.take(now(2_500)))).toBeLessThanOrEqual(1);
  expect(middle(finished.take(now(2_500)))).toBeCloseTo(0.7, 5);
});
