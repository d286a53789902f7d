import { access, open, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ffmpeg, inputFile, outputFile } from '../../media/ffmpeg.ts';
import { clusterSize } from '../../media/matroska-writer.ts';
import { MatroskaReader } from '../../media/matroska.ts';
import { labels } from '../../media/mux.ts';
import { Scope } from '../../media/scope.ts';
import { type Span, ms } from '../../media/time.ts';
import { srt } from '../../pipeline/srt.ts';
import { type Caption, webvtt } from '../../pipeline/webvtt.ts';
import { LOOK } from '../transcript.ts';
import { chaptersOf, ffmetadata } from './chapters.ts';
import type { Disk } from './recording-disk.ts';
import { type Journal, readJournal } from './recording-journal.ts';
import { recordingPictures } from './recording-pictures.ts';
import type { Manifest } from '../recordings.ts';

/** Never less is left free while a recording is copied to its format, bytes. */
const LEAST_FREE = 64 * 1024 * 1024;
/** Room for the head of a part file: some thirty tracks. */
export const ROOM = 16_384;

/** Where things of a recording lie. */
export function pathsOf(directory: string, base: string) {
  const path = (suffix: string) => join(directory, `${base}${suffix}`);
  return {
    part: path('.part.mkv'),
    journal: path('.part.jsonl'),
    manifest: path('.json'),
    final: (format: 'mp4' | 'mkv') => path(`.${format}`),
    /** Whether a recording of this name is there or begun. */
    taken: async () => {
      const there = ['.part.mkv', '.part.jsonl', '.json', '.mp4', '.mkv'].map((suffix) => access(path(suffix)));
      return (await Promise.allSettled(there)).some(({ status }) => status === 'fulfilled');
    },
  };
}

export interface Finished {
  readonly path: string;
  readonly manifest: Manifest;
}
export interface FinishOptions {
  readonly disk: Pick<Disk, 'free'>;
  readonly complain: (message: string) => void;
}

/**
 * Makes the part file of a recording the file it was meant to be: its duration, an index, captions, chapters, languages.
 *
 * Doing it twice is doing it once: the file gets its name when it is complete, and the part goes after that. Where there is
 * no room for a copy the part itself is kept, under its final name, with captions beside it. `undefined` when nothing was
 * recorded.
 */
export async function finishRecording(
  directory: string,
  base: string,
  { disk, complain }: FinishOptions,
): Promise<Finished | undefined> {
  const paths = pathsOf(directory, base);
  const journal = await readJournal(paths.journal);
  const extent = journal?.origin && (await extentOf(paths.part));
  if (!journal?.origin || !extent) {
    await rm(paths.part, { force: true });
    await rm(paths.journal, { force: true });
    return undefined;
  }
  const { size } = await stat(paths.part);
  if (size > extent.length) await truncate(paths.part, extent.length);
  // A scope of its own: a session that ends must not end the finishing of its recording.
  const own = new Scope(`finish ${base}`);
  try {
    const vp8 = journal.tracks.some(({ codec }) => codec === 'VP8');
    const room = (await disk.free(directory)) - extent.length >= LEAST_FREE;
    if (journal.begin.format === 'mp4' && vp8)
      complain(`Recording ${base} is written as .mkv: MP4 does not hold VP8. Publish H.264 for .mp4.`);
    const format = journal.begin.format === 'mp4' && !vp8 && room ? 'mp4' : 'mkv';
    const final = paths.final(format);
    let files: string[];
    if (room) {
      await remux(directory, base, { journal, format, final, duration: extent.duration }, own);
      files = [`${base}.${format}`];
    } else {
      complain(`Recording ${base} stays as it was written: there is no room to copy it. It can be played.`);
      const captions = await beside(directory, base, journal).catch(() => []);
      await rename(paths.part, final);
      files = [`${base}.${format}`, ...captions];
    }
    const pictures = room
      ? await recordingPictures(directory, base, final, extent.duration).catch((failure: unknown) => {
          const why = failure instanceof Error ? failure.message : String(failure);
          complain(`Recording ${base} has no poster and no storyboard: ${why}.`);
          return null;
        })
      : null;
    const manifest: Manifest = {
      made: 'livedub',
      session: journal.begin.session,
      name: journal.begin.name,
      files: [...files, ...Object.values(pictures ?? {})],
      pictures,
      languages: languagesOf(journal),
      started: new Date(journal.origin.date).toISOString(),
      seconds: extent.duration / 1e6,
      bytes: (await stat(final)).size,
      finished: room,
      uploaded: null,
    };
    await whole(paths.manifest, JSON.stringify(manifest, undefined, 2));
    await rm(paths.part, { force: true });
    await rm(paths.journal, { force: true });
    return { path: final, manifest };
  } finally {
    await own.close();
  }
}

const languagesOf = ({ tracks }: Journal) => [
  ...new Set(tracks.filter(({ kind }) => kind === 'audio').map(({ language }) => language)),
];

/** A file that is there wholly or not at all. */
export async function whole(path: string, text: string): Promise<void> {
  const temporary = `${path}.${process.pid}.new`;
  await writeFile(temporary, text);
  await rename(temporary, path);
}

const captionsOf = ({ cues, origin }: Journal, language: string, write: typeof webvtt) =>
  write(cues.filter((cue) => cue.language === language) as unknown as Caption[], LOOK, origin?.media);
const spokenIn = ({ cues, begin }: Journal) => {
  const all = [...new Set(cues.filter(({ text }) => text.trim() !== '').map(({ language }) => language))];
  return all.sort((a, b) => Number(a === begin.from) - Number(b === begin.from));
};
async function beside(directory: string, base: string, journal: Journal): Promise<string[]> {
  const names: string[] = [];
  for (const language of spokenIn(journal)) {
    const name = `${base}.${language}.vtt`;
    await writeFile(join(directory, name), captionsOf(journal, language, webvtt));
    names.push(name);
  }
  return names;
}

async function remux(
  directory: string,
  base: string,
  what: { journal: Journal; format: 'mp4' | 'mkv'; final: string; duration: Span },
  scope: Scope,
): Promise<void> {
  const { journal, format, final, duration } = what;
  const temporary = (name: string) => {
    const path = join(directory, `.${base}.${process.pid}.${name}`);
    scope.defer(() => rm(path, { force: true }));
    return path;
  };
  const { begin, cues, origin } = journal;
  const languages = spokenIn(journal);
  const captions: string[] = [];
  for (const language of languages) {
    // Not as WebVTT: FFmpeg 5.1 finds no caption in a file with a style sheet.
    const path = temporary(`${language}.srt`);
    await writeFile(path, captionsOf(journal, language, srt));
    captions.push(path);
  }
  const chapters = temporary('chapters');
  const own = cues.filter(({ language, text }) => language === begin.from && text.trim() !== '');
  await writeFile(chapters, ffmetadata(origin ? chaptersOf(own, origin.media, duration) : []));
  // A dub first: it is what a player picks.
  const sound = journal.tracks
    .filter(({ kind }) => kind === 'audio')
    .sort((a, b) => Number(a.id === 'original') - Number(b.id === 'original'));
  const video = journal.tracks.filter(({ kind }) => kind === 'video');
  const out = temporary('out');
  const titleIn = (language: string) =>
    language === begin.from
      ? 'Original'
      : (sound.find((track) => track.language === language && track.id !== 'original')?.title ?? language);
  await ffmpeg(
    [
      '-y',
      '-copyts',
      ...inputFile(join(directory, `${base}.part.mkv`)),
      ...captions.flatMap(inputFile),
      ...['-f', 'ffmetadata', ...inputFile(chapters)],
      ...[...video, ...sound].flatMap(({ number }) => ['-map', `0:${number - 1}`]),
      ...captions.flatMap((_, n) => ['-map', `${n + 1}`]),
      ...['-map_metadata', `${captions.length + 1}`, '-map_chapters', `${captions.length + 1}`],
      ...['-c', 'copy', ...(captions.length > 0 ? ['-c:s', format === 'mp4' ? 'mov_text' : 'srt'] : [])],
      ...sound.flatMap(({ language, title }, n) => labels('a', n, { language, title })),
      ...languages.flatMap((language, n) => labels('s', n, { language, title: titleIn(language) })),
      ...['-metadata', `title=${begin.name}`],
      // Tracks may begin late: what waits for them is bounded by time, not by packets.
      ...['-max_interleave_delta', '1000000'],
      ...(format === 'mp4' ? ['-movflags', '+faststart'] : []),
      ...['-f', format === 'mp4' ? 'mp4' : 'matroska', outputFile(out)],
    ],
    scope,
  ).done;
  const file = await open(out, 'r+');
  await file.datasync().finally(() => file.close());
  await rename(out, final);
}

/** How far a part file is whole, and how long that lasts; `undefined` where no cluster is. */
export async function extentOf(path: string): Promise<{ length: number; duration: Span } | undefined> {
  const file = await open(path, 'r').catch(() => undefined);
  if (!file) return undefined;
  try {
    const { size } = await file.stat();
    const read = async (from: number, length: number) => {
      const bytes = new Uint8Array(length);
      const { bytesRead } = await file.read(bytes, 0, length, from);
      return bytes.subarray(0, bytesRead);
    };
    const clusters: { from: number; length: number }[] = [];
    for (let from = ROOM; from + 8 <= size;) {
      const length = clusterSize(await read(from, 8));
      if (length === undefined || from + length > size) break;
      clusters.push({ from, length });
      from += length;
    }
    const last = clusters.at(-1);
    if (!last) return undefined;
    const reader = new MatroskaReader();
    reader.push(await read(0, ROOM));
    // Tracks are a fraction of a second apart: what ends last is in one of the last few.
    const ends = [];
    for (const { from, length } of clusters.slice(-4))
      for (const { start } of reader.push(await read(from, length))) ends.push(start);
    return { length: last.from + last.length, duration: (Math.max(...ends) + ms(20)) as Span };
  } finally {
    await file.close();
  }
}
