import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type AudioChunk, endOf } from '../../media/audio.ts';
import { MonotonicClock } from '../../media/clock.ts';
import type { Scope } from '../../media/scope.ts';
import { at, later, samples, seconds } from '../../media/time.ts';
import { silero } from '../../models/detect/silero.ts';
import type { SpeechChunk } from '../../pipeline/domain.ts';
import { Gate } from '../../pipeline/gate.ts';
import { type Spoke, parseRttm } from '../metrics/der.ts';
import { decode } from './stage-run.ts';

const RATE = 16_000;

/** A recording of which it is known who speaks when. */
export interface Conversation {
  readonly name: string;
  readonly pcm: Float32Array;
  readonly truth: readonly Spoke[];
  /**
   * What is scored, in seconds; all of it when left out. Of readings it is only known who reads, not where they pause,
   * so there it is what the voice activity detector lets through.
   */
  readonly within?: readonly { readonly start: number; readonly end: number }[];
}

/** Recordings with a hand-made reference: name, audio and RTTM file below the media folder. */
const RECORDED = [
  ['sample', 'diar/pyannote_sample/sample.wav', 'diar/pyannote_sample/sample.rttm'],
  ['dev00', 'diar/pyannote_debug_ami/dev00.flac', 'diar/pyannote_debug_ami/debug.development.rttm'],
  ['dev01', 'diar/pyannote_debug_ami/dev01.flac', 'diar/pyannote_debug_ami/debug.development.rttm'],
  ['tst00', 'diar/pyannote_debug_ami/tst00.flac', 'diar/pyannote_debug_ami/debug.test.rttm'],
  ['tst01', 'diar/pyannote_debug_ami/tst01.flac', 'diar/pyannote_debug_ami/debug.test.rttm'],
  ['trn03', 'diar/pyannote_debug_ami/trn03.flac', 'diar/pyannote_debug_ami/debug.train.rttm'],
  ['trn08', 'diar/pyannote_debug_ami/trn08.flac', 'diar/pyannote_debug_ami/debug.train.rttm'],
] as const;

/** Those recordings that are there. */
export function recorded(media: string): Conversation[] {
  return RECORDED.flatMap(([name, audio, rttm]) => {
    const [sound, labels] = [join(media, audio), join(media, rttm)];
    if (!existsSync(sound) || !existsSync(labels)) return [];
    return [{ name, pcm: decode(sound, RATE), truth: parseRttm(readFileSync(labels, 'utf8'), name) }];
  });
}

/** Numbers between 0 and 1 that are the same every time. */
export function chance(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 1_664_525 + 1_013_904_223) >>> 0) / 2 ** 32;
}

/** Ten readers of LibriSpeech's test-other, ten sentences each. */
export const READERS = 'spk/librispeech_test_other';
export const readersIn = (media: string): string[] =>
  existsSync(join(media, READERS))
    ? [
        ...new Set(readdirSync(join(media, READERS)).flatMap((name) => /^(\d+)-.*\.flac$/.exec(name)?.[1] ?? [])),
      ].toSorted()
    : [];

/** Readers who take turns of two to eight seconds, a short pause between them, until `length` seconds are full. */
export function taking(
  media: string,
  name: string,
  readers: readonly string[],
  seed: number,
  length = 60,
): Conversation {
  const random = chance(seed);
  const files = readers.map((reader) =>
    readdirSync(join(media, READERS))
      .filter((file) => file.startsWith(`${reader}-`))
      .toSorted(),
  );
  const next = files.map((each) => Math.floor(random() * each.length));
  const [parts, truth]: [Float32Array[], Spoke[]] = [[], []];
  let [count, who] = [0, -1];
  while (count < length * RATE) {
    const other = Math.floor(random() * readers.length);
    who = other === who ? (other + 1) % readers.length : other;
    next[who] = (next[who]! + 1) % files[who]!.length;
    const whole = decode(join(media, READERS, files[who]![next[who]!]!), RATE);
    const pcm = whole.subarray(0, Math.floor((2 + 6 * random()) * RATE));
    const pause = new Float32Array(Math.floor((0.1 + 0.4 * random()) * RATE));
    count += pause.length;
    truth.push({ speaker: readers[who]!, start: count / RATE, end: (count + pcm.length) / RATE });
    count += pcm.length;
    parts.push(pause, pcm);
  }
  const pcm = new Float32Array(count);
  let offset = 0;
  for (const part of parts) {
    pcm.set(part, offset);
    offset += part.length;
  }
  return { name, pcm: pcm.map((x) => x + 1e-4 * (random() - 0.5)), truth };
}

/** What the diarizer gets to hear of a recording: Silero's speech, cut into segments. */
export async function speechOf(pcm: Float32Array, scope: Scope): Promise<SpeechChunk[]> {
  const vad = await silero.load({ version: 'v6' }, scope);
  const gate = new Gate({ patience: seconds(86_400) });
  const speech: SpeechChunk[] = [];
  const audio = async function* (): AsyncGenerator<AudioChunk> {
    for (let from = 0; from < pcm.length; from += 512) {
      const chunk = { start: later(at(0), samples(from, RATE)), rate: RATE, pcm: pcm.slice(from, from + 512) } as const;
      speech.push(...gate.audio(chunk));
      yield chunk;
    }
  };
  const { signal } = new AbortController();
  for await (const activity of vad.run(audio(), { signal, clock: new MonotonicClock() }))
    speech.push(...gate.activity(activity));
  speech.push(...gate.end());
  return speech;
}

/** From when to when the segments of some speech last, in seconds. */
export function segmentsOf(speech: readonly SpeechChunk[]): { start: number; end: number }[] {
  const segments = new Map<number, { start: number; end: number }>();
  for (const chunk of speech) {
    const start = segments.get(chunk.segment)?.start ?? chunk.start / 1e6;
    segments.set(chunk.segment, { start, end: endOf(chunk) / 1e6 });
  }
  return [...segments.values()];
}
