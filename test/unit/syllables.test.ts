import { existsSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { at } from '../../media/time.ts';
import { ESPEAK_FILES } from '../../models/speak/espeak-library.ts';
import { budgetOf, shorter } from '../../models/translate/syllable-budget.ts';
import { syllables, syllablesByRule, usualRate } from '../../models/translate/syllables.ts';
import type { Language } from '../../pipeline/domain.ts';

/** Sentences whose syllables were counted by hand, as they are spoken without hurry. */
const COUNTED: readonly (readonly [language: string, text: string, count: number])[] = [
  ['en', 'The quick brown fox jumps over the lazy dog.', 11],
  ['en', 'Good evening and welcome to the programme.', 11],
  ['en', 'She asked him to come back in a week.', 9],
  ['en', 'Nobody knows what happened to the station.', 12],
  ['es', 'Buenas tardes y bienvenidos al programa.', 13],
  ['es', 'El perro duerme en la casa.', 9],
  ['es', 'Los niños esperaban el autobús.', 11],
  ['de', 'Guten Abend und willkommen im Programm.', 11],
  ['de', 'Der Hund schläft in dem alten Haus.', 9],
  ['fr', 'Le chien dort dans la maison.', 7],
  ['fr', 'Nous allons parler de la ville.', 8],
  ['it', 'Il cane dorme nella casa.', 9],
  ['it', 'La mattina bevo sempre un caffè.', 11],
  ['ru', 'Добрый вечер.', 4],
];
/** How far sums of counts are from the truth, as a share of it. */
const error = (count: (text: string, language: Language) => number) => {
  const off = COUNTED.reduce(
    (sum, [language, text, truth]) => sum + Math.abs(count(text, language as Language) - truth),
    0,
  );
  return off / COUNTED.reduce((sum, [, , truth]) => sum + truth, 0);
};

describe('syllables', () => {
  const here = ESPEAK_FILES.some((file) => existsSync(file));
  test.skipIf(!here)('are what eSpeak NG would say, within five in a hundred (needs libespeak-ng1)', () => {
    expect(error(syllables)).toBeLessThan(0.05);
    expect(syllables('1984', 'en' as Language)).toBeGreaterThanOrEqual(5);
  });

  test('by rules are within eight in a hundred', () => {
    expect(error(syllablesByRule)).toBeLessThan(0.08);
  });

  test.for([
    ['zh', '今天天气很好。', 6],
    ['ko', '안녕하세요', 5],
    ['ja', 'きょうはいい天気', 8],
    ['hi', 'नमस्ते', 3],
    ['ar', 'برنامج', 3],
    ['en', '24', 4],
  ] as const)('by rules, %s: %s has %i', ([language, text, count]) => {
    expect(syllablesByRule(text, language as Language)).toBe(count);
  });

  test.for(['', ' … !', '\0'])('of %j are none', (text) => {
    expect([syllables(text, 'en' as Language), syllablesByRule(text, 'tlh' as Language)]).toEqual([0, 0]);
  });

  test('of a language nobody speaks here are counted by rules', () => {
    expect(syllables('日本', 'ja' as Language)).toBe(3);
  });
});

describe('a budget', () => {
  const [en, es] = ['en' as Language, 'es' as Language];
  const slot = (seconds: number) => ({ start: at(0), end: at(seconds * 1e6) });

  test('is what the language usually says in the time, at the speaker’s tempo', () => {
    const usual = budgetOf(slot(10), usualRate(en) * 10, en, es);
    expect(usual).toEqual({ aim: 78, most: 93 });
    expect(budgetOf(slot(10), usualRate(en) * 11, en, es)).toEqual({ aim: 86, most: 93 });
  });

  test('stays within what can be fitted, however fast or slowly somebody speaks', () => {
    expect(budgetOf(slot(10), 500, en, es)).toEqual({ aim: 94, most: 94 });
    expect(budgetOf(slot(10), 3, en, es)).toEqual({ aim: 70, most: 93 });
    expect(budgetOf(slot(0), 3, en, es)).toEqual({ aim: 4, most: 4 });
  });

  test('is asked for anew in proportion to how far an answer went over it', () => {
    expect(shorter({ aim: 20, most: 24 }, 36)).toBe(13);
    expect(shorter({ aim: 20, most: 24 }, 25)).toBe(19);
    expect(shorter({ aim: 4, most: 4 }, 90)).toBe(3);
  });
});
