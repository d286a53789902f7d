import { z } from 'zod';
import { type SampleRate, at, ms, samples, seconds } from '../../media/time.ts';
import type { Language, SpeechMark } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import { until } from '../../pipeline/until.ts';
import { defineEngine, needsFile } from '../engine.ts';
import { type Ensemble, sizeOf, voiceOf } from './cast-voices.ts';
import { NATURAL, rateOf, riseOf } from './delivery.ts';
import {
  FLITE_FILES,
  FLITE_PACKAGE,
  FLITE_VOICES,
  Flite,
  type FliteVoice,
  type Segment,
  type Utterance,
  installedFliteVoices,
} from './flite-library.ts';
import { serves } from '../languages.ts';
import { levelled } from '../dsp/loudness.ts';

/** flite's US English phonemes (`cst_us_phoneset`) in IPA. */
const IPA: Readonly<Record<string, string>> = {
  aa: 'ɑ',
  ae: 'æ',
  ah: 'ʌ',
  ao: 'ɔ',
  aw: 'aʊ',
  ax: 'ə',
  axr: 'ɚ',
  ay: 'aɪ',
  b: 'b',
  ch: 'tʃ',
  d: 'd',
  dh: 'ð',
  dx: 'ɾ',
  eh: 'ɛ',
  el: 'l̩',
  em: 'm̩',
  en: 'n̩',
  er: 'ɝ',
  ey: 'eɪ',
  f: 'f',
  g: 'ɡ',
  hh: 'h',
  hv: 'ɦ',
  ih: 'ɪ',
  iy: 'i',
  jh: 'dʒ',
  k: 'k',
  l: 'l',
  m: 'm',
  n: 'n',
  nx: 'ɾ̃',
  ng: 'ŋ',
  ow: 'oʊ',
  oy: 'ɔɪ',
  p: 'p',
  r: 'ɹ',
  s: 's',
  sh: 'ʃ',
  t: 't',
  th: 'θ',
  uh: 'ʊ',
  uw: 'u',
  v: 'v',
  w: 'w',
  y: 'j',
  z: 'z',
  zh: 'ʒ',
};

const isPause = ({ name }: Segment) => name === 'pau';
/** What is left of the silence flite puts around a line, seconds: enough for a soft onset. */
const MARGIN = 0.03;

/** A line's speech without the silence around it. */
export interface Trimmed {
  readonly pcm: Int16Array;
  /** Offsets in microseconds from `pcm`'s first sample. */
  readonly marks: readonly SpeechMark[];
}

/** Cuts the silence around the speech, and says what is said when. */
export function trimmed({ pcm, rate, segments, tokens }: Utterance): Trimmed {
  const spoken = segments.filter((segment) => !isPause(segment));
  const [first, last] = [spoken[0], spoken.at(-1)];
  if (!first || !last) return { pcm: pcm.subarray(0, 0), marks: [] };
  // The diphone voices' samples run a little ahead of their plan, which the segments tell.
  const drift = Math.min(1, pcm.length / rate / (segments.at(-1)?.end ?? Infinity));
  const begin = Math.max(0, first.start * drift - MARGIN);
  const from = Math.round(begin * rate);
  const to = Math.min(pcm.length, Math.round((last.end * drift + MARGIN) * rate));
  const length = samples(to - from, rate as SampleRate);
  const offset = (time: number) => Math.min(length, Math.max(0, seconds(time * drift - begin)));
  const marks: SpeechMark[] = [
    ...tokens.map((token) => ({ type: 'word' as const, offset: offset(token.start), text: token.text })),
    ...spoken.map((segment) => ({
      type: 'phoneme' as const,
      offset: offset(segment.start),
      text: IPA[segment.name] ?? segment.name,
    })),
  ];
  // Stable: a word stands before its first phoneme.
  return { pcm: pcm.subarray(from, to), marks: marks.sort((a, b) => a.offset - b.offset) };
}

const ENGLISH = 'en' as Language;

/** A voice, and how much higher than its own it speaks, as a ratio. */
export interface FliteTimbre {
  readonly voice: FliteVoice;
  readonly shift: number;
}
/**
 * Median F0 in hertz: men 101, 126, 90; women 166 and 200. There is one recorded woman, so the second is the first one
 * three semitones higher.
 */
const TIMBRES: Ensemble<FliteTimbre> = {
  male: [
    { voice: 'rms', shift: 1 },
    { voice: 'awb', shift: 1 },
    { voice: 'kal16', shift: 1 },
  ],
  female: [
    { voice: 'slt', shift: 1 },
    { voice: 'slt', shift: 1.2 },
  ],
};
/** The timbres of those voices that may be used. */
export function timbresOf(voices: readonly FliteVoice[]): Ensemble<FliteTimbre> {
  const of = (timbres: readonly FliteTimbre[]) => timbres.filter(({ voice }) => voices.includes(voice));
  return { male: of(TIMBRES.male), female: of(TIMBRES.female) };
}

export const flite = defineEngine({
  kind: 'synthesizer',
  id: 'flite',
  host: 'thread',
  config: z.strictObject({
    voices: z
      .array(z.enum(FLITE_VOICES))
      .min(1)
      .optional()
      .describe('Voices to speak with; all that are installed unless said.'),
  }),
  summary: 'Flite: English only; small recorded voices, clearer than eSpeak NG.',
  licence: 'MIT-Festival',
  needs: [needsFile(FLITE_PACKAGE, FLITE_FILES)],
  languages: [ENGLISH],
  load: async (config) => {
    const library = new Flite();
    const voices = config.voices ?? installedFliteVoices();
    if (voices.length === 0) throw new Fault('synthesizer', 'unavailable', `no flite voice: install ${FLITE_PACKAGE}`);
    const timbres = timbresOf(voices);
    return {
      kind: 'synthesizer',
      engine: 'flite',
      caps: {
        lookahead: ms(0),
        languages: [ENGLISH],
        // A line is some forty milliseconds' work, so it comes in one piece.
        streams: false,
        clonesVoice: false,
        marks: ['word', 'phoneme'],
        voices: sizeOf(timbres),
        rates: NATURAL,
      },
      async *run(input, { signal }) {
        for await (const line of until(input, signal)) {
          if (!serves(ENGLISH, line.language)) {
            throw new Fault('synthesizer', 'rejected', `flite does not speak ${line.language}`);
          }
          const { voice, shift } = voiceOf(line, timbres);
          const manner = { rate: rateOf(line), shift: shift * 2 ** (riseOf(line) / 12) };
          const text = line.text.replaceAll('\0', ' ');
          const said = text.trim() === '' ? undefined : library.say(text, voice, manner);
          const hertz = (said?.rate ?? 16_000) as SampleRate;
          const { pcm, marks } = said ? trimmed(said) : { pcm: new Int16Array(), marks: [] };
          yield { line, chunk: { start: at(0), rate: hertz, pcm: levelled(pcm, hertz / 50) }, marks, last: true };
        }
      },
    };
  },
});
