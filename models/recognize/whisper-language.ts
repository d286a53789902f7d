import type { Heard } from './whisper-decoder.ts';

/** Windows after which the language of a stream is known. */
const ENOUGH = 6;
/** Seconds of audio below which a guess is worth little. */
const SHORT = 1;

/** The language of a stream: given, or guessed from its first windows, each as much as it is sure of. */
export class SpokenLanguage {
  readonly #given: string | undefined;
  readonly #sums = new Map<string, number>();
  #windows = 0;

  /** @param given ISO 639 code; guessed without one */
  constructor(given?: string) {
    this.#given = given;
  }

  /** @param length seconds of audio in the window */
  async of(heard: Heard, length: number): Promise<string> {
    if (this.#given !== undefined) return this.#given;
    if (this.#windows < ENOUGH) {
      const chances = await heard.languages();
      const weight = length < SHORT ? 0.1 : 1;
      for (const [code, chance] of chances) this.#sums.set(code, (this.#sums.get(code) ?? 0) + weight * chance);
      if (length >= SHORT) this.#windows += 1;
    }
    let best = 'en';
    for (const [code, sum] of this.#sums) if (sum > (this.#sums.get(best) ?? 0)) best = code;
    return best;
  }
}
