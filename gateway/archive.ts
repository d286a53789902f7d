import type { CueView, LanguageTag } from './protocol.ts';
import type { LineRecord } from './session/ipc.ts';

/** Captions kept per language and lines kept in all: some seven hours of talk at a cue every five seconds. */
const MOST_CUES = 5_000;
const MOST_LINES = 20_000;
/** What a late joiner can read back, µs. */
const RECENT = 180_000_000;

/** What was said in a session so far, bounded: the oldest goes first. */
export class Archive {
  readonly #cues = new Map<LanguageTag, Map<string, CueView>>();
  readonly #lines: LineRecord[] = [];
  #forgotten = 0;

  /** A cue replaces the one with its id and language; an empty one takes it back. */
  cue(cue: CueView): void {
    let cues = this.#cues.get(cue.language);
    if (!cues) this.#cues.set(cue.language, (cues = new Map<string, CueView>()));
    if (cue.text === '') {
      cues.delete(cue.id);
      return;
    }
    cues.set(cue.id, cue);
    if (cues.size > MOST_CUES) {
      const [oldest] = cues.keys();
      if (oldest !== undefined) cues.delete(oldest);
      this.#forgotten += 1;
    }
  }

  line(line: LineRecord): void {
    this.#lines.push(line);
    if (this.#lines.length > MOST_LINES) {
      this.#lines.shift();
      this.#forgotten += 1;
    }
  }

  get lines(): readonly LineRecord[] {
    return this.#lines;
  }
  /** Cues and lines that had to go. */
  get forgotten(): number {
    return this.#forgotten;
  }

  /** In order of their start, drafts included. */
  cues(language: LanguageTag): CueView[] {
    return [...(this.#cues.get(language)?.values() ?? [])].sort((a, b) => a.start - b.start);
  }

  /** Of every language, the last three minutes of the programme. */
  recent(): CueView[] {
    const cues = [...this.#cues.keys()].flatMap((language) => this.cues(language));
    const last = cues.reduce((end, cue) => Math.max(end, cue.end), 0);
    return cues.filter((cue) => cue.end >= last - RECENT).sort((a, b) => a.start - b.start);
  }
}
