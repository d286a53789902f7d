import { expect, test } from 'vitest';
import { type ClockTime, at, ms, seconds } from '../../media/time.ts';
import type { Clip, Language, Line, SpeakerId, Utterance, UtteranceId } from '../../pipeline/domain.ts';
import { Latency, Stopwatch } from '../../pipeline/latency.ts';
import { Ledger, type LineRecord } from '../../pipeline/ledger.ts';

const es = 'es' as Language;
const clock = (millis: number) => (millis * 1_000) as ClockTime;
const interval = (n: number) => ({ start: at(n * 1_000_000), end: at((n + 1) * 1_000_000) });
const speaker = 's1' as SpeakerId;
const id = (n: number) => `u0.${n}` as UtteranceId;
const said = (n: number): Utterance => ({
  ...interval(n),
  id: id(n),
  speaker,
  language: 'en' as Language,
  text: `said ${n}`,
  words: [],
});
const line = (n: number): Line => ({ ...interval(n), utterance: id(n), speaker, language: es, text: `line ${n}` });
const clip = (n: number, trimmedWords = 0): Clip => ({
  ...interval(n), utterance: id(n), language: es, pcm: new Float32Array(0),
  fit: { slot: 1, natural: 1, speed: 1.1, rate: 1, borrowed: 0, lead: 0, shifted: 0, overrun: 0, trimmedWords, phrases: [], rung: trimmedWords > 0 ? 'trimmed' : 'stretched' },
}); // prettier-ignore

/** A ledger with a 4 s deadline over a programme that comes in 20 ms at a time, as it happens. */
function open(deadline = true) {
  const records: LineRecord[] = [];
  const ledger = new Ledger({
    ...(deadline && { deadline: (t) => (t + seconds(4)) as ClockTime }),
    onSettled: ({ record }) => records.push(record),
  });
  for (let t = 20; t <= 10_000; t += 20) ledger.arrived(at(t * 1_000), clock(t));
  return { ledger, records };
}
const outcomes = (records: readonly LineRecord[]) => records.map(({ utterance, outcome }) => `${utterance} ${outcome}`);

test('a dubbed line has every reading, counted from when its last word came in', () => {
  const { ledger, records } = open();
  ledger.said(said(1), es, clock(2_300));
  ledger.translated(line(1), clock(2_350));
  ledger.synthesised(line(1), clock(2_400));
  ledger.placed(clip(1), true, clock(2_900));
  expect(records).toEqual([
    {
      utterance: 'u0.1', language: 'es', speaker: 's1', source: 'said 1', text: 'line 1', start: 1_000_000, end: 2_000_000,
      dub: { start: 1_000_000, end: 2_000_000 }, outcome: 'dubbed', speed: 1.1, rung: 'stretched', trimmedWords: 0,
      after: { recognised: 300_000, translated: 350_000, synthesised: 400_000, placed: 900_000 },
      fit: clip(1).fit, slack: 2_100_000,
    },
  ]); // prettier-ignore
});

test('each line is settled once, whatever is said about it afterwards', () => {
  const { ledger, records } = open();
  for (const n of [0, 1, 2, 3]) ledger.said(said(n), es, clock(3_000));
  ledger.lost(es, id(0), 'refused');
  ledger.lost(es, id(0), 'expired');
  ledger.placed(clip(1, 2), true, clock(3_100));
  ledger.placed(clip(2), false, clock(3_200));
  ledger.lost(es, id(2), 'expired');
  ledger.end(es);
  ledger.end(es);
  expect(outcomes(records)).toEqual(['u0.0 refused', 'u0.1 trimmed', 'u0.2 late', 'u0.3 expired']);
  expect(ledger.totals).toEqual({ dubbed: 0, trimmed: 1, late: 1, captionOnly: 2 });
});

test('a line that a later one has passed was lost', () => {
  const { ledger, records } = open(false);
  for (const n of [0, 1, 2]) ledger.said(said(n), es, clock(3_000));
  ledger.placed(clip(2), true, clock(3_100));
  expect(outcomes(records)).toEqual(['u0.0 expired', 'u0.1 expired', 'u0.2 dubbed']);
  expect(records[2]!.slack).toBeNull();
});

test('a line is over when its deadline is', () => {
  const { ledger, records } = open();
  ledger.said(said(1), es, clock(2_300));
  ledger.sweep(clock(4_999));
  expect(records).toEqual([]);
  ledger.sweep(clock(5_000));
  expect(outcomes(records)).toEqual(['u0.1 expired']);
  expect(ledger.translated(line(1), clock(5_100))).toBe(false);
});

test('lines nobody ever settles do not pile up', () => {
  const { ledger, records } = open(false);
  for (let n = 0; n < 1_000; n += 1) ledger.said(said(n), es, clock(3_000));
  expect(records).toHaveLength(1_000 - 256);
});

test('a language nobody wants any more is forgotten without a word', () => {
  const { ledger, records } = open();
  ledger.said(said(1), es, clock(2_300));
  ledger.drop(es);
  ledger.end(es);
  expect(records).toEqual([]);
});

test('latency is that of the last minute', () => {
  const latency = new Latency();
  for (let n = 1; n <= 100; n += 1) latency.add(ms(n), clock(n * 1_000));
  expect(latency.summary(clock(100_000))).toEqual({ p50: 70, p95: 97, count: 61 });
  expect(latency.summary(clock(300_000))).toEqual({ p50: null, p95: null, count: 0 });
});

test('latency keeps no more than its capacity, the newest', () => {
  const latency = new Latency(4);
  for (let n = 1; n <= 100; n += 1) latency.add(ms(n), clock(0));
  expect(latency.summary(clock(0))).toEqual({ p50: 98, p95: 100, count: 4 });
});

test('a stopwatch measures from one event to the other, once, and forgets what never ends', () => {
  const watch = new Stopwatch();
  watch.begin('a', clock(0));
  watch.end('a', clock(30));
  watch.end('a', clock(99));
  watch.end('never begun', clock(99));
  expect(watch.latency.summary(clock(99))).toEqual({ p50: 30, p95: 30, count: 1 });
  for (let n = 0; n < 1_000; n += 1) watch.begin(n, clock(100));
  watch.end(0, clock(101));
  expect(watch.latency.summary(clock(101)).count).toBe(1);
});
