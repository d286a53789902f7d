import { ON_TIME } from '../../gateway/hls-check/punctuality.ts';
import { escape, histogram, lines, page, scatter, table } from '../plots.ts';
import { VERDICT_HEAD, type Verdict, verdictRows } from '../verdicts.ts';
import type { Broadcast } from './verdicts.ts';

/** A broadcast as one page that needs nothing else. */
export function broadcastPage(
  result: Broadcast & { readonly machine: string; readonly when: string; readonly verdicts: readonly Verdict[] },
): string {
  const { checked, measured, memory, minutes, programme, atSource } = result;
  const processes = [...new Set(memory.flatMap(({ rssMiB }) => Object.keys(rssMiB)))];
  const live = checked.renditions.flatMap(({ at, punctuality }) => (punctuality ? [{ at, ...punctuality }] : []));
  const most = Math.max(200, (checked.partTarget ?? 0.333) * 1_000);
  const over = (read: (sample: Broadcast['memory'][number], name: string) => number | undefined) =>
    processes.map((name) => ({
      name,
      points: memory.flatMap((sample) => {
        const value = read(sample, name);
        return value === undefined ? [] : [[sample.t / 60, value] as const];
      }),
    }));
  return page('A broadcast: SRT in, Low-Latency HLS out', [
    `<p>${escape(result.machine)}. ${result.when.slice(0, 16).replace('T', ' ')} UTC. ${escape(
      `${minutes} min of ${programme} with marks, dubbed into ${result.to.join(', ')}; the marks of the source are ${atSource?.toFixed(1) ?? '?'} ms apart.`,
    )}</p>`,
    table(VERDICT_HEAD, verdictRows(result.verdicts)),
    scatter(
      'Sound after picture, each mark',
      'minutes',
      'ms',
      measured.map(({ language, offsets }) => ({
        name: language,
        points: offsets.flatMap(({ at, ms }) =>
          ms === null ? [] : [[(at - (offsets[0]?.at ?? 0)) / 60, ms] as const],
        ),
      })),
      [-40, 40],
    ),
    histogram(
      'Parts: how long after they were due they had come',
      'ms',
      live.map(({ at, lateness }) => ({ name: at, values: lateness })),
      { from: -most, to: 1.5 * most, count: 50 },
      [most],
    ),
    `<p>${escape(ON_TIME)}</p>`,
    scatter(
      'Parts: how long after they were due they had come, over time',
      'minutes',
      'ms',
      live.map(({ at, lateness }) => ({
        name: at,
        points: lateness.map((late, n) => [((n / Math.max(1, lateness.length)) * checked.seconds) / 60, late] as const),
      })),
      [most],
    ),
    lines(
      'Memory',
      'minutes',
      'MiB',
      over((sample, name) => sample.rssMiB[name]),
    ),
    lines(
      'Processor',
      'minutes',
      'cores',
      over((sample, name) => sample.cpu[name]),
    ),
    table(
      ['playlist', 'language', 'parts', 'on time', 'longest pause, ms', 'kbit/s', 'discontinuities', 'captions'],
      checked.renditions.map((one) => [
        one.at,
        one.language ?? '–',
        String(one.pieces),
        one.punctuality ? `${((100 * one.punctuality.onTime) / Math.max(1, one.punctuality.parts)).toFixed(2)} %` : '–',
        one.punctuality?.longest.toFixed(0) ?? '–',
        one.kbits?.toFixed(0) ?? '–',
        String(one.discontinuities),
        one.kind === 'captions' ? String(one.cues) : '–',
      ]),
    ),
    table(
      ['', 'rule', 'where', 'times', 'seen first', 'asked by'],
      checked.findings.map((one) => [one.severity, one.rule, one.where, String(one.count), one.seen, one.section]),
    ),
  ]);
}
