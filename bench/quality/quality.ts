import { type ChildProcess, fork } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { arch, cpus, release } from 'node:os';
import { join } from 'node:path';
import { entry } from '../../media/entry.ts';
import type { Scope } from '../../media/scope.ts';
import { profiles } from '../../models/store/profiles.ts';
import { ProcessWatch } from '../processes.ts';
import type { Asked, Told } from './child.ts';
import type { Figure } from './figure.ts';
import { MEASUREMENTS } from './measurements.ts';
import { qualityPage } from './page.ts';
import { qualityText } from './text.ts';

export interface QualityOptions {
  /** Names of measurements; all of them when empty. */
  readonly only: readonly string[];
  /** Only what the engines of this profile do. */
  readonly profile?: string | undefined;
  readonly models: string;
  readonly media: string;
  readonly out: string;
  /** The built file that measures; ours unless told. */
  readonly program?: string;
}

/** One measurement, with what it cost. */
export interface Run {
  readonly name: string;
  readonly figures: readonly Figure[];
  /** What could not be measured here, and why. */
  readonly leftOut: readonly string[];
  /** Why there are no figures, if there are none. */
  readonly failure: string | undefined;
  readonly seconds: number;
  /** Processor time of its process, seconds; programs that it started not included. */
  readonly cpu: number;
  /** The most memory that its process and the programs that it started held at once. */
  readonly peakMiB: number;
}

export interface QualityResult {
  readonly machine: string;
  readonly when: string;
  readonly profile: string | undefined;
  readonly runs: readonly Run[];
}

/** How often memory is looked at, ms; what the process itself held at most is known from the kernel besides. */
const LOOK = 250;
/** A measurement that takes longer is ended, minutes. */
const LIMIT = 60;

/** What a measurement says of something that it cannot measure begins so, or has it after the engine's name. */
const isLeftOut = (what: string) => /\bleft out\b/.test(what);

/**
 * Measures the quality of engines, each measurement in a process of its own, one after the other.
 *
 * Writes `quality.json` and `quality.html` after each, so that an interrupted bench leaves what it has.
 */
export async function quality(options: QualityOptions, scope: Scope): Promise<QualityResult> {
  const names = namesFor(options);
  const { program = entry('./child.ts', import.meta.url) } = options;
  const result = {
    machine: `${cpus()[0]?.model ?? 'CPU'} × ${cpus().length}, ${process.platform} ${release()} ${arch()}, Node ${process.versions.node}`,
    when: new Date().toISOString(),
    profile: options.profile,
    runs: [] as Run[],
  };
  await mkdir(options.out, { recursive: true });
  for (const [n, name] of names.entries()) {
    if (scope.signal.aborted) break;
    const asked = { name, models: options.models, media: options.media };
    const run = await measured(program, asked, `${n + 1}/${names.length}`, scope);
    result.runs.push({ ...run, figures: run.figures.filter(isOf(options.profile)) });
    console.log(qualityText(result.runs.slice(-1), process.stdout.columns));
    await writeFile(join(options.out, 'quality.json'), `${JSON.stringify(result, null, 2)}\n`);
    await writeFile(join(options.out, 'quality.html'), qualityPage(result));
  }
  return result;
}

/** Asked for in a way that cannot be done. */
export class UnknownMeasurement extends Error {}

function namesFor({ only, profile }: QualityOptions): string[] {
  const all = Object.keys(MEASUREMENTS);
  const unknown = only.filter((name) => !all.includes(name));
  if (unknown.length > 0) {
    throw new UnknownMeasurement(
      `There is no measurement called '${unknown.join("', '")}'; there is ${all.join(', ')}`,
    );
  }
  const stages = profile === undefined ? undefined : ['chain', ...Object.keys(engines(profile))];
  const listed = all.filter((name) => !stages || stages.includes(MEASUREMENTS[name]?.stage ?? ''));
  const wanted = only.length > 0 ? only : listed;
  return [...new Set(wanted)];
}

function engines(name: string): Readonly<Record<string, { readonly engine: string } | undefined>> {
  const found = profiles.find((each) => each.name === name);
  if (found) return found.engines;
  throw new UnknownMeasurement(
    `There is no profile called '${name}'; there is ${profiles.map((each) => each.name).join(', ')}`,
  );
}
/** Whether a figure is of the engine that a profile has for its stage; its `engine` begins with the id. */
function isOf(profile: string | undefined): (figure: Figure) => boolean {
  if (profile === undefined) return () => true;
  const chosen = engines(profile);
  return ({ stage, engine }) => {
    const id = chosen[stage]?.engine;
    return stage === 'chain' ? engine.split(' ')[0] === profile : id !== undefined && engine.split(' ')[0] === id;
  };
}

/** Forks the process, shows how far it is, and sums up what it told. */
async function measured(program: string, asked: Asked, place: string, scope: Scope): Promise<Run> {
  const began = performance.now();
  const child = fork(program, [JSON.stringify(asked)], {
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    serialization: 'advanced',
    execArgv: ['--enable-source-maps'],
  });
  const forget = scope.defer(() => child.kill('SIGKILL'));
  const watch = new ProcessWatch(() => ({ measurement: child.pid }));
  const looks = setInterval(() => watch.read(), LOOK);
  const limit = setTimeout(() => child.kill('SIGKILL'), LIMIT * 60_000);

  const leftOut: string[] = [];
  let told: Exclude<Told, { type: 'progress' }> | undefined;
  let complaint = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (complaint = (complaint + text).slice(-2_000)));
  child.on('message', (message: Told) => {
    if (message.type !== 'progress') told = message;
    else {
      if (isLeftOut(message.what)) leftOut.push(message.what);
      show(`${place} ${asked.name}: ${message.done}/${message.total} ${message.what}`);
    }
  });
  const end = await ended(child);
  clearInterval(looks);
  clearTimeout(limit);
  forget();
  show('');

  const seen = watch.usage()[0]?.rssMiB ?? 0;
  const figures = told?.type === 'figures' ? told : undefined;
  return {
    name: asked.name,
    figures: figures?.figures ?? [],
    leftOut,
    failure: told?.type === 'failed' ? told.message : figures ? undefined : `${end}: ${complaint.trim() || 'no word'}`,
    seconds: (performance.now() - began) / 1_000,
    cpu: figures?.cpu ?? 0,
    peakMiB: Math.round(Math.max(seen, figures?.rssMiB ?? 0)),
  };
}
const ended = (child: ChildProcess) =>
  new Promise<string>((resolve) => {
    child.once('error', (failure) => resolve(`the process could not be started (${failure.message})`));
    child.once('close', (code, signal) =>
      resolve(signal ? `the process was ended by ${signal}` : `the process ended with exit code ${code}`),
    );
  });

/** One line that is written over. */
function show(line: string): void {
  if (!process.stderr.isTTY) {
    if (line) process.stderr.write(`${line}\n`);
    return;
  }
  process.stderr.write(`\r\x1b[2K${line.slice(0, (process.stderr.columns || 80) - 1)}`);
}
