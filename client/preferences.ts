export const CAPTION_MODES = ['off', 'translated', 'original', 'both'] as const;
export type CaptionMode = (typeof CAPTION_MODES)[number];

/** What a viewer set once and expects to find again. */
export interface Preferences {
  /** 0 to 1. */
  readonly volume: number;
  readonly muted: boolean;
  /** Extra level of the original while the dub speaks, 0 to 1, on top of what the dub's own mix carries. */
  readonly under: number;
  readonly captions: CaptionMode;
  /** Last language chosen; `null` follows the browser's. */
  readonly language: string | null;
}

export const DEFAULTS: Preferences = { volume: 1, muted: false, under: 0, captions: 'translated', language: null };

/** What was stored, with defaults for whatever is missing or out of range. */
export function preferencesOf(stored: unknown): Preferences {
  const found = (typeof stored === 'object' && stored !== null ? stored : {}) as Record<string, unknown>;
  const level = (value: unknown, otherwise: number) =>
    typeof value === 'number' && value >= 0 && value <= 1 ? value : otherwise;
  return {
    volume: level(found['volume'], DEFAULTS.volume),
    muted: found['muted'] === true,
    under: level(found['under'], DEFAULTS.under),
    captions: CAPTION_MODES.find((mode) => mode === found['captions']) ?? DEFAULTS.captions,
    language: typeof found['language'] === 'string' ? found['language'] : null,
  };
}
