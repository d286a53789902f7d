import { table } from '../table.ts';
import type { Checked, Counted } from './check.ts';
import { ON_TIME } from './punctuality.ts';

const share = (of: number, all: number) => `${((100 * of) / Math.max(1, all)).toFixed(2)} %`;
const at = (sorted: readonly number[], where: number) =>
  sorted[Math.min(sorted.length - 1, Math.floor(where * sorted.length))] ?? 0;

/** What a check has come to, for people. */
export function checkText(result: Checked): string {
  const { live, lowLatency, seconds, partTarget, target, requests, bytes } = result;
  const kind = live ? (lowLatency ? `low latency, parts of ${partTarget} s` : 'live') : 'finished';
  const rows = result.renditions.map((one) => {
    const { punctuality } = one;
    const late = [...(punctuality?.lateness ?? [])].sort((a, b) => a - b);
    return [
      one.at,
      one.language ?? '–',
      String(one.pieces),
      one.seconds.toFixed(1),
      one.kbits === null ? '–' : one.kbits.toFixed(0),
      String(one.discontinuities),
      one.kind === 'captions' ? String(one.cues) : '–',
      punctuality ? share(punctuality.onTime, punctuality.parts) : '–',
      punctuality
        ? `${at(late, 0.5).toFixed(0)} / ${at(late, 0.99).toFixed(0)} / ${(late.at(-1) ?? 0).toFixed(0)}`
        : '–',
      punctuality ? String(punctuality.starved) : '–',
    ];
  });
  const head = [
    'playlist',
    'language',
    live && lowLatency ? 'parts' : 'segments',
    's',
    'kbit/s',
    'discont.',
    'cues',
    'on time',
    'late ms p50/p99/max',
    'starved',
  ];
  const what = `${result.url}\n${kind}, target duration ${target} s; watched for ${seconds.toFixed(1)} s, ${requests} requests, ${(bytes / 1e6).toFixed(1)} MB`;
  return [what, '', table([head, ...rows]), '', findingsText(result.findings), ...(live ? ['', ON_TIME] : [])].join(
    '\n',
  );
}

export function findingsText(findings: readonly Counted[]): string {
  if (findings.length === 0) return 'No findings.';
  const rows = findings.map(({ severity, rule, where, seen, count, section }) => [
    severity,
    rule,
    where,
    count > 1 ? `${count} ×` : '',
    seen,
    section,
  ]);
  const fixes = new Map(findings.map(({ rule, fix }) => [rule, fix]));
  const count = (severity: Counted['severity']) => findings.filter((one) => one.severity === severity).length;
  return [
    table([['', 'rule', 'where', '', 'seen first', 'asked by'], ...rows]),
    '',
    table([...fixes].map(([rule, fix]) => [rule, fix])),
    '',
    `${count('error')} errors, ${count('warning')} warnings, ${count('note')} notes.`,
  ].join('\n');
}
