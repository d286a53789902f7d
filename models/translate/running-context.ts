/** An utterance and its translation, once there is one. */
export interface Passage {
  readonly speaker: string;
  readonly source: string;
  translation?: string;
}

/** The last utterances of a programme, for whoever translates the next one. */
export class RunningContext {
  readonly #size: number;
  readonly #past: Passage[] = [];

  /** @param size how many utterances are remembered; 0 for none */
  constructor(size: number) {
    this.#size = size;
  }

  /** A passage that comes again, as it was remembered, with those before it; nothing where it is forgotten. */
  again({ speaker, source }: Passage): { readonly passage: Passage; readonly before: readonly Passage[] } | undefined {
    const place = this.#past.findLastIndex((each) => each.speaker === speaker && each.source === source);
    const passage = this.#past[place];
    return passage && { passage, before: this.#past.slice(0, place) };
  }

  /** Those before this one; it is remembered for the next. */
  next(passage: Passage): readonly Passage[] {
    const before = this.#past.slice();
    this.#past.push(passage);
    if (this.#past.length > this.#size) this.#past.shift();
    return before;
  }
}
