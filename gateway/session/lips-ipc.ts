import type { AudioChunk } from '../../media/audio.ts';
import type { Anchor } from '../../media/clock.ts';
import type { Interval, MediaTime, Span } from '../../media/time.ts';
import type { EncodedPicture, VideoCodec } from '../../media/video.ts';
import type { Guide, Language, UtteranceId } from '../../pipeline/domain.ts';
import type { FaceSpan } from '../../pipeline/cue-layout.ts';
import type { Take } from '../../pipeline/face.ts';
import type { StageReport } from '../../pipeline/health.ts';
import type { DrivenPicture, Saying, TakeReport } from '../../pipeline/lip-path.ts';
import type { SessionSpec } from '../config.ts';
import type { NetworkView } from '../protocol.ts';

/**
 * What a session process and its picture process say to each other over Node's IPC channel, with structured clones. Pictures
 * travel compressed one way, and as patches the other.
 */

export type ToLips =
  | { readonly type: 'start'; readonly spec: SessionSpec; readonly keep: Span }
  /** Pictures of another codec follow. */
  | { readonly type: 'codec'; readonly codec: VideoCodec }
  | { readonly type: 'picture'; readonly picture: EncodedPicture }
  /** 16 kHz mono. */
  | { readonly type: 'audio'; readonly chunk: AudioChunk }
  /** Where the programme is played: a driven picture is of use until `lead` before that. */
  | { readonly type: 'schedule'; readonly anchor: Anchor; readonly delay: Span; readonly lead: Span }
  /** Somebody speaks, or a take is to be driven: pictures of that interval are looked at. */
  | { readonly type: 'attend'; readonly interval: Interval }
  | { readonly type: 'said'; readonly saying: Saying }
  /** A voice takes guides: they are told from now on. */
  | { readonly type: 'guides' }
  | { readonly type: 'take'; readonly take: Take }
  /** Takes of that language are to come, or are not any more. */
  | { readonly type: 'expect'; readonly language: Language }
  | { readonly type: 'forget'; readonly language: Language }
  | { readonly type: 'stop' };

export type FromLips =
  /** Engines have loaded. */
  | { readonly type: 'ready' }
  | { readonly type: 'driven'; readonly language: Language; readonly driven: DrivenPicture }
  | { readonly type: 'report'; readonly report: TakeReport }
  /** What the face of whoever said that showed. */
  | { readonly type: 'guide'; readonly utterance: UtteranceId; readonly guide: Guide }
  /** Where faces are, the largest first. */
  | { readonly type: 'faces'; readonly at: MediaTime; readonly faces: readonly FaceSpan[] }
  | { readonly type: 'fault'; readonly stage: string; readonly kind: string; readonly message: string }
  /** Once a second. */
  | {
      readonly type: 'pulse';
      readonly able: boolean;
      readonly stages: readonly StageReport[];
      readonly networks: readonly NetworkView[];
      /** Pictures looked at, and those that could not be in time. */
      readonly seen: number;
      readonly skipped: number;
      readonly cpu: number;
      readonly rssMiB: number;
    };
