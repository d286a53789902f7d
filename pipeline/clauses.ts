import type { Language } from './domain.ts';

/**
 * Words that often begin a clause, by primary language subtag. A long utterance may be closed before one of them.
 *
 * For English: coordinating and subordinating conjunctions, relative and interrogative pronouns, and the discourse
 * adverbs that open a new thought. Left out are words that begin a phrase as often as a clause (`for`, `as`, `that` as
 * a determiner cannot be told from the conjunction, but `that` splits well; `to`, `of`, `with` do not).
 */
const STARTERS: Readonly<Record<string, ReadonlySet<string>>> = {
  en: new Set(
    (
      'and but or nor so yet because although though while whereas unless until since if when whenever where wherever ' +
      'which who whom whose that what why how before after then therefore however moreover meanwhile otherwise instead'
    ).split(' '),
  ),
};

const SENTENCE_END = /[.!?…。！？]["'”’)\]]*$/u;
const CLAUSE_END = /[,;:、，；：]["'”’)\]]*$/u;

/** Whether a clause may begin at `word`. Languages without a table have no such words: there, pauses and length decide. */
export function startsClause(word: string, language: Language): boolean {
  const primary = language.split('-')[0]?.toLowerCase() ?? '';
  return STARTERS[primary]?.has(word.toLowerCase().replace(/[^\p{L}]/gu, '')) ?? false;
}
/** For recognisers that punctuate. */
export const endsSentence = (word: string) => SENTENCE_END.test(word);
export const endsClause = (word: string) => CLAUSE_END.test(word);
