import { type AudioChunk, endOf } from '../media/audio.ts';
import { MonotonicClock } from '../media/clock.ts';
import { openFile } from '../media/file.ts';
import { Footage } from '../media/footage.ts';
import type { Scope } from '../media/scope.ts';
import type { TimeMap } from '../media/time-map.ts';
import { type MediaTime, type Span, at, earlier, later, ms, seconds } from '../media/time.ts';
import { VideoDecoder } from '../media/video-decoder.ts';
import { type Patch, type VideoFrame, patched } from '../media/video-frame.ts';
import type { Take } from '../pipeline/face.ts';
import { Binding } from '../pipeline/binding.ts';
import { AROUND, LipPath, type LipStages, type Saying, type TakeReport } from '../pipeline/lip-path.ts';
import { FADE } from '../pipeline/shots.ts';
import type { Stage } from '../pipeline/stage.ts';
import { type Closed, type Closing, closePictures } from './closing-pictures.ts';
import { PictureWriter, type WrittenPictures } from './picture-writer.ts';

export interface LipFileOptions {
  /** The programme. */
  readonly file: string;
  /** The file to write, with pictures alone; .mkv. */
  readonly out: string;
  readonly takes: readonly Take[];
  readonly sayings: readonly Saying[];
  readonly stages: LipStages;
  /** The programme's sound as the takes' times count, 16 kHz mono. */
  readonly sound: AsyncIterable<AudioChunk>;
  /** Where the programme runs slower; takes and sayings are in the slower programme's time. */
  readonly map?: TimeMap | undefined;
  /** Makes pictures between driven ones where the programme runs more than a fifth slower; see {@link PictureWriter}. */
  readonly interpolator?: Stage<'interpolator'> | undefined;
  /** Where it ends, and its last dub does; pictures end where they end unless given. */
  readonly closing?: Closing | undefined;
  readonly onFault: (stage: string, message: string) => void;
  /** How much of the programme is through. */
  readonly onProgress: (end: MediaTime) => void;
}

/** What became of a recording's mouths. */
export interface LipFileReport {
  readonly takes: readonly TakeReport[];
  readonly written: WrittenPictures;
  readonly closed: Closed | undefined;
  readonly width: number;
  readonly height: number;
}

/** A take is driven when so much behind its end has been seen: what tells whose it is, and what it fades on. */
const MARGIN = (AROUND + ms(40 * (FADE + 2))) as Span;
/** Longer than a take and what it overlaps with. */
const KEEP = seconds(120);
const BYTES = 512 * 1024 * 1024;

/**
 * Drives the mouths of a recorded programme and writes its pictures, all of them encoded once.
 *
 * It looks ahead of what it drives and drives ahead of what it writes, in one go through the file: memory does not grow with
 * the programme.
 *
 * Voices have spoken by then, so what faces show (`LipPath`'s `onGuide`) comes too late for them and is left out.
 *
 * @returns nothing when the file has no pictures
 */
export async function driveFile(options: LipFileOptions, scope: Scope): Promise<LipFileReport | undefined> {
  const { file, out, stages, map, sound, onFault, onProgress } = options;
  const { signal } = scope;
  const programme = await openFile(file, { field: 'file', purpose: 'editing' }, scope);
  const { video } = programme.info;
  if (!video) return undefined;
  const shown = (t: MediaTime): MediaTime => map?.at(t) ?? t;
  const held = { codec: video.codec, keep: KEEP, bytes: BYTES };
  const [drawn, written] = [new Footage(held), new Footage(held)];
  for (const footage of [drawn, written]) scope.defer(() => footage.close());

  const patches = new Map<MediaTime, Patch[]>();
  const reports: TakeReport[] = [];
  const path = new LipPath({
    stages,
    clock: new MonotonicClock(),
    pace: 'recorded',
    binder: new Binding({ keep: KEEP }),
    keep: KEEP,
    footage: (interval, stop) => drawn.frames(interval, stop),
    onDriven: (_language, driven) => {
      const known = patches.get(driven.start);
      if (known) known.push(...driven.patches);
      else patches.set(driven.start, [...driven.patches]);
    },
    onTake: (report) => reports.push(report),
    onFault: ({ stage, message }) => onFault(stage, message),
  });
  scope.defer(() => path.close());

  const { width, height, fps } = video;
  const writer = await PictureWriter.open(
    { path: out, width, height, fps, map, interpolator: options.interpolator, onFault },
    scope,
  );
  let done = Number.NEGATIVE_INFINITY as MediaTime;
  /** Writes pictures before `end`. */
  const write = async (end: MediaTime) => {
    for await (const frame of written.frames({ start: at(Math.max(0, done + 1)), end }, signal)) {
      const whole = patched(frame, patches.get(frame.start) ?? []);
      patches.delete(frame.start);
      done = frame.start;
      await writer.write(whole);
    }
    onProgress(end);
  };

  for (const { language } of options.takes) path.expect(language);
  const takes = options.takes.toSorted((a, b) => a.end - b.end);
  const sayings = options.sayings.toSorted((a, b) => a.start - b.start);
  const heard = sound[Symbol.asyncIterator]();
  let soundEnd = at(0);
  /** Everything up to `t` is seen: drives what is complete, and writes what nothing will be laid on any more. */
  const advance = async (t: MediaTime) => {
    while (soundEnd < later(t, ms(500))) {
      const next = await heard.next();
      if (next.done) break;
      path.hear(next.value);
      soundEnd = endOf(next.value);
    }
    for (let next = sayings[0]; next && next.start <= t; next = sayings[0]) {
      path.said(next);
      sayings.shift();
    }
    let driving = false;
    for (let next = takes[0]; next && later(next.end, MARGIN) <= t; next = takes[0]) {
      path.drive(next);
      driving = true;
      takes.shift();
    }
    if (driving) await path.settled();
    const open = takes.filter(({ start }) => start <= t).map(({ start }) => start);
    const limit = Math.min(earlier(t, MARGIN), ...open) as MediaTime;
    if (limit > later(done, seconds(1)) || (done < 0 && limit > seconds(1))) await write(limit);
  };

  const eye = new VideoDecoder({ codec: video.codec });
  scope.defer(() => eye[Symbol.dispose]());
  const look = async (frames: readonly VideoFrame[]) => {
    for (const frame of frames) {
      signal.throwIfAborted();
      await path.see(frame);
      await advance(frame.start);
    }
  };
  for await (const item of programme) {
    if (item.kind !== 'video') continue;
    const picture = { start: shown(item.start), keyFrame: item.keyFrame, data: item.data };
    drawn.push(picture);
    written.push(picture);
    await look(eye.decode(picture.data, picture.start));
  }
  await look(eye.flush());
  drawn.end();
  written.end();
  path.end();
  for (const saying of sayings) path.said(saying);
  for (const take of takes) path.drive(take);
  await path.settled();
  await write(Number.POSITIVE_INFINITY as MediaTime);
  const { closing } = options;
  const closed =
    closing &&
    (await closePictures(writer, {
      ...closing,
      frames: (interval) => written.frames(interval, signal),
      back: map && ((t) => map.back(t)),
      tracker: stages.faceTracker,
      fps,
      onFault,
      signal,
    }));
  return { takes: reports, written: await writer.close(), closed, width, height };
}
