import { expect, test } from 'vitest';
import { FROM_START, Trellis } from '../../models/align/alignment-trellis.ts';

/** A unit of one state that costs nothing to stay in or to leave. */
const unit = (column: number) => ({ scores: [column], stay: [0], leave: [0] });
/** Frames in which one column is likely and the others are not. */
const frames = (...likely: number[]) =>
  likely.map((column) => Float32Array.from({ length: 4 }, (_, n) => (n === column ? 0 : -10)));
const after = (...units: number[]) => new Map(units.map((each) => [each, 0]));

test('the best way passes the units in order, and says when', () => {
  const trellis = new Trellis();
  const a = trellis.add(unit(0), FROM_START);
  const b = trellis.add(unit(1), after(a));
  const c = trellis.add(unit(2), after(b));
  trellis.end(after(c));
  const walk = trellis.walk(frames(0, 0, 1, 2, 2, 2), 100);
  expect(walk?.visits).toEqual([
    { unit: a, start: 0, end: 2 },
    { unit: b, start: 2, end: 3 },
    { unit: c, start: 3, end: 6 },
  ]);
  expect(walk?.score).toBe(0);
  expect([...walk!.columns]).toEqual([0, 0, 1, 2, 2, 2]);
});

test('what may be left out is left out, and of two ways the one that is heard is taken', () => {
  const trellis = new Trellis();
  const a = trellis.add(unit(0), FROM_START);
  const pause = trellis.add(unit(3), after(a));
  const one = trellis.add(unit(1), after(a, pause));
  const other = trellis.add(unit(2), after(a, pause));
  trellis.end(after(one, other));
  expect(trellis.walk(frames(0, 2, 2), 100)?.visits.map((visit) => visit.unit)).toEqual([a, other]);
  expect(trellis.walk(frames(0, 3, 1), 100)?.visits.map((visit) => visit.unit)).toEqual([a, pause, one]);
});

test('a unit takes a frame for each of its states at least, and staying and leaving cost what they cost', () => {
  const trellis = new Trellis();
  const a = trellis.add({ scores: [0, 0, 0], stay: [-1, -1, -1], leave: [-2, -2, -2] }, FROM_START);
  const b = trellis.add(unit(1), after(a));
  trellis.end(after(b));
  expect(trellis.walk(frames(0, 1, 1), 100)).toBeUndefined();
  const walk = trellis.walk(frames(0, 0, 0, 0, 1), 100);
  expect(walk?.visits[0]).toEqual({ unit: a, start: 0, end: 4 });
  expect(walk?.score).toBe(-1 - 3 * 2);
});

test('there is no way through nothing, nor one that does not reach its end', () => {
  const trellis = new Trellis();
  expect(trellis.walk(frames(0), 100)).toBeUndefined();
  const a = trellis.add(unit(0), FROM_START);
  const b = trellis.add(unit(1), after(a));
  trellis.end(after(b));
  expect(trellis.walk([], 100)).toBeUndefined();
  expect(trellis.walk(frames(0), 100)).toBeUndefined();
});

test('ways agree up to where the first of them parts from the best', () => {
  const build = () => {
    const trellis = new Trellis();
    const a = trellis.add(unit(0), FROM_START);
    const b = trellis.add(unit(1), after(a));
    trellis.add(unit(2), after(b));
    return trellis;
  };
  // Whether the fourth frame is b or c is open: both fit as badly; before it there is no doubt.
  const heard = [...frames(0, 0, 1), Float32Array.of(-10, -1, -1.5, -10)];
  expect(build().walk(heard, 100, 5)?.agreed).toBe(3);
  // Who doubts little takes the best for certain.
  expect(build().walk(heard, 100, 0.1)?.agreed).toBe(4);
});

test('a narrow beam gives up what a wide one finds in the end', () => {
  const build = () => {
    const trellis = new Trellis();
    const start = trellis.add(unit(0), FROM_START);
    const good = trellis.add(unit(1), after(start));
    const late = trellis.add(unit(2), after(start));
    trellis.end(after(good, late));
    return { trellis, good, late };
  };
  // The late way fits worse at first, and much better then.
  const heard = [...frames(0), Float32Array.of(-30, 0, -5, -30), ...frames(2, 2, 2)];
  const wide = build();
  expect(wide.trellis.walk(heard, 100)?.visits.at(-1)?.unit).toBe(wide.late);
  const narrow = build();
  expect(narrow.trellis.walk(heard, 4)?.visits.at(-1)?.unit).toBe(narrow.good);
});
