import { decodeAmf0 } from './amf0.ts';
import { type FlvTag, TAG, flvHeader, flvTag, isLasting, roleOf } from './flv.ts';
import { TagQueue, type TagQueueLimits } from './tag-queue.ts';

/** What a reader may be late: more is no live programme any more. 8 MB are 10 s of 6 Mbit/s. */
export const FEED_LIMITS: TagQueueLimits = { bytes: 8_000_000, span: 10_000 };
/** Sound waits so long for a key frame where somebody joins, ms by the publisher's clock; pictures wait longer. */
const PATIENCE = 10_000;

/** What of a publisher's tags must come first for whoever joins, however late. */
export class TagMemory {
  #metadata: FlvTag | undefined;
  #audio: FlvTag | undefined;
  #video: FlvTag | undefined;
  #begun = false;
  #pictures = false;

  /** Whether sound or pictures have come. */
  get begun(): boolean {
    return this.#begun;
  }
  /** Whether there are pictures to wait for. */
  get pictures(): boolean {
    return this.#pictures;
  }

  put(tag: FlvTag): void {
    if (tag.type === TAG.video) this.#pictures = true;
    switch (roleOf(tag)) {
      case 'metadata':
        this.#metadata = tag;
        break;
      case 'audio header':
        this.#audio = tag;
        break;
      case 'video header':
        this.#video = tag;
        break;
      default:
        this.#begun = true;
    }
  }

  get tags(): readonly FlvTag[] {
    return [this.#metadata, this.#video, this.#audio].filter((tag) => tag !== undefined);
  }

  /** What there is, as the metadata says; both where it does not. */
  get contents(): { readonly audio: boolean; readonly video: boolean } {
    const values: unknown = this.#metadata && decodeAmf0(this.#metadata.body)[1];
    if (typeof values !== 'object' || values === null) return { audio: true, video: true };
    const [audio, video] = ['audiocodecid' in values, 'videocodecid' in values];
    return audio || video ? { audio, video } : { audio: true, video: true };
  }
}

/**
 * FLV of one publisher for one reader: the header, the latest metadata and sequence headers, then tags from the first on, or from
 * the next key frame for a reader that joins later. Time stamps are the publisher's.
 */
export class FlvFeed {
  readonly #memory: TagMemory;
  readonly #queue: TagQueue;
  readonly #ready: Buffer[] = [];
  #state: 'from the first' | 'from a key frame' | 'running';
  #joined: number | undefined;

  /** @param memory of the publisher; every tag is put there before it is put here */
  constructor(memory: TagMemory, limits = FEED_LIMITS) {
    this.#memory = memory;
    this.#queue = new TagQueue(limits);
    this.#state = memory.begun ? 'from a key frame' : 'from the first';
  }

  get waiting(): { readonly tags: number; readonly bytes: number } {
    return { tags: this.#queue.size, bytes: this.#queue.bytes };
  }
  get dropped(): TagQueue['dropped'] {
    return this.#queue.dropped;
  }

  put(tag: FlvTag): void {
    if (this.#state !== 'running') {
      // What is remembered is given at the beginning.
      if (isLasting(tag) || !this.#begins(tag)) return;
      this.#state = 'running';
      this.#ready.push(flvHeader(this.#memory.contents));
      // With the time of what follows: at 0 it would be a jump to whoever minds the clock.
      for (const each of this.#memory.tags) this.#ready.push(flvTag(each, tag.timestamp));
    }
    this.#queue.put(tag);
  }

  /** The next bytes for the reader. */
  take(): Buffer | undefined {
    const ready = this.#ready.shift();
    if (ready) return ready;
    const tag = this.#queue.take();
    return tag && flvTag(tag);
  }

  #begins(tag: FlvTag): boolean {
    this.#joined ??= tag.timestamp;
    const role = roleOf(tag);
    if (role !== 'audio') return role === 'key frame';
    const waited = (tag.timestamp - this.#joined) | 0;
    return this.#state === 'from the first' || !this.#memory.pictures || waited > PATIENCE;
  }
}
