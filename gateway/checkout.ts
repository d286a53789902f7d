import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './root.ts';

/** Set-up is plain JavaScript, since it runs before there is a compiler; this is its only typed entrance. */
const load = (file: string) => import(pathToFileURL(join(root, 'gateway', file)).href) as Promise<unknown>;

/** `$LIVEDUB_CACHE`, else `~/.cache/livedub`: what is made once for every checkout. It may not exist yet. */
export async function cacheRoot(): Promise<string> {
  return ((await load('setup/cache.mjs')) as { cacheRoot(): string }).cacheRoot();
}

/**
 * The mediasoup worker's program, or `undefined` when set-up has not made it yet. Only looks.
 *
 * mediasoup reads `MEDIASOUP_WORKER_BIN` when it is first imported, so set it before.
 */
export async function workerPath(): Promise<string | undefined> {
  return ((await load('mediasoup-worker/ensure-worker.mjs')) as { workerPath(): string | undefined }).workerPath();
}
