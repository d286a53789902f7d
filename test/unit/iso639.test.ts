import { expect, test } from 'vitest';
import { iso639 } from '../../media/iso639.ts';
import { languageRows } from '../../models/languages.ts';

test.for([
  ['es', 'spa'],
  ['en-GB', 'eng'],
  ['pt-BR', 'por'],
  ['ES', 'spa'],
  ['zh-Hans-CN', 'zho'],
  ['ast', 'ast'],
  ['sme-NO', 'sme'],
  ['tlh', 'tlh'],
  ['xx', 'und'],
  ['', 'und'],
  ['und', 'und'],
] as const)('a track in %s is labelled %s', ([tag, letters]) => {
  expect(iso639(tag)).toBe(letters);
});

test('every language that can be dubbed has a label', () => {
  const tags = languageRows(new Set()).flatMap(({ from, to }) => [from, to]);
  expect(tags.length).toBeGreaterThan(10);
  expect(tags.filter((tag) => iso639(tag) === 'und')).toEqual([]);
});
