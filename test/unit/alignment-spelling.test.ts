import { expect, test } from 'vitest';
import { cardinal, spell } from '../../models/align/alignment-spelling.ts';

const known = new Set("the it's cause 'cause mr dr cold hearted o'clock hearted cafe".split(' '));
const said = (word: string) => spell(word, (each) => known.has(each))?.map((way) => way.join(' '));

test.for([
  ['The', 'the'],
  ['“It’s', "it's"],
  ['‘cause', "'cause"],
  ['Mr.', 'mr'],
  ['cold-hearted,', 'cold hearted'],
  ['café', 'cafe'],
  ['22', 'twenty two'],
  ['1,234,567', 'one million two hundred thirty four thousand five hundred sixty seven'],
  ['3.5', 'three point five'],
  ['21st', 'twenty first'],
  ['30th', 'thirtieth'],
  ['$3.50', 'three dollars fifty'],
  ['£1', 'one pound'],
  ['50%', 'fifty percent'],
  ['10:05', 'ten oh five'],
  ['&', 'and'],
  ['e.g.', 'for example'],
  ['BBC', 'b b c'],
  ['U.K.', 'u k'],
  ['B2B', 'b two b'],
] as const)('%s is said “%s”', ([word, way]) => {
  expect(said(word)?.[0]).toBe(way);
});

test('a year, a row of digits and a word in capitals may be said in several ways', () => {
  expect(said('1984')).toContain('nineteen eighty four');
  expect(said('1984')).toContain('one thousand nine hundred eighty four');
  expect(said('2024')).toContain('twenty twenty four');
  expect(said('1905')).toContain('nineteen oh five');
  expect(said('90210')).toContain('nine oh two one oh');
  expect(said('0800')).toContain('oh eight oh oh');
  expect(said('NASA')).toEqual(['nasa', 'n a s a']);
  expect(said('1980s')).toContain('nineteen eighties');
});

test('what is not said has no way at all, and what cannot be read has none to be known', () => {
  for (const word of ['—', '…', '“', '?!', '*']) expect(spell(word, () => false)).toEqual([]);
  for (const word of ['это', '日本', 'θ']) expect(spell(word, () => false)).toBeUndefined();
});

test('any number below ten to the fifteenth has a name', () => {
  expect(cardinal(0).join(' ')).toBe('zero');
  expect(cardinal(1_000_019).join(' ')).toBe('one million nineteen');
  expect(cardinal(999_999_999_999_999).length).toBe(24);
});
