import { realpath, stat } from 'node:fs/promises';
import { resolve, sep } from 'node:path';
import { refuse } from './refusal.ts';

/**
 * The real path of a media file that a session may play: below one of `roots` after every link and `..` is followed.
 *
 * A relative path is looked up in each root in turn. What lies outside is refused in the same words as what is not
 * there, so that nobody learns what else is on the machine.
 */
export async function confined(path: string, roots: readonly string[], field = 'source.path'): Promise<string> {
  if (roots.length === 0) {
    throw refuse(
      'unsupported',
      'This gateway plays no files.',
      field,
      'Set files.roots (LIVEDUB_FILES_ROOTS) to the directories it may play from.',
    );
  }
  if (path.includes('\0')) throw refuse('invalid', `'${field}' holds a zero byte.`, field, 'Give the path of a file.');
  for (const root of roots) {
    const home = await realpath(root).catch(() => undefined);
    const real = home && (await realpath(resolve(home, path)).catch(() => undefined));
    if (!real?.startsWith(home === sep ? sep : home + sep)) continue;
    if ((await stat(real)).isFile()) return real;
    throw refuse('invalid', `'${path}' is not a file.`, field, 'Name a media file, not a directory or device.');
  }
  throw refuse(
    'invalid',
    `There is no file '${path}' below the directories this gateway plays from.`,
    field,
    'Check the name, or add its directory to files.roots.',
  );
}
