import { describe, expect, test } from 'vitest';
import { bars, binned, histogram, lines, page, scatter, table, ticks } from '../../bench/plots.ts';

describe('an axis', () => {
  test.for([
    [10, 5, [0, 2, 4, 6, 8, 10]],
    [1, 5, [0, 0.2, 0.4, 0.6, 0.8, 1]],
    [0.3, 3, [0, 0.1, 0.2, 0.3]],
    [7, 5, [0, 2, 4, 6]],
    [120, 8, [0, 20, 40, 60, 80, 100, 120]],
    [6_300, 5, [0, 2_000, 4_000, 6_000]],
  ] as const)('up to %d has round steps', ([most, wanted, expected]) => {
    expect(ticks(most, wanted)).toEqual(expected);
  });
  test('of nothing is drawn all the same', () => {
    expect(ticks(0)[0]).toBe(0);
    expect(ticks(0).every(Number.isFinite)).toBe(true);
  });
});

/** Coordinates of the points of each line in a drawing. */
const paths = (svg: string) =>
  [...svg.matchAll(/<path d="([^"]+)"/g)].map(([, d]) =>
    d!
      .split(/[ML]/)
      .slice(1)
      .map((point) => point.split(' ').map(Number) as [number, number]),
  );

describe('lines', () => {
  test('are drawn to scale: zero at the bottom left, more to the right and higher up', () => {
    const svg = lines('Delay', 'time, s', 's', [
      {
        name: 'a',
        points: [
          [0, 0],
          [5, 5],
          [10, 10],
        ],
      },
      { name: 'b', points: [[10, 5]] },
    ]);
    const [a, b] = paths(svg) as [[number, number][], [number, number][]];
    expect(a[1]![0]).toBeCloseTo((a[0]![0] + a[2]![0]) / 2, 1);
    expect(a[1]![1]).toBeCloseTo((a[0]![1] + a[2]![1]) / 2, 1);
    expect(a[2]![1]).toBeLessThan(a[0]![1]);
    expect(b[0]![0]).toBe(a[2]![0]);
    expect(b[0]![1]).toBe(a[1]![1]);
    // Where the axis says 10 s there is the point of 10 s.
    const mark = /<text x="([\d.]+)" y="[\d.]+" text-anchor="middle">10<\/text>/.exec(svg);
    expect(Number(mark?.[1])).toBe(a[2]![0]);
  });

  test('of which there are none, or that stay at zero, make a drawing without nonsense in it', () => {
    for (const series of [[], [{ name: 'none', points: [] }], [{ name: 'flat', points: [[0, 0]] as const }]]) {
      const svg = lines('Nothing', 'x', 'y', series);
      expect(svg).not.toMatch(/NaN|Infinity|undefined/);
      expect(svg).toContain('Nothing');
    }
  });
});

test('bars are as long as their values, with the others as marks on them', () => {
  const svg = bars('Stages', 'ms', [
    ['heard', 100, 200],
    ['said', 50],
  ]);
  const widths = [...svg.matchAll(/<rect [^>]*width="([\d.]+)"/g)].map(([, width]) => Number(width));
  expect(widths[0]! / widths[1]!).toBeCloseTo(2, 1);
  const mark = Number(/<line x1="([\d.]+)"/.exec(svg)?.[1]);
  expect((mark - 150) / widths[0]!).toBeCloseTo(2, 1);
  expect(svg).toContain('100 / 200 ms');
  expect(bars('None', 'ms', [])).not.toMatch(/NaN|Infinity/);
});

test('what people call things is text, never markup', () => {
  const evil = '<b>"&';
  const whole = page(evil, [
    lines(evil, evil, evil, [{ name: evil, points: [[1, 1]] }]),
    bars(evil, evil, [[evil, 1]]),
    table([evil], [[evil]]),
  ]);
  expect(whole).not.toContain('<b>');
  expect(whole.match(/&lt;b&gt;&quot;&amp;/g)!.length).toBeGreaterThanOrEqual(10);
  expect(whole).toMatch(/^<!doctype html>/);
  // It needs nothing but itself.
  expect(whole).not.toMatch(/https?:|src=|href=/);
});

test('a table has its head and a row each', () => {
  expect(table(['a', 'b'], [['1', '2']])).toBe(
    '<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>',
  );
});

describe('a histogram', () => {
  const bins = { from: 0.8, to: 1.3, count: 5 };
  test('counts what lies outside for its outermost bins, and a value on an edge for the bin that begins there', () => {
    expect(binned([0.1, 0.8, 0.9, 1, 1.29, 1.3, 5, Number.NaN], bins)).toEqual([2, 1, 1, 0, 3]);
    expect(binned([], bins)).toEqual([0, 0, 0, 0, 0]);
  });
  test('is drawn in shares: a set of two values is as high as one of two hundred', () => {
    const many = Array.from({ length: 200 }, (_, n) => (n < 100 ? 0.85 : 1.05));
    const svg = histogram(
      'Speed',
      '×',
      [
        { name: 'few', values: [0.85, 1.05] },
        { name: 'many', values: many },
      ],
      bins,
      [1.2],
    );
    const heights = [...svg.matchAll(/<rect [^>]*height="([\d.]+)"/g)].map(([, height]) => Number(height));
    expect(heights.filter((height) => height > 0)).toHaveLength(4);
    expect(new Set(heights.filter((height) => height > 0)).size).toBe(1);
    expect(svg).toContain('few (2)');
    // A limit is where the axis says it is.
    const limit = Number(/stroke-dasharray="4 4" x1="([\d.]+)"/.exec(svg)?.[1]);
    const mark = Number(/<text x="([\d.]+)" y="[\d.]+" text-anchor="middle">1.2<\/text>/.exec(svg)?.[1]);
    expect(limit).toBe(mark);
    expect(histogram('None', '×', [], bins)).not.toMatch(/NaN|Infinity|undefined/);
  });
});

test('points are drawn above and below 0, with limits across', () => {
  const svg = scatter(
    'Error',
    'line',
    'ms',
    [
      {
        name: 'a',
        points: [
          [1, -50],
          [2, 0],
          [3, 50],
        ],
      },
    ],
    [-100, 100],
  );
  const heights = [...svg.matchAll(/<circle cx="[\d.]+" cy="([\d.]+)"/g)].map(([, y]) => Number(y));
  expect(heights[1]! - heights[2]!).toBeCloseTo(heights[0]! - heights[1]!, 1);
  expect(heights[0]).toBeGreaterThan(heights[1]!);
  const zero = Number(/y="([\d.]+)" text-anchor="end">0<\/text>/.exec(svg)?.[1]) - 4;
  expect(zero).toBeCloseTo(heights[1]!, 1);
  expect(svg.match(/stroke-dasharray/g)).toHaveLength(2);
  expect(scatter('None', 'x', 'y', [])).not.toMatch(/NaN|Infinity|undefined/);
});
