import { encodeWav } from '../../media/wav.ts';
import type { Reference } from '../../pipeline/domain.ts';

/** As much of a reference as a server takes. */
export interface Excerpt extends Pick<Reference, 'rate' | 'pcm' | 'text'> {
  /** Whether it is all of the reference, so that its text is surely what is said in it. */
  readonly whole: boolean;
}

/** A cut is made where it is quietest in the last part of what may stay. */
const SEARCH = 0.2;

/**
 * The beginning of a reference, `most` seconds at most, cut where it is quietest.
 *
 * What is said in it is estimated by its share of the words, since nobody said when each was spoken.
 */
export function excerpt({ pcm, rate, text }: Reference, most: number): Excerpt {
  const limit = Math.floor(most * rate);
  if (pcm.length <= limit) return { pcm, rate, text, whole: true };
  const frame = Math.round(rate / 50);
  let [cut, least] = [limit, Infinity];
  for (let start = Math.floor(limit * (1 - SEARCH)); start + frame <= limit; start += frame) {
    let power = 0;
    for (let i = start; i < start + frame; i += 1) power += (pcm[i] ?? 0) ** 2;
    if (power < least) [cut, least] = [start + Math.floor(frame / 2), power];
  }
  const words = text.split(/\s+/).filter(Boolean);
  const said = words.slice(0, Math.round((words.length * cut) / pcm.length)).join(' ');
  return { pcm: pcm.subarray(0, cut), rate, text: said, whole: false };
}

/** A reference as a WAV file, 16 bit. */
export const wavOf = ({ pcm, rate }: Pick<Reference, 'rate' | 'pcm'>): Blob =>
  new Blob([new Uint8Array(encodeWav(pcm, rate))], { type: 'audio/wav' });

/** A reference as a WAV file in a data URL. */
export const dataUrlOf = ({ pcm, rate }: Pick<Reference, 'rate' | 'pcm'>): string =>
  `data:audio/wav;base64,${Buffer.from(encodeWav(pcm, rate)).toString('base64')}`;
