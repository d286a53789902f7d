import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Span, ms, sampleIndex, seconds } from '../../media/time.ts';
import type { SpeakerId } from '../../pipeline/domain.ts';
import { type Emphasis, type Mapped, Prosody, applyContour, lifted } from '../../pipeline/prosody.ts';

const RATE = 8_000;
const id = (name: string) => name as SpeakerId;
/** Syllables of a voice: 150 ms of sound, 50 ms of quiet, as loud as `level` says at each second. */
function talk(level: (t: number) => number, { length = 3, hertz = 120 } = {}): Float32Array {
  return Float32Array.from({ length: length * RATE }, (_, i) => {
    const t = i / RATE;
    const phase = 2 * Math.PI * hertz * t;
    return t % 0.2 < 0.15 ? level(t) * (Math.sin(phase) + Math.sin(2 * phase) / 2) : 0.0002 * Math.sin(i);
  });
}
const even = (level: number) => () => level;
const whole = (length: number, dub = length): Mapped[] => [
  { source: { start: ms(0), end: seconds(length) }, dub: { start: ms(0), end: seconds(dub) } },
];
const decibels = (after: number, before: number) => 20 * Math.log10(Math.abs(after / before));

describe('an utterance', () => {
  test('is louder or higher than its speaker’s others by as much as it is, and no more than is bearable', () => {
    const prosody = new Prosody();
    for (let n = 0; n < 5; n += 1) prosody.hears(id('a'), talk(even(0.1)), RATE);
    const same = prosody.hears(id('a'), talk(even(0.1)), RATE);
    expect([same.energy, same.pitch]).toEqual([expect.closeTo(0, 1), expect.closeTo(0, 1)]);
    expect(prosody.hears(id('a'), talk(even(0.16)), RATE).energy).toBeCloseTo(4.1, 0);
    expect(prosody.hears(id('a'), talk(even(0.01)), RATE).energy).toBe(-6);
    expect(prosody.hears(id('a'), talk(even(0.1), { hertz: 134.7 }), RATE).pitch).toBeCloseTo(2, 0);
    expect(prosody.hears(id('a'), talk(even(0.1), { hertz: 240 }), RATE).pitch).toBe(3);
  });

  test('of somebody new, and one that is hardly heard, are as usual', () => {
    const prosody = new Prosody();
    expect(prosody.hears(id('a'), talk(even(0.1)), RATE)).toMatchObject({ energy: 0, pitch: 0 });
    expect(prosody.hears(id('a'), talk(even(0.3)), RATE)).toMatchObject({ energy: 0, pitch: 0 });
    // Another's habit is not this one's.
    expect(prosody.hears(id('b'), talk(even(0.3)), RATE)).toMatchObject({ energy: 0, pitch: 0 });
    for (const pcm of [new Float32Array(RATE), new Float32Array(), talk(even(0.1), { length: 0.2 })]) {
      expect(prosody.hears(id('a'), pcm, RATE)).toEqual({ energy: 0, pitch: 0, contour: [] });
    }
  });

  test('that is shouted again and again becomes the habit', () => {
    const prosody = new Prosody();
    for (let n = 0; n < 5; n += 1) prosody.hears(id('a'), talk(even(0.1)), RATE);
    const shouted = Array.from({ length: 40 }, () => prosody.hears(id('a'), talk(even(0.4)), RATE).energy);
    expect(shouted[0]).toBe(6);
    expect(shouted.at(-1)).toBeCloseTo(0, 1);
  });

  test('has its emphasis where it was spoken loudly, and none in its pauses', () => {
    const pcm = talk((t) => (t > 1 && t < 2 ? 0.2 : 0.1), { length: 3 });
    pcm.fill(0, 2.4 * RATE);
    const { contour } = new Prosody().hears(id('a'), pcm, RATE);
    const gains = (from: number, to: number) =>
      contour.filter(({ at }) => at >= from * 1e6 && at < to * 1e6).map(({ gain }) => gain);
    expect(Math.min(...gains(1.2, 1.8))).toBeGreaterThan(2);
    expect(Math.max(...gains(0.2, 0.8))).toBeLessThan(-1);
    expect(gains(2.5, 3)).toEqual([]);
    for (const { gain } of contour) expect(Math.abs(gain)).toBeLessThanOrEqual(4);
  });
});

describe('a contour', () => {
  const tone = (length: number, level = 0.1) =>
    Float32Array.from({ length: length * RATE }, (_, i) => level * (i % 2 === 0 ? 1 : -1));
  const gainsOf = (out: Float32Array, before: Float32Array) => Array.from(out, (x, i) => decibels(x, before[i]!));

  test('goes where the speech that stands for its source went', () => {
    const contour: Emphasis[] = [0.2, 0.3, 0.4, 1.2, 1.3, 1.4].map((t, n) => ({
      at: seconds(t),
      gain: n < 3 ? 3 : -3,
    }));
    const mapping: Mapped[] = [
      { source: { start: ms(0), end: seconds(0.6) }, dub: { start: seconds(0.5), end: seconds(1.1) } },
      { source: { start: seconds(1), end: seconds(1.6) }, dub: { start: seconds(2), end: seconds(3.2) } },
    ];
    const before = tone(4);
    const gains = gainsOf(applyContour(before, RATE, contour, mapping), before);
    const at = (t: number) => gains[Math.round(t * RATE)]!;
    expect(at(0.8)).toBeCloseTo(3, 5);
    expect(at(2.6)).toBeCloseTo(-3, 5);
    for (const t of [0, 0.4, 1.15, 1.6, 1.99, 3.25, 3.9]) expect(at(t)).toBeCloseTo(0, 5);
  });

  test('lets go in a pause', () => {
    const contour = [0.1, 0.2, 1.2, 1.3].map((t) => ({ at: seconds(t), gain: 4 }));
    const before = tone(1.5);
    const gains = gainsOf(applyContour(before, RATE, contour, whole(1.5)), before);
    expect(gains[0.2 * RATE]).toBeCloseTo(4, 5);
    expect(gains[0.7 * RATE]).toBeCloseTo(0, 5);
  });

  // Doubles would nearly all be next to nothing.
  const share = (least: number, most: number) => fc.integer({ min: least * 100, max: most * 100 }).map((n) => n / 100);
  const span = (most: number) => fc.integer({ min: 0, max: most });
  const points = fc
    .array(fc.record({ at: span(4_000_000), gain: share(-20, 20) }), { minLength: 20, maxLength: 60 })
    .map((all) => all.sort((a, b) => a.at - b.at) as unknown as Emphasis[]);
  const stretches = fc
    .array(fc.tuple(span(1_000_000), span(1_000_000)), { minLength: 1, maxLength: 4 })
    .map((lengths) => {
      let [s, d] = [0, 0];
      return lengths.map(([source, dub]): Mapped => {
        const stretch = {
          source: { start: s as Span, end: (s + source) as Span },
          dub: { start: d as Span, end: (d + dub) as Span },
        };
        [s, d] = [s + source, d + dub];
        return stretch;
      });
    });

  test('never leaves its bounds, jumps or clips, whatever it is and wherever it goes', () => {
    fc.assert(
      fc.property(points, stretches, share(0.01, 0.95), (contour, mapping, level) => {
        const before = tone(4, level);
        const out = applyContour(before, RATE, contour, mapping);
        const gains = gainsOf(out, before);
        let jump = 0;
        for (const [i, gain] of gains.entries()) {
          if (Math.abs(gain) > 4.001) expect(gain).toBe(4);
          if (i > 0) jump = Math.max(jump, Math.abs(gain - gains[i - 1]!));
        }
        // 8 dB over 20 ms at most, half a cosine.
        expect(jump).toBeLessThanOrEqual((8 * Math.PI) / 2 / sampleIndex(ms(19), RATE));
        expect(out.reduce((peak, x) => Math.max(peak, Math.abs(x)), 0)).toBeLessThanOrEqual(
          Math.max(0.8913, level + 1e-6),
        );
      }),
      { numRuns: 60 },
    );
  });

  test('of nothing changes nothing, and leaves its input as it was', () => {
    const before = tone(1);
    const out = applyContour(before, RATE, [], whole(1));
    expect(out).toEqual(before);
    expect(out).not.toBe(before);
    expect(applyContour(before, RATE, [{ at: seconds(0.5), gain: 4 }], [])).toEqual(before);
  });

  test('a whole line is lifted by half its energy, as far as there is room', () => {
    expect(decibels(lifted(tone(1), 6)[0]!, 0.1)).toBeCloseTo(3, 4);
    expect(decibels(lifted(tone(1), -20)[0]!, 0.1)).toBeCloseTo(-3, 4);
    expect(Math.abs(lifted(tone(1, 0.8), 6)[0]!)).toBeCloseTo(0.8913, 3);
    expect(Math.abs(lifted(tone(1, 0.95), 6)[0]!)).toBeCloseTo(0.95, 4);
  });
});
