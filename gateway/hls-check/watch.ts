import type { Version } from './change-rules.ts';
import type { Client } from './client.ts';
import type { Piece } from './media-rules.ts';
import type { Finding } from './rules.ts';

/** Media as it came, for whoever wants to look further. */
export interface Taken {
  readonly at: string;
  readonly init: Uint8Array | undefined;
  readonly piece: Piece;
}
export interface Watch {
  readonly client: Client;
  readonly tell: (findings: readonly Finding[]) => void;
  readonly onPiece?: ((taken: Taken) => void) | undefined;
  /** EXT-X-INDEPENDENT-SEGMENTS in the multivariant playlist. */
  readonly independent: boolean;
  /** Date less media time of the leading rendition, seconds; captions are on its timeline. */
  readonly offset: (era: number) => number | undefined;
  /** A version of a playlist has come. */
  readonly onVersion: (url: string, version: Version) => void;
  /** Where the watch ends, ms of `performance.now()`. */
  readonly until: () => number;
}
