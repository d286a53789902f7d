import fs from 'node:fs';
import path from 'node:path';
import { run } from './child.mjs';
import { Trouble } from './trouble.mjs';

/**
 * Why what npm installed is not what the lock file says, or `undefined` when it is.
 *
 * @param wanted parsed `package-lock.json`
 * @param installed parsed `node_modules/.package-lock.json`, which npm writes at the end of every installation
 */
export function outdated(wanted, installed) {
  if (!installed) return 'not installed yet';
  const have = installed.packages ?? {};
  const want = wanted.packages ?? {};
  for (const [where, entry] of Object.entries(want)) {
    if (where === '') continue;
    const found = have[where];
    // Another platform's binaries, and peers nobody asked for, are in the lock file but not on disk.
    if (!found && (entry.optional || entry.devOptional || entry.peer)) continue;
    if (!found) return `${where} is missing`;
    if (found.version !== entry.version || found.integrity !== entry.integrity) {
      return `${where} is ${found.version}, not ${entry.version}`;
    }
  }
  const stray = Object.keys(have).find((where) => !want[where]);
  return stray && `${stray} is no longer wanted`;
}

const json = (file) => (fs.existsSync(file) ? JSON.parse(fs.readFileSync(file, 'utf8')) : undefined);

export const modulesOutdated = (root) =>
  outdated(json(path.join(root, 'package-lock.json')), json(path.join(root, 'node_modules/.package-lock.json')));

/** The package a line of npm's own report is about, or `undefined`; npm reports some more than once. */
export const tarballOf = (line) => line.match(/ http (?:fetch|cache) .*?(https?:\S+\.tgz)/)?.[1];

/**
 * `npm ci` that needs the npm registry and nothing else.
 *
 * mediasoup's own install script fetches from GitHub and fails the whole installation without it, so no package's
 * script is run (`.npmrc` says so too); `gateway/mediasoup-worker` does its work. No other dependency needs one.
 */
export async function installModules(root, say) {
  // `npm run` names the npm it is; a bare `node gateway/setup/setup.mjs` takes the one on the path.
  const own = process.env.npm_execpath;
  const [command, first] = own && /npm-cli\.c?js$/.test(own) ? [process.execPath, [own]] : ['npm', []];
  const args = ['ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund', '--loglevel=http'];
  const total = Object.keys(json(path.join(root, 'package-lock.json')).packages).length - 1;
  const fetched = new Set();
  say(`${total} packages`);
  try {
    await run(command, [...first, ...args], {
      cwd: root,
      onLine: (line) => {
        const url = tarballOf(line);
        if (url === undefined) return;
        fetched.add(url);
        say(`${fetched.size} of ${total} packages`, Math.min(1, fetched.size / total));
      },
    });
  } catch (cause) {
    throw new Trouble(`npm ci failed: ${cause.message}`, 'npm ci --ignore-scripts', { cause });
  }
}
