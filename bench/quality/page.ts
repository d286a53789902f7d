import { profiles } from '../../models/store/profiles.ts';
import { bars, page, table } from '../plots.ts';
import type { Figure } from './figure.ts';
import type { QualityResult } from './quality.ts';
import { cells } from './text.ts';

/** Groups in the order in which their first member comes. */
function grouped<T>(items: readonly T[], keyOf: (item: T) => string): [string, T[]][] {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item]);
  return [...groups];
}
const HEAD = ['engine', 'recording', 'metric', 'value', 'reference', 'ours ÷ reference'];

/** One plot per metric of a stage: a bar per engine and recording, the reference as a tick on it. */
function plots(stage: string, figures: readonly Figure[]): string[] {
  return grouped(figures, ({ metric, unit }) => `${metric} ${unit}`).map(([, some]) => {
    const { metric, unit, better } = some[0]!;
    const clips = new Set(some.map(({ clip }) => clip));
    const rows = some.map(({ engine, clip, value, reference }) => {
      const name = clips.size > 1 ? `${engine} · ${clip}` : engine;
      return [name, value, ...(reference ? [reference.value] : [])] as [string, ...number[]];
    });
    const where = clips.size > 1 ? '' : `, ${[...clips].join('')}`;
    const marked = some.some(({ reference }) => reference) ? '; tick: reference' : '';
    return bars(`${stage}: ${metric}${where} (${better} is better${marked})`, unit, rows);
  });
}

/** The result as one self-contained page. */
export function qualityPage(result: QualityResult): string {
  const figures = result.runs.flatMap((run) => run.figures);
  const stages = grouped(figures, ({ stage }) => stage);
  const ofProfile = profiles.flatMap(({ name, engines }) => {
    const some = figures.filter(({ stage, engine }) =>
      Object.entries(engines).some(([kind, choice]) => kind === stage && engine.split(' ')[0] === choice.engine),
    );
    return some.length > 0
      ? [
          `<h2>Profile ${name}</h2>`,
          table(
            ['stage', ...HEAD],
            some.map((each) => [each.stage, ...cells(each)]),
          ),
        ]
      : [];
  });
  const missed = result.runs.flatMap(({ name, leftOut, failure }) => [
    ...leftOut.map((what) => [name, what]),
    ...(failure === undefined ? [] : [[name, `failed: ${failure}`]]),
  ]);
  return page(`Quality${result.profile === undefined ? '' : ` of profile ${result.profile}`}`, [
    `<p>${result.machine}. ${result.when.slice(0, 16).replace('T', ' ')} UTC. Each measurement ran in a process of its own.</p>`,
    ...stages.flatMap(([stage, some]) => [`<h2>${stage}</h2>`, table(HEAD, some.map(cells)), ...plots(stage, some)]),
    ...ofProfile,
    '<h2>What it took</h2>',
    table(
      ['measurement', 'seconds', 'CPU, s', 'memory at most, MiB'],
      result.runs.map(({ name, seconds, cpu, peakMiB }) => [name, seconds.toFixed(0), cpu.toFixed(0), String(peakMiB)]),
    ),
    bars(
      'Memory at most, Node itself included',
      'MiB',
      result.runs.map(({ name, peakMiB }) => [name, peakMiB]),
    ),
    ...(missed.length > 0 ? ['<h2>Not measured</h2>', table(['measurement', 'why'], missed)] : []),
  ]);
}
