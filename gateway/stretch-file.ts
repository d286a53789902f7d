import { openFile } from '../media/file.ts';
import { Footage } from '../media/footage.ts';
import type { Scope } from '../media/scope.ts';
import type { TimeMap } from '../media/time-map.ts';
import { type MediaTime, seconds } from '../media/time.ts';
import { VideoDecoder } from '../media/video-decoder.ts';
import type { VideoFrame } from '../media/video-frame.ts';
import type { Stage } from '../pipeline/stage.ts';
import { type Closed, type Closing, closePictures } from './closing-pictures.ts';
import { PictureWriter, type WrittenPictures } from './picture-writer.ts';

export interface StretchFileOptions {
  /** The programme. */
  readonly file: string;
  /** The file to write, with pictures alone; .mkv. */
  readonly out: string;
  /** Where the programme runs slower. */
  readonly map: TimeMap;
  readonly closing: Closing;
  /** See {@link PictureWriter}. */
  readonly interpolator?: Stage<'interpolator'> | undefined;
  /** Finds the speaker for idle pictures at the end. */
  readonly tracker?: Stage<'faceTracker'> | undefined;
  readonly onFault: (stage: string, message: string) => void;
  /** How much of the output is through. */
  readonly onProgress: (end: MediaTime) => void;
}
export interface StretchFileReport {
  readonly written: WrittenPictures;
  readonly closed: Closed | undefined;
}

/** How much programme is held, compressed, for what is wanted of its end. */
const KEEP = seconds(60);
const BYTES = 256 * 1024 * 1024;

/**
 * Writes the pictures of a programme that runs slower in places, all of them encoded once, with pictures made between others
 * where it runs more than a fifth slower, and idle ones where its last dub runs on.
 *
 * @returns nothing when the file has no pictures
 */
export async function stretchFile(options: StretchFileOptions, scope: Scope): Promise<StretchFileReport | undefined> {
  const { file, out, map, closing, interpolator, tracker, onFault, onProgress } = options;
  const { signal } = scope;
  const programme = await openFile(file, { field: 'file', purpose: 'editing' }, scope);
  const { video } = programme.info;
  if (!video) return undefined;
  const { width, height, fps, codec } = video;
  const writer = await PictureWriter.open({ path: out, width, height, fps, map, interpolator, onFault }, scope);
  const footage = new Footage({ codec, keep: KEEP, bytes: BYTES });
  scope.defer(() => footage.close());
  const decoder = new VideoDecoder({ codec });
  scope.defer(() => decoder[Symbol.dispose]());
  const write = async (frames: readonly VideoFrame[]) => {
    for (const frame of frames) {
      signal.throwIfAborted();
      await writer.write(frame);
      onProgress(frame.start);
    }
  };
  for await (const item of programme) {
    if (item.kind !== 'video') continue;
    const picture = { start: map.at(item.start), keyFrame: item.keyFrame, data: item.data };
    footage.push(picture);
    await write(decoder.decode(picture.data, picture.start));
  }
  await write(decoder.flush());
  footage.end();
  signal.throwIfAborted();
  const closed = await closePictures(writer, {
    ...closing,
    frames: (interval) => footage.frames(interval, signal),
    back: (t) => map.back(t),
    tracker,
    fps,
    onFault,
    signal,
  });
  return { written: await writer.close(), closed };
}
