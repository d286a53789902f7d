import os from 'node:os';
import path from 'node:path';

/**
 * Where Livedub keeps what it made once and every checkout may use: the mediasoup worker, the sample programme.
 *
 * `$LIVEDUB_CACHE`, else `livedub` in `$XDG_CACHE_HOME` or `~/.cache`. Everything in it can be deleted.
 */
export function cacheRoot(env = process.env, home = os.homedir()) {
  if (env.LIVEDUB_CACHE) return path.resolve(env.LIVEDUB_CACHE);
  return path.join(env.XDG_CACHE_HOME || path.join(home, '.cache'), 'livedub');
}
