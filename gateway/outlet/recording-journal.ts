import { appendFile, readFile } from 'node:fs/promises';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { z } from 'zod';
import type { MediaTime } from '../../media/time.ts';
import type { CueView } from '../protocol.ts';

const Cue = z.object({
  id: z.string(),
  language: z.string(),
  speaker: z.string(),
  start: z.number(),
  end: z.number(),
  text: z.string(),
  draft: z.boolean(),
  lines: z.array(z.string()).optional(),
  voiceEnd: z.number().optional(),
  place: z.enum(['top', 'bottom']).optional(),
});
const Writer = {
  /** Of whoever writes or finishes it. */
  host: z.string(),
  pid: z.number().int(),
  /** When that process began, for a number that is used again; `null` where the system does not say. */
  since: z.string().nullable(),
};
type Writer = { readonly host: string; readonly pid: number; readonly since: string | null };
const Entry = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('begin'),
    ...Writer,
    session: z.string(),
    name: z.string(),
    from: z.string(),
    format: z.enum(['mp4', 'mkv']),
  }),
  /** Media time at the beginning of the file, and the wall clock's then, ms since 1970. */
  z.object({ type: z.literal('origin'), media: z.number(), date: z.number() }),
  z.object({
    type: z.literal('track'),
    number: z.number().int(),
    kind: z.enum(['audio', 'video']),
    id: z.string(),
    codec: z.enum(['VP8', 'VP9', 'H264', 'AV1', 'Opus']),
    language: z.string(),
    title: z.string(),
  }),
  z.object({ type: z.literal('cue'), cue: Cue }),
  /** Another process is about to finish it. */
  z.object({ type: z.literal('claim'), ...Writer }),
  /** All who had it so far have let go of it. */
  z.object({ type: z.literal('release') }),
]);
export type Entry = z.output<typeof Entry>;
type Of<T extends Entry['type']> = Extract<Entry, { type: T }>;

/**
 * What a recording's pictures and sound do not say themselves: a line of JSON each beside the part file, written when it is
 * known, so that it outlives whoever wrote it.
 */
export interface Journal {
  readonly begin: Of<'begin'>;
  /** `undefined` while nothing has been written. */
  readonly origin: { readonly media: MediaTime; readonly date: number } | undefined;
  readonly tracks: readonly Of<'track'>[];
  readonly cues: readonly CueView[];
  /** Who has it, the first of them that lives. */
  readonly writers: readonly Writer[];
}

export const line = (entry: Entry): string => `${JSON.stringify(entry)}\n`;

/** Lines that are torn or not ours are passed over; `undefined` where the first one is missing. */
export function journalOf(text: string): Journal | undefined {
  const entries = text.split('\n').flatMap((each) => {
    try {
      const { success, data } = Entry.safeParse(JSON.parse(each));
      return success ? [data] : [];
    } catch {
      return [];
    }
  });
  const of = <T extends Entry['type']>(type: T) => entries.filter((entry): entry is Of<T> => entry.type === type);
  const [begin] = of('begin');
  if (!begin) return undefined;
  const [origin] = of('origin');
  return {
    begin,
    origin: origin && { media: origin.media as MediaTime, date: origin.date },
    tracks: of('track'),
    cues: of('cue').map(({ cue }) => cue as CueView),
    writers: entries
      .slice(entries.findLastIndex(({ type }) => type === 'release') + 1)
      .filter((entry) => entry.type === 'begin' || entry.type === 'claim'),
  };
}
export const readJournal = async (path: string): Promise<Journal | undefined> =>
  journalOf(await readFile(path, 'utf8'));

/** This process, as a journal's first line names it. */
export const writer = () => ({ host: hostname(), pid: process.pid, since: began(process.pid) });

/** When a process began, in ticks since the system did (proc(5), `stat`, field 22). */
function began(pid: number): string | null {
  try {
    return (
      readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')[19] ?? null
    );
  } catch {
    return null;
  }
}

/**
 * Who has a recording: the first of those that have laid hands on it, and still run. Of another machine's process on a
 * shared disk nobody here knows: it is taken to run while its file was changed `idle` ms ago at most.
 */
export const writerOf = ({ writers }: Pick<Journal, 'writers'>, idle: number): Writer | undefined =>
  writers.find(({ host, pid, since }) => {
    if (host !== hostname()) return idle < FOREIGN;
    try {
      process.kill(pid, 0);
    } catch (failure) {
      if ((failure as NodeJS.ErrnoException).code === 'ESRCH') return false;
    }
    return since === null || since === began(pid);
  });
export const isWritten = (journal: Pick<Journal, 'writers'>, idle: number): boolean =>
  writerOf(journal, idle) !== undefined;

/** Takes a recording over whose writer is gone; `false` when somebody else has it, or was quicker. */
export async function claim(path: string, idle: number): Promise<boolean> {
  const before = await readJournal(path);
  if (!before || isWritten(before, idle)) return false;
  // A line at a time is appended as a whole, whoever else does the same; the one before it may be torn.
  await appendFile(path, `\n${line({ type: 'claim', ...writer() })}`);
  const after = await readJournal(path);
  const first = after && writerOf(after, idle);
  return first?.pid === process.pid && first.host === hostname();
}
/** Lets go of a recording that could not be finished, for somebody else to try. */
export const release = (path: string): Promise<void> => appendFile(path, `\n${line({ type: 'release' })}`);
const FOREIGN = 60_000;
