/** What a recogniser got wrong, counted over the cheapest way from what was said to what was heard. */
export interface WordErrors {
  readonly substituted: number;
  readonly inserted: number;
  readonly left: number;
  /** Words that were said. */
  readonly words: number;
}

const DIGITS = ['zero', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine'];
const SAME: Readonly<Record<string, string>> = { oh: 'zero', mr: 'mister', mrs: 'missus', dr: 'doctor' };

/** Words as they are compared: lower case, no punctuation, digits one by one as words, usual abbreviations written out. */
export function plainWords(text: string): string[] {
  return text
    .normalize('NFKC')
    .toLowerCase()
    .replaceAll(/[’‘]/g, "'")
    .replaceAll(/\d/g, (digit) => ` ${DIGITS[Number(digit)]} `)
    .replaceAll(/[^\p{L}\p{M}\p{N}' ]/gu, ' ')
    .split(/\s+/)
    .map((word) => word.replaceAll(/^'+|'+$/g, ''))
    .filter(Boolean)
    .map((word) => SAME[word] ?? word);
}

/** Levenshtein's distance between words, with what it consists of. */
export function wordErrors(said: readonly string[], heard: readonly string[]): WordErrors {
  type Cell = readonly [cost: number, substituted: number, inserted: number, left: number];
  let row: Cell[] = [[0, 0, 0, 0]];
  for (let j = 1; j <= heard.length; j += 1) row.push([j, 0, j, 0]);
  for (const word of said) {
    const [first] = row as [Cell];
    const next: Cell[] = [[first[0] + 1, 0, 0, first[3] + 1]];
    for (const [j, other] of heard.entries()) {
      const [across, above, before] = [row[j]!, row[j + 1]!, next[j]!];
      const wrong = word === other ? 0 : 1;
      const ways: Cell[] = [
        [across[0] + wrong, across[1] + wrong, across[2], across[3]],
        [above[0] + 1, above[1], above[2], above[3] + 1],
        [before[0] + 1, before[1], before[2] + 1, before[3]],
      ];
      next.push(ways.reduce((best, way) => (way[0] < best[0] ? way : best)));
    }
    row = next;
  }
  const [, substituted, inserted, left] = row.at(-1)!;
  return { substituted, inserted, left, words: said.length };
}

/** Word error rate over several recordings: all errors over all words that were said. */
export function errorRate(all: readonly WordErrors[]): number {
  const errors = all.reduce((sum, { substituted, inserted, left }) => sum + substituted + inserted + left, 0);
  return errors / all.reduce((sum, { words }) => sum + words, 0);
}
