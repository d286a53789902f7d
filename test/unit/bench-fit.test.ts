import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { EVERYDAY, adversary, sayingAt, talk } from '../../bench/fit/adversary.ts';
import { UnknownSet, type FitResult, fit, verdictsOf } from '../../bench/fit/fit.ts';
import { sentence, wordsWith } from '../../bench/fit/lexicon.ts';
import {
  captionEnd,
  figuresOf,
  isNatural,
  mapped,
  pausesBetween,
  pausesKept,
  percentile,
  quietIn,
  together,
} from '../../bench/fit/measures.ts';
import { fitPage } from '../../bench/fit/page.ts';
import { tapped } from '../../bench/fit/programme.ts';
import { type RivalFigures, whereOursIsWorse } from '../../bench/fit/rivals.ts';
import { phrasesOf, scriptOf } from '../../bench/fit/script.ts';
import {
  scriptedDiarizer,
  scriptedRecognizer,
  scriptedTranslator,
  scriptedVad,
  soundOf,
} from '../../bench/fit/scripted.ts';
import { fitText } from '../../bench/fit/text.ts';
import { randomFrom } from '../../bench/random.ts';
import { Scope } from '../../media/scope.ts';
import { type Span, at, later, ms, overlaps } from '../../media/time.ts';
import { syllablesByRule } from '../../models/translate/syllables.ts';
import type { Clip, Cue, Fit, Language, Speech, SpeakerId, Utterance, UtteranceId } from '../../pipeline/domain.ts';
import type { LineRecord } from '../../pipeline/ledger.ts';
import { conforms } from '../conformance/stage.ts';
import { synthesizerAt } from '../fakes/stages.ts';
import { audio, es, lines, script, speech, utterances } from '../fakes/talk.ts';

const en = 'en' as Language;

describe('timing made up to be hard', () => {
  const ordeals = (seed: number) => Object.fromEntries(adversary(seed, en).map((each) => [each.name, each.sayings]));

  test('is in order, within its length, and never has one person talk over himself', () => {
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        for (const { sayings, length } of adversary(seed, en)) {
          expect(sayings.length).toBeGreaterThan(3);
          const ends = new Map<string, number>();
          let start = 0;
          for (const saying of sayings) {
            expect(saying.start).toBeGreaterThan(start);
            expect(saying.start).toBeGreaterThanOrEqual(ends.get(saying.speaker) ?? 0);
            expect(saying.end).toBeLessThanOrEqual(length * 1e6);
            expect(saying.words[0]!.start).toBe(saying.start);
            expect(saying.words.at(-1)!.end).toBe(saying.end);
            saying.words.forEach((word, n) => {
              expect(word.end).toBeGreaterThan(word.start);
              if (n > 0) expect(word.start).toBeGreaterThanOrEqual(saying.words[n - 1]!.end);
            });
            start = saying.start;
            ends.set(saying.speaker, saying.end);
          }
        }
      }),
      { numRuns: 6 },
    );
  });

  test('is the same for the same seed and another for another', () => {
    expect(adversary(3, en)).toEqual(adversary(3, en));
    expect(adversary(3, en)).not.toEqual(adversary(4, en));
  });

  test('has what each ordeal is about', () => {
    const made = ordeals(1);
    expect(Math.min(...made['long translations']!.map(({ ratio }) => ratio))).toBeGreaterThanOrEqual(2);
    expect(Math.max(...made['long translations']!.map(({ ratio }) => ratio))).toBeGreaterThan(3);

    const words = made['no pause']!.flatMap((saying) => saying.words);
    expect(words.at(-1)!.end - words[0]!.start).toBeGreaterThan(285e6);
    // Not even a rounding's worth.
    expect(Math.max(...words.slice(1).map((word, n) => word.start - words[n]!.end))).toBeLessThanOrEqual(1);

    const changes = made['speaker changes']!;
    const overlapping = changes.filter((saying, n) => n > 0 && saying.start < changes[n - 1]!.end);
    expect(overlapping.length).toBeGreaterThan(changes.length / 2);
    expect(changes.every((saying, n) => n === 0 || saying.speaker !== changes[n - 1]!.speaker)).toBe(true);
    expect(Math.max(...changes.map(({ start, end }) => end - start))).toBeLessThan(2.8e6);

    expect(Math.max(...made['single words']!.map((saying) => saying.words.length))).toBeLessThanOrEqual(3);
    expect(Math.min(...made['long sentences']!.map(({ start, end }) => end - start))).toBeGreaterThan(8e6);
    const silences = made['silence']!.slice(1).map((saying, n) => saying.start - made['silence']![n]!.end);
    expect(Math.min(...silences)).toBeGreaterThanOrEqual(59e6);
    const bursts = made['bursts']!.slice(1).map((saying, n) => saying.start - made['bursts']![n]!.end);
    expect(bursts.filter((gap) => gap > 9e6).length).toBeGreaterThan(2);
    expect(bursts.filter((gap) => gap < 0.2e6).length).toBeGreaterThan(3 * bursts.filter((gap) => gap > 9e6).length);
  });

  test('has words of as many syllables as were asked for', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 60 }), fc.nat(), fc.constantFrom(en, es), (count, seed, language) => {
        const words = wordsWith(count, language, randomFrom(seed));
        expect(words.reduce((sum, word) => sum + syllablesByRule(word, language), 0)).toBe(count);
      }),
    );
    expect(sentence([['the', 'sun'], [], ['rises']])).toBe('The sun, rises.');
  });

  test('is found by time as a search through all of it finds it', () => {
    const sayings = talk([{ ...EVERYDAY, gap: [-0.6, 2], speakers: 3 }], 60, randomFrom(5), en);
    const found = scriptOf(sayings);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 60_000 }), fc.integer({ min: 1, max: 8_000 }), (from, length) => {
        const interval = { start: at(from * 1_000), end: at((from + length) * 1_000) };
        expect(found.over(interval)).toEqual(sayings.filter((saying) => overlaps(saying, interval)));
      }),
    );
  });
});

describe('what is scripted', () => {
  // The same talk that the test's own scripted stages tell.
  const said = scriptOf(
    script.map(({ from, to, text, speaker = 's1' }) => {
      const texts = text.split(' ');
      const length = ((to - from) * 1_000) / texts.length;
      const edge = (n: number) => at(from * 1_000 + n * length);
      const words = texts.map((each, n) => ({ text: each, start: edge(n), end: edge(n + 1) }));
      return { start: edge(0), end: edge(texts.length), speaker, words, ratio: 2 };
    }),
  );
  conforms('the bench’s VAD', () => scriptedVad(said), audio);
  conforms('the bench’s diarizer', () => scriptedDiarizer(said), speech);
  conforms('the bench’s recognizer', () => scriptedRecognizer(said), speech);
  conforms('the bench’s translator', () => scriptedTranslator({ script: said, from: en, to: es }), utterances);

  const saying = sayingAt(1, 's1', { ...EVERYDAY, ratio: [2, 2], pauses: 0 }, randomFrom(9), en);
  const utterance: Utterance = {
    id: 'u1' as UtteranceId,
    speaker: 's1' as SpeakerId,
    language: en,
    start: saying.start,
    end: saying.end,
    text: saying.words.map(({ text }) => text).join(' '),
    words: saying.words,
  };
  const translate = async (more: Partial<Utterance>, obliging = false) => {
    const stage = scriptedTranslator({ script: scriptOf([saying]), from: en, to: es, obliging });
    const input = async function* () {
      yield { ...utterance, ...more };
    };
    const clock = { now: () => 0 as never, until: async () => {} };
    for await (const line of stage.run(input(), { signal: new AbortController().signal, clock })) return line.text;
    throw new Error('no line');
  };
  const source = syllablesByRule(utterance.text, en);

  test('translates into as many syllables as the script wants, always the same', async () => {
    const text = await translate({});
    expect(syllablesByRule(text, es)).toBe(2 * source);
    expect(await translate({})).toBe(text);
  });
  test('keeps to a budget only where it says that it does', async () => {
    const budget = { aim: source, most: Math.round(1.2 * source) };
    expect(syllablesByRule(await translate({ budget }), es)).toBe(2 * source);
    expect(syllablesByRule(await translate({ budget }, true), es)).toBeLessThanOrEqual(budget.most + 1);
    const tooLong = { text: 'x', syllables: 2 * source };
    expect(syllablesByRule(await translate({ budget, tooLong }, true), es)).toBeLessThanOrEqual(budget.aim + 1);
  });
  test('hears a pause between words as a comma', async () => {
    const half = saying.words.length >> 1;
    const words = saying.words.map((word, n) =>
      n < half ? word : { ...word, start: later(word.start, ms(200)), end: later(word.end, ms(200)) },
    );
    expect(await translate({ words, end: later(saying.end, ms(200)) })).toMatch(/^[^,]+,[^,]+\.$/);
    expect(await translate({})).not.toContain(',');
  });

  test('sounds where words are and nowhere else', () => {
    const found = scriptOf([saying]);
    const { pcm } = soundOf(found, { start: at(0), count: 48_000 * 8, rate: 48_000 });
    const [first, last] = [Math.floor(saying.start * 0.048), Math.ceil(saying.end * 0.048)];
    expect(pcm.subarray(0, first).every((x) => x === 0)).toBe(true);
    expect(pcm.subarray(last).every((x) => x === 0)).toBe(true);
    const peak = pcm.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
    expect(peak).toBeGreaterThan(0.05);
    expect(peak).toBeLessThan(0.5);
  });

  test('what a voice said is kept whole, and passed on', async () => {
    const kept: Float32Array[] = [];
    const stage = tapped(synthesizerAt(0.5), ({ pcm }) => kept.push(pcm));
    const input = async function* () {
      yield* lines();
    };
    const out: Speech[] = [];
    const clock = { now: () => 0 as never, until: async () => {} };
    for await (const each of stage.run(input(), { signal: new AbortController().signal, clock })) out.push(each);
    expect(kept.length).toBe(lines().length);
    expect(out.filter(({ last }) => last).length).toBe(kept.length);
    const whole = out.filter((each) => each.line.utterance === out[0]!.line.utterance);
    expect(kept[0]!.length).toBe(whole.reduce((sum, { chunk }) => sum + chunk.pcm.length, 0));
  });
});

/** Speech as loud as given, for so many ms each: 0 is a pause. */
const loudness = (...parts: readonly (readonly [level: number, ms: number])[]) =>
  Float32Array.from(
    parts.flatMap(([level, length]) => Array.from({ length: length * 48 }, (_, i) => level * Math.sin(i / 7))),
  );
const second = (n: number) => at(n * 1e6);
const fitting = (more: Partial<Fit> = {}): Fit => ({
  slot: 2e6,
  natural: 2e6,
  speed: 1,
  rate: 1,
  borrowed: 0,
  lead: 0,
  shifted: 0,
  overrun: 0,
  trimmedWords: 0,
  phrases: [{ start: second(1), end: second(3), source: { start: second(1), end: second(3) }, speed: 1 }],
  rung: 'natural',
  ...more,
});
const clip = (pcm: Float32Array, more: Partial<Clip> = {}): Clip => ({
  utterance: 'u1' as UtteranceId,
  language: es,
  start: second(1),
  end: later(second(1), Math.round(pcm.length / 0.048) as Span),
  pcm,
  fit: fitting(),
  ...more,
});
const record = (more: Partial<LineRecord> = {}): LineRecord => ({
  utterance: 'u1',
  language: 'es',
  speaker: 's1',
  source: 'a b',
  text: 'c d',
  start: 1e6,
  end: 3e6,
  dub: { start: 1.02e6, end: 3.1e6 },
  outcome: 'dubbed',
  speed: 1,
  rung: 'natural',
  trimmedWords: 0,
  fit: fitting(),
  after: { recognised: 0, translated: 0, synthesised: 0, placed: 0 },
  slack: null,
  ...more,
});
const cue = (more: Partial<Cue> = {}): Cue => ({
  id: 'u1',
  language: es,
  speaker: 's1' as SpeakerId,
  start: second(1),
  end: second(3.2),
  voiceEnd: second(3.2),
  text: 'c d',
  lines: ['c d'],
  draft: false,
  ...more,
});
const words = (...places: readonly (readonly [from: number, to: number])[]) =>
  places.map(([from, to]) => ({ text: 'x', start: second(from), end: second(to) }));

describe('pauses', () => {
  test('between words count from 150 ms on', () => {
    expect(pausesBetween(words([0, 1], [1.149, 2], [2.15, 3]))).toEqual([{ start: second(2), end: second(2.15) }]);
    expect(phrasesOf([], 1)).toEqual([]);
  });
  test('in sound are found to 10 ms, not at its ends, and not where they are too short', () => {
    const pcm = loudness([0, 100], [0.5, 500], [0, 150], [0.4, 300], [0, 50], [0.5, 400], [0, 200]);
    expect(quietIn(pcm, 48_000)).toEqual([{ start: 600_000, end: 750_000 }]);
    expect(quietIn(new Float32Array(4_800), 48_000)).toEqual([]);
  });
  test('are kept when the dub is silent near the place they are mapped to', () => {
    const pause = [{ start: second(1.9), end: second(2.1) }];
    const here = clip(loudness([0.5, 900], [0, 200], [0.5, 900]));
    expect(pausesKept(pause, here)).toEqual({ inSource: 1, mapped: 1, sameInstant: 1 });
    // 300 ms later than its counterpart.
    const late = clip(loudness([0.5, 1_250], [0, 150], [0.5, 600]));
    expect(pausesKept(pause, late)).toEqual({ inSource: 1, mapped: 0, sameInstant: 0 });
    expect(pausesKept(pause, clip(loudness([0.5, 2_000])))).toEqual({ inSource: 1, mapped: 0, sameInstant: 0 });
  });
  test('are mapped phrase by phrase', () => {
    const phrases = [
      { start: second(1), end: second(1.5), source: { start: second(1), end: second(1.8) }, speed: 1 },
      { start: second(1.9), end: second(3), source: { start: second(2.2), end: second(3) }, speed: 1 },
    ];
    const two = { start: second(1), end: second(3), fit: fitting({ phrases }) };
    expect(mapped(1.4e6, two)).toBeCloseTo(1.25e6, 0);
    expect(mapped(2e6, two)).toBeCloseTo(1.7e6, 0);
    expect(mapped(2.6e6, two)).toBeCloseTo(2.45e6, 0);
    expect(mapped(2.6e6, { ...two, fit: fitting({ phrases: [] }) })).toBe(2.6e6);
  });
});

describe('figures', () => {
  const utterance: Utterance = {
    id: 'u1' as UtteranceId,
    speaker: 's1' as SpeakerId,
    language: en,
    start: second(1),
    end: second(3),
    text: 'x x',
    words: words([1, 1.9], [2.1, 3]),
  };
  const sound = loudness([0.5, 900], [0, 200], [0.5, 900]);

  test('of a line that fits', () => {
    const figures = figuresOf({ lines: [record()], utterances: [utterance], clips: [clip(sound)], cues: [cue()] });
    expect(figures).toMatchObject({
      lines: 1,
      dubbed: 1,
      trimmed: 0,
      left: {},
      speeds: [1],
      rungs: { natural: 1 },
      naturalOfDubbed: 1,
      naturalOfAll: 1,
      starts: [20],
      ends: [100],
      captions: [100],
      pauses: { inSource: 1, mapped: 1, sameInstant: 1 },
    });
  });
  test('a line left to its caption counts among all lines and nowhere else', () => {
    const left = record({ utterance: 'u2', dub: null, fit: null, speed: null, rung: null, outcome: 'late' });
    const figures = figuresOf({ lines: [record(), left], utterances: [], clips: [], cues: [] });
    expect(figures).toMatchObject({ lines: 2, dubbed: 1, left: { late: 1 }, naturalOfDubbed: 1, naturalOfAll: 0.5 });
    expect(figures.starts).toEqual([20]);
  });
  test('a line is beyond what is natural if one of its phrases is', () => {
    const phrases = [1, 1.25].map((speed) => ({ ...fitting().phrases[0]!, speed }));
    const figures = figuresOf({ lines: [record({ fit: fitting({ phrases }) })], utterances: [], clips: [], cues: [] });
    expect(figures).toMatchObject({ naturalOfDubbed: 0, naturalOfAll: 0, speeds: [1, 1.25] });
    expect([0.9, 1.2].every(isNatural)).toBe(true);
    expect([0.899, 1.201].some(isNatural)).toBe(false);
  });
  test('a caption in several parts ends with the last of them; another line’s does not count', () => {
    const cues = [
      cue({ id: 'u1', end: second(2) }),
      cue({ id: 'u1.2', end: second(3) }),
      cue({ id: 'u1.2', end: second(3.5) }),
      cue({ id: 'u12', end: second(9) }),
      cue({ id: 'u1.3', end: second(8), text: '' }),
    ];
    expect(captionEnd('u1', cues)).toBe(second(3.5));
    expect(captionEnd('u3', cues)).toBeUndefined();
  });
  test('of several sets are those of all their lines', () => {
    const one = figuresOf({ lines: [record()], utterances: [utterance], clips: [clip(sound)], cues: [cue()] });
    const left = record({ dub: null, fit: null, outcome: 'late' });
    const other = figuresOf({
      lines: [left, left, record({ outcome: 'trimmed', trimmedWords: 2 })],
      utterances: [],
      clips: [],
      cues: [],
    });
    expect(together([one, other])).toMatchObject({
      lines: 4,
      dubbed: 2,
      trimmed: 1,
      trimmedWords: 2,
      left: { late: 2 },
      rungs: { natural: 2 },
      naturalOfDubbed: 1,
      naturalOfAll: 0.5,
      starts: [20, 20],
      pauses: { inSource: 1, mapped: 1, sameInstant: 1 },
    });
    expect(together([])).toMatchObject({ naturalOfAll: null, lines: 0 });
  });
  test('a percentile is one of the values', () => {
    expect(percentile([3, 1, 2], 0.5)).toBe(2);
    expect(percentile([1, 2, 3, 4], 0.95)).toBe(4);
    expect(percentile([], 0.5)).toBeNull();
  });
});

const setOf = (lines: readonly LineRecord[], section: 'clips' | 'adversary' = 'clips') => ({
  section,
  name: 'set <b>',
  pair: 'en → es',
  seconds: 10,
  elapsed: 1,
  cpu: 1,
  faults: [],
  figures: figuresOf({ lines, utterances: [], clips: [], cues: [] }),
});

describe('verdicts on fitting', () => {
  const left = record({ dub: null, fit: null, outcome: 'late' });
  const passed = (...sets: Parameters<typeof verdictsOf>[0]) => verdictsOf(sets).map((each) => each.passed);
  const many = (count: number, line: LineRecord) => Array.from({ length: count }, () => line);

  test('pass with 19 lines of 20 dubbed as they should be, and fail with 18', () => {
    expect(passed(setOf([...many(19, record()), left]))).toEqual([true, true, true]);
    expect(passed(setOf([...many(18, record()), left, left]))).toEqual([false, true, true]);
  });
  test('fail with one line that is too fast, on real speech and elsewhere', () => {
    const fast = record({ fit: fitting({ speed: 1.3, phrases: [] }) });
    expect(passed(setOf([...many(30, record()), fast]))[1]).toBe(false);
    expect(passed(setOf(many(30, record())), setOf([fast], 'adversary'))).toEqual([true, false, true]);
  });
  test('fail with starts that are off, early or late, where more than one in twenty is', () => {
    const early = record({ dub: { start: 0.85e6, end: 3e6 } });
    expect(passed(setOf([...many(19, record()), early]))[2]).toBe(true);
    expect(passed(setOf([...many(17, record()), early, early]))[2]).toBe(false);
  });
  test('say nothing about what was not measured', () => {
    expect(passed()).toEqual([null, null, null]);
    expect(passed(setOf([record()], 'adversary'))).toEqual([null, true, null]);
  });
});

describe('side by side', () => {
  const rival = (name: string, more: Partial<RivalFigures> = {}): RivalFigures => ({
    name,
    lines: 10,
    wer: 20,
    overall: 3,
    quality: 3,
    cpu: 10,
    beyond: 0,
    speeds: [1],
    ...more,
  });
  test('says in which figures ours is worse, and in no others', () => {
    const all = [
      rival('the voice as it is', { wer: 1 }),
      rival('ours'),
      rival('atempo', { wer: 15, cpu: 5, overall: 2.5, beyond: 0.4 }),
    ];
    expect(whereOursIsWorse(all)).toEqual([
      'WER: ours 20.00 %, atempo 15.00 %',
      'CPU for a second of voice: ours 10.00 ms, atempo 5.00 ms',
    ]);
    expect(whereOursIsWorse([])).toEqual([]);
  });
});

describe('a result', () => {
  const left = record({ dub: null, fit: null, outcome: 'refused' });
  const result: FitResult = {
    machine: 'a <b> machine',
    when: '2026-01-01T00:00:00.000Z',
    seed: 1,
    sets: [setOf([record(), left]), setOf([], 'adversary')],
    rivals: [
      { name: 'ours', lines: 1, wer: 10, overall: 3, quality: 3, cpu: null, beyond: 0, speeds: [1] },
      { name: 'atempo', lines: 0, wer: null, overall: null, quality: null, cpu: null, beyond: null, speeds: [] },
    ],
    worse: ['WER: ours <i>'],
    leftOut: ['there is no <file>'],
    verdicts: verdictsOf([setOf([record(), left])]),
  };
  test('is a page that needs nothing but itself, without nonsense in it', () => {
    const page = fitPage(result);
    expect(page).toMatch(/^<!doctype html>/);
    expect(page).not.toMatch(/NaN|Infinity|undefined|https?:|src=|href=|<b>|<i>|<file>/);
    for (const word of ['FAIL', 'Playing speed', 'Start error', 'Side by side', 'atempo', 'there is no &lt;file&gt;'])
      expect(page).toContain(word);
  });
  test('is a table for a terminal, as wide as that', () => {
    const text = fitText(result, 120);
    expect(text).toContain('refused 1');
    expect(text).toContain('worse than a rival');
    expect(text).not.toMatch(/NaN|undefined/);
    expect(
      Math.max(
        ...text
          .split('\n')
          .slice(0, 8)
          .map((line) => line.length),
      ),
    ).toBeLessThanOrEqual(120);
  });
  test('is refused in a sentence for something that there is not', async () => {
    await using scope = new Scope('test');
    const ask = (only: string[], pairs: string[]) =>
      fit({ only, pairs, models: '/nowhere', media: '/nowhere', out: '/nowhere', seed: 1 }, scope, () => {});
    await expect(ask(['speed'], [])).rejects.toThrow(UnknownSet);
    await expect(ask(['clips'], ['en-es'])).rejects.toThrow(/--pairs must be as in en:es/);
  });
});
