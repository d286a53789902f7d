import { z } from 'zod';

/** Terms and what to say for them; `keep` leaves a term as it is. */
export const glossarySetting = z
  .record(z.string().trim().min(1).max(100), z.string().trim().min(1).max(100))
  .refine((terms) => Object.keys(terms).length <= 500, { error: 'at most 500 terms' })
  .default({})
  .describe('What to say for a term, as in {"chip": "circuito", "Livedub": "keep"}; keep leaves it as it is.');
export type Glossary = z.output<typeof glossarySetting>;

/** A term of the programme's language and what is said for it. */
export interface Term {
  readonly term: string;
  readonly say: string;
}

const plain = (text: string) => text.normalize('NFC').toLowerCase();

/** Scripts that put no blanks between words, where a word's edge cannot be seen. */
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}]/u;

/** Whether a text has a word or some words as they are, whatever their case; with `inflected`, as a beginning of words. */
function has(text: string, words: string, inflected: boolean): boolean {
  const [whole, part] = [plain(text), plain(words)];
  if (UNSPACED.test(part)) return whole.includes(part);
  for (let at = whole.indexOf(part); at >= 0; at = whole.indexOf(part, at + 1)) {
    const [before, behind] = [whole.slice(0, at), whole.slice(at + part.length)];
    if (!/[\p{L}\p{N}]$/u.test(before) && (inflected || !/^[\p{L}\p{N}]/u.test(behind))) return true;
  }
  return false;
}

/** The terms a text has, longer ones first; a term within a longer one that is there is not told on its own. */
export function termsIn(text: string, glossary: Glossary): Term[] {
  let rest = plain(text);
  const found: Term[] = [];
  for (const [term, target] of Object.entries(glossary).sort(([a], [b]) => b.length - a.length)) {
    if (!has(rest, term, false)) continue;
    found.push({ term, say: target === 'keep' ? term : target });
    rest = rest.replaceAll(plain(term), ' | ');
  }
  return found;
}

/** The terms whose translation a translation does not have. An ending more is no miss: `circuitos` is `circuito`. */
export const missed = (terms: readonly Term[], translation: string): Term[] =>
  terms.filter(({ say }) => !has(translation, say, true));
