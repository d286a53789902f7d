import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Blend, blendOf, dubOf, sameTracks, voiceOf } from '../../client/blend.ts';
import { ClipBook } from '../../client/clip-book.ts';
import { ATTACK, CATCH_UP, type GainPoint, gainPlan, REACH, RELEASE } from '../../client/gain-plan.ts';
import { delayWords, driftWords, fitWords, latenessWords, loudnessWords } from '../../client/mode-words.ts';
import { DEFAULTS, type Preferences, preferencesOf } from '../../client/preferences.ts';
import { trackToHear } from '../../client/track-choice.ts';
import type { StatsView, TrackView } from '../../gateway/protocol.ts';

const S = 1e6;
const QUIET = { speaking: 0.1, elsewhere: 1 };
const clip = (start: number, end: number) => ({ start: start * S, end: end * S });

/** The level that a plan comes to at `at`. */
function levelAt(plan: readonly GainPoint[], at: number): number {
  const after = plan.findIndex((point) => point.at >= at);
  const [left, right] = [plan[Math.max(0, after - 1)]!, plan[after]!];
  return left.at === right.at
    ? right.gain
    : left.gain + ((right.gain - left.gain) * (at - left.at)) / (right.at - left.at);
}

describe('the original under a dub that is mixed here', () => {
  const planned = (at: number, ...clips: readonly { start: number; end: number }[]) =>
    gainPlan(clips, at, at + 50_000, QUIET).map(({ gain }) => gain);

  test.for<[string, number, number[]]>([
    ['long before a clip', 8, [1, 1]],
    ['on its way down before it', 9.92, [0.82, 0.37]],
    ['under it from its first sample', 10, [0.1, 0.1]],
    ['under it', 11, [0.1, 0.1]],
    ['under it to its last', 11.95, [0.1, 0.1]],
    ['on its way up after it', 12.1, [0.325, 0.4375]],
    ['long after it', 13, [1, 1]],
  ])('%s, over the next 50 ms', ([, at, gains]) => {
    expect(planned(at * S, clip(10, 12))).toEqual(gains.map((gain) => expect.closeTo(gain, 6) as number));
  });

  test('goes down and comes up within the 50 ms where a clip begins or ends in them', () => {
    expect(gainPlan([clip(10, 12)], 9.88 * S, 9.93 * S, QUIET)).toEqual([
      { at: 9.88 * S, gain: 1 },
      { at: 9.9 * S, gain: 1 },
      { at: 9.93 * S, gain: expect.closeTo(0.73, 6) as number },
    ]);
  });

  test('stays down between clips less than a second apart, and comes up between others', () => {
    const middle = (gap: number) => gainPlan([clip(5, 10), clip(10 + gap, 15)], (10 + gap / 2) * S, 11 * S, QUIET)[0];
    expect(middle(0.3)?.gain).toBeCloseTo(0.1);
    expect(middle(0.99)?.gain).toBeCloseTo(0.1);
    expect(middle(1)?.gain).toBeCloseTo(1);
  });

  test('a clip that comes at the last moment is caught up with in 60 ms, and not in a step', () => {
    const plan = gainPlan([clip(9.9, 12)], 10 * S, 11 * S, QUIET, 1);
    expect(plan.map(({ at, gain }) => [at, gain])).toEqual([
      [10 * S, 1],
      [10 * S + CATCH_UP, expect.closeTo(0.1, 6)],
      [11 * S, expect.closeTo(0.1, 6)],
    ]);
  });

  test('a clip without length leaves no two points at one place', () => {
    const plan = gainPlan([clip(10, 10)], 9.5 * S, 10.5 * S, QUIET);
    expect(plan.map(({ at }) => at / S)).toEqual([9.5, 9.9, 10, 10.4, 10.5]);
  });

  const clips = fc.array(
    fc
      .tuple(fc.integer({ min: 0, max: 20_000_000 }), fc.integer({ min: 0, max: 4_000_000 }))
      .map(([start, length]) => ({ start, end: start + length })),
    { maxLength: 12 },
  );
  const levels = fc.record({ speaking: fc.double({ min: 0, max: 1, noNaN: true }), elsewhere: fc.constantFrom(0, 1) });

  test('is where it belongs under every clip and far from all, and never changes faster than its ramps', () => {
    fc.assert(
      fc.property(clips, levels, fc.integer({ min: 0, max: 22_000_000 }), (all, level, from) => {
        const plan = gainPlan(all, from, from + S, level);
        expect(plan[0]?.at).toBe(from);
        expect(plan.at(-1)?.at).toBe(from + S);
        for (const [i, { at, gain }] of plan.entries()) {
          const near = (reach: number) => all.some(({ start, end }) => start - reach <= at && at <= end + reach);
          if (near(0)) expect(gain).toBeCloseTo(level.speaking, 6);
          if (!near(REACH)) expect(gain).toBeCloseTo(level.elsewhere, 6);
          const before = plan[i - 1];
          if (!before) continue;
          expect(at).toBeGreaterThan(before.at);
          const steepest = Math.abs(level.elsewhere - level.speaking) / Math.min(ATTACK, RELEASE);
          expect(Math.abs(gain - before.gain)).toBeLessThanOrEqual(steepest * (at - before.at) + 1e-9);
        }
      }),
    );
  });

  test('planned again and again, a little later each time, it is one curve', () => {
    fc.assert(
      fc.property(clips, levels, (all, level) => {
        const whole = gainPlan(all, 0, 25 * S, level);
        let now: number | undefined;
        for (let from = 0; from < 20 * S; from += 43_000) {
          const plan = gainPlan(all, from, from + S, level, now);
          now = levelAt(plan, from + 43_000);
          expect(now).toBeCloseTo(levelAt(whole, from + 43_000), 6);
        }
      }),
      { numRuns: 20 },
    );
  });

  test('only clips within reach matter', () => {
    fc.assert(
      fc.property(clips, fc.integer({ min: 0, max: 22_000_000 }), (all, from) => {
        const near = all.filter(({ start, end }) => start < from + S + REACH && from - REACH < end);
        const [level, expected] = [near, all].map((each) => gainPlan(each, from, from + S, QUIET));
        expect(level).toEqual(expected);
      }),
    );
  });
});

describe('what sounds', () => {
  const track = (id: TrackView['id'], language: string | null): TrackView => ({
    id,
    language,
    label: null,
    kind: language ? 'audio' : 'video',
    rtp: { base: 0, rate: 1 },
  });
  const old = [track('video', null), track('original', 'en'), track('dub:es', 'es'), track('dub:pt-BR', 'pt-BR')];
  const tracks = [...old, track('voice:es', 'es'), track('voice:pt-BR', 'pt-BR')];
  const preferring = (part: Partial<Preferences>): Preferences => ({ ...DEFAULTS, ...part });

  test.for<[Partial<Preferences>, Blend]>([
    [{}, { lead: 'dub:es', original: null }],
    [{ under: 0.5 }, { lead: 'dub:es', original: null }],
    [{ original: 'silent' }, { lead: 'voice:es', original: { speaking: 0, elsewhere: 1 } }],
    [{ original: 'quiet' }, { lead: 'voice:es', original: { speaking: 0.1, elsewhere: 1 } }],
    [
      { original: 'voice-over', voiceOver: -20 },
      { lead: 'voice:es', original: { speaking: 0.1, elsewhere: 1 } },
    ],
  ])('to somebody who prefers %j is %j', ([part, blend]) => {
    expect(blendOf('dub:es', tracks, preferring(part))).toEqual(blend);
  });

  test('where the gateway sends no voices by themselves is the dub, with some of the original added to it', () => {
    expect(blendOf('dub:es', old, preferring({ original: 'silent' }))).toEqual({ lead: 'dub:es', original: null });
    expect(blendOf('dub:es', old, preferring({ original: 'quiet', under: 0.3 }))).toEqual({
      lead: 'dub:es',
      original: { speaking: 0.3, elsewhere: 0 },
    });
    expect(
      voiceOf(
        'dub:es',
        tracks.filter(({ id }) => id !== 'original'),
      ),
    ).toBeNull();
  });

  test('of the original is the original, whatever is preferred', () => {
    expect(blendOf('original', tracks, preferring({ original: 'silent', under: 1 }))).toEqual({
      lead: 'original',
      original: null,
    });
  });

  test('a level alone needs no other track, another choice does', () => {
    const of = (part: Partial<Preferences>) => blendOf('dub:es', tracks, preferring(part));
    expect(sameTracks(of({ original: 'silent' }), of({ original: 'voice-over' }))).toBe(true);
    expect(sameTracks(of({ original: 'silent' }), of({}))).toBe(false);
    expect(sameTracks(null, of({}))).toBe(false);
    expect(sameTracks(null, null)).toBe(true);
  });

  test('voices by themselves are of their dub’s language, and nobody hears them at first', () => {
    expect([dubOf('voice:pt-BR'), dubOf('dub:es'), dubOf('original'), dubOf(null)]).toEqual([
      'pt-BR',
      'es',
      null,
      null,
    ]);
    expect(trackToHear([...tracks].reverse(), ['es'])).toBe('dub:es');
    expect(trackToHear([track('voice:es', 'es'), track('original', 'en')], ['es'])).toBe('original');
  });
});

describe('what a viewer set', () => {
  test.for<[string, object, Partial<Preferences>]>([
    ['nothing', {}, { original: 'mixed', voiceOver: -12, under: 0 }],
    ['a choice', { original: 'voice-over', voiceOver: -6 }, { original: 'voice-over', voiceOver: -6 }],
    ['something that is none', { original: 'loud', voiceOver: 3 }, { original: 'mixed', voiceOver: -12 }],
    // By versions that could only add some of the original.
    ['less of the original, before', { under: 0 }, { original: 'mixed', voiceOver: -12, under: 0 }],
    ['half of the original, before', { under: 0.5 }, { original: 'voice-over', voiceOver: -4, under: 0.5 }],
    ['all of the original, before', { under: 1 }, { original: 'voice-over', voiceOver: -3, under: 1 }],
    ['a choice since', { under: 1, original: 'silent', voiceOver: -20 }, { original: 'silent', voiceOver: -20 }],
  ])('%s is found again', ([, stored, found]) => {
    const preferences = preferencesOf(stored);
    expect(preferences).toMatchObject(found);
    expect(preferencesOf(JSON.parse(JSON.stringify(preferences)))).toEqual(preferences);
  });
});

test('clips are known by language; a later one of the same utterance replaces the first', () => {
  const clips = new ClipBook();
  clips.put({ utterance: 'u1', language: 'es', ...clip(1, 2) });
  const starts = (language: string, from: number, until: number) =>
    clips.within(language, from * S, until * S).map(({ start }) => start / S);
  expect(starts('es', 0, 1)).toEqual([]);
  expect(starts('es', 0, 1.1)).toEqual([1]);
  expect(starts('es', 1.9, 3)).toEqual([1]);
  expect(starts('es', 2, 3)).toEqual([]);
  expect(starts('ca', 0, 9)).toEqual([]);
  clips.put({ utterance: 'u1', language: 'es', ...clip(3, 4) });
  clips.put({ utterance: 'u2', language: 'es', ...clip(5, 6) });
  expect(starts('es', 0, 9)).toEqual([3, 5]);
});

describe('what is measured, in words', () => {
  const delay: StatsView['delay'] = {
    configured: 5,
    wanted: 5,
    measured: 5.02,
    lookahead: 3.4,
    least: 5,
    most: 10,
    drift: null,
  };
  test.for<[Partial<typeof delay>, string]>([
    [{}, '5.02 s (set to 5 s, up to 10 s); the engines need 3.4 s'],
    [{ wanted: 6.5 }, '5.02 s, on its way to 6.50 s (set to 5 s, up to 10 s); the engines need 3.4 s'],
    [{ configured: 'auto', least: 2, most: 15 }, '5.02 s (by itself, 2 to 15 s); the engines need 3.4 s'],
    [{ measured: null }, '5.00 s (set to 5 s, up to 10 s); the engines need 3.4 s'],
  ])('a delay with %j', ([part, words]) => {
    expect(latenessWords({ ...delay, ...part })).toBe(words);
    const measured = 'measured' in part ? 5 : 5.02;
    expect(delayWords({ delay: { ...delay, ...part } } as StatsView)).toBe(`${measured.toFixed(1)} s behind`);
  });

  test.for<[number | null, string | null]>([
    [null, null],
    [0.2, 'the source’s clock keeps time'],
    [12.4, 'the source’s clock is 12 ppm fast'],
    [-480, 'the source’s clock is 480 ppm slow'],
  ])('a drift of %s', ([drift, words]) => {
    expect(driftWords(drift)).toBe(words);
  });

  test('loudness, as far as there is any', () => {
    const nothing = { momentary: null, shortTerm: null, integrated: null, truePeak: null };
    expect(loudnessWords(nothing)).toBeNull();
    expect(loudnessWords({ ...nothing, truePeak: -1.24 })).toBe('peak −1.2 dBTP');
    expect(loudnessWords({ momentary: -20, shortTerm: -21, integrated: -23.04, truePeak: 0.3 })).toBe(
      '−23.0 LUFS · −20.0 now · peak 0.3 dBTP',
    );
  });

  test('what it took to make lines fit, of all languages', () => {
    expect(fitWords({ rungs: {}, withinSpeed: null })).toBeNull();
    const rungs = { es: { natural: 2, stretched: 4 }, ca: { natural: 3, trimmed: 1, novel: 1 } };
    expect(fitWords({ rungs, withinSpeed: 0.909 })).toBe(
      '5 as spoken · 4 sped up · 1 cut short · 1 novel; 91 % whole and at a natural speed',
    );
  });
});
