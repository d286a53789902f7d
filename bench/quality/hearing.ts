import { endOf } from '../../media/audio.ts';
import { MonotonicClock } from '../../media/clock.ts';
import { type Span, between, samples } from '../../media/time.ts';
import type { SpeechChunk } from '../../pipeline/domain.ts';
import { Gate } from '../../pipeline/gate.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { chunksOf } from './stage-run.ts';

const scope = () => ({ signal: new AbortController().signal, clock: new MonotonicClock() });

/** Speech of 16 kHz audio, cut into segments as the live chain cuts it: by a detector and the gate behind it. */
export async function segmented(pcm: Float32Array, vad: Stage<'vad'>): Promise<SpeechChunk[]> {
  const gate = new Gate({ patience: samples(pcm.length + 16_000, 16_000) });
  const speech: SpeechChunk[] = [];
  for await (const chunk of chunksOf(pcm, 16_000)) speech.push(...gate.audio(chunk));
  for await (const activity of vad.run(chunksOf(pcm, 16_000), scope())) speech.push(...gate.activity(activity));
  return [...speech, ...gate.end()];
}

/** What a recogniser made of speech. */
export interface Heard {
  readonly text: string;
  /** For each word that became certain before its segment's end: how much audio later than its end, were computing free. */
  readonly waits: readonly Span[];
  /** Words that were certain and changed. There must be none. */
  readonly changed: number;
  /** Processor time, seconds. */
  readonly cpu: number;
}

export async function heard(recognizer: Stage<'recognizer'>, speech: readonly SpeechChunk[]): Promise<Heard> {
  let fed: SpeechChunk | undefined;
  const feed = async function* () {
    for (const chunk of speech) yield (fed = chunk);
  };
  const finals: string[] = [];
  const waits: Span[] = [];
  let stable: readonly { readonly text: string }[] = [];
  let changed = 0;
  const before = process.cpuUsage();
  for await (const belief of recognizer.run(feed(), scope())) {
    changed += stable.filter(({ text }, n) => belief.stable[n]?.text !== text).length;
    if (fed && !belief.final)
      for (const word of belief.stable.slice(stable.length)) waits.push(between(word.end, endOf(fed)));
    stable = belief.final ? [] : belief.stable;
    if (belief.final) finals.push(belief.stable.map(({ text }) => text).join(' '));
  }
  const { user, system } = process.cpuUsage(before);
  return { text: finals.join(' '), waits, changed, cpu: (user + system) / 1e6 };
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length / 2) - 1)] ?? NaN;
}
