import { bitrateFor } from './bitrate.ts';
import { payloadsOf } from './packetize.ts';
import type { PictureId } from './payload.ts';
import type { Answer, RunOptions } from './recoder.ts';
import { type MediaTime, seconds } from './time.ts';
import { VideoDecoder } from './video-decoder.ts';
import { VideoEncoder } from './video-encoder.ts';
import { type Patch, type VideoFrame, patched } from './video-frame.ts';

/** A viewer that comes in the middle waits for a key frame at most this long. */
const KEY_EVERY = seconds(2);
/** Once more than the original's rate: what is encoded twice loses twice. */
const MORE = 1.3;
const MOST = 12_000_000;

/** Bit/s for pictures of this size whose original had `bitrate`. */
export const recodingRate = (width: number, height: number, fps: number, bitrate: number): number =>
  Math.round(Math.min(MOST, Math.max(bitrateFor(width, height, fps), MORE * bitrate)));

/** One encoded picture to work on; `patches` only where it is to be encoded again. */
export interface Work {
  readonly start: MediaTime;
  readonly data: Uint8Array;
  /** What the payloads of the picture in its place are to be called. */
  readonly id?: PictureId;
  readonly patches?: readonly Patch[];
}

/**
 * One run of a recoder: decodes pictures from a key frame on, lays patches on those that are to be encoded, and encodes
 * them, each at its own time and with its own picture id. A picture that cannot be decoded is replaced by the one before
 * it, so that none is missing.
 */
export class Recoding implements Disposable {
  readonly #run: number;
  readonly #options: RunOptions;
  readonly #decoder: VideoDecoder;
  #encoder: VideoEncoder | undefined;
  /** To be encoded and not yet decoded, in the order of presentation. */
  #waiting: Work[] = [];
  #before: VideoFrame | undefined;
  #last = -Infinity;

  /** @throws MissingLibrary */
  constructor(run: number, options: RunOptions) {
    this.#run = run;
    this.#options = options;
    this.#decoder = new VideoDecoder({ codec: options.codec });
  }

  /** @throws UnsupportedPixels */
  push(work: Work): Answer[] {
    if (work.patches) {
      const place = this.#waiting.findLastIndex(({ start }) => start < work.start) + 1;
      this.#waiting.splice(place, 0, work);
    }
    const answers = this.#decoder.decode(work.data, work.start).flatMap((frame) => this.#decoded(frame));
    // Only H.264 gives pictures later than it got them: of the others, what has not come never will.
    if (this.#options.codec !== 'H264') answers.push(...this.#missing(work.start + 1));
    return answers;
  }

  finish(): Answer[] {
    const answers = this.#decoder.flush().flatMap((frame) => this.#decoded(frame));
    return [...answers, ...this.#missing(Infinity)];
  }

  [Symbol.dispose](): void {
    this.#decoder[Symbol.dispose]();
    this.#encoder?.[Symbol.dispose]();
  }

  #decoded(frame: VideoFrame): Answer[] {
    const answers = this.#missing(frame.start);
    this.#before = frame;
    const [work] = this.#waiting;
    if (work?.start !== frame.start) return answers;
    this.#waiting.shift();
    return [
      ...answers,
      ...this.#encode(
        work,
        patched(
          frame,
          (work.patches ?? []).filter((one) => fits(one, frame)),
        ),
      ),
    ];
  }

  /** What should have come before `start`. */
  #missing(start: number): Answer[] {
    const answers: Answer[] = [];
    for (let [work] = this.#waiting; work && work.start < start; [work] = this.#waiting) {
      this.#waiting.shift();
      const before = this.#before;
      if (before) answers.push(...this.#encode(work, { ...before, start: work.start }));
      else answers.push({ kind: 'lost', run: this.#run, start: work.start });
    }
    return answers;
  }

  #encode({ start, id }: Work, frame: VideoFrame): Answer[] {
    if (start <= this.#last) return [{ kind: 'lost', run: this.#run, start }];
    this.#last = start;
    const { codec } = this.#options;
    const encoder = this.#encoderFor(frame);
    return encoder.encode(frame).map(({ keyFrame, data }) => {
      const unit = { start, keyFrame, payloads: payloadsOf(codec, data, id) };
      return { kind: 'picture', run: this.#run, unit };
    });
  }

  /** A picture of another size or colour begins with a key frame, as a camera's does. */
  #encoderFor({ width, height, colour }: VideoFrame): VideoEncoder {
    const now = this.#encoder?.options;
    const same = now?.width === width && now.height === height && JSON.stringify(now.colour) === JSON.stringify(colour);
    if (this.#encoder && same) return this.#encoder;
    this.#encoder?.[Symbol.dispose]();
    const { codec, fps } = this.#options;
    const bitrate = recodingRate(width, height, fps, this.#options.bitrate);
    return (this.#encoder = new VideoEncoder({
      ...{ codec, width, height, fps, bitrate, colour },
      ...{ keyEvery: KEY_EVERY, live: true },
    }));
  }
}

/** A patch that was made for a picture of another size is not laid on. */
const fits = ({ left, top, width, height }: Patch, frame: VideoFrame) =>
  left + width <= frame.width && top + height <= frame.height;
