import type { Language } from './domain.ts';

/** Languages that are written without spaces between words, by their primary subtag (RFC 5646 §2.2.1). */
const UNSPACED = new Set(['zh', 'yue', 'ja', 'th', 'lo', 'km', 'my']);

export const writesSpaces = (language: Language): boolean => !UNSPACED.has(language.split('-')[0]?.toLowerCase() ?? '');

/** Words as the language writes them one after the other. */
export function written(words: readonly string[], language: Language): string {
  const text = words
    .map((word) => word.trim())
    .filter(Boolean)
    .join(writesSpaces(language) ? ' ' : '');
  return text.replaceAll(/\s+/gu, ' ').trim();
}
