import { cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

/** A copy of a directory of `test/fixtures` in which what was packed is unpacked; the copy is the caller's to remove. */
export function unpacked(name: string): { readonly directory: string; readonly remove: () => void } {
  const directory = mkdtempSync(join(tmpdir(), `livedub-${name}-`));
  cpSync(fileURLToPath(new URL(`../fixtures/${name}`, import.meta.url)), directory, { recursive: true });
  for (const file of readdirSync(directory).filter((each) => each.endsWith('.gz'))) {
    writeFileSync(join(directory, file.slice(0, -3)), gunzipSync(readFileSync(join(directory, file))));
  }
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) };
}
