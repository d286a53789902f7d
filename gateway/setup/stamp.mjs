import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';

/**
 * One hash over the names and contents of files: different as soon as one is changed, added, removed or renamed.
 *
 * @param root what names are relative to
 * @param places files and directories below it; those that do not exist count as empty
 * @param wanted which files of a directory count, by name relative to `root`
 */
export function stampOf(root, places, wanted = () => true) {
  const hash = createHash('sha256');
  for (const name of filesOf(root, places).filter(wanted)) {
    const content = fs.readFileSync(path.join(root, name));
    hash.update(`${name}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/** The files below `places`, in an order that is the same everywhere. */
export function filesOf(root, places) {
  const found = places.flatMap((place) => {
    const full = path.join(root, place);
    if (!fs.existsSync(full)) return [];
    if (fs.statSync(full).isFile()) return [place];
    return fs
      .readdirSync(full, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
      .filter((name) => !name.split(path.sep).includes('node_modules'));
  });
  return [...new Set(found)].sort();
}

export const readStamp = (file) => (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : undefined);

/** Written last, so that what was interrupted is done again. */
export function writeStamp(file, stamp) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(`${file}.${process.pid}`, stamp);
  fs.renameSync(`${file}.${process.pid}`, file);
}
