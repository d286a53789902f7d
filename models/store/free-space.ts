import { statfs } from 'node:fs/promises';
import { dirname } from 'node:path';
import { StoreError, codeOf } from './store-error.ts';

const UNITS = ['kB', 'MB', 'GB', 'TB'] as const;

/** A size for people, in powers of ten as disks and download pages count: `1.2 GB`. */
export function sizeText(bytes: number): string {
  if (bytes < 1_000) return `${bytes} B`;
  let value = bytes;
  let unit = 'B';
  for (const next of UNITS) {
    // Compared as it would be printed, so that nothing is ever `1000 kB`.
    if (Math.round(value) < 1_000) break;
    value /= 1_000;
    unit = next;
  }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

/** Bytes that may still be written where `folder` is or will be. */
export async function freeSpace(folder: string): Promise<number> {
  try {
    const { bavail, bsize } = await statfs(folder);
    return bavail * bsize;
  } catch (thrown) {
    const above = dirname(folder);
    if (codeOf(thrown) === 'ENOENT' && above !== folder) return freeSpace(above);
    throw thrown;
  }
}

/**
 * Refuses to begin what cannot end.
 *
 * @param bytes what is going to be written
 * @throws StoreError `room`
 */
export async function needSpace(folder: string, bytes: number, what: string): Promise<void> {
  const free = await freeSpace(folder);
  if (bytes > free) throw noSpace(folder, what, bytes, free);
}

const noSpace = (folder: string, what: string, bytes: number, free: number, cause?: unknown) =>
  new StoreError(
    'room',
    `The disk is too full for ${what}: it needs ${sizeText(bytes)} in ${folder}, and ${sizeText(free)} is free there.`,
    `Make room (livedub models remove NAME), or set LIVEDUB_MODELS to a directory on another disk.`,
    { cause },
  );

/**
 * What a failed write in `folder` means to a person; what is no trouble of the disk comes back as it is.
 *
 * @param missing bytes that were still to be written
 */
export async function writeTrouble(thrown: unknown, folder: string, what: string, missing: number): Promise<unknown> {
  switch (codeOf(thrown)) {
    case 'ENOSPC':
    case 'EDQUOT':
      return noSpace(folder, what, missing, await freeSpace(folder).catch(() => 0), thrown);
    case 'EFBIG':
      return new StoreError(
        'room',
        `${what} is larger than a file may be in ${folder}.`,
        'Raise the limit (ulimit -f unlimited), or set LIVEDUB_MODELS to a directory on another disk.',
        { cause: thrown },
      );
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return new StoreError(
        'denied',
        `${what} cannot be written: ${folder} is not ours to write to.`,
        'Change its owner or permissions, or set LIVEDUB_MODELS to a directory of yours.',
        { cause: thrown },
      );
    default:
      return thrown;
  }
}
