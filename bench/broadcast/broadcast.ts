import { execFile } from 'node:child_process';
import { type WriteStream, createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { finished } from 'node:stream/promises';
import { promisify } from 'node:util';
import { type Checked, checkHls } from '../../gateway/hls-check/check.ts';
import type { Taken } from '../../gateway/hls-check/watch.ts';
import { findingsText } from '../../gateway/hls-check/report.ts';
import type { SessionView } from '../../gateway/protocol.ts';
import type { Scope } from '../../media/scope.ts';
import { machine } from '../machine.ts';
import { ProcessWatch } from '../processes.ts';
import { type Tell, longTime, teller } from '../progress.ts';
import { type Verdict, verdictText } from '../verdicts.ts';
import { asked, encoder, encoding, openHouse, processesOf, sessionOf, until } from './house.ts';
import { flashesOf, offsetsOf } from './offsets.ts';
import { broadcastPage } from './page.ts';
import { type Broadcast, type Measured, broadcastVerdicts, median } from './verdicts.ts';

export interface BroadcastOptions {
  readonly minutes: number;
  /** A recording of somebody who speaks; it is sent again and again. */
  readonly file: string;
  readonly to: readonly string[];
  /** Seconds the programme is shown late. */
  readonly delay: number;
  readonly out: string;
}

const run = promisify(execFile);
/** Seconds between two looks at the processes. */
const LOOK = 5;

/**
 * A programme in by SRT, out by Low-Latency HLS in several languages with captions, watched by a client that checks
 * everything. Writes `broadcast.json` and `broadcast.html`.
 */
export async function broadcast(options: BroadcastOptions, scope: Scope, tell: Tell = teller()): Promise<Verdict[]> {
  const result = await watchBroadcast(options, scope, tell);
  const verdicts = broadcastVerdicts(result);
  const whole = { machine: machine(), when: new Date().toISOString(), ...result, verdicts };
  await mkdir(options.out, { recursive: true });
  await writeFile(join(options.out, 'broadcast.json'), `${JSON.stringify(whole, null, 2)}\n`);
  await writeFile(join(options.out, 'broadcast.html'), broadcastPage(whole));
  console.log(`${verdictText(verdicts)}\n\n${findingsText(result.checked.findings)}`);
  return verdicts;
}

export async function watchBroadcast(options: BroadcastOptions, scope: Scope, tell: Tell): Promise<Broadcast> {
  const { minutes, file, to, delay } = options;
  const folder = await mkdtemp(join(tmpdir(), 'livedub-broadcast-'));
  scope.defer(() => rm(folder, { recursive: true, force: true }));
  tell(0, 'marks at the source');
  const atSource = await sourceOffset(file, folder);
  const house = await openHouse(scope);
  const session = await asked<SessionView>(house, 'POST', '/v1/sessions', {
    ...{ name: 'Broadcast', source: { kind: 'srt' }, from: 'en', to, delay, lips: 'off' },
    outputs: { hls: { enabled: 'on', segment: 2 } },
  });
  const { url: ingest = '' } = session.ingest ?? {};
  const sender = encoder(file, ingest, scope);
  const url = `${house.url}/v1/sessions/${session.id}/hls/index.m3u8`;
  await until(
    async () => ((await sessionOf(house, session.id)).state === 'live' ? true : undefined),
    'The session is live',
    60,
    scope,
  );
  await until(async () => ((await fetch(url)).status === 200 ? true : undefined), 'HLS is there', 60, scope);

  const watch = new ProcessWatch(() => processesOf(house.pid));
  watch.restart();
  const memory: { t: number; rssMiB: Record<string, number>; cpu: Record<string, number> }[] = [];
  const began = performance.now();
  const looking = setInterval(() => {
    watch.read();
    const usage = watch.usage();
    watch.restart();
    memory.push({
      t: (performance.now() - began) / 1_000,
      rssMiB: Object.fromEntries(usage.map((one) => [one.name, one.rssMiB])),
      cpu: Object.fromEntries(usage.map((one) => [one.name, one.cpu])),
    });
  }, LOOK * 1_000);
  scope.defer(() => clearInterval(looking));
  const shelf = new Shelf(folder);
  const checked = await checkHls(url, {
    seconds: minutes * 60,
    signal: scope.signal,
    onPiece: (taken) => shelf.add(taken),
    onProgress: (fraction, said) => tell(fraction, `${said}, ${longTime(minutes * 60 * (1 - fraction))} left`),
  });
  clearInterval(looking);
  const { stats } = await sessionOf(house, session.id);
  sender.kill('SIGKILL');
  await asked(house, 'DELETE', `/v1/sessions/${session.id}`).catch(() => {});
  await shelf.close();
  tell(0.999, 'where picture and sound are');
  const measured = await offsets(shelf, checked).catch((failure: unknown): Measured[] => {
    // What was watched is worth telling without it.
    console.error('Picture against sound was not measured:', failure);
    return [];
  });
  tell(1, '');
  return {
    ...{ programme: basename(file), minutes, to, atSource, checked, measured, memory },
    lines: stats ? stats.lines.dubbed + stats.lines.late + stats.lines.captionOnly : 0,
    dubbed: stats?.lines.dubbed ?? 0,
    restarts: stats?.process.restarts ?? 0,
  };
}

/** What the encoder itself is off by. */
async function sourceOffset(file: string, folder: string): Promise<number | null> {
  const sample = join(folder, 'source.ts');
  await run('ffmpeg', ['-v', 'error', '-nostdin', ...encoding(file), '-t', '16', '-y', sample]);
  const found = await offsetsOf(sample, await flashesOf(sample));
  return median(found.flatMap(({ ms }) => ms ?? []));
}

async function offsets(shelf: Shelf, { renditions }: Checked): Promise<Measured[]> {
  const pictures = renditions.find(({ kind }) => kind === 'pictures');
  const seen = pictures && shelf.fileOf(pictures.at);
  if (!seen) return [];
  const white = await flashesOf(seen);
  const all: Measured[] = [];
  for (const { kind, at, language } of renditions) {
    const heard = kind === 'sound' ? shelf.fileOf(at) : undefined;
    if (heard) all.push({ language: language ?? at, offsets: await offsetsOf(heard, white) });
  }
  return all;
}

/** Renditions as files. What comes with another init than the first is left out. */
class Shelf {
  readonly #folder: string;
  readonly #files = new Map<string, { readonly path: string; readonly to: WriteStream; readonly init: Uint8Array }>();

  constructor(folder: string) {
    this.#folder = folder;
  }
  add({ at, init, piece }: Taken): void {
    if (!init) return;
    let file = this.#files.get(at);
    if (!file) {
      const path = join(this.#folder, `${at.replaceAll('/', '_')}.mp4`);
      this.#files.set(at, (file = { path, to: createWriteStream(path), init }));
      file.to.write(init);
    }
    if (Buffer.compare(file.init, init) === 0) file.to.write(piece.body);
  }
  fileOf(at: string): string | undefined {
    return this.#files.get(at)?.path;
  }
  async close(): Promise<void> {
    for (const { to } of this.#files.values()) {
      to.end();
      await finished(to);
    }
  }
}
