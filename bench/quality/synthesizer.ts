import { MonotonicClock } from '../../media/clock.ts';
import { resample } from '../../media/resample.ts';
import { Scope } from '../../media/scope.ts';
import { type SampleRate, at } from '../../media/time.ts';
import { registry } from '../../models/index.ts';
import type { Language, Line, SpeakerId, UtteranceId } from '../../pipeline/domain.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { type WordErrors, errorRate, plainWords, wordErrors } from '../metrics/word-errors.ts';
import type { Bench, Figure, Measurement } from './figure.ts';
import { heard, median, segmented } from './hearing.ts';
import { decode } from './stage-run.ts';
import { type Transcribed, transcribed } from './transcripts.ts';

/** An engine with settings that speaks English. */
interface Candidate {
  readonly id: string;
  /** As the table calls it; the id first. */
  readonly name: string;
  readonly settings: (bench: Bench) => object;
}
const candidates: readonly Candidate[] = [
  { id: 'flite', name: 'flite slt', settings: () => ({ voices: ['slt'] }) },
  { id: 'espeak', name: 'espeak', settings: () => ({}) },
  { id: 'piper', name: 'piper', settings: () => ({ language: 'en' }) },
  { id: 'kokoro', name: 'kokoro', settings: () => ({}) },
];

const lineOf = (text: string): Line => ({
  start: at(0),
  end: at(5_000_000),
  utterance: 'bench' as UtteranceId,
  speaker: 'bench' as SpeakerId,
  language: 'en' as Language,
  text,
});

/** A line said, at 16 kHz, with how long its first samples and all of them took. */
async function said(synthesizer: Stage<'synthesizer'>, text: string) {
  const scope = { signal: new AbortController().signal, clock: new MonotonicClock() };
  const lines = async function* () {
    yield lineOf(text);
  };
  const began = performance.now();
  const before = process.cpuUsage();
  let first: number | undefined;
  let rate: SampleRate = 16_000;
  const parts: Float32Array[] = [];
  for await (const { chunk } of synthesizer.run(lines(), scope)) {
    if (chunk.pcm.length === 0) continue;
    first ??= performance.now() - began;
    rate = chunk.rate;
    parts.push(chunk.pcm);
  }
  const { user, system } = process.cpuUsage(before);
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  // Half a second of nothing on either side, so that the detector has a beginning and an end to find.
  const pcm = new Float32Array(length + rate);
  let to = rate / 2;
  for (const part of parts) {
    pcm.set(part, to);
    to += part.length;
  }
  return { pcm: resample(pcm, rate, 16_000), first: first ?? NaN, cpu: (user + system) / 1e6, seconds: length / rate };
}

async function measureOne(
  candidate: Candidate,
  clips: readonly Transcribed[],
  bench: Bench,
  human: number,
  done: number,
  total: number,
) {
  const scope = new Scope(`bench ${candidate.name}`);
  try {
    const { vad, recognizer } = await listeners(scope);
    const synthesizer = await registry().load('synthesizer', candidate.id, candidate.settings(bench), scope);
    const errors: WordErrors[] = [];
    const firsts: number[] = [];
    let [cpu, seconds] = [0, 0];
    // Its first line pays for what is loaded when it is needed.
    await said(synthesizer, 'Good morning.');
    for (const [n, { text }] of clips.entries()) {
      bench.progress(done + n, total, `${candidate.name}: line ${n + 1} of ${clips.length}`);
      const line = text.toLowerCase();
      const speech = await said(synthesizer, line);
      const made = await heard(recognizer, await segmented(speech.pcm, vad));
      errors.push(wordErrors(plainWords(line), plainWords(made.text)));
      firsts.push(speech.first);
      cpu += speech.cpu;
      seconds += speech.seconds;
    }
    const figure = (metric: string, unit: string, value: number): Figure => ({
      stage: 'synthesizer',
      engine: candidate.name,
      clip: `${clips.length} lines`,
      metric,
      unit,
      value,
      better: 'lower',
    });
    return [
      {
        ...figure('WER read back by pocketsphinx', '%', 100 * errorRate(errors)),
        reference: { name: 'people saying the same', value: 100 * human },
      },
      figure('first audio, p50', 'ms', median(firsts)),
      figure('real-time factor', '', cpu / seconds),
    ];
  } finally {
    await scope.close();
  }
}

async function listeners(scope: Scope) {
  return {
    vad: await registry().load('vad', 'silero', {}, scope),
    recognizer: await registry().load('recognizer', 'pocketsphinx', {}, scope),
  };
}

/** What the recogniser makes of people who say the lines. */
async function humanErrors(clips: readonly Transcribed[], bench: Bench, total: number): Promise<number> {
  const scope = new Scope('bench people');
  try {
    const { vad, recognizer } = await listeners(scope);
    const errors: WordErrors[] = [];
    for (const [n, { file, text }] of clips.entries()) {
      bench.progress(n, total, `people: line ${n + 1} of ${clips.length}`);
      const made = await heard(recognizer, await segmented(decode(file, 16_000), vad));
      errors.push(wordErrors(plainWords(text), plainWords(made.text)));
    }
    return errorRate(errors);
  } finally {
    await scope.close();
  }
}

/** English synthesizers, read back by the embedded recogniser, beside people who say the same lines. */
export const synthesizer: Measurement = {
  name: 'synthesizer',
  async measure(bench) {
    const clips = transcribed(bench.media).filter(({ set }) => set === 'librispeech_1089' || set === 'librivox');
    const total = (candidates.length + 1) * clips.length;
    const deaf = [...registry().lacks('recognizer', 'pocketsphinx'), ...registry().lacks('vad', 'silero')];
    if (clips.length === 0) deaf.push(`there are no transcribed recordings in ${bench.media}`);
    if (deaf.length > 0) {
      bench.progress(total, total, `all left out: ${deaf.join(', ')}`);
      return [];
    }
    const human = await humanErrors(clips, bench, total);
    const figures: Figure[] = [];
    for (const [n, candidate] of candidates.entries()) {
      const lacking = registry().lacks('synthesizer', candidate.id).join(', ');
      if (lacking) bench.progress((n + 2) * clips.length, total, `${candidate.name} left out: ${lacking}`);
      else figures.push(...(await measureOne(candidate, clips, bench, human, (n + 1) * clips.length, total)));
    }
    return figures;
  },
};
