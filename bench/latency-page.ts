import type { LatencyResult } from './latency.ts';
import { bars, lines, page, table } from './plots.ts';

const s = (value: number | null | undefined) => (value === null || value === undefined ? '–' : value.toFixed(2));

/** The result as one self-contained page. */
export function latencyPage(result: LatencyResult): string {
  const { report, spans } = result;
  const begin = spans[0]?.start ?? 0;
  const rows = [
    ['ear-voice span', result.earVoice],
    ['chain, computation-aware', result.aware],
    ['chain, if computing were free', result.unaware],
    ['glass to glass (original)', result.glassToGlass],
  ] as const;
  return page(`Latency: ${result.programme}, ${report.from} → ${report.to.join(', ')}`, [
    `<p>${result.machine}. ${result.when.slice(0, 16).replace('T', ' ')} UTC. The programme is shown ${report.delay} s late.
     ${report.lines.dubbed} lines dubbed, ${report.lines.trimmed} of them shortened, ${report.lines.late} late, ${report.lines.captionOnly} left to the caption;
     ${report.listening.heard} of ${report.listening.scheduled} heard where they were scheduled.</p>`,
    table(
      ['seconds', 'p50', 'p95', 'max', 'n'],
      rows.map(([name, v]) => [name, s(v?.p50), s(v?.p95), s(v?.max), String(v?.count ?? 0)]),
    ),
    lines('From mouth to ear, line by line', 'programme time, s', 's', [
      { name: 'ear-voice span', points: spans.map((span) => [span.start - begin, span.earVoice]) },
      { name: 'chain, computing included', points: spans.map((span) => [span.start - begin, span.aware]) },
      { name: 'chain, computing free', points: spans.map((span) => [span.start - begin, span.unaware]) },
    ]),
    ...(result.glassOverTime.length > 0
      ? [
          lines('Glass to glass', 's since the viewer came', 's', [
            { name: 'original sound', points: result.glassOverTime.map(({ t, seconds }) => [t, seconds]) },
          ]),
        ]
      : []),
    bars(
      'Done after the words were spoken, p50 and p95',
      's',
      Object.entries(report.after).map(([name, v]) => [name, v?.p50 ?? 0, v?.p95 ?? 0]),
    ),
    bars(
      'Playing speed of each dub (0.9 to 1.2)',
      '×',
      spans.map((span, i) => [String(i + 1), span.speed]),
    ),
    bars(
      'CPU, % of one core',
      '%',
      result.processes.map(({ name, cpu }) => [name, cpu * 100]),
    ),
    bars(
      'Memory',
      'MiB',
      result.processes.map(({ name, rssMiB }) => [name, rssMiB]),
    ),
    table(
      ['stage', 'engine', 'p50, ms', 'p95, ms', 'items', 'dropped', 'faults'],
      result.stages.map(({ kind, engine, latency, dropped, faults }) => [
        kind,
        engine,
        s(latency.p50),
        s(latency.p95),
        String(latency.count),
        String(dropped),
        String(faults),
      ]),
    ),
    table(
      ['at, s', 'outcome', 'span, s', 'speed', 'heard', 'said'],
      spans.map((span) => [
        span.start.toFixed(1),
        span.outcome,
        s(span.earVoice),
        s(span.speed),
        span.source,
        span.text,
      ]),
    ),
  ]);
}
