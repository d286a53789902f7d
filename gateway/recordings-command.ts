import { statfs } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { Scope } from '../media/scope.ts';
import { sizeText } from '../models/store/free-space.ts';
import { type RecordingsRequest, UsageError } from './commands.ts';
import type { Config } from './config.ts';
import { checkRecording } from './recording-check.ts';
import {
  type Recorded,
  expired,
  listRecordings,
  listUnfinished,
  nameOf,
  pruneRecordings,
  recoverRecordings,
} from './recordings.ts';
import { table } from './table.ts';

/** Where the command writes; a test gives its own. */
export interface Desk {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** How much of the work is done, 0 to 1. */
  readonly tell: (fraction: number) => void;
  /** Ms since 1970. */
  readonly date: () => number;
}

const FAILED = 1;

/** `livedub recordings …`. Answers the exit code. */
export async function recordings(
  request: RecordingsRequest,
  { recordings: settings }: Pick<Config, 'recordings'>,
  desk: Desk,
  scope: Scope,
): Promise<number> {
  const directory = resolve(settings.directory);
  switch (request.do) {
    case 'list':
      return list(directory, request.json, desk);
    case 'recover':
      return recover(directory, request.json, desk, scope);
    case 'prune': {
      const { keepDays = settings.keepDays, keepGigabytes = settings.keepGigabytes } = request;
      if (keepDays === undefined && keepGigabytes === undefined)
        throw new UsageError(
          'Nothing says what to keep: give --keep-days or --keep-gigabytes, or set them in recordings.',
        );
      return prune({ ...settings, directory, keepDays, keepGigabytes }, request, desk);
    }
    case 'verify':
      return verify(directory, request, desk, scope);
  }
}

async function list(directory: string, json: boolean, { out }: Desk): Promise<number> {
  const [finished, unfinished] = [await listRecordings(directory), await listUnfinished(directory)];
  if (json) {
    const all = [
      ...finished.map(shown),
      ...unfinished.map(({ written, ...each }) => ({ ...each, state: stateOf(written) })),
    ];
    out(JSON.stringify(all, null, 2));
    return 0;
  }
  const rows = [
    ...finished.map((each) => [
      nameOf(each),
      each.name,
      minute(Date.parse(each.started)),
      clockFace(each.seconds),
      each.languages.join(' '),
      sizeText(each.bytes),
      each.uploaded ? 'uploaded' : each.finished ? 'finished' : 'as written',
    ]),
    ...unfinished.map(({ name, title, started, bytes, written }) => [
      ...[name, title, started === null ? '' : minute(started), '', '', sizeText(bytes), stateOf(written)],
    ]),
  ];
  if (rows.length === 0) out('There are no recordings.');
  else out(table([['recording', 'session', 'began', 'length', 'languages', 'size', 'state'], ...rows]));
  const lost = unfinished.filter(({ written }) => !written).length;
  if (lost > 0)
    out(`\n${many(lost, 'recording')} broke off: livedub recordings recover finishes ${lost === 1 ? 'it' : 'them'}.`);
  const free = await statfs(directory).then(
    ({ bavail, bsize }) => `, ${sizeText(bavail * bsize)} free`,
    () => '',
  );
  out(`\nKept in ${directory}${free}`);
  return 0;
}

async function recover(directory: string, json: boolean, { out, err, tell }: Desk, scope: Scope): Promise<number> {
  let failures = 0;
  const complain = (message: string) => {
    if (/could not be recovered/.test(message)) failures += 1;
    err(message);
  };
  const onProgress = (done: number, of: number) => tell(done / of);
  const done = await recoverRecordings(directory, { complain, onProgress }, scope);
  if (json)
    out(
      JSON.stringify(
        done.map(({ path, manifest }) => ({ ...manifest, path })),
        null,
        2,
      ),
    );
  else {
    for (const { manifest } of done)
      out(`✔ ${manifest.files[0]}  ${clockFace(manifest.seconds)}  ${sizeText(manifest.bytes)}`);
    if (done.length === 0 && failures === 0) out('Nothing is to be recovered.');
  }
  return failures === 0 ? 0 : FAILED;
}

async function prune(
  keeping: Parameters<typeof pruneRecordings>[0],
  { dryRun, json }: Extract<RecordingsRequest, { do: 'prune' }>,
  { out, date }: Desk,
): Promise<number> {
  const gone = dryRun
    ? expired(await listRecordings(keeping.directory), keeping, date())
    : await pruneRecordings(keeping, date());
  if (json) {
    out(JSON.stringify(gone.map(shown), null, 2));
    return 0;
  }
  for (const each of gone) out(`${nameOf(each)}  ${minute(Date.parse(each.started))}  ${sizeText(each.bytes)}`);
  const freed = sizeText(gone.reduce((sum, { bytes }) => sum + bytes, 0));
  if (gone.length === 0) out('Nothing is to be deleted.');
  else out(`${many(gone.length, 'recording')} ${dryRun ? 'would be deleted' : 'deleted'}, ${freed}.`);
  return 0;
}

async function verify(
  directory: string,
  { names, json }: Extract<RecordingsRequest, { do: 'verify' }>,
  { out, tell }: Desk,
  scope: Scope,
): Promise<number> {
  const all = await listRecordings(directory);
  const wanted = names.length === 0 ? all : names.map((name) => named(all, name));
  const bytes = wanted.reduce((sum, each) => sum + each.bytes, 0);
  const results: { name: string; wrong: string[] }[] = [];
  let read = 0;
  for (const each of wanted) {
    tell(bytes === 0 ? 0 : read / bytes);
    results.push({ name: nameOf(each), wrong: await checkRecording(each, scope) });
    read += each.bytes;
  }
  if (wanted.length > 0) tell(1);
  if (json) out(JSON.stringify(results, null, 2));
  else {
    for (const { name, wrong } of results) {
      out(`${wrong.length === 0 ? '✔' : '✘'} ${name}`);
      for (const each of wrong) out(`  ${each}`);
    }
    if (wanted.length === 0) out('There are no recordings.');
  }
  return results.every(({ wrong }) => wrong.length === 0) ? 0 : FAILED;
}

function named(all: readonly Recorded[], name: string): Recorded {
  const found = all.find((each) => nameOf(each) === name || each.files[0] === name);
  if (!found) throw new UsageError(`There is no recording '${name}'; see: livedub recordings list`);
  return found;
}

const shown = ({ manifest, name: title, ...each }: Recorded) => ({
  ...each,
  title,
  name: nameOf({ manifest }),
  manifest,
  state: each.finished ? 'finished' : 'as written',
});
const stateOf = (written: boolean) => (written ? 'being written' : 'broken off');
const minute = (date: number) => new Date(date).toISOString().slice(0, 16).replace('T', ' ');
const many = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;
const clockFace = (length: number) => {
  const [h, m, s] = [Math.floor(length / 3_600), Math.floor(length / 60) % 60, Math.floor(length % 60)];
  return `${h}:${String(m).padStart(2, '0')}:${String(s).padStart(2, '0')}`;
};
