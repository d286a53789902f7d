import { type MediaTime, latest } from '../media/time.ts';
import { type FaceSpan, type LaidOut, type Place, layout, lengthOf, placeOf, readingOf } from './cue-layout.ts';
import type { Clip, Cue, Hypothesis, Language, Line, SpeakerId, Utterance, UtteranceId } from './domain.ts';
import type { Unfinished } from './utterances.ts';
import { written } from './writing.ts';

/**
 * How much of a line a draft may fill. What was in a draft stays on its line, so it is kept to what is on the first line
 * wherever that will be broken.
 */
const DRAFT = 0.6;

/**
 * Captions in the language of the programme. The beginning of what is being said comes as a draft that only grows, by
 * words that will not change; the rest follows under the same id when the utterance closes.
 */
export class SourceCaptions {
  readonly #faceAt: FaceAt;
  #draft: Cue | undefined;

  constructor(faceAt: FaceAt = nowhere) {
    this.#faceAt = faceAt;
  }

  /** @param closed what the hypothesis closed @param unfinished what it left open */
  push(hypothesis: Hypothesis, closed: readonly Utterance[], unfinished: Unfinished): Cue[] {
    const cues = this.end(closed);
    const { id, speaker, words, language } = unfinished;
    const text = beginning(unfinished);
    const start = words[0]?.start;
    const before = this.#draft;
    if (text === '' || start === undefined || before?.text === text) return cues;
    const end = latest(hypothesis.end, start);
    const laidOut: LaidOut = { start, end, voiceEnd: end, text, lines: [text] };
    const [draft] = cuesOf(
      [laidOut],
      id,
      { speaker, language },
      true,
      before?.id === id ? placeIn(before) : this.#faceAt,
    );
    if (!draft) return cues;
    this.#draft = draft;
    return [...cues, draft];
  }

  /** Nothing more will be said. */
  end(closed: readonly Utterance[]): Cue[] {
    const before = this.#draft;
    if (closed.length > 0) this.#draft = undefined;
    return closed.flatMap((utterance) => {
      const { id, language } = utterance;
      const draft = before?.id === id ? before : undefined;
      const laidOut = layout(utterance, language, { shown: draft?.text.length ?? 0 });
      return cuesOf(laidOut, id, utterance, false, draft ? placeIn(draft) : this.#faceAt);
    });
  }
}

/** As many certain words as a draft may have. */
function beginning({ words, sure, language }: Unfinished): string {
  const room = readingOf(language).width * DRAFT;
  let text = '';
  for (let count = 1; count <= sure; count += 1) {
    const more = written(
      words.slice(0, count).map((word) => word.text),
      language,
    );
    if (lengthOf(more) > room) break;
    text = more;
  }
  return text;
}

/** Lines whose captions are remembered. */
const REMEMBERED = 64;

/**
 * Captions in another language: drafts as soon as there is a text, final once it is known where the voice speaks. The
 * text and its lines are those of the draft, unless a shorter line took the first one's place.
 */
export class LineCaptions {
  readonly #faceAt: FaceAt;
  readonly #drafts = new Map<UtteranceId, readonly Cue[]>();

  constructor(faceAt: FaceAt = nowhere) {
    this.#faceAt = faceAt;
  }

  /** The line has this text; where its voice will be is not known yet. */
  told(line: Line): Cue[] {
    const { text, start, end } = line;
    const drafts = this.#cues(line, layout({ text, words: [], start, end }, line.language), true);
    const cues = [...drafts, ...this.#undone(line, drafts)];
    this.#drafts.set(line.utterance, drafts);
    const [oldest] = this.#drafts.keys();
    if (this.#drafts.size > REMEMBERED && oldest !== undefined) this.#drafts.delete(oldest);
    return cues;
  }

  /** The line is over: with its voice, or without one in the interval of its source. */
  settled(line: Line, clip: Clip | undefined): Cue[] {
    const { start, end } = clip ?? line;
    const timed = { text: line.text, words: clip?.words ?? [], start, end };
    const finals = this.#cues(line, layout(timed, line.language), false);
    const cues = [...finals, ...this.#undone(line, finals)];
    this.#drafts.delete(line.utterance);
    return cues;
  }

  #cues(line: Line, laidOut: readonly LaidOut[], draft: boolean): Cue[] {
    const [before] = this.#drafts.get(line.utterance) ?? [];
    return cuesOf(laidOut, line.utterance, line, draft, before ? placeIn(before) : this.#faceAt);
  }

  /** Takes back drafts that a shorter line has no use for. */
  #undone({ utterance }: Line, cues: readonly Cue[]): Cue[] {
    return (this.#drafts.get(utterance) ?? [])
      .filter((old) => !cues.some(({ id }) => id === old.id))
      .map((old) => ({ ...old, text: '', lines: [], draft: false }));
  }
}

/** Where the face is at an instant of the programme that a caption had better leave clear, as far as that is known. */
export type FaceAt = (at: MediaTime) => FaceSpan | undefined;
const nowhere: FaceAt = () => undefined;

/** A caption stays where its draft was. */
const placeIn = (draft: Cue): Place => draft.place ?? 'bottom';

function cuesOf(
  laidOut: readonly LaidOut[],
  id: UtteranceId,
  { speaker, language }: { readonly speaker: SpeakerId; readonly language: Language },
  draft: boolean,
  where: FaceAt | Place,
): Cue[] {
  return laidOut.map(({ start, end, voiceEnd, text, lines }, n) => {
    const place = typeof where === 'string' ? where : placeOf(where(start));
    return {
      id: n === 0 ? id : `${id}/${n + 1}`,
      language,
      speaker,
      start,
      end,
      voiceEnd,
      text,
      lines,
      draft,
      ...(place === 'top' && { place }),
    };
  });
}
