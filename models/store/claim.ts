import { createHash, randomBytes } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../media/clock.ts';
import { later, ms } from '../../media/time.ts';
import { codeOf } from './store-error.ts';

/** Whoever holds a claim says so this often. */
const HEARTBEAT = 20_000;
/** A claim that has been silent for this many milliseconds is nobody's. */
const SILENCE = 120_000;
/** The file whose time stamp is the heartbeat. */
const PULSE = 'alive';

/** One thing at a time on this machine; process numbers mean something only within one. */
const here = createHash('sha256').update(`${hostname()} ${processNumbers()}`).digest('hex').slice(0, 8);
function processNumbers(): string {
  try {
    return readlinkSync('/proc/self/ns/pid');
  } catch {
    return '';
  }
}

/** A directory that is one process's until it lets go of it. */
export interface Claim {
  readonly directory: string;
  /** Aborts when another process had reason to believe that this one is gone, and took over. */
  readonly lost: AbortSignal;
  /** Lets go and leaves what is in the directory to the next who claims the same key. */
  release(): Promise<void>;
  /** Lets go and deletes the directory. */
  drop(): Promise<void>;
}

interface World {
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Called once if somebody else has it. */
  readonly onWait?: () => void;
}

/**
 * Waits until nobody else holds `key` and takes it: a directory `<folder>/<key>~<machine>~<process>~<random>`.
 *
 * There is no lock file to be left behind. One makes one's own directory first and looks for those of others then, so
 * of two at once at most one can see nobody, which is the one that goes on; who sees somebody steps back and tries
 * again. A holder that was killed is known by its process number, one on another machine by its silence.
 *
 * @param inherit names of files that are taken over from a holder that is gone, the largest where there are several
 */
export async function claim(folder: string, key: string, world: World, inherit: readonly string[] = []) {
  const { signal, clock } = world;
  await mkdir(folder, { recursive: true });
  for (let waited = false; ; waited = true) {
    signal.throwIfAborted();
    const directory = join(folder, `${key}~${here}~${process.pid}~${randomBytes(4).toString('hex')}`);
    await mkdir(directory);
    try {
      await writeFile(join(directory, PULSE), '.');
      const others = await othersOf(folder, key, directory);
      if (!others.some(({ living }) => living)) {
        await takeOver(directory, others, inherit);
        return held(directory, join(folder, `${key}~free~0~${randomBytes(4).toString('hex')}`));
      }
      await rm(directory, { recursive: true, force: true });
    } catch (thrown) {
      await rm(directory, { recursive: true, force: true });
      throw thrown;
    }
    if (!waited) world.onWait?.();
    await clock.until(later(clock.now(), ms(150 + Math.random() * 200)), signal);
  }
}

interface Other {
  readonly directory: string;
  readonly living: boolean;
}

/** Claims on `key` besides `own`. Their silence is measured by the time stamps of the file system that they share. */
async function othersOf(folder: string, key: string, own: string): Promise<Other[]> {
  const now = (await stat(join(own, PULSE))).mtimeMs;
  const others: Other[] = [];
  for (const name of await readdir(folder)) {
    const directory = join(folder, name);
    if (!name.startsWith(`${key}~`) || directory === own) continue;
    const [, machine, pid] = name.split('~');
    const pulse = await stat(join(directory, PULSE)).catch(() => stat(directory).catch(() => undefined));
    // Gone between our two looks.
    if (!pulse) continue;
    const silent = machine === 'free' || now - pulse.mtimeMs > SILENCE;
    others.push({ directory, living: !silent && (machine !== here || runs(Number(pid))) });
  }
  return others;
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (thrown) {
    // EPERM: it runs, and is somebody else's.
    return codeOf(thrown) !== 'ESRCH';
  }
}

/** Moves the files of the richest of the claims that are gone into ours, and deletes the rest. */
async function takeOver(directory: string, gone: readonly Other[], inherit: readonly string[]): Promise<void> {
  const sizes = await Promise.all(
    gone.map(async (other) => {
      const files = inherit.map((name) => stat(join(other.directory, name)).catch(() => undefined));
      return { ...other, size: (await Promise.all(files)).reduce((sum, file) => sum + (file?.size ?? 0), 0) };
    }),
  );
  const [richest, ...rest] = sizes.sort((a, b) => b.size - a.size);
  for (const name of richest ? inherit : []) {
    await rename(join(richest?.directory ?? '', name), join(directory, name)).catch((thrown: unknown) => {
      if (codeOf(thrown) !== 'ENOENT') throw thrown;
    });
  }
  for (const other of richest ? [richest, ...rest] : []) await rm(other.directory, { recursive: true, force: true });
}

function held(directory: string, free: string): Claim {
  const lost = new AbortController();
  const beat = async () => {
    try {
      // In place: a full disk must not make us look dead.
      const pulse = await open(join(directory, PULSE), 'r+');
      await pulse.write('.', 0).finally(() => pulse.close());
    } catch (thrown) {
      if (codeOf(thrown) === 'ENOENT' && !over) lost.abort(new Error(`Another process took over ${directory}`));
    }
  };
  let over = false;
  const timer = setInterval(() => void beat(), HEARTBEAT).unref();
  const end = async (how: () => Promise<void>) => {
    if (over) return;
    over = true;
    clearInterval(timer);
    await how();
  };
  return {
    directory,
    lost: lost.signal,
    release: () =>
      end(() =>
        rename(directory, free).catch((thrown: unknown) => {
          if (codeOf(thrown) !== 'ENOENT') throw thrown;
        }),
      ),
    drop: () => end(() => rm(directory, { recursive: true, force: true })),
  };
}

/** Bytes that `file` has in claims on `key`, whoever holds them. */
export async function claimedBytes(folder: string, key: string, file: string): Promise<number> {
  const names = await readdir(folder).catch(() => []);
  const sizes = names
    .filter((name) => name.startsWith(`${key}~`))
    .map(async (name) => (await stat(join(folder, name, file)).catch(() => undefined))?.size ?? 0);
  return Math.max(0, ...(await Promise.all(sizes)));
}
