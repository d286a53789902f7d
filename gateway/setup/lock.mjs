import { randomUUID } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A lock left by a machine we cannot ask (a cache on a network disk) counts as abandoned after this many milliseconds. */
const ABANDONED = 60 * 60_000;

/**
 * Runs `work` while no other process runs work under the same `file`, and waits for its turn.
 *
 * The lock is a file that names its owner. One whose owner is no longer alive is taken over, so a killed set-up
 * blocks nobody.
 *
 * @param onWait called once when somebody else holds it, with who
 */
export async function locked(file, work, onWait = () => {}) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const own = `${file}.${randomUUID()}`;
  fs.writeFileSync(own, JSON.stringify({ pid: process.pid, host: os.hostname() }));
  let told = false;
  try {
    while (!take(own, file)) {
      const owner = ownerOf(file);
      if (owner && abandoned(owner)) {
        release(file, owner);
        continue;
      }
      if (!told && owner) onWait(`process ${owner.pid}`);
      told = true;
      await sleep(200);
    }
  } finally {
    fs.rmSync(own, { force: true });
  }
  try {
    return await work();
  } finally {
    fs.rmSync(file, { force: true });
  }
}

/** A hard link is made whole or not at all, so the file has its owner's name from its first moment. */
function take(own, file) {
  try {
    fs.linkSync(own, file);
    return true;
  } catch (thrown) {
    if (thrown.code === 'EEXIST') return false;
    throw thrown;
  }
}

function ownerOf(file) {
  try {
    return { ...JSON.parse(fs.readFileSync(file, 'utf8')), since: fs.statSync(file).mtimeMs };
  } catch {
    return undefined; // released between our two looks
  }
}

/** Whether the lock's owner can no longer release it. */
export function abandoned({ pid, host, since }, here = os.hostname(), now = Date.now()) {
  if (host !== here) return now - since > ABANDONED;
  try {
    process.kill(pid, 0);
    return false;
  } catch (thrown) {
    return thrown.code === 'ESRCH';
  }
}

/** Takes an abandoned lock away. Of several who try, one moves it; who moved a fresh one by mistake puts it back. */
function release(file, owner) {
  const aside = `${file}.abandoned.${randomUUID()}`;
  try {
    fs.renameSync(file, aside);
    if (ownerOf(aside)?.pid !== owner.pid) fs.linkSync(aside, file);
  } catch {
    // Somebody was quicker: look again.
  }
  fs.rmSync(aside, { force: true });
}
