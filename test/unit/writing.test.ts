import { expect, test } from 'vitest';
import type { Language } from '../../pipeline/domain.ts';
import { written } from '../../pipeline/writing.ts';

test.for<[string, string[], string]>([
  ['en', ['good ', ' morning', '', 'all'], 'good morning all'],
  ['zh', ['欢', '迎', '大', '家'], '欢迎大家'],
  ['ja-JP', ['こんにちは', '世界'], 'こんにちは世界'],
  ['es', [], ''],
])('words of %s are written as the language writes them', ([language, words, text]) => {
  expect(written(words, language as Language)).toBe(text);
});
