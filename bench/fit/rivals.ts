import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { samplesFrom } from '../../media/bytes.ts';
import { resample } from '../../media/resample.ts';
import { rubberband } from '../../media/rubberband.ts';
import type { Scope } from '../../media/scope.ts';
import { type SampleRate, between, samples } from '../../media/time.ts';
import { registry } from '../../models/index.ts';
import type { Clip } from '../../pipeline/domain.ts';
import type { LineRecord } from '../../pipeline/ledger.ts';
import { openDnsmos } from '../metrics/dnsmos.ts';
import { type WordErrors, errorRate, plainWords, wordErrors } from '../metrics/word-errors.ts';
import type { Tell } from '../progress.ts';
import { heard, segmented } from '../quality/hearing.ts';
import { isNatural } from './measures.ts';
import type { Natural } from './programme.ts';

/** A line in English as the voice said it, with what our fitter made of it. */
export interface Contested {
  readonly natural: Natural;
  readonly record: LineRecord;
  /** Left out when the line was left to its caption. */
  readonly clip: Clip | undefined;
}

/** What one way of making lines fit came to. */
export interface RivalFigures {
  readonly name: string;
  /** Lines that are heard. */
  readonly lines: number;
  /** Word errors of the embedded recogniser over the whole text of the lines that all of them play, words cut off included; %. */
  readonly wer: number | null;
  /** DNSMOS, 1 to 5: speech with its background, and the older single figure. */
  readonly overall: number | null;
  readonly quality: number | null;
  /** Processor time for a second of voice, ms; `null` where there is nothing to do. */
  readonly cpu: number | null;
  /** Share of the lines heard that are played slower than 0.9 or faster than 1.2. */
  readonly beyond: number | null;
  readonly speeds: readonly number[];
}

/** Bounds of FFmpeg's filters. */
const ATEMPO = [0.5, 100] as const;
const RUBBERBAND = [0.01, 100] as const;
/** A line is made this often to measure what it takes: one takes milliseconds. */
const REPEATS = 8;
const EAR = 16_000;

const clamp = (value: number, [least, most]: readonly [number, number]) => Math.min(most, Math.max(least, value));

/** Runs a filter over samples. `cpu`: FFmpeg's own count of its processor time, seconds; its start is in it. */
function filtered(
  pcm: Float32Array,
  rate: number,
  filter: string,
): { readonly pcm: Float32Array; readonly cpu: number } {
  const raw = ['-f', 'f32le', '-ac', '1', '-ar', String(rate)];
  const args = [
    '-v',
    'info',
    '-hide_banner',
    '-nostats',
    '-benchmark',
    '-threads',
    '1',
    ...raw,
    '-i',
    'pipe:0',
    '-af',
    filter,
    ...raw,
    'pipe:1',
  ];
  const { stdout, stderr, status } = spawnSync('ffmpeg', args, {
    input: new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength),
    maxBuffer: 2 ** 30,
  });
  const said = stderr.toString();
  const [, user, system] = /bench: utime=([\d.]+)s stime=([\d.]+)s/.exec(said) ?? [];
  if (status !== 0 || user === undefined) throw new Error(`ffmpeg -af ${filter}: ${said.trim().slice(-300)}`);
  return { pcm: samplesFrom(stdout, 'f32le'), cpu: Number(user) + Number(system) };
}

/** Why there is nothing to compare here, if there is not. */
export function lacksForRivals(models: string): string | undefined {
  const filters = spawnSync('ffmpeg', ['-hide_banner', '-filters'], { encoding: 'utf8' }).stdout ?? '';
  const absent = ['atempo', 'rubberband'].filter((name) => !new RegExp(`\\b${name}\\b`).test(filters));
  if (absent.length > 0) return `FFmpeg without ${absent.join(' and ')}`;
  const deaf = [...registry().lacks('recognizer', 'pocketsphinx'), ...registry().lacks('vad', 'silero')];
  if (deaf.length > 0) return deaf.join(', ');
  return existsSync(join(models, 'mos/dnsmos')) ? undefined : `there is no ${join(models, 'mos/dnsmos')}`;
}

/**
 * Our fitter beside a plain `atempo` for each line and beside FFmpeg's `rubberband`, on the same lines in one run, taking
 * turns line by line: both play a line at whatever speed its slot asks for.
 */
export async function rivals(
  lines: readonly Contested[],
  models: string,
  scope: Scope,
  tell: Tell,
): Promise<RivalFigures[]> {
  const vad = await registry().load('vad', 'silero', {}, scope);
  const recognizer = await registry().load('recognizer', 'pocketsphinx', {}, scope);
  const opinionOf = await openDnsmos(join(models, 'mos/dnsmos'), scope);
  const stretcher = await rubberband();

  const names = ['the voice as it is', 'ours', 'atempo', 'rubberband filter'] as const;
  const notes = new Map(
    names.map((name) => [
      name,
      {
        errors: [] as WordErrors[],
        overall: [] as number[],
        quality: [] as number[],
        speeds: [] as number[],
        cpu: 0,
        seconds: 0,
        lines: 0,
      },
    ]),
  );

  const judged = async (name: (typeof names)[number], pcm: Float32Array, rate: SampleRate, text: string) => {
    const note = notes.get(name);
    if (!note) return;
    const ear = padded(resample(pcm, rate, EAR));
    const { text: read } = await heard(recognizer, await segmented(ear, vad));
    note.errors.push(wordErrors(plainWords(text), plainWords(read)));
    const opinion = await opinionOf(ear);
    note.overall.push(opinion.overall);
    note.quality.push(opinion.quality);
  };
  const played = (name: (typeof names)[number], speed: number) => {
    const note = notes.get(name);
    note?.speeds.push(speed);
    if (note) note.lines += 1;
  };
  const spent = (name: (typeof names)[number], cpu: number, seconds: number) => {
    const note = notes.get(name);
    if (!note) return;
    note.cpu += cpu;
    note.seconds += seconds;
  };

  for (const [n, { natural, record, clip }] of lines.entries()) {
    tell(n / lines.length, `side by side: line ${n + 1} of ${lines.length}`);
    scope.signal.throwIfAborted();
    const { pcm, rate, line } = natural;
    const text = line.text.toLowerCase();
    const length = samples(pcm.length, rate);
    const slot = Math.max(1, between(line.start, line.end));
    const wanted = length / slot;
    const long = repeated(pcm, REPEATS);
    const seconds = (length / 1e6) * REPEATS;

    played('the voice as it is', 1);
    // Quality is compared on lines that all of them play.
    if (clip) {
      await judged('the voice as it is', pcm, rate, text);
      const speed = record.fit?.speed ?? 1;
      played('ours', speed);
      await judged('ours', clip.pcm, 48_000, text);
      const before = process.cpuUsage();
      if (speed !== 1) for (let i = 0; i < REPEATS; i += 1) await stretcher.stretch(pcm, rate, speed, scope.signal);
      const { user, system } = process.cpuUsage(before);
      spent('ours', (user + system) / 1e6, seconds);
    }
    const start = filtered(long, rate, 'anull').cpu;
    for (const [name, filter, range] of [
      ['atempo', 'atempo=', ATEMPO],
      ['rubberband filter', 'rubberband=tempo=', RUBBERBAND],
    ] as const) {
      const speed = clamp(wanted, range);
      const setting = `${filter}${speed.toFixed(6)}`;
      spent(name, Math.max(0, filtered(long, rate, setting).cpu - start), seconds);
      played(name, speed);
      if (clip) await judged(name, filtered(pcm, rate, setting).pcm, rate, text);
    }
  }
  const mean = (values: readonly number[]) =>
    values.length > 0 ? values.reduce((sum, x) => sum + x) / values.length : null;
  return names.map((name) => {
    const note = notes.get(name);
    if (!note || note.lines === 0)
      return { name, lines: 0, wer: null, overall: null, quality: null, cpu: null, beyond: null, speeds: [] };
    return {
      name,
      lines: note.lines,
      wer: note.errors.length > 0 ? 100 * errorRate(note.errors) : null,
      overall: mean(note.overall),
      quality: mean(note.quality),
      cpu: note.seconds > 0 ? (1_000 * note.cpu) / note.seconds : null,
      beyond: note.speeds.filter((speed) => !isNatural(speed)).length / note.lines,
      speeds: note.speeds,
    };
  });
}

/** In which figures a rival is better than ours, in words; what is worse of ours is what a reader should know first. */
export function whereOursIsWorse(all: readonly RivalFigures[]): string[] {
  const ours = all.find(({ name }) => name === 'ours');
  if (!ours) return [];
  const said: string[] = [];
  for (const rival of all) {
    if (rival === ours || rival.name === 'the voice as it is') continue;
    const worse = (what: string, own: number | null, other: number | null, lower: boolean, unit: string) => {
      if (own === null || other === null) return;
      if (lower ? own > other : own < other)
        said.push(`${what}: ours ${own.toFixed(2)}${unit}, ${rival.name} ${other.toFixed(2)}${unit}`);
    };
    worse('WER', ours.wer, rival.wer, true, ' %');
    worse('DNSMOS overall', ours.overall, rival.overall, false, '');
    worse('DNSMOS P.808', ours.quality, rival.quality, false, '');
    worse('CPU for a second of voice', ours.cpu, rival.cpu, true, ' ms');
    worse('beyond 0.9–1.2×', percent(ours.beyond), percent(rival.beyond), true, ' %');
    worse('lines heard', ours.lines, rival.lines, false, '');
  }
  return said;
}
const percent = (share: number | null) => (share === null ? null : 100 * share);

/** Half a second of nothing on either side, so that a detector has a beginning and an end to find. */
function padded(pcm: Float32Array): Float32Array {
  const longer = new Float32Array(pcm.length + EAR);
  longer.set(pcm, EAR / 2);
  return longer;
}
function repeated(pcm: Float32Array, times: number): Float32Array {
  const long = new Float32Array(pcm.length * times);
  for (let i = 0; i < times; i += 1) long.set(pcm, i * pcm.length);
  return long;
}
