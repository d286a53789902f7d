import type { Language } from '../../pipeline/domain.ts';

/**
 * Written form for what was heard: a recogniser gives words in lower case and without punctuation, translation and
 * speech both want sentences. What already has its punctuation keeps it.
 */

const AUXILIARY = "(?:is|are|am|was|were|does|did|has|can|could|would|will|should|shall)(?:n't)?";
const PRONOUN = '(?:i|you|he|she|it|we|they|there|this|that|these|those|anyone|anybody|everyone|everybody)';
const DETERMINER = '(?:the|an?|my|your|his|her|its|our|their|any)';
const ASKING = '(?:who|whom|whose|what|when|where|why|which|how)';
/**
 * English that asks: an auxiliary before its subject, behind a question word or not. `do` and `have` open commands as
 * well (`do the dishes`), so a bare one counts only before a person.
 */
const QUESTION = new RegExp(
  `^(?:(?:and|but|so|or|well|okay|now)\\s+)*(?:` +
    `${ASKING}\\s+(?:(?!${PRONOUN}\\b)[\\w']+\\s+)?(?:${AUXILIARY}|do|have|had)\\s+(?:${PRONOUN}|${DETERMINER})\\b|` +
    `${AUXILIARY}\\s+(?:${PRONOUN}|${DETERMINER})\\b|` +
    `(?:do|don't|have|haven't)\\s+(?:i|you|we|they)\\b)`,
  'i',
);

const isEnglish = (language: Language) => /^en(?:-|$)/i.test(language);

/** Blanks tidied, `I` in capitals, and an end: a question mark where English asks, else a full stop. */
export function asSentence(text: string, language: Language): string {
  const tidy = text.replace(/\s+/g, ' ').trim();
  if (tidy === '') return '';
  const written = isEnglish(language) ? tidy.replace(/(?<![\w'’-])i(?=$|[\s,.;:!?'’])/g, 'I') : tidy;
  if (/[.!?…,;:—–-]["'”’»)]?$/.test(written)) return written;
  return written + (isEnglish(language) && QUESTION.test(written) ? '?' : '.');
}

/** The first letter in upper case, opening marks aside. */
export const capitalised = (text: string): string =>
  text.replace(/^([\s¿¡"'“‘«([-]*)(\p{Ll})/u, (_, before: string, letter: string) => before + letter.toUpperCase());

/** Whether anything in a sentence but its beginning and the English `I` has a capital: a name, a German noun. */
const namesSomething = (text: string): boolean => /(?<![.!?…]\s*|^["'“‘«([]?)(?!I\b)\b\p{Lu}/u.test(text);

/** A word in capitals. */
const SHOUTED = /(?<![\p{L}\p{N}])\p{Lu}{2,}(?![\p{L}\p{N}])/u;

/** Languages that also open a question or an exclamation with a mark. */
const OPENS = /^(?:es|ast)(?:-|$)/i;
const opened = (text: string) =>
  text.replace(/([^.!?…¿¡\s][^.!?…¿¡]*)([?!])(?!\S)/g, (whole, body: string, mark: string, at: number) =>
    /[¿¡]/.test(text.slice(Math.max(0, at - 1), at)) ? whole : (mark === '?' ? '¿' : '¡') + capitalised(body) + mark,
  );

/**
 * A translation as it is shown and spoken: blanks and commas in order, capitals only where the source has any, the
 * first letter in upper case.
 */
export function finished(translation: string, source: string, language: Language): string {
  const tidy = translation
    .replace(/\s+/g, ' ')
    .replace(/ (?=[,.;:!?…)])/g, '')
    .trim();
  // Apertium spells a word in capitals that it takes for the whole of its beginning: "EL agua".
  const calm = SHOUTED.test(source) ? tidy : tidy.replaceAll(new RegExp(SHOUTED, 'gu'), (word) => word.toLowerCase());
  const evened = namesSomething(source)
    ? calm
    : calm.replace(/(?<=[\p{L}\p{N},;:] )\p{Lu}(?=\p{Ll}|\b)/gu, (letter) => letter.toLowerCase());
  return capitalised(OPENS.test(language) ? opened(evened) : evened);
}
