import { describe, expect, test } from 'vitest';
import { errorRate, plainWords, wordErrors } from '../../bench/metrics/word-errors.ts';
import type { Figure } from '../../bench/quality/figure.ts';
import type { Run } from '../../bench/quality/quality.ts';
import { number, qualityText, ratioOf } from '../../bench/quality/text.ts';

const errorsOf = (said: string, heard: string) => {
  const { substituted, inserted, left, words } = wordErrors(plainWords(said), plainWords(heard));
  return [substituted, inserted, left, words];
};

describe('word errors', () => {
  test.for([
    ['the cat sat', 'the cat sat', [0, 0, 0, 3]],
    ['the cat sat', 'the bat sat', [1, 0, 0, 3]],
    ['the cat sat', 'the cat sat down', [0, 1, 0, 3]],
    ['the cat sat', 'cat sat', [0, 0, 1, 3]],
    ['the cat sat', 'the sat', [0, 0, 1, 3]],
    ['the cat sat', '', [0, 0, 3, 3]],
    ['', 'noise', [0, 1, 0, 0]],
    ['a b c d', 'b c x d e', [0, 2, 1, 4]],
  ] as const)('from %o to %o', ([said, heard, expected]) => {
    expect(errorsOf(said, heard)).toEqual(expected);
  });

  test('are counted over all words of all recordings', () => {
    const some = [wordErrors(['a'], ['b']), wordErrors(['a', 'b', 'c'], ['a', 'b', 'c'])];
    expect(errorRate(some)).toBe(0.25);
  });

  test.for([
    ['Mr. Dashwood’s "plan", he said…', ['mister', "dashwood's", 'plan', 'he', 'said']],
    ['10 oh 2', ['one', 'zero', 'zero', 'two']],
    ["'tis ﬁne — really", ['tis', 'fine', 'really']],
    ['¿Qué tal, señor?', ['qué', 'tal', 'señor']],
  ] as const)('of %o compare %o', ([text, words]) => {
    expect(plainWords(text)).toEqual(words);
  });
});

const figure: Figure = {
  stage: 'recognizer',
  engine: 'pocketsphinx',
  clip: 'librivox',
  metric: 'WER',
  unit: '%',
  value: 30,
  better: 'lower',
  reference: { name: 'its own program', value: 24 },
};
const run: Run = {
  name: 'recognizer',
  figures: [figure],
  leftOut: [],
  failure: undefined,
  seconds: 12.4,
  cpu: 3,
  peakMiB: 321,
};

describe('the table of figures', () => {
  test('puts the reference beside the figure, and says how they compare', () => {
    expect(ratioOf(figure)).toBe(1.25);
    expect(ratioOf({ ...figure, reference: { name: 'nobody', value: 0 } })).toBeUndefined();
    const lines = qualityText([run]).split('\n');
    expect(lines[1]).toBe('recognizer   12 s, 3 s of CPU, 321 MiB at most');
    expect(lines[3]!.split(/\s{2,}/)).toEqual([
      '',
      'pocketsphinx',
      'librivox',
      'WER',
      '30 %',
      '24 % (its own program)',
      '1.25×',
    ]);
  });

  test('says what is missing, and why', () => {
    const text = qualityText([
      { ...run, figures: [], leftOut: ['whisper left out: no weights'] },
      { ...run, figures: [], failure: 'the process was ended by SIGSEGV' },
    ]);
    expect(text).toContain('whisper left out: no weights\n  nothing was measured');
    expect(text).toContain('failed: the process was ended by SIGSEGV');
  });

  test('is never wider than the terminal', () => {
    for (const line of qualityText([run], 40).split('\n')) expect(line.length).toBeLessThanOrEqual(46);
  });

  test.for([
    [0.01234, '0.012'],
    [1.234, '1.23'],
    [12.34, '12.3'],
    [1_234.5, '1235'],
    [0, '0'],
    [NaN, '–'],
    [-3.456, '-3.46'],
  ] as const)('gives %d as %s', ([value, text]) => {
    expect(number(value)).toBe(text);
  });
});
