import type { z } from 'zod';
import { SessionSpec } from './config.ts';
import { invalid } from './refusal.ts';

/** What a command says of the sound, in a session's own words. What it does not say is left to the session's defaults. */
export interface MixOptions {
  readonly mix?: 'replace' | 'duck' | 'voice-over';
  /** dB. */
  readonly under?: number;
  /** LUFS. */
  readonly loudness?: number | 'off';
}

export function mixOf({ mix: mode, under, loudness }: MixOptions): { mix: z.input<typeof SessionSpec.shape.mix> } {
  return {
    mix: {
      ...(mode !== undefined && { mode }),
      ...(under !== undefined && { under }),
      ...(loudness !== undefined && { loudness }),
    },
  };
}

/** The session that a command asks for. Throws a `Refusal` that names the field and says what to do. */
export function specOf(asked: object): SessionSpec {
  const parsed = SessionSpec.safeParse(asked);
  if (!parsed.success) throw invalid(parsed.error.issues);
  return parsed.data;
}
