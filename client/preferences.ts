export const CAPTION_MODES = ['off', 'translated', 'original', 'both'] as const;
export type CaptionMode = (typeof CAPTION_MODES)[number];

/** How the original sounds under a dub: as the session mixes it, or mixed here. */
export const ORIGINAL_MODES = ['mixed', 'silent', 'quiet', 'voice-over'] as const;
export type OriginalMode = (typeof ORIGINAL_MODES)[number];

/** Range of `voiceOver`, dB. */
export const VOICE_OVER = { least: -24, most: -3 } as const;

/** What a viewer set once and expects to find again. */
export interface Preferences {
  /** 0 to 1. */
  readonly volume: number;
  readonly muted: boolean;
  readonly original: OriginalMode;
  /** Level of the original under a voice-over, dB. */
  readonly voiceOver: number;
  /**
   * Where the gateway sends no voices by themselves: extra level of the original while the dub speaks, 0 to 1, on top of
   * what the dub's own mix carries.
   */
  readonly under: number;
  readonly captions: CaptionMode;
  /** Last language chosen; `null` follows the browser's. */
  readonly language: string | null;
}

export const DEFAULTS: Preferences = {
  volume: 1,
  muted: false,
  original: 'mixed',
  voiceOver: -12,
  under: 0,
  captions: 'translated',
  language: null,
};

/** What was stored, with defaults for whatever is missing or out of range. */
export function preferencesOf(stored: unknown): Preferences {
  const found = (typeof stored === 'object' && stored !== null ? stored : {}) as Record<string, unknown>;
  const within = (value: unknown, least: number, most: number, otherwise: number) =>
    typeof value === 'number' && value >= least && value <= most ? value : otherwise;
  const level = (value: unknown, otherwise: number) => within(value, 0, 1, otherwise);
  const under = level(found['under'], DEFAULTS.under);
  // Whoever wanted more of the original before there was a choice wanted a voice-over, and this loud: what was added came
  // on top of a tenth.
  const asked = under > 0 && found['original'] === undefined ? 20 * Math.log10(Math.min(1, under + 0.1)) : undefined;
  const { least, most } = VOICE_OVER;
  return {
    volume: level(found['volume'], DEFAULTS.volume),
    muted: found['muted'] === true,
    original:
      asked === undefined
        ? (ORIGINAL_MODES.find((mode) => mode === found['original']) ?? DEFAULTS.original)
        : 'voice-over',
    voiceOver:
      asked === undefined
        ? within(found['voiceOver'], least, most, DEFAULTS.voiceOver)
        : Math.round(Math.min(most, Math.max(least, asked))),
    under,
    captions: CAPTION_MODES.find((mode) => mode === found['captions']) ?? DEFAULTS.captions,
    language: typeof found['language'] === 'string' ? found['language'] : null,
  };
}
