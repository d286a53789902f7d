import type { MediaTime } from './time.ts';

/** Codecs that travel through the SFU as they are. */
export type VideoCodec = 'VP8' | 'VP9' | 'H264' | 'AV1';

/** One encoded picture as its codec's files hold it; H.264 with start codes, parameter sets at every key frame. */
export interface EncodedPicture {
  readonly start: MediaTime;
  /** A decoder can start here. */
  readonly keyFrame: boolean;
  readonly data: Uint8Array;
}

/** One encoded picture as RTP payloads (RFC 7741, 6184, 9628), never opened and never changed on its way through. */
export interface AccessUnit {
  readonly start: MediaTime;
  /** A decoder can start here. */
  readonly keyFrame: boolean;
  /** In order; the last one is sent with the marker bit. */
  readonly payloads: readonly Uint8Array[];
}
