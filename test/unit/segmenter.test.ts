import fc from 'fast-check';
import { expect, test } from 'vitest';
import { at, ms, seconds } from '../../media/time.ts';
import type { Activity } from '../../pipeline/domain.ts';
import { Segmenter, type Segmenting, type Stretch } from '../../pipeline/segmenter.ts';

/** 10 ms an activity. */
const STEP = 10;
const RULES: Partial<Segmenting> = {
  shortest: ms(50),
  hold: ms(300),
  before: ms(100),
  after: ms(100),
  longest: seconds(2),
  search: ms(500),
};

/** `'0.9*30 0.1*50'`: thirty activities at 0.9, then fifty at 0.1. */
const activities = (score: string, from = 0): Activity[] =>
  score
    .split(' ')
    .flatMap((part) => {
      const [probability = '0', count = '1'] = part.split('*');
      return Array.from({ length: Number(count) }, () => Number(probability));
    })
    .map((probability, n) => ({
      start: at((from + n * STEP) * 1_000),
      end: at((from + (n + 1) * STEP) * 1_000),
      probability,
    }));

function segment(inputs: readonly Activity[], rules = RULES): Stretch[] {
  const segmenter = new Segmenter(rules);
  return [...inputs.flatMap((activity) => segmenter.push(activity)), ...segmenter.end()];
}
/** Segments as `[start, end]` in milliseconds; fails where stretches do not tile them. */
function wholes(stretches: readonly Stretch[]): [number, number][] {
  const out: [number, number][] = [];
  let open: Stretch | undefined;
  for (const stretch of stretches) {
    if (open) {
      expect(stretch.segment).toBe(open.segment);
      expect(stretch.start).toBe(open.end);
      out[out.length - 1]![1] = stretch.end / 1_000;
    } else {
      expect(stretch.segment).toBe(out.length);
      out.push([stretch.start / 1_000, stretch.end / 1_000]);
    }
    open = stretch.last ? undefined : stretch;
  }
  expect(open).toBeUndefined();
  return out;
}

test.for([
  ['silence', '0*200', []],
  ['one sentence, padded on both sides', '0*50 0.9*100 0*100', [[400, 1_600]]],
  ['a click is not speech', '0*50 0.9*4 0*100', []],
  ['a breath inside a sentence does not end it', '0*50 0.9*50 0*29 0.9*50 0*50', [[400, 1_890]]],
  [
    'a pause ends it',
    '0*50 0.9*50 0*35 0.9*50 0*50',
    [
      [400, 1_100],
      [1_250, 1_950],
    ],
  ],
  ['between off and on speech goes on but does not begin', '0.4*50 0.9*20 0.4*60 0*50', [[400, 1_400]]],
  ['padding does not reach before the programme', '0.9*50 0*50', [[-100, 600]]],
  ['what is open when the programme ends is closed there', '0*50 0.9*50', [[400, 1_000]]],
  ['silence at the end is not padded past the programme', '0*50 0.9*50 0*5', [[400, 1_050]]],
] as [string, string, [number, number][]][])('%s', ([, score, expected]) => {
  expect(wholes(segment(activities(score)))).toEqual(expected);
});

test('a segment at the limit is cut where speech is least likely', () => {
  // Speech from 0; the segment begins at -100, so the search is from 1400 to 1900 and the dip at 1600.
  const [first, second] = wholes(segment(activities('0.9*160 0.6*1 0.9*200 0*50')));
  expect(first).toEqual([-100, 1_605]);
  expect(second![0]).toBe(1_605);
});

test('near the limit a pause ends a segment at once', () => {
  const [first, second] = wholes(segment(activities('0.9*160 0.1*5 0.9*100 0*50')));
  expect(first).toEqual([-100, 1_610]);
  expect(second![0]).toBe(1_610);
});

test('a cut never lies in what was given out before', () => {
  const segmenter = new Segmenter(RULES);
  const given = activities('0.9*189').flatMap((activity) => segmenter.push(activity));
  expect(given.at(-1)).toMatchObject({ end: 1_400_000, last: false });
  expect(segmenter.settled).toBe(1_400_000);
});

test('missing activity ends a segment where knowledge ends', () => {
  const stretches = segment([...activities('0*50 0.9*50'), ...activities('0.9*50 0*50', 3_000)]);
  expect(wholes(stretches)).toEqual([
    [400, 1_000],
    [3_000, 3_600],
  ]);
});

test('activity that was already known is not heard twice', () => {
  const twice = [...activities('0*50 0.9*50'), ...activities('0.9*50', 500), ...activities('0*50', 1_000)];
  expect(wholes(segment(twice))).toEqual([[400, 1_100]]);
});

test('whatever is heard: segments are gapless, in order, no longer than the limit, and final when given out', () => {
  const score = fc.array(fc.tuple(fc.constantFrom(0, 0.2, 0.4, 0.6, 1), fc.integer({ min: 1, max: 120 })), {
    maxLength: 20,
  });
  fc.assert(
    fc.property(score, (parts) => {
      const inputs = activities(parts.map(([p, n]) => `${p}*${n}`).join(' ') || '0*1');
      const segmenter = new Segmenter(RULES);
      const all: Stretch[] = [];
      let settled = Number.NEGATIVE_INFINITY;
      for (const activity of inputs) {
        const before = settled;
        const out = segmenter.push(activity);
        // Nothing is decided about what was settled before.
        for (const stretch of out) expect(stretch.start).toBeGreaterThanOrEqual(before);
        settled = segmenter.settled;
        expect(settled).toBeGreaterThanOrEqual(before);
        all.push(...out);
      }
      all.push(...segmenter.end());
      let end = Number.NEGATIVE_INFINITY;
      for (const [from, to] of wholes(all)) {
        expect(from).toBeGreaterThanOrEqual(end);
        expect(to - from).toBeLessThanOrEqual(2_000);
        end = to;
      }
    }),
  );
});

test.for([[{ on: 0.3, off: 0.5 }], [{ after: ms(500), hold: ms(300) }], [{ longest: ms(500), search: ms(400) }]] as [
  Partial<Segmenting>,
][])('rules that contradict each other are refused: %j', ([rules]) => {
  expect(() => new Segmenter(rules)).toThrow(RangeError);
});
