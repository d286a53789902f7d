import { describe, expect, test } from 'vitest';
import { FitCounts, fitsWell } from '../../gateway/fit-counts.ts';
import type { LineRecord } from '../../gateway/session/ipc.ts';
import type { Fit } from '../../pipeline/domain.ts';

type Line = Parameters<FitCounts['add']>[0];
const line = (more: Partial<Line> = {}): Line => ({
  language: 'es',
  dub: { start: 0, end: 1 },
  speed: 1,
  rung: 'natural',
  trimmedWords: 0,
  fit: null,
  ...more,
});
const phrases = (...speeds: number[]) =>
  ({ phrases: speeds.map((speed) => ({ speed })) }) as unknown as LineRecord['fit'] & Fit;

describe('what it took to make lines fit', () => {
  test('is nothing before the first line', () => {
    expect(new FitCounts().view).toEqual({ rungs: {}, withinSpeed: null });
  });

  test('is counted by language and step; a line without a dub is not counted', () => {
    const counts = new FitCounts();
    for (const each of [
      line(),
      line({ rung: 'stretched', speed: 1.18 }),
      line({ rung: 'stretched', speed: 1.2 }),
      line({ language: 'ca', rung: 'trimmed', trimmedWords: 3 }),
      line({ rung: null, speed: null }),
      line({ dub: null, rung: null, speed: null }),
    ])
      counts.add(each);
    expect(counts.view).toEqual({ rungs: { es: { natural: 2, stretched: 2 }, ca: { trimmed: 1 } }, withinSpeed: 0.8 });
  });

  test.for<[string, Partial<Line>, boolean]>([
    ['as the voice said it', {}, true],
    ['at 0.9', { speed: 0.9 }, true],
    ['at 1.2', { speed: 1.2 }, true],
    ['slower than 0.9', { speed: 0.89 }, false],
    ['faster than 1.2', { speed: 1.21 }, false],
    ['not said whole', { trimmedWords: 1 }, false],
    ['with a phrase too fast, whatever it is as a whole', { speed: 1.1, fit: phrases(1, 1.25) }, false],
    ['with every phrase within', { speed: 1.1, fit: phrases(1, 1.1) }, true],
  ])('a line %s', ([, more, well]) => {
    expect(fitsWell(line(more))).toBe(well);
  });
});
