import { type MediaTime, latest } from '../media/time.ts';
import type { Clip, Cue, Hypothesis, Line, Utterance } from './domain.ts';
import type { Unfinished } from './utterances.ts';
import { written } from './writing.ts';

/** Source captions: a draft while words come in, replaced under the same id by what was said when the utterance closes. */
export class SourceCaptions {
  /** The draft on show. */
  #shown: Cue | undefined;

  /** @param closed what the hypothesis closed @param unfinished what it left open */
  push(hypothesis: Hypothesis, closed: readonly Utterance[], unfinished: Unfinished): Cue[] {
    const cues = closed.map(said);
    const { id, speaker, words, language } = unfinished;
    const text = written([...words.map((word) => word.text), hypothesis.draft], language);
    const replaced = this.#shown && cues.some((cue) => cue.id === this.#shown?.id);
    const before = replaced ? undefined : this.#shown;
    if (text === '') {
      this.#shown = undefined;
      // A draft that came to nothing is taken back.
      return before && before.text !== '' ? [...cues, { ...before, text: '' }] : cues;
    }
    const start = words[0]?.start ?? before?.start ?? draftStart(hypothesis);
    const draft: Cue = { id, language, speaker, start, end: latest(hypothesis.end, start), text, draft: true };
    if (before && before.id === id && before.text === text && before.end === draft.end) return cues;
    this.#shown = draft;
    return [...cues, draft];
  }

  /** Nothing more will be said. */
  end(closed: readonly Utterance[]): Cue[] {
    this.#shown = undefined;
    return closed.map(said);
  }
}

/** Where a draft begins whose words have no times yet: behind the words that have. */
const draftStart = ({ start, stable }: Hypothesis): MediaTime => stable.at(-1)?.end ?? start;

export const said = ({ id, language, speaker, start, end, text }: Utterance): Cue => ({
  id,
  language,
  speaker,
  start,
  end,
  text,
  draft: false,
});

/**
 * A translated caption as far as it is known: its text is final, its end is not until it is known how long the voice
 * takes. That is what `draft` means here.
 */
export const translated = ({ utterance, language, speaker, start, end, text }: Line): Cue => ({
  id: utterance,
  language,
  speaker,
  start,
  end,
  text,
  draft: true,
});

/** The caption's final form: it stays for as long as the voice speaks. Without a voice it has the source's interval. */
export const voiced = (cue: Cue, clip?: Clip): Cue => ({
  ...cue,
  end: clip ? latest(cue.end, clip.end) : cue.end,
  draft: false,
});
