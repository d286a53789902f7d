import { type CueView, type LanguageTag, SPEAKER_COLOURS, colourOf } from '../gateway/protocol.ts';

/** Cues kept per language. At one every two seconds this is a quarter of an hour; older ones are never shown again. */
const KEPT = 450;
/** Captions on the picture at once: two people may speak at the same time. */
const MOST_SHOWN = 2;
/** A draft stays so long behind its end (µs) for what it is the beginning of. */
const DRAFT_HOLD = 4e6;
/** Two captions closer than this (µs) are joined: a gap so short is a flicker. */
const JOINED = 250e3;
/** A programme that goes back by more than this (µs) is seen anew; less is a clock that trembles. */
const BACK = 1e6;
/** A caption is seen for so long (µs) before another takes its place, if that is not held up for longer than `PUSHED`. */
const SEEN = 833e3;
const PUSHED = 500e3;
/** Where a line is broken that nobody has broken. */
const WIDTH = 42;

/** A caption on the picture. */
export interface ShownCue extends CueView {
  readonly lines: readonly string[];
  /** Somebody else spoke before: the name is said. */
  readonly introduces: boolean;
  /** When it was first seen, media µs. */
  readonly since: number;
}

/**
 * The captions of a programme, looked up by what is being heard.
 *
 * Whatever comes, and whenever: what has been shown stays as it was seen. A caption on the picture only grows, at its
 * end; its words stay on their lines; it goes when its time is over or another takes its place, and does not come back.
 */
export class CueBook {
  readonly #byLanguage = new Map<LanguageTag, Shelf>();

  /** Keeps a cue in its place. One with the id of an earlier one replaces it, as far as that was not seen. */
  put(cue: CueView): void {
    let shelf = this.#byLanguage.get(cue.language);
    if (!shelf) this.#byLanguage.set(cue.language, (shelf = new Shelf()));
    shelf.put(cue);
  }

  /** What is on the picture at `at` (media µs), the newest first. From then on it has been seen. */
  show(language: LanguageTag, at: number): readonly ShownCue[] {
    return this.#byLanguage.get(language)?.show(at) ?? NOTHING;
  }

  /** All that is kept of a language, in order. */
  all(language: LanguageTag): readonly CueView[] {
    return this.#byLanguage.get(language)?.cues ?? [];
  }

  clear(): void {
    this.#byLanguage.clear();
  }
}
const NOTHING: readonly ShownCue[] = [];

/** The captions of one language. */
class Shelf {
  /** In order of their start. */
  readonly cues: CueView[] = [];
  #shown: readonly ShownCue[] = NOTHING;
  /** Seen, and over. */
  #gone = new Set<string>();
  #at = -Infinity;
  /** Who was seen speaking last. */
  #speaker: string | undefined;

  put(cue: CueView): void {
    const old = this.cues.findIndex(({ id }) => id === cue.id);
    if (old >= 0) this.cues.splice(old, 1);
    const seen = this.#shown.find(({ id }) => id === cue.id);
    if (seen) {
      const now = merged(seen, cue);
      this.#shown = this.#shown.map((one) => (one === seen ? now : one));
      this.#keep(now);
    } else if (cue.text !== '') this.#keep(cue);
  }

  #keep(cue: CueView): void {
    const after = this.cues.findLastIndex(({ start }) => start <= cue.start);
    this.cues.splice(after + 1, 0, cue);
    if (this.cues.length <= KEPT) return;
    const first = this.cues.shift();
    if (first) this.#gone.delete(first.id);
  }

  show(at: number): readonly ShownCue[] {
    if (at < this.#at - BACK) {
      this.#shown = NOTHING;
      this.#gone.clear();
    }
    this.#at = Math.max(at, at < this.#at - BACK ? -Infinity : this.#at);
    const now = this.#at;
    let shown = this.#shown.filter((one) => now < Math.max(lastOf(one), one.since + SEEN) || this.#soon(one, now));
    const begun = this.cues.filter(({ id, start }) => start <= now && !this.#gone.has(id) && !this.#sees(id));
    // The newest first: of several that nobody has seen yet, those before it are over, except where two people speak.
    for (const cue of begun.reverse()) {
      const stays = shown.filter((one) => withstands(one, cue, now));
      const leaves = shown.filter((one) => !stays.includes(one));
      if (now >= lastOf(cue) || leaves.some(({ start }) => start > cue.start)) {
        this.#gone.add(cue.id);
        continue;
      }
      if (leaves.some(({ since }) => now < since + SEEN) && now < Math.min(cue.start + PUSHED, cue.end)) continue;
      const introduces = cue.speaker !== this.#speaker;
      // Above those that are there: captions stand on the lower edge, and none of them moves.
      shown = [{ ...cue, lines: linesOf(cue), introduces, since: now }, ...stays.slice(0, MOST_SHOWN - 1)];
      this.#speaker = cue.speaker;
    }
    for (const { id } of this.#shown) if (!shown.some((one) => one.id === id)) this.#gone.add(id);
    const same = shown.length === this.#shown.length && shown.every((one, n) => one === this.#shown[n]);
    if (!same) this.#shown = shown;
    return this.#shown;
  }

  #sees(id: string): boolean {
    return this.#shown.some((one) => one.id === id);
  }

  /** Whether another caption comes so soon that the one on show stays until then. */
  #soon(one: CueView, now: number): boolean {
    const end = lastOf(one);
    return this.cues.some(({ id, start }) => id !== one.id && start > now && start - end < JOINED && start >= end);
  }
}

/** When a caption goes if nothing follows. */
const lastOf = ({ end, draft }: CueView) => end + (draft ? DRAFT_HOLD : 0);

/** Whether a caption on show stays when another begins: two people are heard at once. */
const withstands = (one: CueView, cue: CueView, now: number) =>
  one.speaker !== cue.speaker && now < (one.voiceEnd ?? one.end) && now < (cue.voiceEnd ?? cue.end);

/** A newer version of a caption that has been seen: more words, at its end, and nothing else. */
function merged(seen: ShownCue, cue: CueView): ShownCue {
  const { end, draft } = cue;
  const times = { end, draft, ...(cue.voiceEnd !== undefined && { voiceEnd: cue.voiceEnd }) };
  if (!cue.text.startsWith(seen.text)) return cue.text === '' ? seen : { ...seen, ...times };
  return { ...seen, ...times, text: cue.text, lines: grown(seen, cue) };
}

function grown(seen: ShownCue, cue: CueView): readonly string[] {
  const { lines = [] } = cue;
  const last = seen.lines.length - 1;
  const grows = seen.lines.every((line, n) => (n < last ? lines[n] === line : lines[n]?.startsWith(line)));
  if (grows) return lines;
  const out = [...seen.lines];
  // The first piece may go on with the last word; the others begin with a space, where the language has any.
  for (const piece of cue.text.slice(seen.text.length).match(/^\S+|\s+\S+|\s+$/gu) ?? []) {
    const line = out.at(-1) ?? '';
    if (/^\s/u.test(piece) && line.length + piece.length > WIDTH) out.push(piece.trim());
    else out[out.length - 1] = line + piece;
  }
  return out.map((line) => line.trimEnd());
}

const linesOf = ({ lines, text }: CueView): readonly string[] => (lines && lines.length > 0 ? lines : [text]);

/** Speakers in the order they were first heard, each with a colour of its own while there are colours. */
export class Cast {
  readonly #order: string[] = [];

  /** The speaker's colour, for a dark ground. */
  colourOf(speaker: string): string {
    let index = this.#order.indexOf(speaker);
    if (index < 0) index = this.#order.push(speaker) - 1;
    return SPEAKER_COLOURS[colourOf(speaker, index)] ?? SPEAKER_COLOURS[0];
  }
}
