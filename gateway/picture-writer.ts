import { MonotonicClock } from '../media/clock.ts';
import { madeBetween } from '../media/more-pictures.ts';
import { Recording } from '../media/recording.ts';
import type { Scope } from '../media/scope.ts';
import type { TimeMap } from '../media/time-map.ts';
import { type Span, at, between, seconds } from '../media/time.ts';
import { VideoEncoder } from '../media/video-encoder.ts';
import type { VideoFrame } from '../media/video-frame.ts';
import { SceneCuts } from '../models/see/scene-cut.ts';
import type { Pair } from '../pipeline/face.ts';
import { Fault } from '../pipeline/fault.ts';
import type { Stage } from '../pipeline/stage.ts';

export interface PictureWriterOptions {
  /** The file to write, with pictures alone; .mkv. */
  readonly path: string;
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  /** Where the programme runs slower; pictures come with the slower programme's times. */
  readonly map?: TimeMap | undefined;
  /**
   * Makes pictures between others where the programme runs more than a fifth slower. Left out, pictures are seen longer there.
   *
   * Any engine of that kind will do, by its name: a network that moves what it sees, or one that makes pictures up.
   */
  readonly interpolator?: Stage<'interpolator'> | undefined;
  readonly onFault: (stage: string, message: string) => void;
}

/** What was written. */
export interface WrittenPictures {
  /** All of them. */
  readonly pictures: number;
  /** Those that were made between two others, and those that should have been and were not. */
  readonly made: number;
  readonly missed: number;
  /** Wall-clock time that making took, of those that were made. */
  readonly making: Span;
}

/** An engine that failed so often in a row is not asked any more. */
const TRIES = 3;
/** An interpolator gets so many pairs in a row at most, and holds so much with what is made between them. */
const ROW = 32;
const ROW_BYTES = 128 * 1024 * 1024;
const KEY_EVERY = seconds(2);
/** The most that may be spent; a steady quality takes less. */
const BITS_PER_PIXEL = 0.4;

/**
 * Writes a recorded programme's pictures, each encoded once, and makes those that are wanting where it runs so slow that
 * they would be seen for too long.
 *
 * What is between two pictures is made of what is written, mouths and all: a mouth is driven in the programme's own pictures,
 * where its face was seen, and moves on to the next. At a cut nothing is made; where nothing moves, nothing has to be.
 */
export class PictureWriter {
  readonly #options: PictureWriterOptions;
  readonly #recording: Recording;
  readonly #signal: AbortSignal;
  readonly #clock = new MonotonicClock();
  readonly #cuts = new SceneCuts();
  #interpolator: Stage<'interpolator'> | undefined;
  #encoder: VideoEncoder | undefined;
  #last: VideoFrame | undefined;
  /** Pairs that follow each other, of which all but the very first picture are yet to be written. */
  #row: Pair[] = [];
  #bytes = 0;
  #pictures = 0;
  #made = 0;
  #missed = 0;
  #making = 0;
  /** How often in a row nothing was to be had. */
  #failed = 0;

  private constructor(options: PictureWriterOptions, recording: Recording, signal: AbortSignal) {
    this.#options = options;
    this.#interpolator = options.interpolator;
    this.#recording = recording;
    this.#signal = signal;
  }

  static async open(options: PictureWriterOptions, scope: Scope): Promise<PictureWriter> {
    const { path, width, height } = options;
    const video = { codec: 'H264', width, height } as const;
    const recording = await Recording.open({ path, origin: at(0), video, audio: [] });
    const writer = new PictureWriter(options, recording, scope.signal);
    scope.defer(() => writer.#encoder?.[Symbol.dispose]());
    return writer;
  }

  get written(): WrittenPictures {
    const [pictures, made, missed] = [this.#pictures, this.#made, this.#missed];
    return { pictures, made, missed, making: Math.round(this.#making) as Span };
  }
  /** The picture that was written last. */
  get last(): VideoFrame | undefined {
    return this.#last;
  }

  /**
   * Writes a picture, and what belongs between the one before and it. Pictures come in order; a second one for an instant is
   * left out. Those with something to be made between them are held until a row of them is complete.
   */
  async write(frame: VideoFrame): Promise<void> {
    const before = this.#last;
    if (before && frame.start <= before.start) return;
    const cut = this.#cuts.push(frame);
    this.#last = frame;
    const count = before && !cut ? this.#wanted(before, frame) : 0;
    if (!before || count === 0) {
      await this.#finish();
      return this.#encode(frame);
    }
    this.#row.push({ start: before.start, end: frame.start, before, after: frame, count });
    this.#bytes += (count + 1) * (frame.y.length + frame.u.length + frame.v.length);
    if (this.#row.length >= ROW || this.#bytes >= ROW_BYTES) await this.#finish();
  }

  async close(): Promise<WrittenPictures> {
    await this.#finish();
    for (const encoded of this.#encoder?.flush() ?? []) await this.#recording.picture(encoded);
    await this.#recording.close();
    return this.written;
  }

  /** How many pictures are to be made between two that belong together. */
  #wanted(before: VideoFrame, after: VideoFrame): number {
    const { map, interpolator } = this.#options;
    if (!map || !interpolator) return 0;
    const is = between(before.start, after.start);
    const was = Math.min(is, between(map.back(before.start), map.back(after.start))) as Span;
    const count = was > 0 ? madeBetween(was, is) : 0;
    return count > 0 && !alike(before, after) ? count : 0;
  }

  /** Makes what is between the pictures that are held, and writes them all. */
  async #finish(): Promise<void> {
    const row = this.#row;
    if (row.length === 0) return;
    [this.#row, this.#bytes] = [[], 0];
    const made = await this.#makeBetween(row);
    for (const { start, end, after } of row) {
      for (const each of made) if (each.start > start && each.start < end) await this.#encode(each);
      await this.#encode(after);
    }
  }

  async #makeBetween(row: readonly Pair[]): Promise<readonly VideoFrame[]> {
    const wanted = row.reduce((sum, { count }) => sum + count, 0);
    const made: VideoFrame[] = [];
    const began = this.#clock.now();
    try {
      const how = { signal: this.#signal, clock: this.#clock };
      for await (const each of this.#interpolator?.run(fed(row), how) ?? []) made.push(each);
      this.#failed = 0;
    } catch (failure) {
      this.#signal.throwIfAborted();
      const fault = Fault.from('interpolator', failure);
      this.#options.onFault('interpolator', fault.message);
      // What refuses one picture may take the next; what cannot work at all is not asked again.
      this.#failed = fault.response === 'skip' ? 0 : this.#failed + 1;
      if (fault.response === 'stop' || this.#failed >= TRIES) this.#interpolator = undefined;
    }
    this.#signal.throwIfAborted();
    this.#making += between(began, this.#clock.now());
    this.#made += made.length;
    this.#missed += Math.max(0, wanted - made.length);
    return made;
  }

  async #encode(frame: VideoFrame): Promise<void> {
    const { fps } = this.#options;
    const { width, height, colour } = frame;
    this.#encoder ??= new VideoEncoder({
      codec: 'H264',
      width,
      height,
      fps,
      bitrate: Math.max(2_000_000, width * height * fps * BITS_PER_PIXEL),
      colour,
      keyEvery: KEY_EVERY,
      live: false,
    });
    this.#pictures += 1;
    for (const encoded of this.#encoder.encode(frame)) await this.#recording.picture(encoded);
  }
}

async function* fed<T>(items: readonly T[]): AsyncGenerator<T, void, void> {
  for (const item of items) yield await Promise.resolve(item);
}

/** Whether two pictures are the same to the bit. */
const alike = (a: VideoFrame, b: VideoFrame): boolean =>
  (['y', 'u', 'v'] as const).every((plane) => Buffer.compare(a[plane], b[plane]) === 0);
