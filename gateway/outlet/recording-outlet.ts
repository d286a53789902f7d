import { mkdir, rm } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { codecHeader, opusChannels, opusHeader } from '../../media/codec-header.ts';
import { frameOf, nalUnits } from '../../media/h264.ts';
import { type Block, REACH, type WrittenTrack, matroskaCluster, matroskaHead } from '../../media/matroska-writer.ts';
import type { Scope } from '../../media/scope.ts';
import { type ClockTime, type MediaTime, at, between, ms, seconds } from '../../media/time.ts';
import type { CueView, TrackId } from '../protocol.ts';
import { refuse } from '../refusal.ts';
import type { RecordSpec } from '../source-spec.ts';
import type { OutPicture, OutSound, OutTrack, Outlet, OutletContext, Wants } from './outlet.ts';
import { DISK, type Disk, type DiskFile, GrowingFile } from './recording-disk.ts';
import { type Finished, ROOM, finishRecording, pathsOf } from './recording-finish.ts';
import { type Entry, line, release, writer } from './recording-journal.ts';

/** What is lost at most when the process dies: it is written in clusters of this length. */
const CLUSTER = ms(500);
/** How often what was written is brought to the disk itself, and its free space is looked at. */
const SYNC = seconds(1);
/** Bytes that may wait for the disk: four seconds at 32 Mbit/s. */
const CAPACITY = 16 * 1024 * 1024;

export interface RecordingOptions {
  readonly directory: string;
  readonly spareGigabytes: number;
  readonly disk?: Disk;
  readonly capacity?: number;
  /** Told of the finished file; not of one that nothing was written to. */
  readonly onFinished?: (finished: Finished) => void;
}

interface Pending extends Omit<Block, 'start'> {
  readonly at: MediaTime;
}

/**
 * The delayed programme in a file: one picture, the original, every dub, captions and chapters.
 *
 * While it grows it is Matroska, in clusters of half a second that are whole in themselves, so it can be played whenever its
 * writer dies; a language that comes later is written into the room of the head. Finishing copies it to its format.
 */
export class RecordingOutlet implements Outlet {
  readonly wants: Wants = { pictures: 'as sent', sound: 'Opus' };
  readonly #context: OutletContext;
  readonly #options: RecordingOptions;
  readonly #base: string;
  readonly #file: GrowingFile;
  readonly #journal: GrowingFile;
  readonly #counts = { pictures: 0, packets: 0, cues: 0, droppedPictures: 0, droppedPackets: 0, early: 0, failures: 0 };
  readonly #written = new Map<string, WrittenTrack>();
  /** Start of the last one, by track of the file. */
  readonly #last = new Map<number, MediaTime>();
  #tracks: readonly OutTrack[] = [];
  #showing: TrackId | undefined;
  /** A decoder has what it needs for the next picture. */
  #whole = false;
  #pending: Pending[] = [];
  #origin: MediaTime | undefined;
  #synced: ClockTime | undefined;
  #state: 'recording' | 'ended' = 'recording';
  #closing: Promise<void> | undefined;

  private constructor(
    base: string,
    files: { file: DiskFile; journal: DiskFile },
    options: RecordingOptions,
    context: OutletContext,
  ) {
    this.#base = base;
    this.#options = options;
    this.#context = context;
    const failed = (failure: unknown) => this.#fail(failure);
    this.#file = new GrowingFile(files.file, failed);
    this.#journal = new GrowingFile(files.journal, failed);
  }

  /** @throws Refusal when nothing can be written there */
  static async open(
    spec: RecordSpec,
    options: RecordingOptions,
    context: OutletContext,
    scope: Scope,
  ): Promise<RecordingOutlet> {
    const { directory, disk = DISK } = options;
    const stamp = new Date(context.dateOf(at(0))).toISOString().slice(0, 19).replace(/[T:]/g, '-');
    const name = spec.name ?? `${context.session.replace(/[^\w.-]/g, '_')} ${stamp}.${spec.format}`;
    const wanted = basename(name, extname(name));
    try {
      await mkdir(directory, { recursive: true });
      if ((await disk.free(directory)) < options.spareGigabytes * 1e9) throw new Error('the disk is full');
      for (let n = 1; ; n += 1) {
        const base = n === 1 ? wanted : `${wanted} (${n})`;
        const paths = pathsOf(directory, base);
        if (await paths.taken()) continue;
        let journal: DiskFile;
        try {
          journal = await disk.create(paths.journal);
        } catch (failure) {
          if ((failure as NodeJS.ErrnoException).code === 'EEXIST') continue;
          throw failure;
        }
        const file = await disk.create(paths.part).catch(async (failure: unknown) => {
          await journal.close();
          await rm(paths.journal, { force: true });
          throw failure;
        });
        const outlet = new RecordingOutlet(base, { file, journal }, options, context);
        const format = name.endsWith('.mkv') ? 'mkv' : 'mp4';
        const { session, name: title, from } = context;
        outlet.#enter({ type: 'begin', ...writer(), session, name: title, from, format });
        scope.defer(() => outlet.close());
        return outlet;
      }
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : 'it cannot be written to';
      const fix = 'Make room, or set recordings.directory to where there is some.';
      throw refuse('unavailable', `Cannot record to ${directory}: ${why}.`, 'outputs.record', fix, cause);
    }
  }

  get counts(): Readonly<Record<string, number>> {
    const { length, waiting, syncs } = this.#file;
    return { ...this.#counts, bytes: length, waiting, syncs };
  }
  /** Where it is written while it grows. */
  get path(): string {
    return pathsOf(this.#options.directory, this.#base).part;
  }

  tracks(tracks: readonly OutTrack[]): void {
    this.#tracks = tracks;
  }

  picture(picture: OutPicture): void {
    if (this.#state !== 'recording') return;
    const { track, start, keyFrame, codec, data } = picture;
    if (keyFrame && track === this.#wanted()) this.#showing = track;
    if (track !== this.#showing) return;
    if (keyFrame) this.#whole = true;
    const to = this.#trackOf(`video ${codec}`, () => {
      const header = keyFrame ? codecHeader(codec, data) : undefined;
      const size = { width: picture.width, height: picture.height };
      const title = this.#tracks.find(({ id }) => id === track)?.title ?? 'Picture';
      return header && { kind: 'video', codec, size, header, title, language: 'und', id: track };
    });
    const framed = codec === 'H264' ? frameOf(nalUnits(data, 'annex-b'), 4) : data;
    if (this.#whole && to !== undefined && this.#put({ track: to, at: start, keyFrame, data: framed })) {
      this.#counts.pictures += 1;
      return;
    }
    this.#whole = false;
    this.#counts.droppedPictures += 1;
  }
  /** The first language's driven picture, where there is one. */
  #wanted(): TrackId | undefined {
    const pictures = this.#tracks.filter(({ kind }) => kind === 'video');
    return (pictures.find(({ language }) => language !== null) ?? pictures[0])?.id;
  }

  sound({ track, start, data }: OutSound): void {
    if (this.#state !== 'recording' || data.byteLength === 0) return;
    const known = this.#tracks.find(({ id }) => id === track);
    if (!known || known.kind !== 'audio' || track.startsWith('voice:')) return;
    const to = this.#trackOf(track, () => {
      const channels = opusChannels(data);
      const { title, id } = known;
      const language = known.language ?? this.#context.from;
      return { kind: 'audio', codec: 'Opus', channels, header: opusHeader(channels), title, language, id };
    });
    if (to !== undefined && this.#put({ track: to, at: start, keyFrame: true, data })) this.#counts.packets += 1;
    else this.#counts.droppedPackets += 1;
  }

  cue(cue: CueView): void {
    if (this.#state !== 'recording' || cue.draft) return;
    this.#enter({ type: 'cue', cue: { ...cue, lines: cue.lines && [...cue.lines] } });
    this.#counts.cues += 1;
  }

  tick(now: ClockTime, position: MediaTime): void {
    const [first] = this.#pending;
    if (first && between(first.at, position) >= CLUSTER) this.#flush();
    if (this.#state !== 'recording' || (this.#synced !== undefined && between(this.#synced, now) < SYNC)) return;
    this.#synced = now;
    this.#file.sync();
    this.#journal.sync();
    void this.#look();
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#finish());
  }

  /** The number of a track in the file; it is made when its first packet comes. */
  #trackOf(key: string, make: () => New | undefined): number | undefined {
    const known = this.#written.get(key);
    if (known) return known.number;
    const made = make();
    if (!made) return undefined;
    const { id, ...rest } = made;
    const preferred = ![...this.#written.values()].some(({ kind }) => kind === rest.kind);
    const track = { ...rest, number: this.#written.size + 1, preferred } as WrittenTrack;
    let head: Uint8Array;
    try {
      head = matroskaHead([...this.#written.values(), track], ROOM);
    } catch {
      return undefined;
    }
    this.#written.set(key, track);
    this.#file.write({ data: head, position: 0 });
    const { number, kind, codec, language, title } = track;
    this.#enter({ type: 'track', number, kind, codec, language, title, id });
    return number;
  }

  #put(block: Pending): boolean {
    const last = this.#last.get(block.track);
    if (this.#origin !== undefined && block.at < this.#origin) {
      this.#counts.early += 1;
      return false;
    }
    if (last !== undefined && block.at <= last) return false;
    const [first] = this.#pending;
    if (first && Math.abs(between(first.at, block.at)) >= CLUSTER) this.#flush();
    const waiting = this.#pending.reduce((sum, { data }) => sum + data.byteLength, this.#file.waiting);
    if (waiting + block.data.byteLength > (this.#options.capacity ?? CAPACITY)) return false;
    this.#pending.push(block);
    this.#last.set(block.track, block.at);
    return true;
  }

  #flush(): void {
    const blocks = this.#pending.splice(0);
    if (blocks.length === 0) return;
    const begin = Math.min(...blocks.map((block) => block.at)) as MediaTime;
    if (this.#origin === undefined) {
      this.#origin = begin;
      this.#enter({ type: 'origin', media: begin, date: this.#context.dateOf(begin) });
    }
    const origin = this.#origin;
    const placed = blocks.map(({ at: media, ...rest }) => ({ ...rest, start: between(origin, media) }));
    const start = between(origin, begin);
    const near = placed.filter((block) => block.start - start < REACH);
    this.#file.write({ data: matroskaCluster(start, near) });
  }

  #enter(entry: Entry): void {
    this.#journal.write({ data: Buffer.from(line(entry)) });
  }

  async #look(): Promise<void> {
    const { directory, spareGigabytes, disk = DISK } = this.#options;
    const free = await disk.free(directory).catch(() => undefined);
    if (free === undefined || free >= spareGigabytes * 1e9 || this.#state !== 'recording') return;
    this.#counts.failures += 1;
    this.#context.complain(
      `Recording ${this.#base} ends: less than ${spareGigabytes} GB are free in ${directory}. Make room there, or lower recordings.spareGigabytes.`,
    );
    void this.close();
  }
  #fail(failure: unknown): void {
    this.#counts.failures += 1;
    const { code, message } = failure as NodeJS.ErrnoException;
    const why = code === 'ENOSPC' ? 'the disk is full' : message;
    this.#context.complain(`Recording ${this.#base} ends: ${why}. The programme goes on; what was written is kept.`);
    void this.close();
  }

  async #finish(): Promise<void> {
    if (this.#state === 'recording') this.#flush();
    this.#state = 'ended';
    await this.#file.end();
    const { directory, disk = DISK, onFinished } = this.#options;
    const complain = this.#context.complain;
    await this.#journal.end();
    try {
      const finished = await finishRecording(directory, this.#base, { disk, complain });
      if (finished) onFinished?.(finished);
    } catch (failure) {
      this.#counts.failures += 1;
      const why = failure instanceof Error ? failure.message : String(failure);
      await release(pathsOf(directory, this.#base).journal).catch(() => {});
      complain(
        `Recording ${this.#base} could not be finished: ${why}. ${join(directory, this.#base)}.part.mkv can be played; \`livedub recordings recover\` tries again.`,
      );
    }
  }
}

type Fields<T> = T extends WrittenTrack ? Omit<T, 'number' | 'preferred'> & { readonly id: TrackId } : never;
type New = Fields<WrittenTrack>;
