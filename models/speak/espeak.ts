import { z } from 'zod';
import type { Scope } from '../../media/scope.ts';
import { type SampleRate, at, between, ms, samples } from '../../media/time.ts';
import type { Line, SpeechMark } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { until } from '../../pipeline/until.ts';
import { defineEngine, needsFile } from '../engine.ts';
import { ESPEAK_FILES, ESPEAK_PACKAGE, Espeak, type Event, type Saying, type Utterance } from './espeak-library.ts';
import { SPOKEN, TIMBRES, placeOf, voiceFor } from './espeak-voices.ts';
import { levelled } from '../dsp/loudness.ts';

/** A line may run this much over its interval before it is said again faster; a little is left to the fitter. */
const TOLERATED = 1.15;

/** How fast to say a line again that took `natural` where it has `slot`, or nothing if it may stay. */
export function hurriedRate(natural: number, slot: number, rate: number, fastest: number): number | undefined {
  if (natural <= slot * TOLERATED || rate >= fastest) return undefined;
  return Math.min(fastest, Math.round((rate * natural) / slot));
}

/** The word that starts at a code point of the text. */
function wordAt(points: readonly string[], position: number, length: number | undefined): string {
  if (length !== undefined && length > 0) return points.slice(position, position + length).join('');
  return /^[\p{L}\p{M}\p{N}'’-]+/u.exec(points.slice(position).join(''))?.[0] ?? '';
}

/**
 * What is said when. A word starts with its first phoneme: the library's own word events come up to a pause earlier and
 * leave out the first word of some clauses, but every phoneme says which word it belongs to.
 */
export function marksOf(text: string, events: readonly Event[], end: number): SpeechMark[] {
  const points = [...text];
  const lengths = new Map(events.filter(({ type }) => type === 'word').map((word) => [word.position, word.length]));
  const marks: SpeechMark[] = [];
  let current = -1;
  for (const { type, at: milliseconds, position, ipa } of events) {
    if (type !== 'phoneme' || ipa.trim() === '') continue;
    // A switch of language inside a text is announced as `(en)`.
    if (ipa.startsWith('(')) continue;
    const offset = Math.min(ms(milliseconds), end);
    const word = position === current ? '' : wordAt(points, position, lengths.get(position));
    if (word !== '') marks.push({ type: 'word', offset, text: word });
    current = position;
    marks.push({ type: 'phoneme', offset, text: ipa });
  }
  return marks;
}

interface Settings {
  readonly rate: number;
  readonly fastest: number;
}

/** Says a line, again and faster where it takes too long. */
function say(espeak: Espeak, line: Line, text: string, { rate, fastest }: Settings): Utterance {
  const voice = voiceFor(line.language);
  if (voice === undefined) throw new Fault('synthesizer', 'rejected', `eSpeak NG does not speak ${line.language}`);
  const { variant, pitch } = TIMBRES[placeOf(line.speaker, TIMBRES.length)] ?? { variant: 'm3', pitch: 50 };
  const saying: Saying = { voice: `${voice}+${variant}`, rate, pitch };
  const calm = espeak.say(text, saying);
  const natural = samples(calm.pcm.length, espeak.rate as SampleRate);
  const hurried = hurriedRate(natural, between(line.start, line.end), rate, fastest);
  return hurried === undefined ? calm : espeak.say(text, { ...saying, rate: hurried });
}

async function load(settings: Settings, scope: Scope): Promise<Stage<'synthesizer'>> {
  const espeak = new Espeak();
  scope.defer(() => espeak.close());
  if (espeak.rate !== 22_050) throw new Fault('synthesizer', 'broken', `eSpeak NG speaks at ${espeak.rate} Hz`);
  const rate = espeak.rate;
  return {
    kind: 'synthesizer',
    engine: 'espeak',
    caps: {
      lookahead: ms(0),
      languages: SPOKEN,
      // A line is a few milliseconds' work, so it comes in one piece.
      streams: false,
      clonesVoice: false,
      marks: ['word', 'phoneme'],
      voices: TIMBRES.length,
    },
    async *run(input, { signal }) {
      for await (const line of until(input, signal)) {
        const text = line.text.replaceAll('\0', ' ');
        const spoken = text.trim() === '' ? undefined : say(espeak, line, text, settings);
        const pcm = spoken ? levelled(spoken.pcm, rate / 50) : new Float32Array();
        const marks = spoken ? marksOf(text, spoken.events, samples(pcm.length, rate)) : [];
        yield { line, chunk: { start: at(0), rate, pcm }, marks, last: true };
      }
    },
  };
}

export const espeak = defineEngine({
  kind: 'synthesizer',
  id: 'espeak',
  host: 'thread',
  config: z.strictObject({
    rate: z.number().min(80).max(450).default(175).describe('Words a minute of an unhurried line.'),
    fastest: z.number().min(80).max(450).default(200).describe('Words a minute at most where a line has little room.'),
  }),
  summary: 'eSpeak NG: formant synthesis in some ninety languages; robotic, instant, timed to the phoneme.',
  licence: 'GPL-3.0-or-later',
  needs: [needsFile(ESPEAK_PACKAGE, ESPEAK_FILES, 'espeak-ng')],
  languages: SPOKEN,
  load,
});
