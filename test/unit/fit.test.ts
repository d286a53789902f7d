import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type MediaTime, at, ms } from '../../media/time.ts';
import type { SpeakerId } from '../../pipeline/domain.ts';
import { FITTING, Floor, type Natural, endOfPart, plan, wants } from '../../pipeline/fit.ts';

const NEVER = Number.NEGATIVE_INFINITY as MediaTime;
/** A line of two seconds from 10 s on. */
const line = { start: at(10_000_000), end: at(12_000_000) };
const voice = (length: number, count = 8, marked = true): Natural => ({
  length: ms(length),
  count,
  words: marked ? Array.from({ length: count }, (_, n) => ms((n * length) / count)) : [],
});
const around = (quiet: number, busy?: number) => ({
  quietUntil: at(quiet * 1_000),
  busyUntil: busy === undefined ? NEVER : at(busy * 1_000),
});

// length, silence until, busy until → rung, speed, start and end (ms), borrowed, trimmed
test.for([
  ['a voice that fits is left as it is', 1_900, 12_000, undefined, 'natural', 1, 10_000, 11_900, 0, 0],
  ['exactly the slot', 2_000, 12_000, undefined, 'natural', 1, 10_000, 12_000, 0, 0],
  ['a trifle too long is left as it is', 2_025, 12_000, undefined, 'natural', 1, 10_000, 12_025, 0, 0],
  ['a short one is slowed, never below 0.9', 900, 12_000, undefined, 'slowed', 0.9, 10_000, 11_000, 0, 0],
  ['a long one borrows the pause', 2_600, 13_000, undefined, 'borrowed', 1, 10_000, 12_600, 600, 0],
  [
    'no more than a second and a half of it',
    4_000,
    20_000,
    undefined,
    'stretched',
    4_000 / 3_500,
    10_000,
    13_500,
    1_500,
    0,
  ],
  ['then it is played faster', 2_300, 12_000, undefined, 'stretched', 1.15, 10_000, 12_000, 0, 0],
  ['never above 1.2; the last syllable may run over', 2_460, 12_000, undefined, 'stretched', 1.2, 10_000, 12_050, 0, 0],
  ['what does not fit is cut at a word', 4_000, 12_000, undefined, 'trimmed', 1.2, 10_000, 12_083.333, 0, 3],
  ['after a dub that still speaks it starts later', 1_500, 12_000, 10_400, 'natural', 1, 10_400, 11_900, 0, 0],
  ['and pays back by speed', 1_900, 12_000, 10_400, 'stretched', 1.1875, 10_400, 12_000, 0, 0],
  ['and by the pause', 1_900, 12_500, 10_400, 'borrowed', 1, 10_400, 12_300, 300, 0],
] as [string, number, number, number | undefined, string, number, number, number, number, number][])(
  '%s',
  ([, length, quiet, busy, rung, speed, start, end, borrowed, trimmed]) => {
    const decided = plan(line, voice(length), around(quiet, busy))!;
    expect(decided.fit.rung).toBe(rung);
    expect(decided.fit.speed).toBeCloseTo(speed, 6);
    expect(decided.start / 1_000).toBe(start);
    expect(endOfPart(decided.parts[0]!) / 1_000).toBeCloseTo(end, 2);
    expect(decided.fit).toMatchObject({ slot: 2_000_000, natural: length * 1_000, trimmedWords: trimmed });
    expect(decided.fit.borrowed / 1_000).toBeCloseTo(borrowed, 2);
    expect(decided.fit.shifted / 1_000).toBe(start - 10_000);
  },
);

test.for([
  ['a line more than a second late', voice(1_000), around(12_000, 11_001)],
  ['a line without a voice', voice(0), around(12_000)],
  ['one word that does not fit', voice(5_000, 1), around(12_000)],
  ['one word that does not fit, without marks', voice(5_000, 1, false), around(12_000)],
] as const)('%s is left to its caption', ([, natural, surroundings]) => {
  expect(plan(line, natural, surroundings)).toBeUndefined();
});

test('without marks, words count as equally long', () => {
  const decided = plan(line, voice(4_000, 8, false), around(12_000))!;
  expect(decided.fit).toMatchObject({ rung: 'trimmed', trimmedWords: 3 });
  expect(decided.parts).toEqual([{ from: 0, to: ms(2_500), at: line.start, speed: 1.2 }]);
});

test('a line asks for as much of the pause as it lacks', () => {
  expect(wants(line, voice(1_500), NEVER)).toBe(0);
  expect(wants(line, voice(2_025), NEVER)).toBe(0);
  expect(wants(line, voice(2_300), NEVER)).toBe(ms(300));
  expect(wants(line, voice(9_000), NEVER)).toBe(ms(1_500));
  expect(wants(line, voice(1_900), at(10_400_000))).toBe(ms(300));
});

test('dubs of one speaker do not overlap; two speakers do only if they did', () => {
  const floor = new Floor();
  const [a, b] = ['a' as SpeakerId, 'b' as SpeakerId];
  floor.take({ ...line, speaker: a }, { start: line.start, end: at(12_200_000) });
  const next = { start: at(12_000_000), end: at(13_000_000) };
  const across = { start: at(11_500_000), end: at(13_000_000) };
  expect(floor.busyUntil({ ...next, speaker: a })).toBe(12_200_000);
  expect(floor.busyUntil({ ...next, speaker: b })).toBe(12_200_000);
  expect(floor.busyUntil({ ...across, speaker: a })).toBe(12_200_000);
  expect(floor.busyUntil({ ...across, speaker: b })).toBe(NEVER);
});

const lines = (count: number) =>
  fc.array(
    fc.record({
      gap: fc.oneof(
        { weight: 3, arbitrary: fc.constant(0) },
        { weight: 2, arbitrary: fc.integer({ min: -200, max: 3_000 }) },
      ),
      // As long as the longest overlap at least, so that no line ends before the one before it.
      slot: fc.integer({ min: 200, max: 6_000 }),
      ratio: fc.double({ min: 0.2, max: 2.5, noNaN: true }),
      words: fc.integer({ min: 1, max: 16 }),
      marked: fc.boolean(),
      speaker: fc.constantFrom('a', 'a', 'a', 'b'),
      known: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    { minLength: count, maxLength: count },
  );

test('over any thousand lines every bound holds and lateness does not add up', () => {
  fc.assert(
    fc.property(lines(1_000), (spoken) => {
      const floor = new Floor();
      const heard: { start: number; end: number; speaker: string; from: number; to: number }[] = [];
      const placed: { start: MediaTime; end: MediaTime }[] = [];
      let t = 0;
      for (const { gap, slot } of spoken) {
        const start = Math.max(0, t + gap);
        t = start + slot;
        placed.push({ start: at(start * 1_000), end: at(t * 1_000) });
      }
      let longest = 0;
      spoken.forEach(({ slot, ratio, words, marked, speaker, known }, n) => {
        const interval = { ...placed[n]!, speaker: speaker as SpeakerId };
        const next = placed[n + 1]?.start ?? interval.end;
        const pause = Math.max(0, next - interval.end);
        const quietUntil = at(interval.end + pause * known);
        const natural = voice(Math.max(50, slot * ratio), words, marked);
        const decided = plan(interval, natural, { quietUntil, busyUntil: floor.busyUntil(interval) });
        if (!decided) return;
        const { start, parts, fit } = decided;
        const { speed } = fit;
        const end = endOfPart(parts.at(-1)!);
        expect(speed).toBeGreaterThanOrEqual(0.9);
        expect(speed).toBeLessThanOrEqual(1.2);
        expect(start).toBeGreaterThanOrEqual(interval.start);
        expect(fit.shifted).toBeLessThanOrEqual(1_000_000);
        expect(fit.borrowed).toBeLessThanOrEqual(Math.min(1_500_000, pause));
        // No further into what follows than the overrun, however late it began and however long it is.
        expect(end - quietUntil).toBeLessThanOrEqual(FITTING.overrun + 2);
        expect(end - interval.end).toBeLessThanOrEqual(FITTING.borrow + FITTING.overrun + 2);
        expect(fit.trimmedWords).toBeLessThan(words);
        expect(fit.trimmedWords > 0).toBe(fit.rung === 'trimmed');
        if (fit.rung !== 'trimmed') expect(parts.at(-1)!.to).toBe(natural.length);
        for (const other of heard.slice(-10)) {
          if (other.speaker === speaker) expect(start).toBeGreaterThanOrEqual(other.end);
          else if (!(other.from < interval.end && interval.start < other.to))
            expect(start).toBeGreaterThanOrEqual(other.end);
        }
        heard.push({ start, end, speaker, from: interval.start, to: interval.end });
        floor.take(interval, { start, end });
        longest = Math.max(longest, fit.shifted);
      });
      // Sources overlap by 200 ms at most, so nobody is later than that and one overrun.
      expect(longest).toBeLessThanOrEqual(200_000 + FITTING.overrun + 2);
    }),
    { numRuns: 10, endOnFailure: true },
  );
});

test('after a thousand lines that are all too long, the next that fits is as early as the first', () => {
  const floor = new Floor();
  const shifts: number[] = [];
  for (let n = 0; n < 1_000; n += 1) {
    // Back to back without a pause, one and a half times too long; every hundredth has room.
    const fits = n % 100 === 99;
    const interval = { start: at(n * 2_000_000), end: at((n + 1) * 2_000_000), speaker: 'a' as SpeakerId };
    const natural = voice(fits ? 1_200 : 3_000);
    const decided = plan(interval, natural, { quietUntil: interval.end, busyUntil: floor.busyUntil(interval) })!;
    const end = endOfPart(decided.parts[0]!);
    floor.take(interval, { start: decided.start, end });
    if (n % 100 === 0) shifts.push(decided.fit.shifted);
  }
  expect(shifts).toEqual(new Array(10).fill(0));
});
