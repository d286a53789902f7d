import { z } from 'zod';
import type { Scope } from '../../media/scope.ts';
import { type SampleRate, at, between, ms, samples } from '../../media/time.ts';
import type { Delivery, Line, SpeechMark } from '../../pipeline/domain.ts';
import { Fault } from '../../pipeline/fault.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { until } from '../../pipeline/until.ts';
import { defineEngine, needsFile } from '../engine.ts';
import { ESPEAK_FILES, ESPEAK_PACKAGE, Espeak, type Event, type Saying, type Utterance } from './espeak-library.ts';
import { sizeOf, voiceOf } from './cast-voices.ts';
import { NATURAL, bounded, energyOf, rateOf, riseOf } from './delivery.ts';
import { SPOKEN, TIMBRES, type Timbre, voiceFor } from './espeak-voices.ts';
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

/** A line is near enough to the length that was aimed at, as a share of it. */
const NEAR = 0.01;
/** How often a line is said to meet its length; a few milliseconds each time. */
const ATTEMPTS = 4;
/** eSpeak NG's pitch steps in a semitone, from 5.5 to 7.5 where voices are. */
const SEMITONE = 6;
/** How much livelier the melody is for each decibel of energy, in eSpeak NG's steps of range, of which 50 is usual. */
const LIVELY = 3;

/** How a line is said: higher and livelier where the speaker was, within what the voice can do. */
export function mannerOf({ pitch }: Timbre, line: Pick<Line, 'delivery'>): { pitch: number; range: number } {
  return { pitch: bounded(pitch + SEMITONE * riseOf(line), 0, 99), range: 50 + LIVELY * energyOf(line) };
}

/** How many samples a voice sounds: without what is 40 dB below its peak at both ends, as the fitter trims it. */
export function audible(pcm: Int16Array): number {
  const threshold = pcm.reduce((most, x) => Math.max(most, Math.abs(x)), 0) / 100;
  const from = pcm.findIndex((x) => Math.abs(x) > threshold);
  return from < 0 ? 0 : pcm.findLastIndex((x) => Math.abs(x) > threshold) + 1 - from;
}

/** A line said, and at which rate: 1 is the voice's own. */
interface Said {
  readonly utterance: Utterance;
  readonly rate: number;
}

/**
 * Says a line at the rate of its delivery; where that names a length, at whichever natural rate meets it best. Rate and
 * length are not proportional (pauses and short words give less), so it is measured and said again.
 */
function delivered(espeak: Espeak, text: string, saying: Saying, delivery: Delivery): Said {
  const { aim } = delivery;
  let factor = rateOf({ delivery });
  let best: (Said & { readonly off: number }) | undefined;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const utterance = espeak.say(text, { ...saying, rate: saying.rate * factor });
    const length = samples(audible(utterance.pcm), espeak.rate as SampleRate);
    if (aim === undefined || length === 0) return { utterance, rate: factor };
    const off = Math.abs(length - aim);
    if (!best || off < best.off) best = { utterance, rate: factor, off };
    const next = bounded((factor * length) / Math.max(1, aim), NATURAL.slowest, NATURAL.fastest);
    if (off <= NEAR * aim || next === factor) break;
    factor = next;
  }
  return best!;
}

/** Says a line; one of which nobody said how to deliver it again and faster where it takes too long. */
function say(espeak: Espeak, line: Line, text: string, { rate, fastest }: Settings): Said {
  const voice = voiceFor(line.language);
  if (voice === undefined) throw new Fault('synthesizer', 'rejected', `eSpeak NG does not speak ${line.language}`);
  const timbre = voiceOf(line, TIMBRES);
  const saying: Saying = { voice: `${voice}+${timbre.variant}`, rate, ...mannerOf(timbre, line) };
  if (line.delivery) return delivered(espeak, text, saying, line.delivery);
  const calm = espeak.say(text, saying);
  const natural = samples(calm.pcm.length, espeak.rate as SampleRate);
  const hurried = hurriedRate(natural, between(line.start, line.end), rate, fastest);
  if (hurried === undefined) return { utterance: calm, rate: 1 };
  return { utterance: espeak.say(text, { ...saying, rate: hurried }), rate: hurried / rate };
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
      voices: sizeOf(TIMBRES),
      rates: NATURAL,
    },
    async *run(input, { signal }) {
      for await (const line of until(input, signal)) {
        const text = line.text.replaceAll('\0', ' ');
        const said = text.trim() === '' ? undefined : say(espeak, line, text, settings);
        const pcm = said ? levelled(said.utterance.pcm, rate / 50) : new Float32Array();
        const marks = said ? marksOf(text, said.utterance.events, samples(pcm.length, rate)) : [];
        yield { line, chunk: { start: at(0), rate, pcm }, marks, last: true, ...(said && { rate: said.rate }) };
      }
    },
  };
}

export const espeak = defineEngine({
  kind: 'synthesizer',
  id: 'espeak',
  host: 'thread',
  config: z.strictObject({
    rate: z.number().min(100).max(370).default(175).describe('Words a minute of an unhurried line.'),
    fastest: z
      .number()
      .min(80)
      .max(450)
      .default(200)
      .describe('Words a minute at most where a line has little room and nobody said how to deliver it.'),
  }),
  summary: 'eSpeak NG: formant synthesis in some ninety languages; robotic, instant, timed to the phoneme.',
  licence: 'GPL-3.0-or-later',
  needs: [needsFile(ESPEAK_PACKAGE, ESPEAK_FILES, 'espeak-ng')],
  languages: SPOKEN,
  load,
});
