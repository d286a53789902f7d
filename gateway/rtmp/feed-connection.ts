import { type Socket, connect } from 'node:net';
import type { FlvTag } from './flv.ts';
import { FEED_LIMITS, FlvFeed, type TagMemory } from './flv-feed.ts';
import type { TagQueueLimits } from './tag-queue.ts';

/** How long a reader may take for the rest of a publisher that has gone, ms. */
const LINGER = 5_000;

/**
 * One connection to the feed of a session process. It is silent until the process says by a byte that somebody reads, so that
 * nothing grows old in the system's buffers; then it carries one publisher's FLV and ends with them.
 */
export class FeedConnection {
  readonly #socket: Socket;
  readonly #limits: TagQueueLimits;
  #memory: TagMemory | undefined;
  #feed: FlvFeed | undefined;
  #reading = false;
  #ended = false;
  #linger: NodeJS.Timeout | undefined;

  constructor(port: number, on: { readonly connect: () => void; readonly close: () => void }, limits = FEED_LIMITS) {
    this.#limits = limits;
    this.#socket = connect({ host: '127.0.0.1', port, noDelay: true });
    this.#socket.on('connect', on.connect);
    this.#socket.on('data', () => {
      this.#reading = true;
      this.#join();
    });
    this.#socket.on('drain', () => this.#pump());
    this.#socket.on('error', () => {}); // 'close' follows.
    this.#socket.on('close', () => {
      clearTimeout(this.#linger);
      on.close();
    });
  }

  get dropped(): { readonly groups: number; readonly tags: number } {
    return this.#feed?.dropped ?? { groups: 0, tags: 0 };
  }
  /** Bytes that are kept for the reader. */
  get waiting(): number {
    return (this.#feed?.waiting.bytes ?? 0) + this.#socket.writableLength;
  }

  /** A publisher has come, whose tags are also put in `memory`. */
  begin(memory: TagMemory): void {
    this.#memory = memory;
    this.#join();
  }

  put(tag: FlvTag): void {
    this.#feed?.put(tag);
    this.#pump();
  }

  /** The publisher has gone: gives the reader what is left, and ends. */
  finish(): void {
    this.#ended = true;
    if (!this.#feed) {
      this.close();
      return;
    }
    this.#linger = setTimeout(() => this.close(), LINGER);
    this.#pump();
  }

  close(): void {
    this.#socket.destroy();
  }

  #join(): void {
    if (this.#reading && this.#memory && !this.#ended) this.#feed ??= new FlvFeed(this.#memory, this.#limits);
  }

  #pump(): void {
    if (!this.#feed || !this.#socket.writable) return;
    while (!this.#socket.writableNeedDrain) {
      const bytes = this.#feed.take();
      if (!bytes) break;
      this.#socket.write(bytes);
    }
    if (this.#ended && this.#feed.waiting.tags === 0) this.#socket.end();
  }
}
