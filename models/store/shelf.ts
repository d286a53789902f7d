import { readdir, stat } from 'node:fs/promises';
import { basename, join, sep } from 'node:path';
import { type Expected, wrongHash } from './partial-file.ts';
import { hashOf } from './store.ts';
import { StoreError, codeOf } from './store-error.ts';
import type { ModelCard, ModelFile } from './weights.ts';

interface Book {
  readonly path: string;
  /** Below the directory that was given, with `/`. */
  readonly place: string;
  readonly bytes: number;
}

/** Files that somebody has fetched already, in whatever order they lie: a copied store, a USB stick, a download folder. */
export class Shelf {
  readonly #folder: string;
  readonly #books: readonly Book[];

  private constructor(folder: string, books: readonly Book[]) {
    this.#folder = folder;
    this.#books = books;
  }

  /** Looks at every file below `folder`. Links to files are followed, links to directories are not. */
  static async open(folder: string, signal: AbortSignal): Promise<Shelf> {
    const books: Book[] = [];
    try {
      for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
        signal.throwIfAborted();
        if (!entry.isFile() && !entry.isSymbolicLink()) continue;
        const path = join(entry.parentPath, entry.name);
        const about = await stat(path).catch(() => undefined);
        if (!about?.isFile()) continue;
        books.push({ path, place: path.slice(join(folder, '/').length).split(sep).join('/'), bytes: about.size });
      }
    } catch (thrown) {
      signal.throwIfAborted();
      const why = codeOf(thrown) === 'ENOENT' ? 'there is no such directory' : String(thrown);
      throw new StoreError('absent', `Nothing can be taken from ${folder}: ${why}.`, 'Check --from.', {
        cause: thrown,
      });
    }
    return new Shelf(folder, books);
  }

  /**
   * The path of a model's file: one named by its hash, as in a store; `<name>/<file>` anywhere; one of the same name
   * anywhere; one of the same size anywhere. Of what has a known hash only the file with that hash will do; of what has
   * none, the best of these names must be there once.
   *
   * @throws StoreError `absent`, `checksum`
   */
  async find(card: ModelCard, file: ModelFile, expected: Expected | undefined, signal: AbortSignal): Promise<string> {
    const what = `${card.name}: ${file.name}`;
    const ends = (tail: string) => this.#books.filter(({ place }) => `/${place}`.endsWith(`/${tail}`));
    const named = [ends(`${card.name}/${file.name}`), ends(file.name), ends(basename(file.name))];
    if (expected) {
      let other: { path: string; got: string } | undefined;
      const sized = this.#books.filter(({ bytes }) => bytes === file.bytes);
      for (const { path, bytes } of new Set([...ends(expected.sha256), ...named.flat(), ...sized])) {
        if (file.bytes !== undefined && bytes !== file.bytes) continue;
        const got = await hashOf(path, signal);
        if (got === expected.sha256) return path;
        other ??= { path, got };
      }
      if (other) throw wrongHash(what, card.name, other.path, other.got, expected);
      throw this.#absent(card, file, expected.sha256);
    }
    const right = named.map((books) => books.filter(({ bytes }) => file.bytes === undefined || bytes === file.bytes));
    const [book, ...rest] = right.find((books) => books.length > 0) ?? [];
    if (!book) throw this.#absent(card, file);
    if (rest.length > 0)
      throw new StoreError(
        'absent',
        `${what} could be each of ${[book, ...rest].map(({ path }) => path).join(', ')}, and its hash is not known.`,
        `Put the right one at ${join(this.#folder, card.name, file.name)}.`,
      );
    return book.path;
  }

  #absent(card: ModelCard, file: ModelFile, sha256?: string): StoreError {
    const named = [sha256, `${card.name}/${file.name}`, basename(file.name)].filter(Boolean).join(', ');
    const size = file.bytes === undefined ? '' : ` of ${file.bytes} bytes`;
    return new StoreError(
      'absent',
      `${card.name}: ${file.name} is nowhere below ${this.#folder}; looked for ${named}${size}.`,
      `Fetch it from ${file.url} and put it there.`,
    );
  }
}
