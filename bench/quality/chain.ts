import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { Scope } from '../../media/scope.ts';
import { type LatencyResult, latency } from '../latency.ts';
import type { Bench, Figure, Measurement } from './figure.ts';

const run = promisify(execFile);

/** Who speaks when, seconds. */
interface Turn {
  readonly start: number;
  readonly end: number;
  readonly speaker: string;
}
interface Clip {
  readonly name: string;
  readonly file: string;
  readonly seconds: number;
  readonly truth: readonly Turn[];
}

/** Turns of an RTTM file (NIST Rich Transcription, 2009, appendix A). */
function turnsOf(rttm: string): Turn[] {
  return rttm.split('\n').flatMap((line) => {
    const [type, , , start, length, , , speaker] = line.trim().split(/\s+/);
    if (type !== 'SPEAKER' || speaker === undefined) return [];
    return [{ start: Number(start), end: Number(start) + Number(length), speaker }];
  });
}

const secondsOf = async (file: string) => {
  const { stdout } = await run('ffprobe', ['-v', 'error', '-show_entries', 'format=duration', '-of', 'csv=p=0', file]);
  return Number(stdout);
};

/** How many utterances of each reader, and the pause between two. */
const TURNS = 4;
const PAUSE = 0.5;

/** Two readers who take turns, from LibriSpeech's test-other. */
async function readers(media: string, folder: string): Promise<Clip | undefined> {
  const root = join(media, 'spk', 'librispeech_test_other');
  if (!existsSync(root)) return undefined;
  const files = (await readdir(root)).filter((name) => name.endsWith('.flac')).toSorted();
  const speakers = [...new Set(files.map((name) => name.split('-')[0] ?? ''))];
  // The first and the fourth: a man and a woman, by their pitch.
  const pair = [speakers[0], speakers[3]].filter((each) => each !== undefined);
  const mine = pair.map((speaker) => files.filter((name) => name.startsWith(`${speaker}-`)).slice(0, TURNS));
  const order = Array.from({ length: TURNS }, (_, n) => mine.map((some) => some[n])).flat();
  const truth: Turn[] = [];
  const parts: string[] = [];
  let at = 0;
  for (const name of order) {
    if (name === undefined) continue;
    const length = await secondsOf(join(root, name));
    truth.push({ start: at, end: at + length, speaker: name.split('-')[0] ?? '' });
    parts.push(join(root, name));
    at += length + PAUSE;
  }
  const file = join(folder, 'two-readers.wav');
  const inputs = parts.flatMap((part) => ['-i', part]);
  const padded = parts.map((_, n) => `[${n}]aresample=16000,aformat=channel_layouts=mono,apad=pad_dur=${PAUSE}[p${n}]`);
  const joined = `${padded.join(';')};${parts.map((_, n) => `[p${n}]`).join('')}concat=n=${parts.length}:v=0:a=1`;
  await run('ffmpeg', ['-v', 'error', '-y', ...inputs, '-filter_complex', joined, file]);
  return { name: `LibriSpeech test-other, readers ${pair.join(' and ')}`, file, seconds: at, truth };
}

async function telephone(media: string): Promise<Clip | undefined> {
  const file = join(media, 'diar', 'pyannote_sample', 'sample.wav');
  if (!existsSync(file)) return undefined;
  const truth = turnsOf(await readFile(file.replace('.wav', '.rttm'), 'utf8'));
  return { name: 'pyannote sample, two women on the telephone', file, seconds: 30, truth };
}

/** The part of dubbed time that carries the right speaker's name, when each name is taken for whom it fits best. */
export function attribution(lines: readonly Turn[], truth: readonly Turn[]): number {
  const common = new Map<string, Map<string, number>>();
  let all = 0;
  for (const line of lines) {
    for (const turn of truth) {
      const time = Math.min(line.end, turn.end) - Math.max(line.start, turn.start);
      if (time <= 0) continue;
      all += time;
      const of = common.get(line.speaker) ?? new Map<string, number>();
      common.set(line.speaker, of.set(turn.speaker, (of.get(turn.speaker) ?? 0) + time));
    }
  }
  // With one name for everybody, or several for one, each name counts for one person, and no person twice.
  const names = [...common.keys()];
  const people = [...new Set(truth.map(({ speaker }) => speaker))];
  const best = (n: number, taken: readonly string[]): number => {
    const name = names[n];
    if (name === undefined) return 0;
    const rest = people.filter((person) => !taken.includes(person));
    const choices = rest.map((person) => (common.get(name)?.get(person) ?? 0) + best(n + 1, [...taken, person]));
    return Math.max(best(n + 1, taken), ...choices);
  };
  return all === 0 ? 0 : best(0, []) / all;
}

/** What is switched on beside the embedded engines. */
const STACK = ['se/dfn3', 'diar/pyannote-seg-3.0-int8', 'spk/wq2012'] as const;
function stack(models: string): string[] {
  const [enhancer, segmentation, embedding] = STACK.map((name) => JSON.stringify(join(models, name)));
  return [
    'vad=silero',
    `enhancer=deepfilternet3{"model":${enhancer}}`,
    `diarizer=pyannote{"model":${segmentation},"embedding":"wq2012","embeddingModel":${embedding}}`,
    'aligner=phones',
  ];
}

async function live(clip: Clip, engine: readonly string[], folder: string): Promise<LatencyResult> {
  const scope = new Scope('chain');
  try {
    return await latency(
      {
        file: clip.file,
        to: 'es',
        seconds: Math.ceil(clip.seconds) + 6,
        delay: 6,
        out: folder,
        browser: false,
        engine,
      },
      scope,
    );
  } finally {
    await scope.close();
  }
}

function figuresOf(clip: Clip, engine: string, result: LatencyResult): Figure[] {
  const { lines, transcript } = result.report;
  // The file is played in a loop; what counts is its first time round.
  const first = transcript.filter(({ start }) => start / 1e6 < clip.seconds);
  const spoken = first.map(({ start, end, speaker }) => ({ start: start / 1e6, end: end / 1e6, speaker }));
  const session = result.processes.find(({ name }) => name === 'session');
  const figure = (
    metric: string,
    unit: string,
    value: number | null | undefined,
    better: Figure['better'],
  ): Figure[] =>
    value === null || value === undefined || !Number.isFinite(value)
      ? []
      : [{ stage: 'chain', engine, clip: clip.name, metric, unit, value, better }];
  const total = lines.dubbed + lines.captionOnly + lines.late;
  return [
    ...figure('lines', '', total, 'higher'),
    ...figure('lines dubbed', '%', total > 0 ? (100 * lines.dubbed) / total : undefined, 'higher'),
    ...figure(
      'dubs heard where scheduled',
      '%',
      (100 * result.report.listening.heard) / result.report.listening.scheduled,
      'higher',
    ),
    ...figure('time with the right speaker', '%', 100 * attribution(spoken, clip.truth), 'higher'),
    ...figure('chain, computation-aware p95', 's', result.aware?.p95, 'lower'),
    ...figure('least slack before a deadline', 's', result.report.slack?.min, 'higher'),
    ...figure(
      'items dropped',
      '',
      Object.values(result.drops).reduce((sum, count) => sum + count, 0),
      'lower',
    ),
    ...figure('session process', 'cores', session?.cpu, 'lower'),
    ...figure('session process and its programs', 'MiB', session?.rssMiB, 'lower'),
    ...result.stages.flatMap(({ kind, latency: { p95 } }) => figure(`${kind} p95`, 'ms', p95, 'lower')),
  ];
}

async function measure({ models, media, progress }: Bench): Promise<readonly Figure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'livedub-chain-'));
  try {
    const clips = [await telephone(media), await readers(media, folder)].filter((clip) => clip !== undefined);
    if (clips.length === 0) progress(0, 0, `left out: no recordings below ${media}`);
    const absent = STACK.filter((name) => !existsSync(join(models, name)));
    if (absent.length > 0) progress(0, 0, `the better engines are left out: ${absent.join(', ')} not in ${models}`);
    const figures: Figure[] = [];
    const total = clips.length * 2;
    for (const [n, clip] of clips.entries()) {
      progress(2 * n, total, `${basename(clip.file)}, embedded engines alone`);
      const plain = figuresOf(clip, 'embedded', await live(clip, [], folder));
      figures.push(...plain);
      if (absent.length > 0) continue;
      progress(2 * n + 1, total, `${basename(clip.file)}, with deepfilternet3, pyannote and phones`);
      const better = figuresOf(
        clip,
        'embedded with deepfilternet3, pyannote, phones',
        await live(clip, stack(models), folder),
      );
      for (const each of better) {
        const same = plain.find(({ metric }) => metric === each.metric);
        figures.push(same ? { ...each, reference: { name: 'embedded engines alone', value: same.value } } : each);
      }
    }
    progress(total, total, 'done');
    return figures;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The whole chain on real speech of two people, live: does it keep up, and are they told apart? */
export const chain: Measurement = { name: 'chain', measure };
