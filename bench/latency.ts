import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { arch, cpus, release, tmpdir } from 'node:os';
import { basename, dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

import { samplesFrom } from '../media/bytes.ts';
import { Resampler } from '../media/resample.ts';
import type { Scope } from '../media/scope.ts';
import { SessionSpec } from '../gateway/config.ts';
import { type EngineOptions, enginesOf } from '../gateway/engine-options.ts';
import type { StatsView } from '../gateway/protocol.ts';
import { type Report, type Spread, reportText, spread } from '../gateway/report.ts';
import { sampleProgramme } from '../gateway/sample.ts';
import { Screening, becomesLive } from '../gateway/screening.ts';
import { serve } from '../gateway/serve.ts';
import { loadConfig } from '../gateway/settings.ts';
import { locate } from './align.ts';
import { Browsers, type Sample, note, playedAt } from './browser.ts';
import { latencyPage } from './latency-page.ts';
import { ProcessWatch, type Usage, childCalled } from './processes.ts';

export interface LatencyOptions extends EngineOptions {
  /** Programme to publish; the demo's unless given. */
  readonly file?: string | undefined;
  readonly to: string;
  readonly seconds: number;
  readonly delay: number;
  readonly out: string;
  /** `false`: no Chromium; the file is played by the session process and "viewer" is the SFU's output. */
  readonly browser: boolean;
}

/** One line from mouth to ear, on the wall clocks of both pages. Seconds. */
export interface LineSpan {
  readonly source: string;
  readonly text: string;
  readonly start: number;
  readonly outcome: string;
  /** Source word spoken at the publisher → its dub begins at the viewer. */
  readonly earVoice: number;
  /** Source begins → dub could have been heard: what the chain needed for this line, computing included. */
  readonly aware: number;
  /** The same if computing took no time: the line had to be spoken and the pause behind it noticed. */
  readonly unaware: number;
  readonly speed: number;
  readonly slack: number | null;
}

export interface LatencyResult {
  readonly machine: string;
  readonly when: string;
  readonly programme: string;
  readonly path: 'chromium' | 'plain';
  readonly report: Report;
  readonly spans: readonly LineSpan[];
  readonly earVoice: Spread | null;
  readonly aware: Spread | null;
  readonly unaware: Spread | null;
  /** A sound at the publisher → the same sound at the viewer's ear, over time. Seconds. */
  readonly glassToGlass: Spread | null;
  readonly glassOverTime: readonly { readonly t: number; readonly seconds: number }[];
  /** Media time heard less media time seen at the viewer, ms. */
  readonly avOffsetMs: Spread | null;
  /** How sure the alignment of what was published with what was heard is: 1 for the same sound. */
  readonly likeness: number | null;
  readonly stages: StatsView['stages'];
  readonly drops: StatsView['drops'];
  readonly processes: readonly Usage[];
}

/** Publishes a programme, watches its dub, and measures both ends. */
export async function latency(options: LatencyOptions, scope: Scope): Promise<LatencyResult> {
  const file = options.file === undefined ? (await sampleProgramme(scope.signal)).path : resolve(options.file);
  const config = loadConfig(
    undefined,
    {},
    { http: { port: 0 }, files: { roots: [dirname(file)] }, log: { level: 'warn' } },
  );
  const gateway = await serve(config);
  scope.defer(() => gateway.close());
  const source = options.browser ? { kind: 'webrtc' as const } : { kind: 'file' as const, path: file, loop: true };
  const session = await gateway.sessions.create(
    SessionSpec.parse({ name: 'Bench', source, to: [options.to], delay: options.delay, ...enginesOf(options) }),
  );

  const browsers = options.browser ? await Browsers.open(gateway.url, scope) : undefined;
  const publisher = await browsers?.publish(session.id, file);
  const published = publisher && (await note(publisher, 'fileMedia'));
  if (!(await becomesLive(session, options.delay + 45, scope.signal))) {
    throw new Error(`The session is ${session.state}${session.view.reason ? `: ${session.view.reason}` : ''}`);
  }
  const viewer = await browsers?.watch(session.id, options.to);
  const watched = viewer && (await note(viewer, 'currentMedia'));

  const watch = new ProcessWatch(() => ({
    gateway: process.pid,
    session: session.pid,
    ...Object.fromEntries(gateway.sfu.pids.map((pid, i) => [`mediasoup ${i + 1}`, pid])),
    ...chromiumRoot(),
  }));
  const screening = await Screening.open(session, join(tmpdir(), `livedub-bench-${process.pid}.mkv`), scope);
  watch.restart();
  const offsets: number[] = [];
  for (let s = 0; s < options.seconds + 1 && !scope.signal.aborted; s += 1) {
    await sleep(1_000, undefined, { signal: scope.signal });
    watch.read();
    const offset = await viewer?.evaluate<number | null>('window.livedub.avOffsetMs');
    if (typeof offset === 'number') offsets.push(offset);
    if (process.stderr.isTTY)
      process.stderr.write(`\r${s}/${options.seconds} s, ${session.archive.lines.length} lines`);
  }
  if (process.stderr.isTTY) process.stderr.write('\n');
  const report = await screening.close(basename(file));
  if (!report) throw new Error('Nothing was received.');

  const notes = { published: (await published?.()) ?? [], watched: (await watched?.()) ?? [] };
  const tape = screening.witness.tape('original');
  const found =
    browsers && tape
      ? locate(toEar(tape.pcm.subarray(0, Math.floor(report.recorded.seconds * 48_000))), await fileAudio(file))
      : undefined;
  const ends =
    found && tape ? { fileAt: (media: number) => media - tape.origin + found.at * 1e6, ...notes } : undefined;
  const glass = ends ? glassToGlass(ends) : [];
  const typical = spread(glass.map(({ seconds }) => seconds))?.p50;
  // Without pages the ends are the session's input and the SFU's output, which the delay lies between.
  const carried = typical ?? report.delay;
  const computing = computed(session.stats);
  const spans = report.transcript.flatMap((line): LineSpan[] => {
    if (!line.dub) return [];
    const aware = (line.end - line.start + (line.after.placed ?? 0)) / 1e6;
    const spent = ((line.after.placed ?? 0) - line.after.recognised) / 1e6 + computing;
    return [
      {
        source: line.source,
        text: line.text,
        start: line.start / 1e6,
        outcome: line.outcome,
        earVoice: carried + (line.dub.start - line.start) / 1e6,
        aware,
        unaware: Math.max((line.end - line.start) / 1e6, aware - spent),
        speed: line.speed ?? 1,
        slack: line.slack === null ? null : line.slack / 1e6,
      },
    ];
  });
  const result: LatencyResult = {
    machine: `${cpus()[0]?.model ?? 'CPU'} × ${cpus().length}, ${process.platform} ${release()} ${arch()}, Node ${process.versions.node}`,
    when: new Date().toISOString(),
    programme: basename(file),
    path: browsers ? 'chromium' : 'plain',
    report,
    spans,
    earVoice: spread(spans.map((span) => span.earVoice)),
    aware: spread(spans.map((span) => span.aware)),
    unaware: spread(spans.map((span) => span.unaware)),
    glassToGlass: spread(glass.map(({ seconds }) => seconds)),
    glassOverTime: glass,
    avOffsetMs: spread(offsets),
    likeness: found?.likeness ?? null,
    stages: session.stats?.stages ?? [],
    drops: session.stats?.drops ?? {},
    processes: watch.usage(),
  };
  await mkdir(options.out, { recursive: true });
  await writeFile(join(options.out, 'latency.json'), `${JSON.stringify(result, null, 2)}\n`);
  await writeFile(join(options.out, 'latency.html'), latencyPage(result));
  return result;

  function chromiumRoot(): Record<string, number | undefined> {
    return browsers ? { chromium: childCalled('chromium') } : {};
  }
}

/** Computing before a line's words are final that its record does not hold: the recogniser's, as its stage reports it. */
const computed = (stats: StatsView | null) =>
  (stats?.stages.find(({ kind }) => kind === 'recognizer')?.latency.p50 ?? 0) / 1_000;

interface Ends {
  /** Which place of the file is at a place of the programme, µs. */
  readonly fileAt: (media: number) => number;
  readonly published: readonly Sample[];
  readonly watched: readonly Sample[];
}

/** For each note of the viewer: how long before it the publisher's page played the same place. The page plays once. */
function glassToGlass({ fileAt, published, watched }: Ends): { t: number; seconds: number }[] {
  const first = watched[0]?.at ?? 0;
  return watched.flatMap((heard) => {
    const spoken = playedAt(published, fileAt(heard.media));
    if (spoken === undefined || spoken > heard.at) return [];
    return [{ t: (heard.at - first) / 1_000, seconds: (heard.at - spoken) / 1_000 }];
  });
}

const run = promisify(execFile);
/** The file's sound, mono at 16 kHz. */
async function fileAudio(file: string): Promise<Float32Array> {
  const { stdout } = await run('ffmpeg', ['-v', 'error', '-i', file, '-ac', '1', '-ar', '16000', '-f', 'f32le', '-'], {
    encoding: 'buffer',
    maxBuffer: 2 ** 30,
  });
  return samplesFrom(stdout, 'f32le');
}
function toEar(pcm: Float32Array): Float32Array {
  const resampler = new Resampler(48_000, 16_000);
  return resampler.push(pcm);
}

const show = (value: Spread | null, unit = 's') =>
  value
    ? `p50 ${value.p50.toFixed(2)} ${unit}   p95 ${value.p95.toFixed(2)} ${unit}   (n ${value.count})`
    : 'not measured';

export function latencyText(result: LatencyResult, width?: number): string {
  const latencyOf = (p: number | null) => (p === null ? '–' : `${p.toFixed(0)} ms`).padStart(8);
  return [
    reportText(result.report, width),
    '',
    `machine                    ${result.machine}`,
    `path                       ${result.path === 'chromium' ? 'Chromium → WebRTC → SFU → session → SFU → WebRTC → Chromium' : 'file → session → SFU → RTP'}`,
    `ear-voice span             ${show(result.earVoice)}`,
    `chain, computation-aware   ${show(result.aware)}`,
    `chain, if computing were free ${show(result.unaware)}`,
    `glass to glass (original)  ${show(result.glassToGlass)}`,
    `picture behind sound       ${show(result.avOffsetMs, 'ms')}`,
    '',
    'stage                    p50      p95   items  dropped  faults',
    ...result.stages.map(
      ({ kind, latency, dropped, faults }) =>
        `${kind.padEnd(20)}${latencyOf(latency.p50)} ${latencyOf(latency.p95)} ${String(latency.count).padStart(7)} ${String(dropped).padStart(8)} ${String(faults).padStart(7)}`,
    ),
    '',
    'process            CPU, % of a core   memory, MiB   processes',
    ...result.processes.map(
      ({ name, cpu, rssMiB, processes }) =>
        `${name.padEnd(18)} ${(cpu * 100).toFixed(1).padStart(15)} ${String(rssMiB).padStart(13)} ${String(processes).padStart(11)}`,
    ),
    '',
    `drops                      ${
      Object.entries(result.drops)
        .filter(([, n]) => n > 0)
        .map(([name, n]) => `${name} ${n}`)
        .join(', ') || 'none'
    }`,
  ].join('\n');
}

export const LATENCY_DEFAULTS = { to: 'es', seconds: 60, delay: 5, out: 'out/bench' } as const;
