#!/usr/bin/env node
// Makes a clone ready to run: `npm run setup`. Does what is missing and nothing else, so it can always be run again.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureWorker, workerPath } from '../mediasoup-worker/ensure-worker.mjs';
import { locked } from './lock.mjs';
import { installModules, modulesOutdated } from './modules.mjs';
import { RUN_PACKAGES, TEST_PACKAGES, installPackages, missingFormulae, missingPackages } from './packages.mjs';
import { Progress } from './progress.mjs';
import { Trouble, program } from './trouble.mjs';

export const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');

/** Whether `version` (`20.19.1`) is at least `wanted` (`>=20.19`). */
export function satisfies(version, wanted) {
  const numbers = (text) =>
    text
      .replace(/^[^\d]*/, '')
      .split('.')
      .map(Number);
  const [have, want] = [numbers(version), numbers(wanted)];
  for (const [i, n] of want.entries()) if ((have[i] ?? 0) !== n) return (have[i] ?? 0) > n;
  return true;
}

function checkNode() {
  const wanted = JSON.parse(fs.readFileSync(path.join(root, 'package.json'), 'utf8')).engines.node;
  if (satisfies(process.versions.node, wanted)) return;
  throw new Trouble(`Node ${wanted} is needed and this is ${process.versions.node}.`, 'https://nodejs.org/en/download');
}

/** What has to be installed by the system, with how; nothing where that cannot be known. */
function systemStep(test) {
  // For other systems, where a person has installed the same under other names; `livedub doctor` then tells what lacks.
  if (process.env.LIVEDUB_SKIP_PACKAGES) return undefined;
  if (process.platform === 'darwin') {
    const formulae = missingFormulae();
    if (formulae.length === 0) return undefined;
    const also = 'Apertium with apertium-eng-spa: https://wiki.apertium.org/wiki/Installation';
    throw new Trouble(
      'Some libraries are missing.',
      `brew install ${formulae.join(' ')}\n${also}\nthen again with LIVEDUB_SKIP_PACKAGES=1`,
    );
  }
  const names = missingPackages([...RUN_PACKAGES, ...(test ? TEST_PACKAGES : [])]);
  if (!names) {
    const list = RUN_PACKAGES.join(' ');
    throw new Trouble(
      'This system has no dpkg.',
      `install what Debian calls: ${list}\nthen again with LIVEDUB_SKIP_PACKAGES=1`,
    );
  }
  if (names.length === 0) return undefined;
  return { title: 'Debian packages', work: (say) => installPackages(names, say) };
}

/**
 * Debian packages, npm packages and the mediasoup worker: whatever of them is missing. Nothing is said when nothing is.
 *
 * Two set-ups of the same clone take turns.
 *
 * @param options.test also what the tests need: Chromium and Redis
 * @param options.more steps to do afterwards, `{ title, work(say) }`, counted with the others
 * @returns the mediasoup worker's path
 */
export async function setUp({ test = false, more = [] } = {}) {
  checkNode();
  const steps = () =>
    [
      systemStep(test),
      modulesOutdated(root) && { title: 'npm packages', work: (say) => installModules(root, say) },
      !workerPath() && { title: 'mediasoup worker', work: (say) => ensureWorker({ say }) },
      ...more.map((step) => step()),
    ].filter(Boolean);
  if (steps().length > 0) {
    const lock = path.join(root, '.cache/setup.lock');
    const wait = (who) => console.error(`Waiting for another set-up of this clone (${who}) …`);
    await locked(
      lock,
      async () => {
        const todo = steps();
        const progress = new Progress({ total: todo.length });
        for (const { title, work } of todo) await progress.step(title, work);
      },
      wait,
    );
  }
  return workerPath();
}

if (process.argv[1] && fs.realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  await program(async () => {
    const start = performance.now();
    const worker = await setUp({ test: process.argv.includes('--test') });
    console.log(
      `Everything is there (${((performance.now() - start) / 1000).toFixed(1)} s); mediasoup worker: ${worker}`,
    );
  });
}
