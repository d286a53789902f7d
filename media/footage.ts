import { type Interval, type MediaTime, type Span, between } from './time.ts';
import { VideoDecoder } from './video-decoder.ts';
import type { VideoFrame } from './video-frame.ts';
import type { EncodedPicture, VideoCodec } from './video.ts';

export interface FootageOptions {
  readonly codec: VideoCodec;
  /** How much programme is held at most. */
  readonly keep: Span;
  /** How many bytes are. */
  readonly bytes?: number;
}

/** A decoder, and how far it has come. */
interface Reader {
  readonly decoder: VideoDecoder;
  /** Number of the picture that it decodes next, counted from the first that ever came. */
  next: number;
  /** Start of the last frame that came out. */
  last: MediaTime;
  /** Came out and belongs behind what was asked for. */
  ahead: VideoFrame[];
}

/**
 * The encoded pictures of the last seconds, to be decoded when somebody wants to see them, as often as they like. Compressed they
 * take a hundredth of the memory.
 */
export class Footage {
  readonly #codec: VideoCodec;
  readonly #keep: Span;
  readonly #most: number;
  #pictures: EncodedPicture[] = [];
  /** Pictures that were let go. */
  #gone = 0;
  #bytes = 0;
  #dropped = 0;
  #ended = false;
  #waiters = new Set<() => void>();
  #idle: Reader | undefined;
  #closed = false;

  constructor({ codec, keep, bytes = 64 * 1024 * 1024 }: FootageOptions) {
    this.#codec = codec;
    this.#keep = keep;
    this.#most = bytes;
  }

  /** Pictures let go before their time because they took too much memory. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Pictures come in decoding order. */
  push(picture: EncodedPicture): void {
    this.#pictures.push(picture);
    this.#bytes += picture.data.byteLength;
    for (let first = this.#pictures[0]; first; first = this.#pictures[0]) {
      const old = between(first.start, picture.start) > this.#keep;
      if (!old && this.#bytes <= this.#most) break;
      if (!old) this.#dropped += 1;
      this.#pictures.shift();
      this.#gone += 1;
      this.#bytes -= first.data.byteLength;
    }
    this.#news();
  }
  /** Nothing more will come. */
  end(): void {
    this.#ended = true;
    this.#news();
  }
  close(): void {
    this.#closed = true;
    this.#idle?.decoder[Symbol.dispose]();
    this.#idle = undefined;
    this.#pictures = [];
    this.#news();
  }

  /**
   * Frames that start within the interval, in the order in which they are shown; waits for those that are yet to come. Those
   * before the first key frame that is held are left out. The interval's end may grow meanwhile.
   */
  async *frames(interval: Interval, signal: AbortSignal): AsyncGenerator<VideoFrame, void, void> {
    const reader = this.#reader(interval.start);
    try {
      for (;;) {
        for (let frame = reader.ahead.shift(); frame; frame = reader.ahead.shift()) {
          if (frame.start >= interval.end) {
            reader.ahead.unshift(frame);
            return;
          }
          reader.last = frame.start;
          if (frame.start >= interval.start) yield frame;
          if (signal.aborted || this.#closed) return;
        }
        if (reader.next < this.#gone) reader.next = this.#gone + Math.max(0, this.#firstKey());
        const picture = this.#pictures[reader.next - this.#gone];
        if (picture) {
          reader.next += 1;
          reader.ahead.push(...reader.decoder.decode(picture.data, picture.start));
        } else if (this.#ended) {
          const rest = reader.decoder.flush();
          if (rest.length === 0) return;
          reader.ahead.push(...rest);
        } else {
          await this.#next(signal);
          if (signal.aborted || this.#closed) return;
        }
      }
    } finally {
      if (this.#idle || this.#closed || this.#ended) reader.decoder[Symbol.dispose]();
      else this.#idle = reader;
    }
  }

  /** The reader that was let go last, if going on with it is shorter than beginning at a key frame. */
  #reader(start: MediaTime): Reader {
    const key = this.#pictures.findLastIndex((picture) => picture.keyFrame && picture.start <= start);
    const from = this.#gone + (key < 0 ? Math.max(0, this.#firstKey()) : key);
    const idle = this.#idle;
    this.#idle = undefined;
    if (idle) {
      const ahead = idle.ahead[0]?.start ?? Number.POSITIVE_INFINITY;
      if (idle.last < start && ahead >= idle.last && idle.next > from && idle.next >= this.#gone) return idle;
      idle.decoder[Symbol.dispose]();
    }
    const decoder = new VideoDecoder({ codec: this.#codec });
    return { decoder, next: from, last: Number.NEGATIVE_INFINITY as MediaTime, ahead: [] };
  }
  #firstKey(): number {
    return this.#pictures.findIndex(({ keyFrame }) => keyFrame);
  }

  async #next(signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        this.#waiters.delete(done);
        signal.removeEventListener('abort', done);
        resolve();
      };
      this.#waiters.add(done);
      signal.addEventListener('abort', done, { once: true });
    });
  }
  #news(): void {
    for (const wake of [...this.#waiters]) wake();
  }
}
