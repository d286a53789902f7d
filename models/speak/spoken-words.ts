/** A word and when it is said, seconds from the beginning of the line. */
export interface SpokenWord {
  readonly text: string;
  readonly start: number;
}

/** What stands around a word. */
const AROUND = /^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu;

/**
 * Words out of characters with times, which come in pieces that end anywhere.
 *
 * Some services count the times of each piece from the line's beginning, others from the piece's own: whichever a piece's
 * first character is nearer to is taken.
 */
export class SpokenWords {
  #text = '';
  #start = 0;
  #last = 0;

  /** @param before seconds of sound before this piece @returns the words that are complete */
  hear(characters: readonly string[], starts: readonly number[], before: number): SpokenWord[] {
    const first = starts[0] ?? 0;
    const origin = Math.abs(first - before) <= first ? 0 : before;
    const words: SpokenWord[] = [];
    for (const [n, character] of characters.entries()) {
      if (/^\s*$/.test(character)) {
        words.push(...this.end());
        continue;
      }
      // Never back in time, whatever the service says.
      this.#last = Math.max(this.#last, (starts[n] ?? 0) + origin);
      if (this.#text === '') this.#start = this.#last;
      this.#text += character;
    }
    return words;
  }

  /** The word that was not ended by a space. */
  end(): SpokenWord[] {
    const text = this.#text.replaceAll(AROUND, '');
    this.#text = '';
    return text === '' ? [] : [{ text, start: this.#start }];
  }
}
