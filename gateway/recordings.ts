import { readFile, readdir, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import type { Clock } from '../media/clock.ts';
import type { Scope } from '../media/scope.ts';
import { later, seconds } from '../media/time.ts';
import type { Config } from './config.ts';
import { DISK, type Disk } from './outlet/recording-disk.ts';
import { type Finished, finishRecording, pathsOf, whole } from './outlet/recording-finish.ts';
import { claim, isWritten, readJournal, release } from './outlet/recording-journal.ts';
import type { S3Keys } from './outlet/s3.ts';

const FileName = z.string().regex(/^[^/\\]+$/);
/** What lies beside every finished recording: only files that one names are ever deleted. */
const Manifest = z.object({
  made: z.literal('livedub'),
  session: z.string(),
  /** Of the session. */
  name: z.string(),
  /** Beside this one; the recording first. */
  files: z.array(FileName).min(1),
  languages: z.array(z.string()),
  started: z.iso.datetime(),
  seconds: z.number(),
  bytes: z.number(),
  /** Pictures of it, among the files; `null` where there are none. */
  pictures: z.object({ poster: FileName, storyboard: FileName, sheet: FileName }).nullable().default(null),
  /** `false` where there was no room to copy it: it can be played, and has no index. */
  finished: z.boolean(),
  uploaded: z.object({ bucket: z.string(), keys: z.array(z.string()), at: z.iso.datetime() }).nullable(),
});
export type Manifest = z.output<typeof Manifest>;
export interface Recorded extends Manifest {
  /** Path of its manifest. */
  readonly manifest: string;
}
type Keeping = Pick<Config['recordings'], 'directory' | 'keepDays' | 'keepGigabytes' | 's3'>;

/** What a recording is called here: its file's name without the ending. */
export const nameOf = ({ manifest }: Pick<Recorded, 'manifest'>): string => basename(manifest, '.json');

/** Finished recordings, oldest first. */
export async function listRecordings(directory: string): Promise<Recorded[]> {
  const names = await readdir(directory).catch(() => []);
  const found: Recorded[] = [];
  for (const name of names.filter((each) => each.endsWith('.json') && !each.startsWith('.'))) {
    const path = join(directory, name);
    const text = await readFile(path, 'utf8').catch(() => '');
    try {
      const { success, data } = Manifest.safeParse(JSON.parse(text));
      if (success) found.push({ ...data, manifest: path });
    } catch {
      // Not ours.
    }
  }
  return found.sort((a, b) => Date.parse(a.started) - Date.parse(b.started));
}

/** Those that are to be deleted, oldest first. What waits to be uploaded stays. */
export function expired<R extends Pick<Manifest, 'started' | 'seconds' | 'bytes' | 'uploaded'>>(
  recordings: readonly R[],
  { keepDays = Infinity, keepGigabytes = Infinity, s3 }: Omit<Keeping, 'directory'>,
  /** Ms since 1970. */
  now: number,
): R[] {
  const endOf = ({ started, seconds: length }: R) => Date.parse(started) + length * 1_000;
  let bytes = recordings.reduce((sum, each) => sum + each.bytes, 0);
  return [...recordings]
    .sort((a, b) => Date.parse(a.started) - Date.parse(b.started))
    .filter((each) => {
      if (s3 && !each.uploaded) return false;
      if (now - endOf(each) <= keepDays * 86_400_000 && bytes <= keepGigabytes * 1e9) return false;
      bytes -= each.bytes;
      return true;
    });
}

/** Deletes what is not to be kept any longer; answers what that was. */
export async function pruneRecordings(keeping: Keeping, now: number): Promise<Recorded[]> {
  const gone = expired(await listRecordings(keeping.directory), keeping, now);
  for (const recording of gone) await removeRecording(recording);
  return gone;
}

/** Deletes a recording with all that lies beside it. */
export async function removeRecording({ files, manifest }: Pick<Recorded, 'files' | 'manifest'>): Promise<void> {
  for (const name of files) await rm(join(dirname(manifest), name), { force: true });
  await rm(manifest, { force: true });
}

/** A recording that is not finished: it is being written, or whoever wrote it is gone. */
export interface Unfinished {
  readonly name: string;
  readonly session: string;
  /** Of the session. */
  readonly title: string;
  /** Ms since 1970; `null` while nothing has been written. */
  readonly started: number | null;
  readonly bytes: number;
  readonly written: boolean;
}
const JOURNAL = '.part.jsonl';
const basesIn = async (directory: string): Promise<string[]> =>
  (await readdir(directory).catch(() => []))
    .filter((name) => name.endsWith(JOURNAL))
    .map((name) => name.slice(0, -JOURNAL.length))
    .sort();

export async function listUnfinished(directory: string): Promise<Unfinished[]> {
  const found: Unfinished[] = [];
  for (const name of await basesIn(directory)) {
    const { journal, part } = pathsOf(directory, name);
    const read = await readJournal(journal).catch(() => undefined);
    const file = await stat(part).catch(() => undefined);
    if (!read || !file) continue;
    const { begin, origin } = read;
    const written = isWritten(read, Date.now() - file.mtimeMs);
    const { session, name: title } = begin;
    found.push({ name, session, title, started: origin?.date ?? null, bytes: file.size, written });
  }
  return found;
}

/** Finishes recordings whose writers are gone. Those that are being written are left alone; doing it twice changes nothing. */
export async function recoverRecordings(
  directory: string,
  options: {
    readonly disk?: Disk;
    readonly complain: (message: string) => void;
    /** Told how many of them all have been looked at. */
    readonly onProgress?: (done: number, of: number) => void;
  },
  scope: Scope,
): Promise<Finished[]> {
  const { disk = DISK, complain, onProgress } = options;
  const recovered: Finished[] = [];
  const bases = await basesIn(directory);
  for (const [n, base] of bases.entries()) {
    scope.signal.throwIfAborted();
    onProgress?.(n, bases.length);
    const { journal, part } = pathsOf(directory, base);
    try {
      if (!(await claim(journal, Date.now() - (await stat(part)).mtimeMs))) continue;
      const finished = await finishRecording(directory, base, { disk, complain });
      if (finished) recovered.push(finished);
    } catch (failure) {
      const why = failure instanceof Error ? failure.message : String(failure);
      await release(journal).catch(() => {});
      complain(`Recording ${base} could not be recovered: ${why}. ${part} can be played.`);
    }
  }
  return recovered;
}

/** Uploads what has not been; what fails is tried again the next time. Answers how many recordings were uploaded. */
export async function uploadRecordings(
  { directory, s3 }: Keeping,
  keys: S3Keys,
  complain: (message: string) => void,
  signal: AbortSignal,
): Promise<number> {
  if (!s3) return 0;
  let count = 0;
  for (const { manifest, ...recording } of await listRecordings(directory)) {
    if (recording.uploaded) continue;
    try {
      const { upload } = await import('./outlet/s3.ts');
      const uploaded: string[] = [];
      for (const name of recording.files) {
        const key = `${s3.prefix}${name}`;
        await upload(join(directory, name), key, s3, keys, signal);
        uploaded.push(key);
      }
      const at = new Date().toISOString();
      const said: Manifest = { ...recording, uploaded: { bucket: s3.bucket, keys: uploaded, at } };
      await whole(manifest, JSON.stringify(said, undefined, 2));
      count += 1;
      if (!s3.keepLocal) await removeRecording({ files: recording.files, manifest });
    } catch (failure) {
      if (signal.aborted) return count;
      const why = failure instanceof Error ? failure.name : 'it failed';
      complain(`Recording ${recording.files[0]} was not uploaded to ${s3.bucket} (${why}); it is tried again.`);
    }
  }
  return count;
}

/** How often retention and uploads are looked after. */
const EVERY = seconds(60);

/** Recovers what was killed, then uploads and deletes as configured, until `scope` closes. */
export function keepRecordings(
  keeping: Keeping,
  options: {
    readonly clock: Clock;
    /** Ms since 1970. */
    readonly date: () => number;
    /** From AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. */
    readonly keys?: S3Keys | undefined;
    readonly complain: (message: string) => void;
  },
  scope: Scope,
): {
  readonly done: Promise<void>;
  /** Finishes what somebody who was killed has just left, when nothing else is being finished. */
  recover(): Promise<void>;
} {
  const { clock, date, keys, complain } = options;
  const { signal } = scope;
  const look = async () => {
    if (keeping.s3 && keys) await uploadRecordings(keeping, keys, complain, signal);
    await pruneRecordings(keeping, date());
  };
  let last: Promise<unknown> = Promise.resolve();
  const recover = () => {
    const work = last.then(async () => {
      if (!signal.aborted) await recoverRecordings(keeping.directory, { complain }, scope);
    });
    last = work.catch(() => {});
    return work;
  };
  const run = async () => {
    if (keeping.s3 && !keys)
      complain('Recordings are not uploaded: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment.');
    await recover();
    while (!signal.aborted) {
      await look();
      await clock.until(later(clock.now(), EVERY), signal);
    }
  };
  const done = run().catch((failure: unknown) => {
    if (signal.aborted) return;
    complain(
      `Recordings are not looked after any more: ${failure instanceof Error ? failure.message : String(failure)}.`,
    );
  });
  scope.defer(async () => {
    await done;
    await last;
  });
  return { done, recover };
}
