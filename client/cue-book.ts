import type { CueView, LanguageTag } from '../gateway/protocol.ts';

/** Cues kept per language. At one every two seconds this is a quarter of an hour; older ones are never shown again. */
const KEPT = 450;
/** A finished cue stays this long (µs) when nothing follows, so that its last words can be read. */
const LINGER = 900_000;

/** The captions of a programme, looked up by what is being heard. */
export class CueBook {
  readonly #byLanguage = new Map<LanguageTag, CueView[]>();

  /** Keeps a cue in its place. A cue with the id of an earlier one replaces it: a draft that grew, or became final. */
  put(cue: CueView): void {
    const cues = this.#byLanguage.get(cue.language) ?? [];
    this.#byLanguage.set(cue.language, cues);
    const old = cues.findIndex(({ id }) => id === cue.id);
    if (old >= 0) cues.splice(old, 1);
    const after = cues.findLastIndex(({ start }) => start <= cue.start);
    cues.splice(after + 1, 0, cue);
    if (cues.length > KEPT) cues.shift();
  }

  /** What is said at `at` (media µs), or `null`. Of two that overlap, the one that began last. */
  at(language: LanguageTag, at: number): CueView | null {
    const cues = this.#byLanguage.get(language) ?? [];
    const index = cues.findLastIndex(({ start }) => start <= at);
    for (let i = index; i >= 0 && i > index - 4; i--) {
      const cue = cues[i];
      if (cue && at < cue.end) return cue;
    }
    const last = cues[index];
    return last && at < last.end + LINGER ? last : null;
  }

  /** All that is kept of a language, in order. */
  all(language: LanguageTag): readonly CueView[] {
    return this.#byLanguage.get(language) ?? [];
  }

  clear(): void {
    this.#byLanguage.clear();
  }
}

/** Number of colours a stylesheet offers for speakers: `--speaker-0` to `--speaker-5`. */
export const SPEAKER_COLOURS = 6;

/** Speakers in the order they were first heard, each with a colour of its own while there are colours. */
export class Cast {
  readonly #order: string[] = [];

  /** The speaker's colour, 0 to {@link SPEAKER_COLOURS} − 1. */
  colourOf(speaker: string): number {
    let index = this.#order.indexOf(speaker);
    if (index < 0) index = this.#order.push(speaker) - 1;
    return index % SPEAKER_COLOURS;
  }
}

/** A name a person would read: `speaker-2`, `spk2` or `2` become "Speaker 2", a name stays what it is. */
export function speakerName(speaker: string): string {
  const number = /^(?:speaker|spk|s)?[\s_-]*(\d+)$/i.exec(speaker)?.[1];
  return number ? `Speaker ${number}` : speaker;
}
