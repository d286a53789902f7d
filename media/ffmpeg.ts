import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import type { Scope } from './scope.ts';

/** Lines of FFmpeg's own words kept for the error. */
const LAST_WORDS = 8;
/** Oldest major version that this was run with: Debian 12's. */
const OLDEST = 5;
/** What a media file may make FFmpeg open: itself. A playlist that names an address on the network opens nothing. */
const LOCAL_ONLY = ['-protocol_whitelist', 'file,pipe,data'];

/** FFmpeg is not there, or did not do what was asked; `lines` are the last it said. */
export class FfmpegError extends Error {
  override readonly name = 'FfmpegError';
  readonly missing: boolean;
  readonly lines: readonly string[];

  constructor(message: string, options: { missing?: boolean; lines?: readonly string[]; cause?: unknown } = {}) {
    super(options.lines?.length ? `${message}: ${options.lines.join(' | ')}` : message, { cause: options.cause });
    this.missing = options.missing ?? false;
    this.lines = options.lines ?? [];
  }
}

/** A running program: its pipes, and `done`, which fails when it does. */
export interface Running {
  readonly stdout: Readable;
  readonly stdin: Writable;
  readonly done: Promise<void>;
  /** What it said last. It ends well after an input that broke off, and only says so. */
  lines(): readonly string[];
}

/** The program's path: `LIVEDUB_FFMPEG`, or the one in PATH. ffprobe lies beside it. */
const pathOf = (program: 'ffmpeg' | 'ffprobe'): string => {
  const ffmpeg = process.env['LIVEDUB_FFMPEG'];
  if (program === 'ffmpeg' || !ffmpeg?.includes('/')) return program === 'ffmpeg' ? (ffmpeg ?? program) : program;
  return join(dirname(ffmpeg), program);
};

/** The input arguments for a file of any name: one that looks like an option or an address is still a file. */
export const inputFile = (path: string): string[] => [...LOCAL_ONLY, '-i', `file:${path}`];
export const outputFile = (path: string): string => `file:${path}`;

/**
 * Starts ffmpeg. It ends by itself, or with `scope`, which waits until it is gone.
 *
 * Its output is pulled: what nobody reads from `stdout` stops it in its next write. After the scope has closed, `done`
 * is kept, however the program ended.
 */
export const ffmpeg = (args: readonly string[], scope: Scope): Running =>
  run('ffmpeg', ['-hide_banner', '-nostdin', '-loglevel', 'error', ...args], scope);

function run(program: 'ffmpeg' | 'ffprobe', args: readonly string[], scope: Scope): Running {
  const child = spawn(pathOf(program), args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const lines: string[] = [];
  let rest = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    const parts = (rest + text).split(/\r?\n/);
    rest = (parts.pop() ?? '').slice(-1_000);
    lines.push(...parts.filter((line) => line.trim() !== ''));
    lines.splice(0, lines.length - LAST_WORDS);
  });
  // A program that ends early closes its end of our pipe; what matters is how it ended.
  child.stdin.on('error', () => {});
  const said = () => (rest ? [...lines, rest] : lines);
  const done = ended(child, program, said).catch((failure: unknown) => {
    if (!scope.signal.aborted) throw failure;
  });
  done.catch(() => {});
  scope.defer(async () => {
    child.kill('SIGKILL');
    child.stdout.destroy();
    await done.catch(() => {});
  });
  return { stdout: child.stdout, stdin: child.stdin, done, lines: said };
}

async function ended(child: ChildProcess, program: string, lines: () => string[]): Promise<void> {
  let result: [code: number | null, signal: string | null];
  try {
    result = (await once(child, 'close')) as typeof result;
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    const message = missing
      ? `Cannot find ${child.spawnfile}: install ffmpeg (Debian, Homebrew) or say where it is in LIVEDUB_FFMPEG`
      : `Cannot start ${child.spawnfile}`;
    throw new FfmpegError(message, { missing, cause });
  }
  const [code, signal] = result;
  if (code !== 0) throw new FfmpegError(`${program} ended with ${signal ?? `status ${code}`}`, { lines: lines() });
}

/** What ffprobe says about a file, as JSON; `args` choose what is asked. */
export const ffprobe = (path: string, args: readonly string[], scope: Scope): Promise<unknown> =>
  ffprobeInput(inputFile(path), args, undefined, scope);

/** The same about any input: its arguments with `-i`, and what goes into its `pipe:0`. */
export async function ffprobeInput(
  input: readonly string[],
  args: readonly string[],
  bytes: Uint8Array | undefined,
  scope: Scope,
): Promise<unknown> {
  const own = scope.child('ffprobe');
  try {
    const { stdout, stdin, done } = run(
      'ffprobe',
      ['-hide_banner', '-loglevel', 'error', '-of', 'json', ...args, ...input],
      own,
    );
    if (bytes) stdin.end(bytes);
    const [text] = await Promise.all([textOf(stdout), done]);
    return JSON.parse(text) as unknown;
  } catch (failure) {
    scope.signal.throwIfAborted();
    throw failure;
  } finally {
    await own.close();
  }
}

/** FFmpeg's version, e.g. `5.1.9-0+deb12u1`; fails when it is missing or too old. */
export async function ffmpegVersion(scope: Scope): Promise<string> {
  const own = scope.child('ffmpeg -version');
  try {
    const { stdout, done } = run('ffmpeg', ['-version'], own);
    const [text] = await Promise.all([textOf(stdout), done]);
    const version = /^ffmpeg version (\S+)/.exec(text)?.[1] ?? 'unknown';
    // Builds from git are called N-… and are newer than any release.
    const major = Number(/^n?(\d+)\./.exec(version)?.[1] ?? OLDEST);
    if (major < OLDEST) throw new FfmpegError(`FFmpeg ${version} is too old: ${OLDEST}.0 or newer is needed`);
    return version;
  } finally {
    await own.close();
  }
}

async function textOf(stream: Readable): Promise<string> {
  let text = '';
  for await (const part of stream.setEncoding('utf8')) text += part as string;
  return text;
}
