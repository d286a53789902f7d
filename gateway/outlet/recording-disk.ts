import { open, statfs } from 'node:fs/promises';

/** What a recording needs of a file; Node's own handles are such. */
export interface DiskFile {
  write(data: Uint8Array, offset: number, length: number, position: number): Promise<{ bytesWritten: number }>;
  truncate(length: number): Promise<void>;
  datasync(): Promise<void>;
  close(): Promise<void>;
}
/** The disk that recordings are written to. */
export interface Disk {
  /** Makes a file that must not be there yet. */
  create(path: string): Promise<DiskFile>;
  /** Bytes that we may take. */
  free(directory: string): Promise<number>;
}
export const DISK: Disk = {
  create: (path) => open(path, 'wx'),
  free: async (directory) => {
    const { bavail, bsize } = await statfs(directory);
    return bavail * bsize;
  },
};

interface Job {
  readonly data: Uint8Array;
  /** Where it goes; after all that was appended unless told. */
  readonly position?: number;
}

/**
 * A growing file behind a queue: what is given is written in order, and reaches the disk itself at {@link sync}.
 *
 * After the first failure nothing more is written, and what was torn by it is cut off.
 */
export class GrowingFile {
  readonly #file: DiskFile;
  readonly #onFailure: (failure: unknown) => void;
  #chain: Promise<void> = Promise.resolve();
  #length = 0;
  #waiting = 0;
  #failed = false;
  #syncing = false;
  #syncs = 0;

  constructor(file: DiskFile, onFailure: (failure: unknown) => void) {
    this.#file = file;
    this.#onFailure = onFailure;
  }
  /** Bytes that wait to be written. */
  get waiting(): number {
    return this.#waiting;
  }
  /** Bytes in the file. */
  get length(): number {
    return this.#length;
  }
  get syncs(): number {
    return this.#syncs;
  }

  write(job: Job): void {
    const { data } = job;
    this.#waiting += data.byteLength;
    this.#then(async () => {
      this.#waiting -= data.byteLength;
      if (this.#failed) return;
      const position = job.position ?? this.#length;
      for (let done = 0; done < data.byteLength;) {
        const { bytesWritten } = await this.#file.write(data, done, data.byteLength - done, position + done);
        done += bytesWritten;
      }
      this.#length = Math.max(this.#length, position + data.byteLength);
    });
  }
  /** Once at a time: while one is under way the next is the same. */
  sync(): void {
    if (this.#syncing) return;
    this.#syncing = true;
    this.#then(async () => {
      this.#syncing = false;
      if (this.#failed) return;
      await this.#file.datasync();
      this.#syncs += 1;
    });
  }
  async end(): Promise<void> {
    this.sync();
    await this.#chain;
    await this.#file.close().catch(() => {});
  }

  #then(work: () => Promise<void>): void {
    this.#chain = this.#chain.then(work).catch(async (failure: unknown) => {
      if (this.#failed) return;
      this.#failed = true;
      await this.#file.truncate(this.#length).catch(() => {});
      this.#onFailure(failure);
    });
  }
}
