import { expect, test } from 'vitest';
import { at, ms } from '../../media/time.ts';
import type { Hypothesis } from '../../pipeline/domain.ts';
import { Pauses } from '../../pipeline/pauses.ts';

const speech = (segment: number, start: number, end: number, last: boolean) => ({
  segment,
  start: at(start * 1_000),
  end: at(end * 1_000),
  last,
});
const heard = (segment: number, words: [number, number][], final: boolean): Hypothesis => ({
  segment,
  start: at(0),
  end: at(0),
  stable: words.map(([start, end]) => ({ start: at(start * 1_000), end: at(end * 1_000), text: 'word' })),
  draft: '',
  final,
});
const after = (pauses: Pauses, t: number, reach = 1_500) => {
  const { until, settled } = pauses.after(at(t * 1_000), ms(reach));
  return [until / 1_000, settled];
};

test('nothing is known before anything was heard', () => {
  expect(after(new Pauses(), 1_000)).toEqual([1_000, false]);
});

test('within a segment a pause is known to last until its next word', () => {
  const pauses = new Pauses();
  pauses.speech(speech(0, 0, 2_000, false));
  pauses.heard(heard(0, [[100, 500]], false));
  expect(after(pauses, 500)).toEqual([500, false]);
  pauses.heard(heard(0, [[100, 500], [900, 1_200]], false)); // prettier-ignore
  expect(after(pauses, 500)).toEqual([900, true]);
  expect(after(pauses, 1_200)).toEqual([1_200, false]);
});

test('behind the last word of a segment the silence grows with what is known', () => {
  const pauses = new Pauses();
  pauses.speech(speech(0, 0, 1_200, true));
  pauses.heard(heard(0, [[100, 1_000]], false));
  pauses.settle(at(1_400_000));
  expect(after(pauses, 1_000)).toEqual([1_000, false]);
  pauses.heard(heard(0, [[100, 1_000]], true));
  expect(after(pauses, 1_000)).toEqual([1_400, false]);
  pauses.settle(at(1_800_000));
  expect(after(pauses, 1_000)).toEqual([1_800, false]);
  pauses.speech(speech(1, 2_000, 2_100, false));
  expect(after(pauses, 1_000)).toEqual([2_000, true]);
});

test('nobody looks further than asked', () => {
  const pauses = new Pauses();
  pauses.settle(at(5_000_000));
  expect(after(pauses, 1_000, 300)).toEqual([1_300, true]);
  expect(after(pauses, 4_900, 300)).toEqual([5_000, false]);
});

test('a word that has begun before leaves no pause', () => {
  const pauses = new Pauses();
  pauses.speech(speech(0, 0, 2_000, false));
  pauses.heard(heard(0, [[100, 500], [450, 800]], false)); // prettier-ignore
  expect(after(pauses, 500)).toEqual([500, true]);
});

test('a segment the recogniser has left behind is over', () => {
  const pauses = new Pauses();
  pauses.speech(speech(0, 0, 1_200, true));
  pauses.heard(heard(0, [[100, 1_000]], false));
  pauses.speech(speech(1, 1_500, 1_900, false));
  expect(after(pauses, 1_000)).toEqual([1_000, false]);
  pauses.heard(heard(1, [], false));
  expect(after(pauses, 1_000)).toEqual([1_500, true]);
});

test('where nobody knows, somebody may be speaking', () => {
  const pauses = new Pauses();
  pauses.blind({ start: at(1_300_000), end: at(3_000_000) });
  pauses.settle(at(3_000_000));
  expect(after(pauses, 1_000)).toEqual([1_300, true]);
  expect(after(pauses, 2_000)).toEqual([2_000, true]);
});

test('at the end there is nothing to wait for', () => {
  const pauses = new Pauses();
  pauses.speech(speech(0, 0, 1_200, true));
  pauses.settle(at(1_300_000));
  pauses.end();
  expect(after(pauses, 1_000)).toEqual([1_300, true]);
});

test('whoever waits is told once, at the next thing learned', () => {
  const pauses = new Pauses();
  let told = 0;
  pauses.once(() => (told += 1));
  const forget = pauses.once(() => (told += 100));
  forget();
  pauses.settle(at(1_000));
  pauses.settle(at(2_000));
  expect(told).toBe(1);
});
