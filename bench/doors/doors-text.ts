import { bars, escape, lines, page, table } from '../plots.ts';
import { VERDICT_HEAD, type Verdict, judge, verdictRows } from '../verdicts.ts';
import type { Figure } from './delays.ts';
import { type Measured, beyondRtp, worst } from './measured.ts';

/** All that a run found. */
export interface DoorsResult {
  readonly machine: string;
  readonly when: string;
  readonly programme: string;
  /** Seconds that each door was measured. */
  readonly seconds: number;
  /** The programme's own delay, seconds. */
  readonly delay: number;
  /** How late this process came to note a moment, ms: what every figure is uncertain by. */
  readonly noting: { readonly p50: number; readonly p99: number };
  readonly rows: readonly Measured[];
  readonly verdicts: readonly Verdict[];
}

export const METHOD = [
  'Every picture of the programme, a real face that talks, carries its number as black and white cells at its lower edge. The bench notes when it gives away the last byte of each picture, and when that picture is there at the other end; both moments are read by the bench or by the page, outside of what is measured.',
  'A way in: from sending to the last packet of the picture as it leaves the SFU as plain RTP, less the delay that the programme is asked to have. “Beyond RTP” is against plain RTP, the reference.',
  'A way out: from leaving the SFU to the decoded picture at a client. FFmpeg hands pictures out as it decodes them; a page’s pictures are noted when the browser presents them, and those that it leaves out because it is busy count as lost in its row. MPEG-TS says that a picture is whole when the next one begins, so that one picture’s time is in every such row.',
  'Peer: the same sender to FFmpeg with nothing of ours between, decoded. “Times peer” says how many times as long the door takes.',
] as const;

const ms = (value: number | undefined) => (value === undefined ? '–' : value.toFixed(0));
const times = ({ figure, peer }: Measured) =>
  figure && peer && peer.median > 0 ? (figure.median / peer.median).toFixed(1) : '–';
const sentence = (row: Measured) => (row.state === 'works' ? (row.why ?? '') : `${row.state}: ${row.why ?? ''}`);

const HEAD = [
  'door',
  'protocol',
  'client',
  'median, ms',
  'p95',
  'most',
  'lost',
  'beyond RTP',
  'peer',
  'times peer',
  '',
];
function cells(result: DoorsResult, row: Measured): string[] {
  const { figure, peer } = row;
  const lost = figure ? `${figure.lost} of ${figure.pictures + figure.lost}` : '–';
  const delays = [ms(figure?.median), ms(figure?.p95), ms(figure?.most), lost, ms(beyondRtp(result.rows, row))];
  return [`${row.side} ${row.name}`, row.protocol, row.client, ...delays, ms(peer?.median), times(row), sentence(row)];
}

export function doorsText(result: DoorsResult): string {
  const rows = [HEAD, ...result.rows.map((row) => cells(result, row))];
  const widths = HEAD.map((_, n) => Math.max(...rows.map((row) => row[n]!.length)));
  const isNumber = (n: number) => n >= 3 && n <= 9;
  const line = (row: readonly string[]) =>
    row
      .map((cell, n) => (isNumber(n) ? cell.padStart(widths[n]!) : n < 10 ? cell.padEnd(widths[n]!) : cell))
      .join('  ');
  return [
    `${result.machine}; noting a moment took ${ms(result.noting.p50)} ms more (p99 ${ms(result.noting.p99)})`,
    '',
    ...rows.map((row) => line(row).trimEnd()),
  ].join('\n');
}

const cell = (text: string) => text.replaceAll('|', '\\|');
const measuredAs = ({ median, p95, most }: Figure) => `${ms(median)} ms (median), ${ms(p95)} (p95), ${ms(most)} (most)`;

/** The table "Delay of the doors" of docs/interop.md. */
export function doorsMarkdown(result: DoorsResult): string {
  const said = (row: Measured) =>
    row.figure ? `${measuredAs(row.figure)}${row.figure.lost > 0 ? `, ${row.figure.lost} lost` : ''}` : sentence(row);
  const rows = result.rows.map((row) => [
    row.side,
    row.protocol,
    row.client,
    row.codecs,
    said(row),
    row.peer ? `${ms(row.peer.median)} ms` : '–',
  ]);
  const all = [['', 'door', 'client', 'codecs', 'adds', 'FFmpeg to FFmpeg'], ...rows].map((row) => row.map(cell));
  const widths = all[0]!.map((_, n) => Math.max(3, ...all.map((row) => row[n]!.length)));
  const line = (row: readonly string[]) => `| ${row.map((text, n) => text.padEnd(widths[n]!)).join(' | ')} |`;
  const [head, ...body] = all;
  const command = `\`npm run bench -- doors --seconds ${result.seconds}\``;
  return [
    `By ${command}, ${result.when.slice(0, 10)}, ${result.machine}.`,
    '',
    line(head!),
    `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`,
    ...body.map(line),
  ].join('\n');
}

/** What must be shown: every door measured, nothing lost. */
export function doorsVerdicts(rows: readonly Measured[]): Verdict[] {
  const of = (side: Measured['side']) => {
    const there = rows.filter((row) => row.side === side && (row.state === 'works' || row.state === 'failed'));
    const failed = there.filter(({ state }) => state === 'failed').map(({ name }) => name);
    const count = there.length === 0 ? undefined : there.length - failed.length;
    const show = (works: number) =>
      `${works} of ${there.length}${failed.length > 0 ? `; not ${failed.join(', ')}` : ''}`;
    return judge(
      `ways ${side} measured, of those that are here`,
      'all',
      count,
      show,
      (works) => works === there.length,
    );
  };
  const figures = rows.flatMap(({ figure, name, side, drawn }) =>
    figure && !drawn ? [{ ...figure, door: `${side} ${name}` }] : [],
  );
  const lossy = figures.filter(({ lost }) => lost > 0).map(({ door, lost }) => `${lost} by ${door}`);
  const lost = figures.length === 0 ? undefined : figures.reduce((sum, each) => sum + each.lost, 0);
  return [
    of('in'),
    of('out'),
    judge(
      'pictures lost on their way, where no browser draws them',
      'none',
      lost,
      (count) => (count === 0 ? 'none' : lossy.join(', ')),
      (count) => count === 0,
    ),
    ...(['in', 'out'] as const).map((side): Verdict => {
      const row = worst(rows, side);
      const measured = row?.figure ? `${row.name}, ${measuredAs(row.figure)}` : 'nothing was measured';
      return { what: `the longest way ${side}`, wanted: 'to be known', measured, passed: null };
    }),
  ];
}

/** The result as one page that needs nothing but itself. */
export function doorsPage(result: DoorsResult): string {
  const { rows, machine, when, programme, seconds, delay, noting, verdicts } = result;
  const facts = `${programme}, ${seconds} s a door, a programme’s delay of ${delay} s; ${machine}; ${when}; noting a moment took ${noting.p50.toFixed(1)} ms more (p99 ${noting.p99.toFixed(1)} ms).`;
  const plots = (['in', 'out'] as const).flatMap((side) => {
    const there = rows.filter((row) => row.side === side && row.figure);
    if (there.length === 0) return [];
    const sets = there.map(({ name, points }) => ({
      name,
      points: points.map(([s, value]) => [s, Math.max(0, value)] as const),
    }));
    return [
      bars(
        `Delay added by each way ${side}: median, and p95 in red`,
        'ms',
        there.map(({ name, figure }) => [name, figure!.median, figure!.p95]),
      ),
      lines(`The same, picture by picture`, 's', 'ms', sets),
    ];
  });
  return page('Delay of the doors', [
    `<p>${escape(facts)}</p>`,
    ...METHOD.map((text) => `<p>${escape(text)}</p>`),
    table(VERDICT_HEAD, verdictRows(verdicts)),
    table(
      HEAD,
      rows.map((row) => cells(result, row)),
    ),
    ...plots,
  ]);
}
