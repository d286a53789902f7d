import { fileURLToPath } from 'node:url';

/**
 * The file Node can start for a module of ours: a worker thread's or a child process's entry.
 *
 * Built code (`dist/…/x.js`) finds its neighbour; code run from source (by Vitest) finds the built twin of its
 * neighbour, since Node 20 does not read TypeScript. `npm run build` makes it.
 */
export function entry(specifier: string, from: string): string {
  const url = new URL(specifier.replace(/\.ts$/, '.js'), from);
  if (!from.endsWith('.ts')) return fileURLToPath(url);
  const root = new URL('..', import.meta.url);
  return fileURLToPath(new URL(`dist/${url.href.slice(root.href.length)}`, root));
}
