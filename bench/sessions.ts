import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { SessionSpec } from '../gateway/config.ts';
import type { HostedSession } from '../gateway/hosted-session.ts';
import { spread } from '../gateway/report.ts';
import { sampleProgramme } from '../gateway/sample.ts';
import { serve } from '../gateway/serve.ts';
import { loadConfig } from '../gateway/settings.ts';
import type { Scope } from '../media/scope.ts';
import { bars, lines, page, table } from './plots.ts';
import { ProcessWatch } from './processes.ts';

export interface SessionsOptions {
  readonly file?: string | undefined;
  readonly to: string;
  readonly counts: readonly number[];
  /** Measured, after everything runs. */
  readonly seconds: number;
  readonly out: string;
}

/** What so many dubbed audio programmes at once came to. Seconds unless the name says otherwise. */
export interface Row {
  readonly sessions: number;
  readonly dubbed: number;
  readonly late: number;
  readonly captionOnly: number;
  /** Dub in place before it was due, the worst of twenty. */
  readonly slackP5: number | null;
  readonly placedP50: number | null;
  readonly placedP95: number | null;
  /** Shown late at the beginning and at the end of the measurement, the worst session. */
  readonly lagFirst: number;
  readonly lagLast: number;
  readonly drops: number;
  /** Of all cores' worth: 2 means two cores. */
  readonly cpu: number;
  readonly rssMiB: number;
  readonly lagOverTime: readonly (readonly [number, number])[];
}

/** Runs more and more dubbed audio programmes side by side until the machine has had enough, or `counts` is done. */
export async function sessions(options: SessionsOptions, scope: Scope): Promise<Row[]> {
  const sample = options.file === undefined ? (await sampleProgramme(scope.signal)).path : resolve(options.file);
  await mkdir(options.out, { recursive: true });
  const file = resolve(options.out, 'sound.flac');
  await promisify(execFile)('ffmpeg', ['-v', 'error', '-y', '-i', sample, '-vn', '-ac', '1', file]);
  const rows: Row[] = [];
  for (const count of options.counts) {
    rows.push(await together(count, file, options, scope));
    console.log(sessionsText(rows.slice(-1), rows.length === 1));
  }
  await writeFile(join(options.out, 'sessions.json'), `${JSON.stringify(rows, null, 2)}\n`);
  await writeFile(join(options.out, 'sessions.html'), sessionsPage(rows));
  return rows;
}

async function together(count: number, file: string, options: SessionsOptions, parent: Scope): Promise<Row> {
  await using scope = parent.child(`${count} sessions`);
  const gateway = await serve(
    loadConfig(
      undefined,
      {},
      { http: { port: 0 }, files: { roots: [dirname(file)] }, limits: { sessions: 64 }, log: { level: 'error' } },
    ),
  );
  scope.defer(() => gateway.close());
  const spec = (i: number) =>
    SessionSpec.parse({ name: `Bench ${i}`, source: { kind: 'file', path: file, loop: true }, to: [options.to] });
  const open: HostedSession[] = [];
  for (let i = 0; i < count; i += 1) open.push(await gateway.sessions.create(spec(i)));
  const watch = new ProcessWatch(() => ({ all: process.pid }));
  while (!open.every((session) => session.state === 'live')) await sleep(200, undefined, { signal: scope.signal });
  await sleep(5_000, undefined, { signal: scope.signal });
  const before = open.map((session) => session.archive.lines.length);
  watch.restart();
  const lag: [number, number][] = [];
  for (let s = 0; s < options.seconds; s += 1) {
    await sleep(1_000, undefined, { signal: scope.signal });
    watch.read();
    lag.push([s + 1, Math.max(...open.map((session) => session.stats?.delay.measured ?? 0))]);
  }
  const records = open.flatMap((session, i) => session.archive.lines.slice(before[i]));
  const of = (...outcomes: string[]) => records.filter((line) => outcomes.includes(line.outcome)).length;
  const placed = spread(records.flatMap(({ after }) => (after.placed === null ? [] : [after.placed / 1e6])));
  const slack = spread(records.flatMap((line) => (line.slack === null ? [] : [-line.slack / 1e6])));
  const [usage] = watch.usage();
  const fifth = Math.max(1, Math.floor(lag.length / 5));
  const worst = (part: readonly (readonly [number, number])[]) => Math.max(...part.map(([, value]) => value));
  return {
    sessions: count,
    dubbed: of('dubbed', 'trimmed'),
    late: of('late'),
    captionOnly: of('expired', 'refused'),
    slackP5: slack ? -slack.p95 : null,
    placedP50: placed?.p50 ?? null,
    placedP95: placed?.p95 ?? null,
    lagFirst: worst(lag.slice(0, fifth)),
    lagLast: worst(lag.slice(-fifth)),
    drops: open.reduce((sum, session) => sum + Object.values(session.stats?.drops ?? {}).reduce((a, b) => a + b, 0), 0),
    cpu: usage?.cpu ?? 0,
    rssMiB: usage?.rssMiB ?? 0,
    lagOverTime: lag,
  };
}

const HEAD = [
  'sessions',
  'dubbed',
  'late',
  'caption',
  'placed p50',
  'p95',
  'slack p5',
  'lag first',
  'lag last',
  'drops',
  'CPU cores',
  'MiB',
];
const cells = (row: Row) => [
  String(row.sessions),
  String(row.dubbed),
  String(row.late),
  String(row.captionOnly),
  row.placedP50?.toFixed(2) ?? '–',
  row.placedP95?.toFixed(2) ?? '–',
  row.slackP5?.toFixed(2) ?? '–',
  row.lagFirst.toFixed(3),
  row.lagLast.toFixed(3),
  String(row.drops),
  row.cpu.toFixed(2),
  String(row.rssMiB),
];

export function sessionsText(rows: readonly Row[], head = true): string {
  const line = (values: readonly string[]) =>
    values.map((value, i) => value.padStart(Math.max(8, HEAD[i]?.length ?? 0))).join(' ');
  return [...(head ? [line(HEAD)] : []), ...rows.map((row) => line(cells(row)))].join('\n');
}

const sessionsPage = (rows: readonly Row[]) =>
  page('Dubbed audio sessions at once', [
    table(HEAD, rows.map(cells)),
    lines(
      'Shown late, worst session',
      's',
      's',
      rows.map((row) => ({ name: `${row.sessions} sessions`, points: row.lagOverTime })),
    ),
    bars(
      'CPU, cores',
      'cores',
      rows.map((row) => [`${row.sessions} sessions`, row.cpu]),
    ),
  ]);
