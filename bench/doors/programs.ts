import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import type { Scope } from '../../media/scope.ts';
import type { Seen } from './delays.ts';
import { now } from './paced.ts';
import { STRIP_FILTER, StripReader } from './time-code.ts';

/** A program that is killed with `scope`, which waits until it is gone. */
function start(program: string, args: readonly string[], scope: Scope) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const words: string[] = [];
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    words.push(text);
    if (words.length > 200) words.shift();
  });
  for (const stream of [child, child.stdin, child.stdout]) stream.on('error', () => {});
  scope.defer(() => gone(child));
  return { child, words };
}
async function gone(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** What FFmpeg adds of its own when it decodes: nothing is probed for long, held back for order or decoded ahead. */
const AT_ONCE = ['-fflags', 'nobuffer', '-flags', 'low_delay', '-probesize', '100000', '-threads', '1'];

export interface Viewer {
  /** Pictures decoded so far. Grows. */
  readonly seen: readonly Seen[];
  /** What FFmpeg said last. */
  said(): string;
}

/** FFmpeg as somebody who watches: each picture is seen when its bytes come out of FFmpeg. */
export function watch(input: readonly string[], scope: Scope): Viewer {
  const out = ['-map', '0:v:0', '-vf', STRIP_FILTER, '-fps_mode', 'passthrough', '-flush_packets', '1'];
  const args = ['-v', 'error', ...AT_ONCE, ...input, ...out, '-f', 'rawvideo', 'pipe:1'];
  const { child, words } = start('ffmpeg', args, scope);
  return { seen: strips(child.stdout), said: () => words.join('').trim().split('\n').slice(-2).join(' | ') };
}

function strips(stdout: Readable): readonly Seen[] {
  const seen: Seen[] = [];
  const reader = new StripReader();
  stdout.on('data', (bytes: Buffer) => {
    const at = now();
    for (const number of reader.push(bytes)) if (number !== undefined) seen.push({ number, at });
  });
  return seen;
}

/**
 * FFmpeg as somebody who only carries: what is written to it goes to `address` as it is, by the protocol that `address`
 * names. Resolves when it is connected, with `first` sent: FFmpeg reads something before it connects.
 */
export async function carrier(address: string, first: Uint8Array, scope: Scope): Promise<Writable> {
  const from = ['-probesize', '32', '-analyzeduration', '0', '-f', 'data', '-raw_packet_size', '1316', '-i', 'pipe:0'];
  const into = ['-map', '0', '-c', 'copy', '-flush_packets', '1', '-f', 'data', address];
  const { child, words } = start('ffmpeg', ['-hide_banner', '-v', 'info', '-nostats', ...from, ...into], scope);
  child.stdin.write(first);
  await new Promise<void>((connected, failed) => {
    const ended = () => failed(new Error(`FFmpeg could not send: ${words.join('').split('\n').slice(-3).join(' | ')}`));
    child.once('exit', ended);
    child.stderr.on('data', () => {
      if (/Output #0/.test(words.join(''))) connected();
    });
    scope.signal.addEventListener('abort', ended, { once: true });
  });
  return child.stdin;
}

/** Another program that is fed; `args` say where from. */
export const feeder = (program: string, args: readonly string[], scope: Scope): Writable =>
  start(program, args, scope).child.stdin;

/** A server in another program, ready once it says a line. */
export async function server(program: string, args: readonly string[], scope: Scope): Promise<string> {
  const { child, words } = start(program, args, scope);
  const [line] = (await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(() => {
      throw new Error(`${program} did not start: ${words.join('').slice(-300)}`);
    }),
  ])) as [Buffer];
  return line.toString().trim();
}

/** Whether a program can be run, and ends well with `args`. */
export const runs = (program: string, ...args: string[]): boolean => {
  const ended = spawnSync(program, args, { stdio: 'ignore', timeout: 10_000 });
  return ended.error === undefined && ended.status === 0;
};

/** Whether this FFmpeg knows a protocol. */
export const speaks = (protocol: string): boolean =>
  (spawnSync('ffmpeg', ['-hide_banner', '-protocols']).stdout?.toString() ?? '').split(/\s+/).includes(protocol);

/** A TCP port that nobody has at present. */
export async function freeTcp(): Promise<number> {
  const listening = createServer();
  listening.listen(0, '127.0.0.1');
  await once(listening, 'listening');
  const address = listening.address();
  await new Promise((closed) => listening.close(closed));
  if (address === null || typeof address === 'string') throw new Error('There is no free port');
  return address.port;
}
