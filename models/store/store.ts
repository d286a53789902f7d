import { createHash, randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import {
  access,
  chmod,
  mkdir,
  readFile,
  readdir,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { z } from 'zod';
import type { Clock } from '../../media/clock.ts';
import { type Claim, claim, claimedBytes } from './claim.ts';
import { writeTrouble } from './free-space.ts';
import { BODY, type Expected, HEAD } from './partial-file.ts';
import { codeOf } from './store-error.ts';
import { type ModelCard, type ModelFile, storeRoot } from './weights.ts';

/**
 * `present`: every file is there and is what the card names. `outdated`: there, but the card names newer files.
 * `partial`: something of it is there. `absent`: nothing is.
 */
export type Presence = 'present' | 'outdated' | 'partial' | 'absent';
export interface Holding {
  readonly presence: Presence;
  /** Bytes of it on the disk. */
  readonly bytes: number;
  /** Bytes of the whole, where that is known. */
  readonly of: number | undefined;
}

/** What `verify` found out about one file. */
export interface Finding {
  readonly model: string;
  readonly file: string;
  readonly state: 'right' | 'wrong' | 'missing' | 'recorded';
  /** What is wrong, and what was done about it; empty when nothing is. */
  readonly what: string;
  readonly fix: string;
}

export interface StoreScope {
  readonly signal: AbortSignal;
  readonly clock: Clock;
  /** Called when another process has to finish first. */
  readonly onWait?: () => void;
}

const FileRecord = z.object({ url: z.string(), sha256: z.string(), bytes: z.number() });
type FileRecord = z.infer<typeof FileRecord>;
const Acceptance = z.object({ licence: z.string() });

/** SHA-256 of a file, as 64 hexadecimal digits. */
export async function hashOf(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const bytes of createReadStream(path, { highWaterMark: 1 << 20, signal })) hash.update(bytes as Buffer);
  return hash.digest('hex');
}
/** The hash of a file that may not be there. */
async function hashIfThere(path: string, signal: AbortSignal): Promise<string | undefined> {
  return hashOf(path, signal).catch((thrown: unknown) => {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(codeOf(thrown) ?? '')) return undefined;
    throw thrown;
  });
}

const there = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );

async function json<T>(path: string, schema: z.ZodType<T>): Promise<T | undefined> {
  try {
    return schema.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined;
  }
}

/**
 * Where models are kept, so that a file is there once, is there whole, and is what its name says.
 *
 * ```
 * <root>/blobs/sha256/<hash>       files by their content, read-only
 * <root>/models/<name>/<file>      links to them; a model's directory appears whole or not at all
 * <root>/records/<name>/<file>.json  hashes of files that no card pins, as they were first fetched
 * <root>/accepted/<name>.json      terms that were accepted
 * <root>/partial/                  what is being fetched
 * ```
 *
 * Several processes may use one store: everything is put in its place by renaming, and what must not happen twice at
 * once is claimed (`claim.ts`).
 */
export class Store {
  readonly root: string;
  readonly #blobs: string;
  readonly #partial: string;

  constructor(root: string = storeRoot()) {
    this.root = root;
    this.#blobs = join(root, 'blobs', 'sha256');
    this.#partial = join(root, 'partial');
  }

  /** Where a file with this content lies or will lie. */
  blob(sha256: string): string {
    return join(this.#blobs, sha256);
  }
  /** Whether a file with this content is there. */
  holds(sha256: string): Promise<boolean> {
    return there(this.blob(sha256));
  }
  directory(card: ModelCard): string {
    return join(this.root, 'models', card.name);
  }

  /** What a file's hash must be: as its card says, else as it was when it was first fetched from the same address. */
  async expected(card: ModelCard, file: ModelFile): Promise<Expected | undefined> {
    if (file.sha256 !== undefined) return { sha256: file.sha256.toLowerCase(), by: 'pinned' };
    const record = await this.#record(card, file);
    return record && { sha256: record.sha256, by: 'recorded' };
  }

  /** Bytes of a file: as its card says, as was recorded, or as is there; nothing when nobody knows. */
  async size(card: ModelCard, file: ModelFile): Promise<number | undefined> {
    return file.bytes ?? (await this.#record(card, file))?.bytes;
  }

  async holding(card: ModelCard): Promise<Holding> {
    let [bytes, of, complete]: [number, number | undefined, number] = [0, 0, 0];
    let older = false;
    for (const file of card.files) {
      const path = join(this.directory(card), file.name);
      const expected = await this.expected(card, file);
      const placed = await stat(path).catch(() => undefined);
      const right = expected === undefined || (await this.#linked(path)) === expected.sha256;
      if (placed && right) complete++;
      // A file that somebody put there by hand is taken at its word until `verify`.
      else if (placed && (await this.#linked(path)) === undefined) complete++;
      else if (placed) older = true;
      const blob = expected && (await stat(this.blob(expected.sha256)).catch(() => undefined));
      const have = (blob ?? placed)?.size ?? (await claimedBytes(this.#partial, this.#key(file, expected), BODY));
      const size = (await this.size(card, file)) ?? (placed ? have : undefined);
      bytes += have;
      of = of === undefined || size === undefined ? undefined : of + size;
    }
    if (complete === card.files.length) return { presence: 'present', bytes, of };
    const whole = older && (await this.#everyFile(card));
    return { presence: whole ? 'outdated' : bytes > 0 ? 'partial' : 'absent', bytes, of };
  }

  /** The directory in which a file is put together, for one process at a time; what another left there is still there. */
  async workplace(file: ModelFile, expected: Expected | undefined, scope: StoreScope): Promise<Claim> {
    return this.#claim(this.#key(file, expected), scope, [BODY, HEAD]);
  }
  /** Bytes of a file that were fetched before and not finished. */
  async begun(file: ModelFile, expected: Expected | undefined): Promise<number> {
    return claimedBytes(this.#partial, this.#key(file, expected), BODY);
  }

  /** Takes in a file that is whole and right: `<directory>/body`, of this hash. */
  async keep(directory: string, sha256: string): Promise<void> {
    const body = join(directory, BODY);
    await mkdir(this.#blobs, { recursive: true });
    await chmod(body, 0o444);
    await rename(body, this.blob(sha256));
  }

  /**
   * Remembers what a file was when it was first fetched. Of two processes that fetch it at once, the first is right.
   *
   * @returns the hash that holds from now on
   */
  async record(card: ModelCard, file: ModelFile, sha256: string, bytes: number, scope: StoreScope): Promise<string> {
    const alone = await this.#alone(scope);
    try {
      const before = await this.#record(card, file);
      if (before) return before.sha256;
      const path = this.#recordPath(card, file);
      const made = join(alone.directory, 'record');
      await writeFile(made, `${JSON.stringify({ url: file.url, sha256, bytes } satisfies FileRecord)}\n`);
      await mkdir(dirname(path), { recursive: true });
      await rename(made, path);
      return sha256;
    } catch (thrown) {
      throw await writeTrouble(thrown, this.root, `the record of ${card.name}`, 0);
    } finally {
      await alone.drop();
    }
  }

  /**
   * Puts a model's directory in its place, if every one of its files is in the store.
   *
   * @returns the files that are not
   */
  async land(card: ModelCard, scope: StoreScope): Promise<readonly ModelFile[]> {
    const files = await Promise.all(
      card.files.map(async (file) => ({ file, sha256: (await this.expected(card, file))?.sha256 ?? '' })),
    );
    const alone = await this.#alone(scope);
    try {
      const lacking: ModelFile[] = [];
      for (const { file, sha256 } of files) if (sha256 === '' || !(await this.holds(sha256))) lacking.push(file);
      if (lacking.length > 0) return lacking;
      const target = this.directory(card);
      const made = join(alone.directory, 'made');
      await mkdir(made);
      for (const { file, sha256 } of files) {
        await mkdir(dirname(join(made, file.name)), { recursive: true });
        await symlink(relative(dirname(join(target, file.name)), this.blob(sha256)), join(made, file.name));
      }
      await mkdir(dirname(target), { recursive: true });
      await rename(target, join(alone.directory, 'before')).catch((thrown: unknown) => {
        if (codeOf(thrown) !== 'ENOENT') throw thrown;
      });
      await rename(made, target);
      return [];
    } catch (thrown) {
      throw await writeTrouble(thrown, this.root, card.name, 0);
    } finally {
      await alone.drop();
    }
  }

  /**
   * Reads every byte of a model again. A file that is not what it was is taken out of the store, so that no engine
   * loads it and pulling again mends it.
   */
  async *verify(card: ModelCard, scope: StoreScope): AsyncGenerator<Finding> {
    const pull = `livedub models pull ${card.name}`;
    for (const file of card.files) {
      const path = join(this.directory(card), file.name);
      const about = { model: card.name, file: file.name };
      const expected = await this.expected(card, file);
      const linked = await this.#linked(path);
      const got = await hashIfThere(path, scope.signal);
      if (got === undefined) {
        yield { ...about, state: 'missing', what: 'it is not there', fix: pull };
      } else if (linked !== undefined && linked !== got) {
        await this.#takeOut(linked, scope);
        const what = `its SHA-256 is ${got}, and ${linked} is what was fetched; it was taken out`;
        yield { ...about, state: 'wrong', what, fix: pull };
      } else if (expected && got !== expected.sha256) {
        const what = `its SHA-256 is ${got}, and ${expected.sha256} is ${expected.by}`;
        const fix = linked === undefined ? `livedub models remove ${card.name} && ${pull}` : pull;
        yield { ...about, state: 'wrong', what, fix };
      } else if (expected) {
        yield { ...about, state: 'right', what: '', fix: '' };
      } else {
        await this.record(card, file, got, (await stat(path)).size, scope);
        yield { ...about, state: 'recorded', what: `its SHA-256 ${got} is recorded from now on`, fix: '' };
      }
    }
  }

  /**
   * Deletes a model, what was fetched of it so far, and those of its files that no other model shares.
   *
   * @param forget the recorded hashes, too
   * @returns bytes that became free
   */
  async remove(card: ModelCard, scope: StoreScope, { forget = false } = {}): Promise<number> {
    let freed = 0;
    const alone = await this.#alone(scope);
    try {
      const own = new Set(await this.#linksBelow(this.directory(card)));
      for (const file of card.files) {
        const expected = await this.expected(card, file);
        if (expected) own.add(expected.sha256);
      }
      await rename(this.directory(card), join(alone.directory, 'before')).catch((thrown: unknown) => {
        if (codeOf(thrown) !== 'ENOENT') throw thrown;
      });
      const others = new Set(await this.#linksBelow(join(this.root, 'models')));
      for (const sha256 of own) {
        if (others.has(sha256)) continue;
        freed += (await stat(this.blob(sha256)).catch(() => undefined))?.size ?? 0;
        await rm(this.blob(sha256), { force: true });
      }
      for (const file of card.files) freed += await this.#discard(file, await this.expected(card, file), scope);
      if (forget) await rm(join(this.root, 'records', card.name), { recursive: true, force: true });
    } catch (thrown) {
      throw await writeTrouble(thrown, this.root, card.name, 0);
    } finally {
      await alone.drop();
    }
    return freed;
  }

  /** Whether somebody accepted the terms of this card in its present words. */
  async accepted(card: ModelCard): Promise<boolean> {
    return (await json(this.#acceptancePath(card), Acceptance))?.licence === card.licence;
  }
  async accept(card: ModelCard): Promise<void> {
    const path = this.#acceptancePath(card);
    const own = `${path}.${randomBytes(4).toString('hex')}`;
    try {
      await mkdir(dirname(path), { recursive: true });
      await writeFile(own, `${JSON.stringify({ licence: card.licence, home: card.home })}\n`);
      await rename(own, path);
    } catch (thrown) {
      throw await writeTrouble(thrown, this.root, `the licence of ${card.name}`, 0);
    }
  }

  /** For work that moves or deletes what other processes may count on. */
  #alone(scope: StoreScope): Promise<Claim> {
    return this.#claim('store', scope);
  }
  async #claim(key: string, scope: StoreScope, inherit: readonly string[] = []): Promise<Claim> {
    try {
      return await claim(this.#partial, key, scope, inherit);
    } catch (thrown) {
      throw await writeTrouble(thrown, this.root, 'a download', 0);
    }
  }

  /** The same content is fetched once, whoever wants it; of unknown content the address stands for it. */
  #key(file: ModelFile, expected: Expected | undefined): string {
    return expected?.sha256 ?? `url-${createHash('sha256').update(file.url).digest('hex').slice(0, 32)}`;
  }

  #recordPath(card: ModelCard, file: ModelFile): string {
    return join(this.root, 'records', card.name, `${file.name}.json`);
  }
  async #record(card: ModelCard, file: ModelFile): Promise<FileRecord | undefined> {
    const record = await json(this.#recordPath(card, file), FileRecord);
    return record?.url === file.url ? record : undefined;
  }
  #acceptancePath(card: ModelCard): string {
    return join(this.root, 'accepted', `${card.name}.json`);
  }

  /** The hash of the blob that `path` links to, if it is a link into this store. */
  async #linked(path: string): Promise<string | undefined> {
    const target = await readlink(path).catch(() => undefined);
    return target !== undefined && basename(dirname(target)) === 'sha256' ? basename(target) : undefined;
  }
  async #everyFile(card: ModelCard): Promise<boolean> {
    const all = await Promise.all(card.files.map(({ name }) => there(join(this.directory(card), name))));
    return all.every(Boolean);
  }
  async #linksBelow(folder: string): Promise<string[]> {
    const names = await readdir(folder, { recursive: true }).catch(() => []);
    const links = await Promise.all(names.map((name) => this.#linked(join(folder, name))));
    return links.filter((sha256) => sha256 !== undefined);
  }

  async #takeOut(sha256: string, scope: StoreScope): Promise<void> {
    const alone = await this.#alone(scope);
    try {
      // Perhaps somebody has put a right one there meanwhile.
      if ((await hashIfThere(this.blob(sha256), scope.signal)) !== sha256) await rm(this.blob(sha256), { force: true });
    } finally {
      await alone.drop();
    }
  }

  /** Deletes what was begun of a file, unless somebody is at it. */
  async #discard(file: ModelFile, expected: Expected | undefined, scope: StoreScope): Promise<number> {
    const bytes = await this.begun(file, expected);
    if (bytes === 0) return 0;
    const busy = new AbortController();
    const signal = AbortSignal.any([scope.signal, busy.signal]);
    try {
      const work = await claim(this.#partial, this.#key(file, expected), {
        signal,
        clock: scope.clock,
        onWait: () => busy.abort(),
      });
      await work.drop();
      return bytes;
    } catch (thrown) {
      if (busy.signal.aborted && !scope.signal.aborted) return 0;
      throw thrown;
    }
  }
}
