import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { root } from '../../gateway/root.ts';
import type { SessionView } from '../../gateway/protocol.ts';
import type { Scope } from '../../media/scope.ts';
import { MARK_RATE, markFilter } from './marks.ts';

/** A gateway in a process of its own, as `livedub serve` starts it. */
export interface House {
  readonly url: string;
  readonly pid: number;
}

export async function openHouse(scope: Scope): Promise<House> {
  const command = [join(root, 'gateway/bin/livedub.mjs'), 'serve', '--port', '0'];
  const child = spawn(process.execPath, command, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, LIVEDUB_LOG_LEVEL: 'warn' },
  });
  scope.defer(() => ended(child, 'SIGINT', 15_000));
  let said = '';
  child.stdout.on('data', (piece: Buffer) => (said = (said + piece.toString()).slice(-100_000)));
  for (let n = 0; n < 600; n += 1) {
    const url = /Livedub listens at (http:\S+)/.exec(said)?.[1];
    if (url && child.pid !== undefined) return { url: url.replace(/\/$/, ''), pid: child.pid };
    if (child.exitCode !== null) throw new Error(`The gateway ended with ${child.exitCode}.`);
    await sleep(100, undefined, { signal: scope.signal });
  }
  throw new Error('The gateway did not listen within a minute.');
}

async function ended(child: ChildProcess, signal: NodeJS.Signals, patience: number): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  const kill = setTimeout(() => child.kill('SIGKILL'), patience);
  await gone;
  clearTimeout(kill);
}

export async function asked<T>(house: House, method: string, path: string, body?: object): Promise<T> {
  const answer = await fetch(`${house.url}${path}`, {
    method,
    ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

/** Waits for what `look` answers, `seconds` at most. */
export async function until<T>(
  look: () => Promise<T | undefined>,
  what: string,
  seconds: number,
  scope: Scope,
): Promise<T> {
  const end = performance.now() + seconds * 1_000;
  while (performance.now() < end) {
    const found = await look();
    if (found !== undefined) return found;
    await sleep(250, undefined, { signal: scope.signal });
  }
  throw new Error(`${what}: not within ${seconds} s.`);
}

export const SIZE = { width: 640, height: 360 } as const;
/** What turns a recording into an endless programme with marks. `-re` and where it goes are the caller's. */
export const encoding = (file: string): string[] => [
  ...['-stream_loop', '-1', '-i', file, '-filter_complex', markFilter(SIZE.width, SIZE.height)],
  ...['-map', '[v]', '-map', '[a]', '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-threads', '1'],
  ...[
    '-b:v',
    '900k',
    '-maxrate',
    '1200k',
    '-bufsize',
    '1200k',
    '-g',
    String(2 * MARK_RATE),
    '-keyint_min',
    String(2 * MARK_RATE),
  ],
  ...['-sc_threshold', '0', '-c:a', 'aac', '-b:a', '128k', '-ar', '48000', '-f', 'mpegts'],
];

/** An encoder that sends the programme by SRT until the scope closes. */
export function encoder(file: string, url: string, scope: Scope): ChildProcess {
  const to = `${url}${url.includes('?') ? '&' : '?'}mode=caller`;
  const child = spawn('ffmpeg', ['-v', 'error', '-nostdin', '-re', ...encoding(file), to], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  scope.defer(() => ended(child, 'SIGTERM', 3_000));
  return child;
}

/** What the gateway's processes are, by what they run: name → process id. */
export function processesOf(gateway: number): Record<string, number> {
  const parents = new Map<number, number>();
  const lines = new Map<number, string>();
  for (const name of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      parents.set(Number(name), Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]));
      lines.set(Number(name), readFileSync(`/proc/${name}/cmdline`, 'utf8'));
    } catch {
      // It ended meanwhile.
    }
  }
  const within = (pid: number | undefined): boolean =>
    pid !== undefined && pid > 1 && (pid === gateway || within(parents.get(pid)));
  const kinds: readonly (readonly [string, RegExp])[] = [
    ['session', /gateway\/session\/main/],
    ['outlets', /gateway\/outlet\/main/],
    ['mediasoup', /mediasoup-worker/],
  ];
  const all: Record<string, number> = { gateway };
  for (const [pid, line] of lines)
    if (pid !== gateway && within(pid)) for (const [name, pattern] of kinds) if (pattern.test(line)) all[name] ??= pid;
  return all;
}

export const sessionOf = (house: House, id: string): Promise<SessionView> => asked(house, 'GET', `/v1/sessions/${id}`);
