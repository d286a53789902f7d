import type { AudioChunk } from '../../media/audio.ts';
import type { AccessUnit, VideoCodec } from '../../media/video.ts';

/** What a programme's video is, as the SFU must know it; `null` when there is none. */
export interface VideoFormat {
  readonly codec: VideoCodec;
  /** Codec parameters of the SDP `fmtp` line, e.g. H.264's `profile-level-id`. */
  readonly parameters: Readonly<Record<string, string | number>>;
}

/** Who wants to hear of a programme. Audio is 48 kHz mono without a gap; buffers are borrowed. */
export interface Sink {
  audio(chunk: AudioChunk): void;
  video(unit: AccessUnit): void;
  format(format: VideoFormat | null): void;
}

/** H.264 as every WebRTC endpoint takes it: constrained baseline, level 3.1 (RFC 7742 §6.2). */
const PARAMETERS: Readonly<Record<VideoCodec, VideoFormat['parameters']>> = {
  VP8: {},
  VP9: { 'profile-id': 0 },
  H264: { 'packetization-mode': 1, 'profile-level-id': '42e01f', 'level-asymmetry-allowed': 1 },
  AV1: {},
};
export const formatOf = (codec: VideoCodec): VideoFormat => ({ codec, parameters: PARAMETERS[codec] });
