import type { Figure } from './figure.ts';
import type { Run } from './quality.ts';

/** As many digits as say something. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return '–';
  if (Number.isInteger(value)) return String(value);
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : Math.abs(value) >= 1 ? 2 : 3;
  return value.toFixed(digits);
}
export const withUnit = (value: number, unit: string): string => (unit ? `${number(value)} ${unit}` : number(value));

/** How a figure compares with the reference's; nothing without one. */
export const ratioOf = ({ value, reference }: Figure): number | undefined =>
  reference && reference.value !== 0 ? value / reference.value : undefined;

const HEAD = ['engine', 'recording', 'metric', '', 'reference', 'ratio'] as const;
/** A figure as a row of a table. */
export function cells(figure: Figure): string[] {
  const { engine, clip, metric, unit, value, reference } = figure;
  const ratio = ratioOf(figure);
  return [
    engine,
    clip,
    metric,
    withUnit(value, unit),
    reference ? `${withUnit(reference.value, unit)} (${reference.name})` : '',
    ratio === undefined ? '' : `${ratio.toFixed(2)}×`,
  ];
}

/** What was measured as a table for the terminal; what is too long for `width` is cut. */
export function qualityText(runs: readonly Run[], width = 160): string {
  const lines: string[] = [];
  for (const { name, figures, leftOut, failure, seconds, cpu, peakMiB } of runs) {
    lines.push('', `${name}   ${seconds.toFixed(0)} s, ${cpu.toFixed(0)} s of CPU, ${peakMiB} MiB at most`);
    const rows = [[...HEAD], ...figures.map(cells)];
    const widths = HEAD.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
    const isNumber = (column: number) => column === 3 || column === 5;
    if (figures.length > 0) {
      for (const row of rows) {
        const padded = row.map((cell, n) => (isNumber(n) ? cell.padStart(widths[n]!) : cell.padEnd(widths[n]!)));
        lines.push(`  ${padded.join('  ')}`.trimEnd().slice(0, width));
      }
    }
    for (const what of leftOut) lines.push(`  ${what}`);
    if (failure !== undefined) lines.push(`  failed: ${failure}`);
    else if (figures.length === 0) lines.push('  nothing was measured');
  }
  return lines.join('\n');
}
