import type { TrackId, TrackView } from '../gateway/protocol.ts';
import type { Preferences } from './preferences.ts';

/** What sounds for a viewer: one track, alone or over the original. */
export interface Blend {
  readonly lead: TrackId;
  /** Levels of the original beside it, 0 to 1: while the dub speaks and elsewhere. `null`: it does not sound. */
  readonly original: { readonly speaking: number; readonly elsewhere: number } | null;
}

/** The level of the original at `quiet`, the −20 dB that sessions duck by unless told otherwise. */
const QUIET = 0.1;

/** The language of a dub's track or of its voices', else `null`. */
export function dubOf(trackId: TrackId | null): string | null {
  const [, language] = /^(?:dub|voice):(.+)$/.exec(trackId ?? '') ?? [];
  return language ?? null;
}

/** The voices alone of the dub that is chosen, where the gateway sends them. */
export function voiceOf(chosen: TrackId | null, tracks: readonly TrackView[]): TrackId | null {
  if (!chosen?.startsWith('dub:') || !tracks.some(({ id }) => id === 'original')) return null;
  const voice: TrackId = `voice:${chosen.slice(4)}`;
  return tracks.some(({ id }) => id === voice) ? voice : null;
}

/**
 * What is to sound when `chosen` is: the track itself, or its voices over the original, mixed here.
 *
 * Where there are no voices to be had, all that can be done is to add some of the original to the dub that has it already.
 */
export function blendOf(
  chosen: TrackId,
  tracks: readonly TrackView[],
  { original, voiceOver, under }: Pick<Preferences, 'original' | 'voiceOver' | 'under'>,
): Blend {
  const voice = voiceOf(chosen, tracks);
  if (voice) {
    if (original === 'mixed') return { lead: chosen, original: null };
    const speaking = { silent: 0, quiet: QUIET, 'voice-over': 10 ** (voiceOver / 20) }[original];
    return { lead: voice, original: { speaking, elsewhere: 1 } };
  }
  const adds = chosen.startsWith('dub:') && under > 0 && tracks.some(({ id }) => id === 'original');
  return { lead: chosen, original: adds ? { speaking: under, elsewhere: 0 } : null };
}

/** Whether going from one to the other needs no other track. */
export const sameTracks = (a: Blend | null, b: Blend | null): boolean => tracksOf(a) === tracksOf(b);
const tracksOf = (blend: Blend | null) => blend && `${blend.lead}${blend.original ? ' original' : ''}`;
