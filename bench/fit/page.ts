import { bars, escape, histogram, page, scatter, table } from '../plots.ts';
import { VERDICT_HEAD, verdictRows } from '../verdicts.ts';
import type { FitResult } from './fit.ts';
import { together } from './measures.ts';
import { FIT_HEAD, RIVAL_HEAD, RUNG_HEAD, asSet, fitRow, groups, rivalRow, rungRow } from './text.ts';

const LIMITS = [0.9, 1.2];

/** The result as one self-contained page. */
export function fitPage(result: FitResult): string {
  const all = groups(result.sets).map(([name, sets]) => ({
    name,
    sets,
    figures: together(sets.map(({ figures }) => figures)),
  }));
  const numbered = (values: readonly number[]) => values.map((value, n): [number, number] => [n + 1, value]);
  return page('How dubs fit', [
    `<p>${escape(result.machine)}. ${result.when.slice(0, 16).replace('T', ' ')} UTC. Seed ${result.seed}.</p>`,
    table(VERDICT_HEAD, verdictRows(result.verdicts)),
    histogram(
      'Playing speed of every phrase (dashed: what a listener does not mind)',
      '1 = as the voice said it',
      all.map(({ name, figures }) => ({ name, values: figures.speeds })),
      { from: 0.8, to: 1.3, count: 25 },
      LIMITS,
    ),
    scatter(
      'Start error of every dubbed line',
      'line',
      'ms',
      all.map(({ name, figures }) => ({ name, points: numbered(figures.starts) })),
      [-100, 100],
    ),
    scatter(
      'End error of every dubbed line',
      'line',
      'ms',
      all.map(({ name, figures }) => ({ name, points: numbered(figures.ends) })),
    ),
    histogram(
      'Caption end less voice end',
      'ms',
      all.map(({ name, figures }) => ({ name, values: figures.captions })),
      { from: -1_000, to: 1_000, count: 40 },
      [0],
    ),
    ...all.map(({ name, figures }) =>
      bars(
        `Rungs: ${name}`,
        '% of the dubbed lines',
        Object.entries(figures.rungs).map(([rung, count]): [string, number] => [
          rung,
          (100 * count) / Math.max(1, figures.dubbed),
        ]),
      ),
    ),
    '<h2>Sets</h2>',
    table(FIT_HEAD, [
      ...result.sets.map(fitRow),
      ...all.map(({ name, figures }) => fitRow(asSet(`together: ${name}`, figures))),
    ]),
    table(RUNG_HEAD, result.sets.map(rungRow)),
    ...(result.rivals.length > 0
      ? [
          '<h2>Side by side</h2>',
          '<p>The same lines in English. The rivals play each at whatever speed its slot asks for.</p>',
          table(RIVAL_HEAD, result.rivals.map(rivalRow)),
          histogram(
            'Playing speed, side by side',
            '1 = as the voice said it',
            result.rivals.slice(1).map(({ name, speeds }) => ({ name, values: speeds })),
            { from: 0.4, to: 2, count: 32 },
            LIMITS,
          ),
          ...(result.worse.length > 0
            ? [
                table(
                  ['figures in which a rival is better'],
                  result.worse.map((what) => [what]),
                ),
              ]
            : []),
        ]
      : []),
    ...(result.leftOut.length > 0
      ? [
          '<h2>Left out</h2>',
          table(
            ['what, and why'],
            result.leftOut.map((what) => [what]),
          ),
        ]
      : []),
    '<h2>What it took</h2>',
    table(
      ['set', 'pair', 'programme, s', 'took, s', 'CPU, s'],
      result.sets.map(({ name, section, pair, seconds, elapsed, cpu }) => [
        section === 'live' ? `${name}, live` : name,
        pair,
        seconds.toFixed(1),
        elapsed.toFixed(1),
        cpu.toFixed(1),
      ]),
    ),
  ]);
}
