import { type FlvTag, TAG, TAG_OVERHEAD, isLasting, roleOf } from './flv.ts';

export interface TagQueueLimits {
  readonly bytes: number;
  /** From the first tag to the last, milliseconds. */
  readonly span: number;
}

/**
 * Tags on their way to a reader that may be slow. When there are too many, the oldest group of pictures goes, with its sound, so
 * that what follows begins with a key frame again; sequence headers and metadata stay.
 */
export class TagQueue {
  readonly #limits: TagQueueLimits;
  #tags: FlvTag[] = [];
  #bytes = 0;
  /** Pictures are of no use before a key frame. */
  #broken = true;
  readonly #dropped = { groups: 0, tags: 0 };

  constructor(limits: TagQueueLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#tags.length;
  }
  get bytes(): number {
    return this.#bytes;
  }
  /** How often it was too much, and how many tags that cost. */
  get dropped(): { readonly groups: number; readonly tags: number } {
    return this.#dropped;
  }

  put(tag: FlvTag): void {
    const role = roleOf(tag);
    if (role === 'key frame') this.#broken = false;
    if (role === 'picture' && this.#broken) {
      this.#dropped.tags += 1;
      return;
    }
    this.#tags.push(tag);
    this.#bytes += sizeOf(tag);
    while (this.#tooMuch(tag)) this.#dropOldest();
  }

  take(): FlvTag | undefined {
    const tag = this.#tags.shift();
    if (tag) this.#bytes -= sizeOf(tag);
    return tag;
  }

  #tooMuch({ timestamp }: FlvTag): boolean {
    const oldest = this.#tags.find((tag) => !isLasting(tag));
    // Time stamps wrap: their difference is a signed number of 32 bits.
    const span = oldest ? (timestamp - oldest.timestamp) | 0 : 0;
    return oldest !== undefined && (this.#bytes > this.#limits.bytes || span > this.#limits.span);
  }

  #dropOldest(): void {
    const key = this.#tags.findIndex((tag, n) => n > 0 && roleOf(tag) === 'key frame');
    const sound = !this.#tags.some((tag) => tag.type === TAG.video && !isLasting(tag));
    // Sound alone stands by itself; of pictures without another key frame nothing is of use.
    const end = sound ? 1 + this.#tags.findIndex((tag) => !isLasting(tag)) : key > 0 ? key : this.#tags.length;
    if (!sound && key <= 0) this.#broken = true;
    const gone = this.#tags.splice(0, end);
    const kept = gone.filter(isLasting);
    this.#tags.unshift(...kept);
    this.#dropped.groups += 1;
    this.#dropped.tags += gone.length - kept.length;
    for (const tag of gone) if (!isLasting(tag)) this.#bytes -= sizeOf(tag);
  }
}

const sizeOf = ({ body }: FlvTag) => TAG_OVERHEAD + body.length;
