import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../media/clock.ts';
import { BeamSearch } from '../../models/translate/beam.ts';
import { inFlight } from '../../models/translate/in-flight.ts';
import { floresCode, m2m100Code } from '../../models/translate/language-codes.ts';
import { RunningContext } from '../../models/translate/running-context.ts';
import { partsOf } from '../../models/translate/translation-parts.ts';
import type { Language } from '../../pipeline/domain.ts';
import { feed } from '../fakes/recordings.ts';

describe('a text that is too long', () => {
  const short = (most: number) => (text: string) => text.length <= most;
  test.for([
    ['One. Two. Three.', 9, ['One. Two.', 'Three.']],
    ['One two, three four.', 10, ['One two,', 'three', 'four.']],
    ['abcdefgh', 3, ['abc', 'def', 'gh']],
    ['一二三。四五六。', 4, ['一二三。', '四五六。']],
    ['short', 9, ['short']],
    ['', 9, []],
  ] as const)('%j is cut for %i characters into %j', ([text, most, parts]) => {
    expect(partsOf(text, short(most))).toEqual(parts);
  });
});

describe('several at a time', () => {
  const scope = () => ({ signal: new AbortController().signal, clock: new ManualClock() });
  const deferred = () => {
    const waits = new Map<number, { resolve: (value: number) => void; reject: (cause: unknown) => void }>();
    const work = (item: number) => new Promise<number>((resolve, reject) => void waits.set(item, { resolve, reject }));
    return { waits, work };
  };
  const turns = async (count = 20) => {
    for (let n = 0; n < count; n += 1) await Promise.resolve();
  };

  test('are answered in order, and another is taken only when one is answered', async () => {
    const { waits, work } = deferred();
    const run = inFlight(2, work, new AbortController().signal);
    const out = run(feed([1, 2, 3]), scope());
    const first = out.next();
    await turns();
    expect([...waits.keys()]).toEqual([1, 2]);
    waits.get(2)!.resolve(20);
    await turns();
    expect([...waits.keys()]).toEqual([1, 2]);
    waits.get(1)!.resolve(10);
    expect((await first).value).toBe(10);
    expect((await out.next()).value).toBe(20);
    const last = out.next();
    await turns();
    waits.get(3)!.resolve(30);
    expect([await last, await out.next()]).toMatchObject([{ value: 30 }, { done: true }]);
  });

  test('of which one fails: the run ends, and the next begins with those behind it', async () => {
    const { waits, work } = deferred();
    const run = inFlight(3, work, new AbortController().signal);
    const failing = run(feed([1, 2, 3]), scope()).next();
    await turns();
    waits.get(3)!.resolve(30);
    waits.get(1)!.reject(new Error('lost'));
    await expect(failing).rejects.toThrow('lost');
    const out = run(feed([4]), scope());
    const next = out.next();
    await turns();
    waits.get(2)!.resolve(20);
    expect((await next).value).toBe(20);
    expect((await out.next()).value).toBe(30);
    const last = out.next();
    await turns();
    waits.get(4)!.resolve(40);
    expect((await last).value).toBe(40);
  });

  test('an abort and a consumer that leaves end the work that is begun', async () => {
    const signals: AbortSignal[] = [];
    const work = (_: number, { signal }: { signal: AbortSignal }) => {
      signals.push(signal);
      return new Promise<number>(() => {});
    };
    const abort = new AbortController();
    const out = inFlight(2, work, new AbortController().signal)(feed([1, 2, 3]), { ...scope(), signal: abort.signal });
    const next = out.next();
    await turns();
    abort.abort();
    expect((await next).done).toBe(true);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, true]);
  });
});

test('what was said before is remembered up to a number, with the translations that came in time', () => {
  const context = new RunningContext(2);
  const first = { speaker: 's1', source: 'one' };
  expect(context.next(first)).toEqual([]);
  Object.assign(first, { translation: 'uno' });
  context.next({ speaker: 's2', source: 'two' });
  expect(context.next({ speaker: 's1', source: 'three' })).toEqual([
    { speaker: 's1', source: 'one', translation: 'uno' },
    { speaker: 's2', source: 'two' },
  ]);
  expect(context.next({ speaker: 's1', source: 'four' }).map(({ source }) => source)).toEqual(['two', 'three']);
  const none = new RunningContext(0);
  none.next(first);
  expect(none.next(first)).toEqual([]);
});

describe('what networks call languages', () => {
  const flores = [
    'eng_Latn',
    'zho_Hans',
    'zho_Hant',
    'arb_Arab',
    'ary_Arab',
    'kor_Hang',
    'jpn_Jpan',
    'pes_Arab',
    'nob_Latn',
    'srp_Cyrl',
    'ast_Latn',
  ];
  test.for([
    ['en-GB', 'eng_Latn'],
    ['zh', 'zho_Hans'],
    ['zh-TW', 'zho_Hant'],
    ['zh-Hant', 'zho_Hant'],
    ['ar', 'arb_Arab'],
    ['ko', 'kor_Hang'],
    ['ja', 'jpn_Jpan'],
    ['fa', 'pes_Arab'],
    ['no', 'nob_Latn'],
    ['sr-Latn', 'srp_Cyrl'],
    ['ast', 'ast_Latn'],
    ['tlh', undefined],
    ['not a tag', undefined],
  ] as const)('%s is %s to NLLB', ([language, code]) => {
    expect(floresCode(language as Language, flores)).toBe(code);
  });

  test.for([
    ['pt-BR', 'pt'],
    ['nb', 'no'],
    ['fil', 'tl'],
    ['tlh', undefined],
  ] as const)('%s is %s to M2M100', ([language, code]) => {
    expect(m2m100Code(language as Language, ['pt', 'no', 'tl'])).toBe(code);
  });
});

describe('beam search', () => {
  const search = { beams: 2, lengthPenalty: 1, earlyStopping: false, end: 0, forcedEnd: false, longest: 8, never: [] };
  const row = (...odds: number[]) => odds.map((each) => Math.log(each));

  test('finds a sentence that is likelier than the one that begins best', () => {
    // Token 1 begins better, but leads nowhere in particular; token 2 is certain of what follows.
    const steps = (beams: number) => {
      const beam = new BeamSearch([9], { ...search, beams });
      let step = beam.push(Float32Array.from(row(0.0001, 0.55, 0.4499, 1e-9, 1e-9)), 5);
      const after: Record<number, number[]> = {
        1: row(0.2, 0.2, 0.2, 0.2, 0.2),
        2: row(0.97, 0.01, 0.01, 0.005, 0.005),
        3: row(0.9, 0.025, 0.025, 0.025, 0.025),
        4: row(0.9, 0.025, 0.025, 0.025, 0.025),
      };
      while (step) step = beam.push(Float32Array.from(step.tokens.flatMap((token) => after[token] ?? [])), 5);
      return beam.best(1);
    };
    expect(steps(2)).toEqual({ tokens: [2, 0], ended: true });
    expect(steps(1).tokens[0]).toBe(1);
  });

  test('takes no end that is less likely than as many ways to go on as are followed', () => {
    const beam = new BeamSearch([9], { ...search, earlyStopping: true });
    beam.push(Float32Array.from(row(0.05, 0.5, 0.45)), 3);
    // The second sentence ends third at best; with it there would be two, and the search would be over.
    const step = beam.push(Float32Array.from([...row(0.5, 0.45, 0.05), ...row(0.4, 0.3, 0.3)]), 3);
    expect(step).toEqual({ tokens: [1, 1], from: [0, 1] });
  });

  test('never says what is forbidden, and tells when a sentence was cut', () => {
    for (const beams of [1, 2]) {
      const beam = new BeamSearch([9], { ...search, beams, longest: 4, forcedEnd: true, never: [1] });
      const logits = () => Float32Array.from([...row(0.01, 0.5, 0.29, 0.2), ...row(0.01, 0.5, 0.29, 0.2)]);
      let step = beam.push(logits().subarray(0, 4), 4);
      while (step) step = beam.push(logits().subarray(0, 4 * step.tokens.length), 4);
      const { tokens, ended } = beam.best(1);
      expect([tokens.includes(1), tokens.at(-1), ended]).toEqual([false, 0, false]);
    }
  });
});
