import type { ClipView, LanguageTag } from '../gateway/protocol.ts';

/** Clips kept per language: those ahead of the play-head (the delay) and a few minutes behind it. */
const KEPT = 256;

/** When the dub speaks, by language, so that the level of the original can follow it. */
export class ClipBook {
  readonly #byLanguage = new Map<LanguageTag, ClipView[]>();

  /** A clip of the same utterance replaces the one known. */
  put(clip: ClipView): void {
    const clips = (this.#byLanguage.get(clip.language) ?? []).filter(({ utterance }) => utterance !== clip.utterance);
    clips.push(clip);
    this.#byLanguage.set(clip.language, clips.slice(-KEPT));
  }

  /** The clips of the dub in `language` that touch a stretch (media µs). */
  within(language: LanguageTag, from: number, until: number): ClipView[] {
    return (this.#byLanguage.get(language) ?? []).filter(({ start, end }) => start < until && from < end);
  }

  clear(): void {
    this.#byLanguage.clear();
  }
}
