import { describe, expect, test } from 'vitest';
import { lineIn, notATranslation } from '../../models/translate/llm-answer.ts';
import type { Language } from '../../pipeline/domain.ts';

describe('the line in an answer', () => {
  const line = 'Buenas tardes a todos.';
  test.for([
    line,
    ` ${line}\n`,
    `"${line}"`,
    `«${line}»`,
    `{"translation": "${line}"}`,
    `{"text": "${line}"}`,
    `\`\`\`json\n{"translation": "${line}"}\n\`\`\``,
    `\`\`\`\n${line}\n\`\`\``,
    `Sure! Here is the translation:\n\n"${line}"`,
    `Here's the Spanish line: ${line}`,
    `Translation: ${line}`,
    `Traducción: ${line}`,
    `<think>\nShould I be formal?\n</think>\n\n${line}`,
    `Here you are: {"translation": "${line}"} I hope this helps!`,
    'Buenas tardes\na todos.',
  ])('%j', (content) => {
    expect(lineIn(content, 'Good evening everyone.')).toBe(line);
  });

  test('keeps a colon and quotes that the source has as well', () => {
    expect(lineIn('La respuesta: siete.', 'The answer: seven.')).toBe('La respuesta: siete.');
    expect(lineIn('"Siete".', 'He said "seven".')).toBe('"Siete".');
    expect(lineIn('"Siete"', '"Seven"')).toBe('"Siete"');
  });

  test('is nothing where JSON has none', () => {
    expect([lineIn('{}', 'x'), lineIn('{"a":"b","c":"d"}', 'x'), lineIn('', 'x')]).toEqual(['', '', '']);
  });
});

describe('what is no translation', () => {
  const judge = (source: string, line: string, to = 'es', kept: readonly string[] = []) =>
    notATranslation({ source, line, from: 'en' as Language, to: to as Language, kept });

  test.for([
    ['Good evening.', '', 'it is empty'],
    ['Good evening.', '...', 'it is empty'],
    ['Good evening.', "I'm sorry, but I can't assist with that.", 'it is a refusal'],
    ['Good evening.', 'Lo siento, pero no puedo traducir esto.', 'it is a refusal'],
    ['Good evening.', 'As an AI language model, I have no evenings.', 'it is a refusal'],
    ['Good evening.', 'Buenas tardes. '.repeat(20), 'it is more than five times as long as its source'],
    ['The bus is late again.', 'The bus is late again!', 'it is in the language of its source'],
  ] as const)('%j → %j: %s', ([source, line, why]) => {
    expect(judge(source, line)).toBe(why);
  });

  test('is what is not written as the language is', () => {
    expect(judge('The bus is late.', 'El autobús llega tarde.', 'ja')).toBe('it is not written as ja is');
    expect(judge('The bus is late.', 'バスが遅れています。', 'ja')).toBeUndefined();
    expect(judge('The bus is late.', '公交车晚点了。', 'zh-TW')).toBeUndefined();
    expect(judge('The bus is late.', 'Автобус опаздывает.', 'ru')).toBeUndefined();
  });

  test.for([
    ['Good evening.', 'Buenas tardes.', []],
    ['No.', 'No.', []],
    ['Madrid, Barcelona.', 'Madrid, Barcelona.', []],
    ['Livedub Studio Pro.', 'Livedub Studio Pro.', ['Livedub Studio Pro']],
    ["I'm sorry, I cannot help it.", 'Lo siento, no puedo evitarlo.', []],
    ['7 8 9 10', '7 8 9 10', []],
    ['Yes.', 'Claro que sí, por supuesto.', []],
  ] as const)('is not %j → %j', ([source, line, kept]) => {
    expect(judge(source, line, 'es', kept)).toBeUndefined();
  });

  test('is not the same language, where that is what was asked for', () => {
    expect(judge('The bus is late again.', 'The bus is late again.', 'en-GB')).toBeUndefined();
  });
});
