import { describe, expect, test } from 'vitest';
import { type Glossary, glossarySetting, missed, termsIn } from '../../models/translate/glossary.ts';

const glossary: Glossary = {
  chip: 'circuito',
  'neural chip': 'circuito neuronal',
  Livedub: 'keep',
  heart: 'corazón',
  心: 'heart',
};

describe('a glossary', () => {
  test.for([
    ['the chip is small', ['circuito']],
    ['The CHIP, is small', ['circuito']],
    ['potato chips and shipchip', []],
    ['a neural chip', ['circuito neuronal']],
    ['a neural chip and a chip', ['circuito neuronal', 'circuito']],
    ['livedub has heart', ['Livedub', 'corazón']],
    ['他的心', ['heart']],
  ] as const)('finds in %j what to say: %j', ([text, said]) => {
    expect(termsIn(text, glossary).map(({ say }) => say)).toEqual(said);
  });

  test('knows what a translation lacks; an ending more is no miss', () => {
    const terms = termsIn('the chip and livedub', glossary);
    expect(missed(terms, 'los Circuitos y LIVEDUB')).toEqual([]);
    expect(missed(terms, 'los cortocircuitos').map(({ term }) => term)).toEqual(['Livedub', 'chip']);
  });

  test('is refused when it is too long or has empty words', () => {
    const many = Object.fromEntries(Array.from({ length: 501 }, (_, n) => [`t${n}`, 'x']));
    expect(glossarySetting.safeParse(many).success).toBe(false);
    expect(glossarySetting.safeParse({ a: ' ' }).success).toBe(false);
    expect(glossarySetting.parse(undefined)).toEqual({});
  });
});
