import type { Programme } from './programme.ts';
import type { Scope } from './scope.ts';

/** What FFmpeg takes a live programme from. */
export type StreamInput =
  /** HLS, anything over HTTP, RTSP. */
  | { readonly kind: 'url'; readonly url: string; readonly transport?: 'tcp' | 'udp' }
  /** Plain RTP to the ports of a session description (RFC 8866). */
  | { readonly kind: 'sdp'; readonly sdp: string }
  /** A container as it comes in. Ends where the sender ends. */
  | { readonly kind: 'bytes'; readonly format: 'flv' | 'mpegts'; readonly bytes: AsyncIterable<Uint8Array> };

export interface StreamOptions {
  /** Named in refusals, e.g. `source.url`. */
  readonly field: string;
  /** What pictures become that cannot pass as they are; H.264 unless told, which every output takes. */
  readonly transcodeTo?: 'VP8' | 'H264';
}

/** Opens a live programme. */
export function openStream(input: StreamInput, options: StreamOptions, scope: Scope): Promise<Programme> {
  return Promise.reject(new TypeError(`Cannot open ${input.kind}: ${options.field} ${scope.signal.aborted}`));
}
