import { type MediaTime, type Span, between, seconds } from './time.ts';
import type { AccessUnit } from './video.ts';

export interface VideoLineOptions {
  /** How much programme is held at most, from the oldest picture to the newest: the delay and some more. */
  readonly duration?: Span;
  /** How many pictures are held at most. */
  readonly capacity?: number;
}

/**
 * The delayed picture: whole pictures go in as they come and out when the play-head reaches them, in the order they came.
 *
 * A full line loses its oldest pictures, all of them up to the next key frame, since none of those could be shown
 * without what they follow. The first picture that comes out is a key frame, and so is the first after a loss. A picture
 * that follows no key frame is not taken in.
 */
export class VideoLine {
  #duration: Span;
  #capacity: number;
  #units: AccessUnit[] = [];
  #dropped = 0;
  #refused = 0;
  #broken = true;

  constructor(options: VideoLineOptions = {}) {
    this.#duration = options.duration ?? seconds(10);
    this.#capacity = options.capacity ?? 1_200;
    if (!Number.isInteger(this.#capacity) || this.#capacity < 1) {
      throw new RangeError(`Cannot create video line: capacity must be a positive integer, received ${this.#capacity}`);
    }
  }

  get duration(): Span {
    return this.#duration;
  }
  get capacity(): number {
    return this.#capacity;
  }
  /** Holds at least so much from now on. */
  grow(duration: Span, capacity: number): void {
    this.#duration = Math.max(this.#duration, duration) as Span;
    this.#capacity = Math.max(this.#capacity, capacity);
  }

  get size(): number {
    return this.#units.length;
  }
  /** Pictures lost because the line was full. */
  get dropped(): number {
    return this.#dropped;
  }
  /** Pictures not taken in because they follow no key frame. */
  get refused(): number {
    return this.#refused;
  }
  /** Nothing can be shown before the next key frame comes in. */
  get needsKeyFrame(): boolean {
    return this.#broken;
  }

  /** Takes a picture in; `false` when it follows no key frame. */
  push(unit: AccessUnit): boolean {
    if (this.#broken && !unit.keyFrame) {
      this.#refused += 1;
      return false;
    }
    this.#broken = false;
    this.#units.push(unit);
    if (this.#full(unit.start)) this.#drop(unit.start);
    return !this.#broken;
  }

  /** All pictures due at `playhead`, in order. */
  take(playhead: MediaTime): AccessUnit[] {
    const later = this.#units.findIndex((unit) => unit.start > playhead);
    return this.#units.splice(0, later < 0 ? this.#units.length : later);
  }

  /** Forgets everything; goes on with a key frame. */
  clear(): void {
    this.#units = [];
    this.#broken = true;
  }

  #full(newest: MediaTime): boolean {
    const oldest = this.#units[0];
    return (
      this.#units.length > this.capacity || (oldest !== undefined && between(oldest.start, newest) > this.duration)
    );
  }

  /** Drops from the front until the line is no longer full and begins with a key frame; all of it when there is none. */
  #drop(newest: MediaTime): void {
    const { capacity, duration } = this;
    const fits = (unit: AccessUnit, i: number, all: readonly AccessUnit[]) =>
      unit.keyFrame && all.length - i <= capacity && between(unit.start, newest) <= duration;
    const first = this.#units.findIndex(fits);
    const count = first < 0 ? this.#units.length : first;
    this.#units.splice(0, count);
    this.#dropped += count;
    this.#broken = this.#units.length === 0;
  }
}
