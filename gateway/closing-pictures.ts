import { MonotonicClock } from '../media/clock.ts';
import { type Interval, type MediaTime, type Span, at, between, later, ms, seconds } from '../media/time.ts';
import type { VideoFrame } from '../media/video-frame.ts';
import type { Face, Seen } from '../pipeline/face.ts';
import { type Thumbnail, idleFill, idleRuns, mixed, thumbnailOf } from '../pipeline/idle.ts';
import type { Stage } from '../pipeline/stage.ts';
import type { PictureWriter } from './picture-writer.ts';

/** Where a programme ends, and what is to be seen behind it. */
export interface Closing {
  /** Where its own sound ends, in the output. */
  readonly end: MediaTime;
  /** Where its last dub does. */
  readonly until: MediaTime;
}
export interface ClosingOptions extends Closing {
  /** The programme's pictures within an interval, as often as they are asked for. */
  readonly frames: (interval: Interval) => AsyncIterable<VideoFrame>;
  /** Of a position in the output, the one in the programme. */
  readonly back?: ((t: MediaTime) => MediaTime) | undefined;
  /** Finds the speaker; left out, the last picture stays. */
  readonly tracker?: Stage<'faceTracker'> | undefined;
  readonly fps: number;
  readonly onFault: (stage: string, message: string) => void;
  readonly signal: AbortSignal;
}
/** How a gap at the end was filled, and with how many pictures. */
export interface Closed {
  readonly by: 'idle' | 'held';
  readonly pictures: number;
  readonly gap: Interval;
}

/** Idle pictures are looked for in so much programme before its end. */
const LOOKED_AT = seconds(12);
/** Pictures that end so long before the sound does were meant to. */
const MEANT = ms(500);
/** The most that idle pictures may take in memory. */
const BYTES = 512 * 1024 * 1024;

/**
 * Prolongs the pictures of a programme whose last dub runs on behind its end: with the speaker's own idle pictures from the
 * last shot, to and fro, where there are any, else with the last picture. Mouths stay closed there.
 *
 * @returns nothing when there is nothing to fill
 */
export async function closePictures(writer: PictureWriter, options: ClosingOptions): Promise<Closed | undefined> {
  const { end, until, fps, signal, onFault } = options;
  const { last } = writer;
  const every = seconds(1 / fps);
  if (!last || until <= end) return undefined;
  const start = later(last.start, every);
  const gap = { start, end: until };
  if (between(start, until) < every / 2 || between(start, end) > MEANT) return undefined;
  const count = Math.max(1, Math.round(between(start, until) / every));
  const fits = count * (last.y.length + last.u.length + last.v.length) <= BYTES;
  const idle = await (fits ? idlePictures(gap, every, options) : undefined)?.catch((failure: unknown) => {
    signal.throwIfAborted();
    onFault('faceTracker', failure instanceof Error ? failure.message : String(failure));
    return [];
  });
  if (idle && idle.length > 0) {
    for (const frame of idle) await writer.write(frame);
    return { by: 'idle', pictures: idle.length, gap };
  }
  for (let n = 0; n < count; n += 1) await writer.write({ ...last, start: later(start, (n * every) as Span) });
  return { by: 'held', pictures: count, gap };
}

async function idlePictures(
  gap: Interval,
  every: Span,
  { frames, tracker, signal, back = (t) => t }: ClosingOptions,
): Promise<VideoFrame[]> {
  if (!tracker) return [];
  const looked = { start: at(Math.max(0, gap.start - LOOKED_AT)), end: gap.start };
  const thumbnails = new Map<MediaTime, Thumbnail>();
  const watched = async function* () {
    for await (const frame of frames(looked)) {
      thumbnails.set(frame.start, thumbnailOf(frame));
      yield frame;
    }
  };
  const seen: Seen[] = [];
  for await (const each of tracker.run(watched(), { signal, clock: new MonotonicClock() })) seen.push(each);
  const speaker = largest(seen.at(-1)?.faces ?? []);
  if (!speaker) return [];
  const shot = Math.max(
    0,
    seen.findLastIndex(({ cut }) => cut),
  );
  // How calm somebody is is told at the programme's own pace, at which idle pictures are shown.
  const paced = seen.map((each) => ({ ...each, start: back(each.start) }));
  const runs = idleRuns(paced, ({ faces }) => faces.find(({ id }) => id === speaker.id)).filter(
    ({ from }) => from >= shot,
  );
  const small = seen.flatMap(({ start }) => thumbnails.get(start) ?? []);
  if (small.length < seen.length) return [];
  const fill = idleFill(gap, { before: seen.length - 1 }, runs, small, every);
  const wanted = new Set(
    fill.flatMap(({ picture, mix }) => [picture, ...(mix ? [mix.under] : [])]).map((n) => seen[n]?.start),
  );
  const kept = new Map<MediaTime, VideoFrame>();
  for await (const frame of frames(looked)) if (wanted.has(frame.start)) kept.set(frame.start, frame);
  const frameOf = (picture: number) => kept.get(seen[picture]?.start ?? at(-1));
  return fill.flatMap(({ at: start, picture, mix }) => {
    const [over, under] = [frameOf(picture), mix && frameOf(mix.under)];
    if (!over) return [];
    return [{ ...(mix && under ? mixed(over, under, mix.share) : over), start }];
  });
}

const largest = (faces: readonly Face[]): Face | undefined =>
  [...faces].sort((a, b) => b.box.width * b.box.height - a.box.width * a.box.height)[0];
