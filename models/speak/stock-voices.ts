import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { medianPitch } from '../../media/pitch.ts';
import { resample } from '../../media/resample.ts';
import type { SampleRate } from '../../media/time.ts';
import { decodeWav } from '../../media/wav.ts';
import type { Line, Reference, SpeakerId } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import { type Ensemble, byPitch, sizeOf, voiceOf } from './cast-voices.ts';

/**
 * Where stock voices lie: `LIVEDUB_VOICES`, else `~/.cache/livedub/voices`. Each is a recording of ten seconds or so,
 * `NAME.wav`, and what is said in it, `NAME.txt`. The directory is no setting: those who start sessions name voices in it.
 */
export const voicesRoot = (): string => process.env['LIVEDUB_VOICES'] ?? join(homedir(), '.cache', 'livedub', 'voices');

/** Servers that clone take references at this rate or resample themselves. */
const RATE = 24_000;

/**
 * The stock voices, by name: for engines that can only clone, while a speaker's own voice is not known yet.
 *
 * @param names those to use, in this order; all of them by name, left out
 * @throws Fault of kind `broken` when one is asked for that is not there
 */
export function stockVoices(names?: readonly string[]): Reference[] {
  const root = voicesRoot();
  const there = existsSync(root)
    ? readdirSync(root)
        .filter((file) => file.endsWith('.wav'))
        .map((file) => file.slice(0, -'.wav'.length))
        .sort()
    : [];
  const absent = names?.find((name) => !there.includes(name));
  if (absent !== undefined) {
    throw new Fault(
      'synthesizer',
      'broken',
      `no stock voice is called '${absent}': there is ${there.join(', ') || 'none'}`,
    );
  }
  return (names ?? there).map((name) => {
    const { rate, pcm } = decodeWav(readFileSync(join(root, `${name}.wav`)));
    const words = join(root, `${name}.txt`);
    return {
      id: `stock-${name}`,
      speaker: name as SpeakerId,
      rate: RATE,
      pcm: resample(pcm, rate as SampleRate, RATE),
      text: existsSync(words) ? readFileSync(words, 'utf8').trim() : '',
    };
  });
}

/** So much of a recording is listened to for its register, seconds. */
const HEARD = 10;

/** Stock voices by register, as high as each recording is. */
export const castable = (voices: readonly Reference[]): Ensemble<Reference> =>
  byPitch(voices, ({ pcm, rate }) => medianPitch(pcm.subarray(0, HEARD * rate), rate)?.hertz);

/**
 * The voice for a line: its speaker's own where the line brings it, else the stock voice that is the speaker's for good.
 * Nobody's voice is cloned but that which comes with the line, or lies in the directory of stock voices.
 */
export function referenceFor(
  line: Line,
  stock: Ensemble<Reference>,
  fit: (reference: Reference) => boolean = () => true,
): Reference {
  if (line.reference && fit(line.reference)) return line.reference;
  if (sizeOf(stock) > 0) return voiceOf(line, stock);
  throw new Fault(
    'synthesizer',
    'rejected',
    `no voice to speak with yet: too little was heard of the speaker, and there is no stock voice in LIVEDUB_VOICES`,
  );
}
