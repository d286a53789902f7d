import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RECORDABLE } from '../media/recording.ts';
import type { Scope } from '../media/scope.ts';
import { type DemoOptions, UsageError } from './commands.ts';
import { type SessionSpec, delayOf } from './config.ts';
import { enginesOf } from './engine-options.ts';
import type { HostedSession } from './hosted-session.ts';
import { mixOf, specOf } from './mix-options.ts';
import type { Recorder } from './recorder.ts';
import { type Report, reportText } from './report.ts';
import { sampleProgramme } from './sample.ts';
import { Screening, becomesLive } from './screening.ts';
import { type Gateway, serve } from './serve.ts';
import { loadConfig } from './settings.ts';

/** Programme seconds that `--headless` records unless told otherwise. */
const SECONDS = 60;
/** How long a session may take until something is to be seen, seconds, beyond its delay. */
const STARTING = 30;

/**
 * Plays a programme in a loop and dubs it live, for a browser or, headless, into a file with a report.
 *
 * @returns the exit code: 1 when nothing could be shown or, headless, when no line was dubbed
 */
export async function demo(options: DemoOptions, scope: Scope): Promise<number> {
  const out = resolve(options.out ?? 'demo.mp4');
  if (options.headless && !RECORDABLE.some((extension) => out.toLowerCase().endsWith(extension))) {
    throw new UsageError(`--out must end in ${RECORDABLE.join(', ')}, received ${out}`);
  }
  const asked = {
    to: options.to,
    ...(options.delay !== undefined && { delay: options.delay }),
    ...mixOf(options),
    ...enginesOf(options),
  };
  specOf(asked);
  const file = options.file === undefined ? await sample(scope) : resolve(options.file);
  const gateway = await serve(
    loadConfig(options.config, process.env, {
      http: {
        ...(options.headless ? { port: options.port ?? 0 } : options.port === undefined ? {} : { port: options.port }),
      },
      files: { roots: [dirname(file)] },
      log: { level: 'warn' },
    }),
  );
  scope.defer(() => gateway.close());
  const spec = specOf({
    ...asked,
    name: options.file === undefined ? 'Demo' : basename(file),
    source: { kind: 'file', path: file, loop: true },
  });
  const session = await gateway.sessions.create(spec);
  return options.headless
    ? record(session, { ...options, out, programme: basename(file) }, scope)
    : show(gateway, session, options, scope);
}

/** The sample programme; drawn and spoken on first use. */
async function sample(scope: Scope): Promise<string> {
  let said = -1;
  const { path } = await sampleProgramme(scope.signal, (fraction) => {
    const tenth = Math.floor(fraction * 10);
    if (tenth > said) process.stderr.write(`Making the sample programme: ${(said = tenth) * 10} %\n`);
  });
  return path;
}

async function show(gateway: Gateway, session: HostedSession, options: DemoOptions, scope: Scope): Promise<number> {
  const page = `${gateway.url}/watch/${session.id}`;
  console.log(`\n  Watch and listen:  ${page}\n  All sessions:      ${gateway.url}/\n\n  Ctrl-C stops it.\n`);
  if (options.open) openInBrowser(page);
  const { signal } = scope;
  const limit = options.seconds === undefined ? undefined : options.seconds * 1_000;
  await (limit === undefined
    ? new Promise<void>((stop) => signal.addEventListener('abort', () => stop(), { once: true }))
    : sleep(limit, undefined, { signal }).catch(() => {}));
  return 0;
}

/** Only where there is a desktop; whether it worked is no matter, the address was printed. */
function openInBrowser(page: string): void {
  const [command, desktop] =
    process.platform === 'darwin'
      ? ['open', true]
      : ['xdg-open', Boolean(process.env['DISPLAY'] ?? process.env['WAYLAND_DISPLAY'])];
  if (!desktop || !process.stdout.isTTY) return;
  spawn(command, [page], { stdio: 'ignore', detached: true })
    .on('error', () => {})
    .unref();
}

interface Recorded extends DemoOptions {
  readonly out: string;
  readonly programme: string;
}

async function record(session: HostedSession, options: Recorded, scope: Scope): Promise<number> {
  const { signal } = scope;
  const wanted = options.seconds ?? SECONDS;
  const { from, to } = session.spec;
  const { start } = delayOf(session.spec);
  // What is for programs has standard output to itself.
  const say = options.json ? console.error : console.log;
  say(
    `Dubbing ${options.programme} from ${from} to ${to.join(', ')}, ${lateness(session.spec)}; recording ${wanted} s to ${options.out}`,
  );
  if (!(await becomesLive(session, start + STARTING, signal))) {
    if (!signal.aborted)
      console.error(`Nothing came within ${start + STARTING} s: ${session.view.reason ?? session.state}`);
    return 1;
  }
  const screening = await Screening.open(session, options.out, scope);
  await progress(screening.recorder, session, wanted, signal);
  const report = await screening.close(options.programme);
  if (!report) {
    console.error('Nothing was received.');
    return 1;
  }
  await keep(report, options);
  return report.lines.dubbed > 0 ? 0 : 1;
}

async function progress(
  recorder: Recorder,
  session: HostedSession,
  wanted: number,
  signal: AbortSignal,
): Promise<void> {
  const tty = process.stderr.isTTY;
  const patience = (wanted + delayOf(session.spec).most + STARTING) * 10;
  let said = -1;
  for (let tick = 0; tick < patience && !signal.aborted && recorder.recorded < wanted * 1e6; tick += 1) {
    await sleep(100, undefined, { signal }).catch(() => {});
    const done = Math.min(wanted, Math.floor(recorder.recorded / 1e6));
    if (done === said || (!tty && done % 10 !== 0)) continue;
    said = done;
    const lines = session.archive.lines.filter((line) => line.dub !== null).length;
    const bar = '█'.repeat(Math.round((done / wanted) * 30)).padEnd(30, '░');
    process.stderr.write(
      `${tty ? '\r\x1b[2K' : ''}${bar} ${done}/${wanted} s, ${lines} lines dubbed${tty ? '' : '\n'}`,
    );
  }
  if (tty) process.stderr.write('\n');
}

function lateness(spec: SessionSpec): string {
  const { start, most } = delayOf(spec);
  return spec.delay === 'auto' ? `${start} s late at first` : `${start} s late (${most} s at most)`;
}

async function keep(report: Report, { out, json = false }: Recorded): Promise<void> {
  const path = out.replace(/\.[^.]+$/, '.report.json');
  await writeFile(path, `${JSON.stringify(report, null, 2)}\n`);
  if (json) console.log(JSON.stringify(report, null, 2));
  else console.log(`\n${reportText(report, process.stdout.columns || 120)}\nreport          ${path}`);
}
