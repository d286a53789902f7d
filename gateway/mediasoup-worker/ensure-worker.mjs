#!/usr/bin/env node
// Finds, downloads or builds the mediasoup worker: the C++ program that carries WebRTC.
//
//   node gateway/mediasoup-worker/ensure-worker.mjs [--rebuild]    prints its path on stdout
//
// npm's mediasoup package has its sources only. Its own installer fetches a finished one from GitHub or builds with
// what it fetches from GitHub and PyPI; where neither can be reached, `CMakeLists.txt` here builds it from the npm
// package's sources against Debian's libraries.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheRoot } from '../setup/cache.mjs';
import { run } from '../setup/child.mjs';
import { locked } from '../setup/lock.mjs';
import { BUILD_PACKAGES, RUN_PACKAGES, installPackages, missingPackages } from '../setup/packages.mjs';
import { Progress } from '../setup/progress.mjs';
import { Trouble, program } from '../setup/trouble.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
const root = path.resolve(here, '../..');
const MEDIASOUP = path.join(root, 'node_modules/mediasoup');

/** What a good worker exits with when it is started without its environment; mediasoup's installer asks the same. */
const SALUTE = 41;
/** Milliseconds for the download's first byte, and for all of it. Off the net it fails at once. */
const FIRST_BYTE = 4_000;
const WHOLE = 30_000;
/** Memory one compiler takes, bytes; as many run at once as fit. */
const COMPILER = 1e9;

const runs = (file) =>
  fs.existsSync(file) && spawnSync(file, { env: {}, stdio: 'ignore', timeout: 20_000 }).status === SALUTE;

/** mediasoup's version by the lock file, so that the question can be asked before `npm ci`. */
function version() {
  const lock = JSON.parse(fs.readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  return lock.packages['node_modules/mediasoup'].version;
}

/**
 * Where this machine's worker is cached.
 *
 * The name holds all that decides whether a binary fits: mediasoup's version, the platform, the system's release
 * (its libraries) and the recipe.
 */
export function cacheSlot() {
  const hash = createHash('sha256');
  for (const file of ['CMakeLists.txt', 'shim/srtp.h', 'shim/openssl/bio.h'])
    hash.update(fs.readFileSync(path.join(here, file)));
  const release = fs.existsSync('/etc/os-release') ? fs.readFileSync('/etc/os-release', 'utf8') : '';
  hash.update(['ID', 'VERSION_ID'].map((key) => release.match(new RegExp(`^${key}=.*$`, 'm'))?.[0]).join());
  const name = `${version()}-${process.platform}-${process.arch}-${hash.digest('hex').slice(0, 12)}`;
  return path.join(cacheRoot(), 'mediasoup-worker', name, 'mediasoup-worker');
}

/**
 * The worker that is there, or `undefined`. Only looks: takes a few tens of milliseconds and changes nothing.
 *
 * `$MEDIASOUP_WORKER_BIN`, else what mediasoup's own installer left in `node_modules`, else the cache.
 *
 * @throws Trouble when `$MEDIASOUP_WORKER_BIN` is set and does not run
 */
export function workerPath() {
  const given = process.env.MEDIASOUP_WORKER_BIN;
  if (given) {
    if (runs(given)) return path.resolve(given);
    throw new Trouble(`MEDIASOUP_WORKER_BIN=${given} does not run on this machine.`, 'unset MEDIASOUP_WORKER_BIN');
  }
  return [path.join(MEDIASOUP, 'worker/out/Release/mediasoup-worker'), cacheSlot()].find(runs);
}

/**
 * The worker, made if it is not there: mediasoup's finished one from GitHub, else built (some minutes of every core).
 *
 * Needs `node_modules`. Safe when several processes ask at once: one makes it, the others wait for it.
 *
 * @param options.say called with what is being done and how far it is, 0 to 1
 * @param options.rebuild build it although there is one, e.g. after a security update of a library it contains
 */
export async function ensureWorker({ say = () => {}, rebuild = false } = {}) {
  const slot = cacheSlot();
  const found = rebuild ? undefined : workerPath();
  if (found) return found;
  return locked(
    `${path.dirname(slot)}.lock`,
    async () => {
      if (!rebuild && runs(slot)) return slot;
      if (!rebuild && fs.existsSync(slot)) {
        // Built on another machine with the same system: what it lacks here is a shared library.
        const missing = missingPackages(RUN_PACKAGES) ?? [];
        if (missing.length) await installPackages(missing, say);
        if (runs(slot)) return slot;
      }
      const work = fs.mkdtempSync(path.join(os.tmpdir(), 'livedub-worker-'));
      try {
        const skip = rebuild || process.env.MEDIASOUP_SKIP_WORKER_PREBUILT_DOWNLOAD;
        return keep((skip ? undefined : await download(work, say)) ?? (await build(work, say)), slot);
      } finally {
        fs.rmSync(work, { recursive: true, force: true });
      }
    },
    (who) => say(`waiting for ${who}, which is making it`),
  );
}

/** Whole or not at all. */
function keep(file, slot) {
  fs.mkdirSync(path.dirname(slot), { recursive: true });
  const fresh = `${slot}.${process.pid}`;
  fs.copyFileSync(file, fresh);
  fs.chmodSync(fresh, 0o755);
  fs.renameSync(fresh, slot);
  return slot;
}

/** mediasoup's release for this machine, or `undefined` when it cannot be had soon or does not run here. */
async function download(work, say) {
  const kernel = process.platform === 'linux' ? `-kernel${os.release().split('.')[0]}` : '';
  const base =
    process.env.MEDIASOUP_WORKER_PREBUILT_DOWNLOAD_BASE_URL ??
    'https://github.com/versatica/mediasoup/releases/download';
  const url = `${base}/${version()}/mediasoup-worker-${version()}-${process.platform}-${process.arch}${kernel}.tgz`;
  say('asking GitHub for a finished one');
  const patience = new AbortController();
  const first = setTimeout(() => patience.abort(new Error('no answer')), FIRST_BYTE);
  const whole = setTimeout(() => patience.abort(new Error('too slow')), WHOLE);
  try {
    const answer = await fetch(url, { signal: patience.signal });
    clearTimeout(first);
    if (!answer.ok) return undefined;
    const input = Buffer.from(await answer.arrayBuffer());
    spawnSync('tar', ['-xzf', '-', '-C', work, 'mediasoup-worker'], { input });
    const file = path.join(work, 'mediasoup-worker');
    return runs(file) ? file : undefined;
  } catch {
    return undefined; // offline, blocked or slow: it is built instead
  } finally {
    clearTimeout(first);
    clearTimeout(whole);
  }
}

/** How far ninja is, 0 to 1, from a line like `[12/228] Building …`. */
export function ninjaFraction(line) {
  const [, done, total] = line.match(/^\[(\d+)\/(\d+)\]/) ?? [];
  return total ? Number(done) / Number(total) : undefined;
}

async function build(work, say) {
  const missing = missingPackages(BUILD_PACKAGES) ?? [];
  if (missing.length)
    await installPackages(missing, (text, fraction) => say(`compiler and libraries: ${text}`, fraction));
  const out = path.join(work, 'build');
  const jobs = Math.max(1, Math.min(os.availableParallelism(), Math.floor(os.freemem() / COMPILER)));
  say('building it from source, once (some minutes)', 0);
  try {
    await run('cmake', ['-G', 'Ninja', '-S', here, '-B', out, `-DMEDIASOUP_DIR=${MEDIASOUP}`]);
    await run('cmake', ['--build', out, '--parallel', String(jobs)], {
      onLine: (line) => {
        const fraction = ninjaFraction(line);
        if (fraction !== undefined) say('building it from source, once', fraction);
      },
    });
  } catch (cause) {
    throw new Trouble(
      `The mediasoup worker could not be built: ${cause.message}`,
      'see CONTRIBUTING.md, "The mediasoup worker"',
      { cause },
    );
  }
  const file = path.join(out, 'mediasoup-worker');
  if (!runs(file)) throw new Trouble('The mediasoup worker was built but does not start.', `${file}`);
  return file;
}

if (process.argv[1] && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await program(async () => {
    const rebuild = process.argv.includes('--rebuild');
    const file =
      (rebuild ? undefined : workerPath()) ??
      (await new Progress().step('mediasoup worker', (say) => ensureWorker({ say, rebuild })));
    console.log(file);
  });
}
