import type { Utterance, UtteranceId, Word } from './domain.ts';
import type { Placed } from './fitter.ts';
import type { Manner } from './voice.ts';

/** Utterances that are remembered: more than are ever under way. */
const REMEMBERED = 256;

/** Who speaks and how: what every language's voice is told of an utterance. */
export class Speakers {
  readonly #said = new Map<UtteranceId, Utterance>();

  hears(utterance: Utterance): void {
    this.#said.set(utterance.id, utterance);
    const oldest = this.#said.size > REMEMBERED ? this.#said.keys().next() : undefined;
    if (oldest && !oldest.done) this.#said.delete(oldest.value);
  }
  wordsOf(utterance: UtteranceId): readonly Word[] {
    return this.#said.get(utterance)?.words ?? [];
  }
  mannerOf(_utterance: UtteranceId): Manner | undefined {
    return undefined;
  }
  finish(_placed: Placed): void {}
}
