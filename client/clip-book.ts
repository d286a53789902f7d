import type { ClipView, LanguageTag } from '../gateway/protocol.ts';

/** Clips kept per language: those ahead of the play-head (the delay) and a few minutes behind it. */
const KEPT = 256;

/** When the dub speaks, by language, so that the original can be raised under it and nowhere else. */
export class ClipBook {
  readonly #byLanguage = new Map<LanguageTag, ClipView[]>();

  /** A clip of the same utterance replaces the one known. */
  put(clip: ClipView): void {
    const clips = (this.#byLanguage.get(clip.language) ?? []).filter(({ utterance }) => utterance !== clip.utterance);
    clips.push(clip);
    this.#byLanguage.set(clip.language, clips.slice(-KEPT));
  }

  /** Whether the dub in `language` speaks at `at` (media µs). */
  speaking(language: LanguageTag, at: number): boolean {
    return (this.#byLanguage.get(language) ?? []).some(({ start, end }) => start <= at && at < end);
  }

  clear(): void {
    this.#byLanguage.clear();
  }
}
