import type { Scope } from '../../media/scope.ts';
import { FeedConnection } from './feed-connection.ts';
import type { FlvTag } from './flv.ts';
import { FEED_LIMITS, TagMemory } from './flv-feed.ts';
import type { TagQueueLimits } from './tag-queue.ts';

export type IngestState = 'waiting' | 'publishing';

export interface IngestOptions {
  /** In logs. */
  readonly session: string;
  /** @param reason why the last publisher was turned away: a clause without a full stop */
  readonly onState?: (state: IngestState, reason: string | null) => void;
  readonly limits?: TagQueueLimits;
}

/** Between two attempts to reach the session process, ms. */
const RETRY = 200;

/**
 * The way from whoever publishes with one stream key to the session process. A publisher may come before the process is there,
 * and stays while it is replaced; what nobody reads is lost.
 */
export class RtmpIngest {
  readonly options: IngestOptions;
  readonly #scope: Scope;
  #port: number | undefined;
  #connection: FeedConnection | undefined;
  /** Of a publisher that has gone, and whose rest is being read. */
  #finishing: FeedConnection | undefined;
  #retry: NodeJS.Timeout | undefined;
  #memory: TagMemory | undefined;
  readonly #counts = { publishers: 0, refused: 0, connections: 0, tags: 0, others: 0, bytes: 0, groups: 0, lost: 0 };

  /** Until `scope` closes. */
  constructor(options: IngestOptions, scope: Scope) {
    this.options = options;
    this.#scope = scope;
    scope.defer(() => {
      this.to(undefined);
      this.#finishing?.close();
    });
  }

  get publishing(): boolean {
    return this.#memory !== undefined;
  }
  /** Bytes that are kept for a reader. */
  get waiting(): number {
    return (this.#connection?.waiting ?? 0) + (this.#finishing?.waiting ?? 0);
  }
  /** What was lost, and what was not taken. */
  get losses(): Record<string, number> {
    const names = [
      'publishers refused',
      'rtmp tags of other tracks',
      'groups of pictures dropped',
      'rtmp tags dropped',
    ];
    const { counts } = this;
    return Object.fromEntries(names.map((name) => [name, counts[name] ?? 0]));
  }
  /** What has come and what was lost, by name. */
  get counts(): Record<string, number> {
    const { groups, tags } = this.#connection?.dropped ?? { groups: 0, tags: 0 };
    return {
      publishers: this.#counts.publishers,
      'publishers refused': this.#counts.refused,
      'feed connections': this.#counts.connections,
      'rtmp tags': this.#counts.tags,
      'rtmp tags of other tracks': this.#counts.others,
      'rtmp bytes': this.#counts.bytes,
      'groups of pictures dropped': this.#counts.groups + groups,
      'rtmp tags dropped': this.#counts.lost + tags,
    };
  }

  /** Where the session process takes the programme (`Feed.port`); `undefined` while there is none. */
  to(port: number | undefined): void {
    this.#port = port;
    clearTimeout(this.#retry);
    const before = this.#connection;
    this.#leave();
    before?.close();
    this.#connect();
  }

  /** For the door: a publisher comes. */
  begin(): void {
    if (this.#memory) throw new TypeError('Cannot begin: somebody publishes');
    this.#memory = new TagMemory();
    this.#counts.publishers += 1;
    this.#connection?.begin(this.#memory);
    this.options.onState?.('publishing', null);
  }

  put(tag: FlvTag): void {
    if (!this.#memory) throw new TypeError('Cannot put a tag: nobody publishes');
    this.#counts.tags += 1;
    this.#counts.bytes += tag.body.length;
    this.#memory.put(tag);
    this.#connection?.put(tag);
  }

  /** A tag of a track besides the first, which is all that is dubbed. */
  passOver(): void {
    this.#counts.others += 1;
  }

  /** The publisher has gone, or was turned away for a `reason`. */
  end(reason: string | null = null): void {
    if (!this.#memory) return;
    this.#memory = undefined;
    this.#finishing?.close();
    this.#finishing = this.#connection;
    this.#leave();
    this.#finishing?.finish();
    this.#connect();
    this.options.onState?.('waiting', reason);
  }

  /** Somebody was turned away before they published. */
  refused(): void {
    this.#counts.refused += 1;
  }

  #leave(): void {
    if (!this.#connection) return;
    const { groups, tags } = this.#connection.dropped;
    this.#counts.groups += groups;
    this.#counts.lost += tags;
    this.#connection = undefined;
  }

  #connect(): void {
    clearTimeout(this.#retry);
    if (this.#port === undefined || this.#connection || this.#scope.signal.aborted) return;
    const connect = () => (this.#counts.connections += 1);
    const close = () => {
      if (this.#finishing === connection) this.#finishing = undefined;
      if (this.#connection !== connection) return;
      this.#leave();
      this.#retry = setTimeout(() => this.#connect(), RETRY);
    };
    const connection = new FeedConnection(this.#port, { connect, close }, this.options.limits ?? FEED_LIMITS);
    this.#connection = connection;
    if (this.#memory) connection.begin(this.#memory);
  }
}
