import { syllablesByRule } from '../../models/translate/syllables.ts';
import type { Language } from '../../pipeline/domain.ts';
import { type Random, pick } from '../random.ts';

/** Plain words of one to five syllables, so that a text of any length can be written. */
const WORDS: Readonly<Record<string, string>> = {
  en:
    'the and we go now time day good long road white house bread rain green wood small light ' +
    'water river morning winter garden paper window mountain summer open letter evening simple answer ' +
    'remember family another tomorrow yesterday visitor gallery november important beginning ' +
    'information television conversation agricultural university opportunity',
  es:
    'y la sol mar luz pan tren ya bien dos ' +
    'casa mesa lluvia camino puerta noche libro mucho campo viento largo tiempo ' +
    'mañana ventana ciudad montaña pequeño verano palabra camisa ' +
    'información televisión conocimiento oportunidad universidad agricultura',
};

const bySyllables = new Map<string, ReadonlyMap<number, readonly string[]>>();
function lexicon(language: Language): ReadonlyMap<number, readonly string[]> {
  const base = language.split('-')[0] ?? language;
  let found = bySyllables.get(base);
  if (!found) {
    const words = WORDS[base];
    if (words === undefined)
      throw new RangeError(`Cannot write ${language}: there are words of ${Object.keys(WORDS).join(', ')}`);
    const lists = new Map<number, string[]>();
    for (const word of words.split(' ')) {
      const count = syllablesByRule(word, base as Language);
      lists.set(count, [...(lists.get(count) ?? []), word]);
    }
    bySyllables.set(base, (found = lists));
  }
  return found;
}

/** Words with exactly `syllables` syllables together, at least one. */
export function wordsWith(syllables: number, language: Language, random: Random): string[] {
  const lists = lexicon(language);
  const words: string[] = [];
  for (let left = Math.max(1, Math.round(syllables)); left > 0;) {
    // Words of two and three syllables are the most usual ones.
    const wish = Math.min(left, 1 + Math.floor(3.4 * Math.sqrt(random()) * 1.2));
    const length = [wish, wish - 1, wish - 2, 1].find((each) => each > 0 && lists.has(each)) ?? 1;
    words.push(pick(random, lists.get(length) ?? []));
    left -= length;
  }
  return words;
}

/** Phrases as a sentence: a capital letter, commas between, a full stop. */
export function sentence(phrases: readonly (readonly string[])[]): string {
  const text = phrases
    .filter((phrase) => phrase.length > 0)
    .map((phrase) => phrase.join(' '))
    .join(', ');
  return text === '' ? '' : `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
