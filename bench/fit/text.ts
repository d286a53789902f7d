import type { FitResult, FitSet } from './fit.ts';
import { type FitFigures, percentile, sizes } from './measures.ts';
import type { RivalFigures } from './rivals.ts';

const percent = (share: number | null) => (share === null ? '–' : `${(100 * share).toFixed(0)} %`);
const ms = (value: number | null) => (value === null ? '–' : value.toFixed(0));
const three = (values: readonly number[]) =>
  values.length === 0
    ? '–'
    : [percentile(values, 0.5), percentile(values, 0.95), percentile(values, 1)].map(ms).join(' / ');

/** The rungs of the ladder, in its order. */
const RUNGS = ['natural', 'rate', 'borrowed', 'slowed', 'stretched', 'shortened', 'trimmed'] as const;

export const FIT_HEAD = [
  'set',
  'pair',
  'lines',
  'dubbed',
  'in 0.9–1.2, of dubbed / of all',
  'words cut',
  'left to caption',
  'start |error| p50 / p95 / max, ms',
  'end |error|',
  'overrun p95',
  'caption − voice',
  'pauses kept',
  'same instant',
] as const;

export function fitRow({
  name,
  section,
  pair,
  figures,
}: Pick<FitSet, 'name' | 'section' | 'pair' | 'figures'>): string[] {
  const { pauses } = figures;
  const share = (n: number) => (pauses.inSource === 0 ? '–' : `${n} of ${pauses.inSource}`);
  return [
    section === 'live' ? `${name}, live` : name,
    pair,
    String(figures.lines),
    String(figures.dubbed),
    `${percent(figures.naturalOfDubbed)} / ${percent(figures.naturalOfAll)}`,
    String(figures.trimmedWords),
    Object.entries(figures.left)
      .map(([why, n]) => `${why} ${n}`)
      .join(', '),
    three(sizes(figures.starts)),
    three(sizes(figures.ends)),
    ms(percentile(figures.overruns, 0.95)),
    three(figures.captions),
    share(pauses.mapped),
    share(pauses.sameInstant),
  ];
}

export const RUNG_HEAD = ['set', 'pair', ...RUNGS, 'speed p5', 'p50', 'p95'] as const;
export function rungRow({ name, pair, figures }: Pick<FitSet, 'name' | 'pair' | 'figures'>): string[] {
  const share = (rung: string) => {
    const count = figures.rungs[rung] ?? 0;
    return count === 0 ? '' : percent(count / Math.max(1, figures.dubbed));
  };
  const speed = (part: number) => percentile(figures.speeds, part)?.toFixed(2) ?? '–';
  return [name, pair, ...RUNGS.map(share), speed(0.05), speed(0.5), speed(0.95)];
}

export const RIVAL_HEAD = [
  '',
  'lines',
  'WER read back',
  'DNSMOS overall',
  'P.808',
  'CPU, ms a second',
  'beyond 0.9–1.2×',
  'fastest',
] as const;
export function rivalRow(rival: RivalFigures): string[] {
  const figure = (value: number | null, digits: number) => value?.toFixed(digits) ?? '–';
  return [
    rival.name,
    String(rival.lines),
    rival.wer === null ? '–' : `${rival.wer.toFixed(1)} %`,
    figure(rival.overall, 2),
    figure(rival.quality, 2),
    figure(rival.cpu, 2),
    percent(rival.beyond),
    rival.speeds.length > 0 ? `${Math.max(...rival.speeds).toFixed(2)}×` : '–',
  ];
}

/** A table as text; what is wider than `width` is cut. */
export function grid(head: readonly string[], rows: readonly (readonly string[])[], width = 200): string {
  const all = [head, ...rows];
  const widths = head.map((_, n) => Math.max(...all.map((row) => (row[n] ?? '').length)));
  return all
    .map((row) =>
      row
        .map((cell, n) => (n > 1 && /^[\d–]/.test(cell) ? cell.padStart(widths[n] ?? 0) : cell.padEnd(widths[n] ?? 0)))
        .join('  ')
        .trimEnd()
        .slice(0, width),
    )
    .join('\n');
}

/** Sets of one section and pair together, beside the sets themselves. */
export function groups(sets: readonly FitSet[]): [string, FitSet[]][] {
  const found = new Map<string, FitSet[]>();
  for (const set of sets) {
    const key = `${set.section}, ${set.pair}`;
    found.set(key, [...(found.get(key) ?? []), set]);
  }
  return [...found];
}
export const asSet = (name: string, figures: FitFigures): Pick<FitSet, 'name' | 'section' | 'pair' | 'figures'> => ({
  name,
  section: 'clips',
  pair: '',
  figures,
});

export function fitText(result: FitResult, width = 220): string {
  return [
    grid(FIT_HEAD, result.sets.map(fitRow), width),
    '',
    grid(RUNG_HEAD, result.sets.map(rungRow), width),
    ...(result.rivals.length > 0 ? ['', grid(RIVAL_HEAD, result.rivals.map(rivalRow), width)] : []),
    ...(result.worse.length > 0 ? ['', 'worse than a rival:', ...result.worse.map((what) => `  ${what}`)] : []),
    ...(result.leftOut.length > 0 ? ['', 'left out:', ...result.leftOut.map((what) => `  ${what}`)] : []),
    ...result.sets.flatMap(({ name, faults }) => faults.map((fault) => `${name}: ${fault}`)),
  ].join('\n');
}
