import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Page } from 'playwright-core';
import { SessionSpec } from '../../gateway/config.ts';
import { sampleProgramme } from '../../gateway/sample.ts';
import type { HostedSession } from '../../gateway/hosted-session.ts';
import { Recorder } from '../../gateway/recorder.ts';
import { becomesLive } from '../../gateway/screening.ts';
import { serve } from '../../gateway/serve.ts';
import { loadConfig } from '../../gateway/settings.ts';
import { MonotonicClock } from '../../media/clock.ts';
import type { Scope } from '../../media/scope.ts';
import { Browsers } from '../browser.ts';
import { percentile } from '../fit/measures.ts';
import { machine } from '../machine.ts';
import { ProcessWatch, childCalled } from '../processes.ts';
import { type Tell, longTime, teller } from '../progress.ts';
import { type Verdict, judge, verdictText } from '../verdicts.ts';
import { realPage } from './page.ts';

export interface RealOptions {
  readonly minutes: number;
  /** Published again and again; the demo's programme unless given. */
  readonly file?: string | undefined;
  readonly to: string;
  readonly delay: number;
  readonly out: string;
  /** `false`: no Chromium; the session plays the file and the SFU's output is what is heard and seen. */
  readonly browser: boolean;
}

/** What ten seconds of a programme in real time came to. */
export interface RealSample {
  /** Seconds from the start. */
  readonly t: number;
  /** Shown late, as the session measures it, seconds. */
  readonly lag: number | null;
  /**
   * The lag from end to end and an unknown constant, seconds: position published less position heard at one instant, in
   * pages; when it came less its position, at the SFU's output.
   */
  readonly glass: number | null;
  /** Heard less seen at the viewer, ms. */
  readonly avMs: number | null;
  /** By process, with what it started. */
  readonly rssMiB: Readonly<Record<string, number>>;
  readonly cpu: Readonly<Record<string, number>>;
  readonly loopMs: number;
  readonly drops: number;
  readonly lines: number;
  readonly dubbed: number;
}

export interface RealResult {
  readonly programme: string;
  readonly path: 'chromium' | 'plain';
  readonly delay: number;
  readonly seconds: number;
  readonly samples: readonly RealSample[];
  /** `glass` at minute 1. */
  readonly glassFirst: number | null;
  readonly drops: Readonly<Record<string, number>>;
  readonly restarts: number;
}

const run = promisify(execFile);
const EVERY = 10;
const RESOLUTION = 5;

/**
 * A programme in real time: a browser publishes a file, a browser watches its dub, and both ends are looked at every ten
 * seconds; without browsers the session plays the file, and the SFU's output stands for the viewer. Writes `hours-real.json` and `hours-real.html`.
 */
export async function realHours(options: RealOptions, scope: Scope, tell: Tell = teller()): Promise<Verdict[]> {
  const { minutes, to, delay, out } = options;
  const original = options.file === undefined ? (await sampleProgramme(scope.signal)).path : resolve(options.file);
  const file = options.browser ? await looped(original, minutes * 60 + delay + 60, scope) : original;
  const gateway = await serve(
    loadConfig(undefined, {}, { http: { port: 0 }, files: { roots: [dirname(file)] }, log: { level: 'warn' } }),
  );
  scope.defer(() => gateway.close());
  const source = options.browser ? { kind: 'webrtc' as const } : { kind: 'file' as const, path: file, loop: true };
  const session = await gateway.sessions.create(SessionSpec.parse({ name: 'Hours', source, to: [to], delay }));
  const browsers = options.browser ? await Browsers.open(gateway.url, scope) : undefined;
  const publisher = await browsers?.publish(session.id, file);
  if (!(await becomesLive(session, delay + 45, scope.signal))) {
    throw new Error(`The session is ${session.state}${session.view.reason ? `: ${session.view.reason}` : ''}`);
  }
  const viewer = await browsers?.watch(session.id, to);
  const ends: Ends = publisher && viewer ? pages(publisher, viewer) : await output(session, to, scope);
  const watch = new ProcessWatch(() => ({
    gateway: process.pid,
    session: session.pid,
    ...Object.fromEntries(gateway.sfu.pids.map((pid, i) => [`mediasoup ${i + 1}`, pid])),
    ...(browsers && { chromium: childCalled('chromium') }),
  }));
  const loop = monitorEventLoopDelay({ resolution: RESOLUTION });
  loop.enable();
  scope.defer(() => loop.disable());
  const samples: RealSample[] = [];
  const began = performance.now();
  watch.restart();
  for (let n = 1; n * EVERY <= minutes * 60 && !session.over; n += 1) {
    while (performance.now() - began < n * EVERY * 1_000) {
      await sleep(Math.min(1_000, Math.max(1, n * EVERY * 1_000 - (performance.now() - began))), undefined, {
        signal: scope.signal,
      });
      watch.read();
    }
    const { glass, avMs } = await ends.read();
    const usage = watch.usage();
    watch.restart();
    const { stats } = session;
    samples.push({
      t: (performance.now() - began) / 1_000,
      lag: stats?.delay.measured ?? null,
      glass,
      avMs,
      rssMiB: Object.fromEntries(usage.map(({ name, rssMiB }) => [name, rssMiB])),
      cpu: Object.fromEntries(usage.map(({ name, cpu }) => [name, cpu])),
      loopMs: Math.max(0, loop.max / 1e6 - RESOLUTION),
      drops: Object.values(stats?.drops ?? {}).reduce((sum, count) => sum + count, 0),
      lines: stats ? stats.lines.dubbed + stats.lines.late + stats.lines.captionOnly : 0,
      dubbed: stats?.lines.dubbed ?? 0,
    });
    loop.reset();
    const left = minutes * 60 - n * EVERY;
    tell(
      (n * EVERY) / (minutes * 60),
      `lag ${stats?.delay.measured?.toFixed(2) ?? '–'} s, ${stats?.lines.dubbed ?? 0} lines dubbed, ${longTime(left)} left`,
    );
  }
  tell(1, '');
  const result: RealResult = {
    programme: basename(original),
    path: browsers ? 'chromium' : 'plain',
    delay,
    seconds: (performance.now() - began) / 1_000,
    samples,
    glassFirst: around(samples, 60, ({ glass }) => glass),
    drops: session.stats?.drops ?? {},
    restarts: session.stats?.process.restarts ?? 0,
  };
  const verdicts = realVerdicts(result);
  await mkdir(out, { recursive: true });
  const whole = { machine: machine(), when: new Date().toISOString(), ...result, verdicts };
  await writeFile(join(out, 'hours-real.json'), `${JSON.stringify(whole, null, 2)}\n`);
  await writeFile(join(out, 'hours-real.html'), realPage(whole));
  console.log(`${verdictText(verdicts)}\n\nresults  ${out}/hours-real.json, ${out}/hours-real.html`);
  return verdicts;
}

/** What is asked every ten seconds of whoever hears and sees the programme. */
interface Ends {
  read(): Promise<Pick<RealSample, 'glass' | 'avMs'>>;
}

function pages(publisher: Page, viewer: Page): Ends {
  return {
    async read() {
      const spoken = await position(publisher, 'fileMedia');
      const heard = await position(viewer, 'currentMedia');
      const avMs = await viewer.evaluate<number | null>('window.livedub?.avOffsetMs ?? null').catch(() => null);
      // The two pages are asked one after the other: each says when it answered.
      const glass = spoken && heard ? (spoken.media - heard.media) / 1e6 + (heard.at - spoken.at) / 1_000 : null;
      return { glass, avMs };
    },
  };
}

/** The SFU's output: how long after its position each packet came, since it was asked last. */
async function output(session: HostedSession, to: string, scope: Scope): Promise<Ends> {
  const folder = await mkdtemp(join(tmpdir(), 'livedub-hours-'));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const transits = new Map<string, number[]>();
  await Recorder.open(
    {
      session,
      tracks: session.tracks,
      path: join(folder, 'heard.mkv'),
      clock: new MonotonicClock(),
      onReceived: ({ track, media, arrived }) => {
        const own = transits.get(track);
        if (own) own.push(arrived - media);
        else transits.set(track, [arrived - media]);
      },
    },
    scope,
  );
  return {
    read: async () => {
      const median = (track: string) => percentile(transits.get(track) ?? [], 0.5);
      const [heard, seen] = [median(`dub:${to}`), median('video')];
      transits.clear();
      return {
        glass: heard === null ? null : heard / 1e6,
        avMs: heard === null || seen === null ? null : (seen - heard) / 1_000,
      };
    },
  };
}

/** A copy of a file that goes on for so many seconds, its streams as they are. */
async function looped(file: string, length: number, scope: Scope): Promise<string> {
  const { stdout } = await run('ffprobe', ['-v', 'error', '-show_entries', 'format=duration', '-of', 'csv=p=0', file]);
  if (Number(stdout) >= length) return file;
  const folder = await mkdtemp(join(tmpdir(), 'livedub-hours-'));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  const long = join(folder, `programme${extname(file)}`);
  await run('ffmpeg', [
    '-v',
    'error',
    '-y',
    '-stream_loop',
    '-1',
    '-i',
    file,
    '-t',
    String(Math.ceil(length)),
    // Half an hour has to fit into one answer to the page.
    ...['-vf', 'scale=320:-2,fps=15', '-c:v', 'libx264', '-preset', 'ultrafast', '-b:v', '100k', '-maxrate', '150k'],
    ...['-bufsize', '300k', '-g', '30', '-c:a', 'aac', '-b:a', '64k'],
    long,
  ]);
  return long;
}

/** What a page plays and when it said so. */
const position = (page: Page, field: 'fileMedia' | 'currentMedia') =>
  page
    .evaluate<{ at: number; media: number } | null>(
      `(() => { const media = window.livedub?.${field}; return typeof media === 'number' ? { at: performance.timeOrigin + performance.now(), media } : null; })()`,
    )
    .catch(() => null);

/** The median within half a minute of `t` seconds. */
function around(samples: readonly RealSample[], t: number, read: (sample: RealSample) => number | null): number | null {
  const near = samples.filter((sample) => Math.abs(sample.t - t) <= 30).flatMap((sample) => read(sample) ?? []);
  return percentile(near, 0.5);
}

export function realVerdicts(result: RealResult): Verdict[] {
  const { samples } = result;
  const end = samples.at(-1)?.t ?? 0;
  const between = (read: (sample: RealSample) => number | null) => {
    const [first, last] = [around(samples, 60, read), around(samples, end - 20, read)];
    return first === null || last === null || end < 120 ? null : { first, last, change: last - first };
  };
  const [lag, glass, av] = [between(({ lag }) => lag), between(({ glass }) => glass), between(({ avMs }) => avMs)];
  const offsets = samples.flatMap(({ avMs }) => (avMs === null ? [] : [avMs]));
  const growths = [...new Set(samples.flatMap(({ rssMiB }) => Object.keys(rssMiB)))]
    .filter((name) => name !== 'chromium')
    .map((name) => {
      const first = around(samples, 150, ({ rssMiB }) => rssMiB[name] ?? null);
      const last = around(samples, end - 20, ({ rssMiB }) => rssMiB[name] ?? null);
      return { name, first, last, share: first && last && end > 300 ? last / first - 1 : null };
    });
  const seconds = (value: number) => `${value < 0 ? '−' : '+'}${Math.abs(value).toFixed(3)} s`;
  return [
    judge(
      'lag at the end less lag at minute 1, by the session',
      'within ± 0.1 s',
      lag?.change,
      seconds,
      (value) => Math.abs(value) <= 0.1,
    ),
    judge('the same from end to end', 'within ± 0.1 s', glass?.change, seconds, (value) => Math.abs(value) <= 0.1),
    judge(
      'A/V offset at the viewer, median',
      'within ± 20 ms',
      percentile(offsets, 0.5),
      (value) => `${value.toFixed(1)} ms, p95 ${percentile(offsets.map(Math.abs), 0.95)?.toFixed(1)} ms`,
      (value) => Math.abs(value) <= 20,
    ),
    judge(
      'A/V offset at the end less at minute 1',
      'within ± 20 ms',
      av?.change,
      (value) => `${value.toFixed(1)} ms`,
      (value) => Math.abs(value) <= 20,
    ),
    ...growths.map(({ name, first, last, share }) =>
      share === null
        ? {
            what: `RSS growth of ${name} after minute 2`,
            wanted: '< 5 %',
            measured: 'needs more than five minutes',
            passed: null,
          }
        : judge(
            `RSS growth of ${name} after minute 2`,
            '< 5 %',
            share,
            (value) => `${(100 * value).toFixed(1)} % (${first} → ${last} MiB)`,
            (value) => value < 0.05,
          ),
    ),
    judge('restarts of the session process', 'none', result.restarts, String, (count) => count === 0),
  ];
}
