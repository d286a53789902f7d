import { type Hash, createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { StoreError } from './store-error.ts';
import { writeTrouble } from './free-space.ts';

/** The names of a partial file's parts in its directory. */
export const BODY = 'body';
export const HEAD = 'head.json';

const Head = z.object({
  url: z.string(),
  etag: z.string().optional(),
  modified: z.string().optional(),
  total: z.number().int().nonnegative().optional(),
  announced: z.string().optional(),
});
/** What the server said of the bytes that are there: what must still hold when the rest is asked for. */
export interface Head {
  /** The address that was asked, before redirects. */
  readonly url: string;
  readonly etag?: string | undefined;
  /** `Last-Modified`, as it was sent. */
  readonly modified?: string | undefined;
  /** Length of the whole file. */
  readonly total?: number | undefined;
  /** SHA-256 that the server says the file has. */
  readonly announced?: string | undefined;
}

/** Bytes of a file so far, with a running SHA-256, so that the whole is known to be right when its last byte is. */
export class PartialFile {
  readonly #folder: string;
  readonly #what: string;
  readonly #file: FileHandle;
  #hash: Hash = createHash('sha256');
  #size = 0;
  #head: Head | undefined;
  #joined = false;

  private constructor(folder: string, what: string, file: FileHandle) {
    this.#folder = folder;
    this.#what = what;
    this.#file = file;
  }

  /**
   * What is in `folder`, or an empty file. Reads what is there once, for its hash.
   *
   * @param what for sentences
   */
  static async open(folder: string, what: string, signal: AbortSignal): Promise<PartialFile> {
    try {
      const file = await open(join(folder, BODY), constants.O_RDWR | constants.O_CREAT, 0o644);
      const partial = new PartialFile(folder, what, file);
      try {
        await partial.#recall(signal);
        return partial;
      } catch (thrown) {
        await file.close();
        throw thrown;
      }
    } catch (thrown) {
      throw await writeTrouble(thrown, folder, what, 0);
    }
  }

  get size(): number {
    return this.#size;
  }
  get head(): Head | undefined {
    return this.#head;
  }
  /** Whether it was put together from more than one answer. */
  get joined(): boolean {
    return this.#joined;
  }

  /** Forgets every byte. `head` belongs to those that follow; without one they cannot be resumed. */
  async restart(head?: Head): Promise<void> {
    await this.#file.truncate(0);
    this.#size = 0;
    this.#joined = false;
    this.#hash = createHash('sha256');
    this.#head = head;
    try {
      const path = join(this.#folder, HEAD);
      await writeFile(`${path}.new`, JSON.stringify(head ?? null));
      await rename(`${path}.new`, path);
    } catch (thrown) {
      throw await writeTrouble(thrown, this.#folder, this.#what, head?.total ?? 0);
    }
  }

  /** Says that what follows comes from another answer than what is there. */
  join(): void {
    this.#joined = true;
  }

  /** @throws StoreError `room`, `denied`; what was written before stays */
  async append(bytes: Uint8Array): Promise<void> {
    try {
      for (let done = 0; done < bytes.length;) {
        const { bytesWritten } = await this.#file.write(bytes, done, bytes.length - done, this.#size);
        this.#hash.update(bytes.subarray(done, done + bytesWritten));
        this.#size += bytesWritten;
        done += bytesWritten;
      }
    } catch (thrown) {
      const missing = (this.#head?.total ?? this.#size + bytes.length) - this.#size;
      throw await writeTrouble(thrown, this.#folder, this.#what, missing);
    }
  }

  /** SHA-256 of what is there. */
  digest(): string {
    return this.#hash.copy().digest('hex');
  }

  /** On the disk, not only on its way there. */
  async settle(): Promise<void> {
    try {
      await this.#file.sync();
    } catch (thrown) {
      throw await writeTrouble(thrown, this.#folder, this.#what, this.#size);
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #recall(signal: AbortSignal): Promise<void> {
    try {
      this.#head = Head.nullable().parse(JSON.parse(await readFile(join(this.#folder, HEAD), 'utf8'))) ?? undefined;
    } catch {
      this.#head = undefined;
    }
    const buffer = Buffer.allocUnsafe(1 << 20);
    for (;;) {
      signal.throwIfAborted();
      const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, this.#size);
      if (bytesRead === 0) break;
      this.#hash.update(buffer.subarray(0, bytesRead));
      this.#size += bytesRead;
    }
    this.#joined = this.#size > 0;
  }
}

/** What was expected of a file, and who said so. */
export interface Expected {
  /** 64 hexadecimal digits in lower case. */
  readonly sha256: string;
  /** `pinned` in the model's card, `recorded` when it was first fetched, `announced` by the server. */
  readonly by: 'pinned' | 'recorded' | 'announced';
}

/** The refusal of a file whose hash is another than `expected`. */
export function wrongHash(what: string, model: string, from: string, got: string, expected: Expected): StoreError {
  const source = {
    pinned: 'Livedub knows',
    recorded: 'was recorded when it was first fetched',
    announced: 'the server itself announces',
  }[expected.by];
  return new StoreError(
    'checksum',
    `${what} from ${from} is not the right file: its SHA-256 is ${got}, and ${expected.sha256} is what ${source}. Nothing of it was kept.`,
    expected.by === 'recorded'
      ? `If its makers published a new version that you trust: livedub models remove ${model} --forget, then pull it again.`
      : `Pull again; if it stays so, what serves it or a proxy on the way changes it: try --mirror or --from.`,
  );
}
