import { readFileSync } from 'node:fs';
import { spell } from './alignment-spelling.ts';
import type { Pronouncer } from './g2p.ts';

/** Sounds of a word, in order. */
export type Pronunciation = readonly string[];

/** Ways to say a number multiply with ways to say its words; the first of them are enough. */
const MOST_WAYS = 12;
/** Words pronounced by rule that are remembered. */
const MOST_RULED = 10_000;

/** Reads a dictionary in the format of CMUdict (a word, `(2)` for its second way, its sounds): a line for each way. */
export function readDictionary(file: string): Map<string, string> {
  const words = new Map<string, string>();
  for (const line of readFileSync(file, 'utf8').split('\n')) {
    const space = line.indexOf(' ');
    if (space <= 0) continue;
    const word = line.slice(0, space).replace(/\(\d+\)$/, '');
    const sounds = line.slice(space + 1).trim();
    const before = words.get(word);
    words.set(word, before === undefined ? sounds : `${before}\n${sounds}`);
  }
  return words;
}

/** Every way to say what the words say, one after the other. */
function joined(parts: readonly (readonly Pronunciation[])[], most: number): Pronunciation[] {
  let ways: Pronunciation[] = [[]];
  for (const part of parts) {
    ways = ways.flatMap((way) => part.map((sounds) => [...way, ...sounds])).slice(0, most);
  }
  return ways;
}

/** How words are pronounced: by a dictionary, by its stems, and by rule. What was once asked is remembered. */
export class Lexicon {
  readonly #words: ReadonlyMap<string, string>;
  readonly #rule: Pronouncer | undefined;
  readonly #ruled = new Map<string, readonly Pronunciation[]>();

  /** @param words from {@link readDictionary} */
  constructor(words: ReadonlyMap<string, string>, rule?: Pronouncer) {
    this.#words = words;
    this.#rule = rule;
  }

  /**
   * Every way a word of a text may be said. None for what is not said, as a dash; nothing when there is no way to know.
   */
  async pronounce(text: string): Promise<readonly Pronunciation[] | undefined> {
    const spelt = spell(text, (word) => this.#words.has(word));
    if (!spelt) return undefined;
    const ways: Pronunciation[] = [];
    const most = Math.ceil(MOST_WAYS / Math.max(1, spelt.length));
    for (const way of spelt) {
      const parts = await Promise.all(way.map((word) => this.#say(word)));
      if (parts.every((part) => part.length > 0)) ways.push(...joined(parts, most));
    }
    if (spelt.length > 0 && ways.length === 0) return undefined;
    const distinct = new Map(ways.map((way) => [way.join(' '), way]));
    return [...distinct.values()].slice(0, MOST_WAYS);
  }

  async #say(word: string): Promise<readonly Pronunciation[]> {
    const stem = /^(.+)'s?$/.exec(word)?.[1];
    const known =
      this.#read(word) ??
      this.#ruled.get(word) ??
      (stem === undefined ? undefined : this.#read(stem)?.map((sounds) => [...sounds, ...genitive(sounds.at(-1)!)]));
    if (known) return known;
    const sounds = (await this.#rule?.(word.replaceAll("'", ''))) ?? [];
    const said = sounds.length > 0 ? [sounds] : [];
    if (this.#ruled.size >= MOST_RULED) this.#ruled.clear();
    this.#ruled.set(word, said);
    return said;
  }
  #read(word: string): Pronunciation[] | undefined {
    return this.#words
      .get(word)
      ?.split('\n')
      .map((sounds) => sounds.split(/\s+/));
  }
}
/** The s of a genitive, after a sound. */
function genitive(sound: string): Pronunciation {
  if (['S', 'Z', 'SH', 'ZH', 'CH', 'JH'].includes(sound)) return ['IH', 'Z'];
  return ['P', 'T', 'K', 'F', 'TH'].includes(sound) ? ['S'] : ['Z'];
}
