import type { PictureSize } from '../../media/picture-size.ts';
import type { ClockTime, MediaTime } from '../../media/time.ts';
import type { EncodedPicture, VideoCodec } from '../../media/video.ts';
import type { CueView, LanguageTag, TrackId } from '../protocol.ts';

/** One track of the delayed programme, as outlets are told of it. */
export interface OutTrack {
  readonly id: TrackId;
  readonly kind: 'audio' | 'video';
  /** BCP 47; `null` for the picture as it is. */
  readonly language: LanguageTag | null;
  /** For a person: `español`, `Original`. */
  readonly title: string;
  /** What it is sent as: an audio track's is always Opus. */
  readonly codec: VideoCodec | 'Opus';
}

/** What an outlet takes; what nobody takes is not made. */
export interface Wants {
  /** `H264`: Annex B, constrained baseline, parameter sets at every key frame; transcoded where the programme is not. */
  readonly pictures: 'H264' | 'as sent' | 'none';
  /** `AAC`: AAC-LC, 48 kHz, frames of 1,024 samples without ADTS headers (ISO/IEC 14496-3). `Opus`: packets of 20 ms. */
  readonly sound: 'AAC' | 'Opus' | 'none';
}

export interface OutPicture extends EncodedPicture, PictureSize {
  readonly track: TrackId;
  readonly codec: VideoCodec;
}
/** One frame of AAC (1,024 samples) or one packet of Opus (960). */
export interface OutSound {
  readonly track: TrackId;
  readonly start: MediaTime;
  readonly data: Uint8Array;
}

/** What every outlet of a session is opened with. */
export interface OutletContext {
  readonly session: string;
  /** The session's name, for titles. */
  readonly name: string;
  /** Language of the programme. */
  readonly from: LanguageTag;
  /** Wall clock time (ms since 1970) at which that place of the programme is shown. Never steps backwards. */
  readonly dateOf: (media: MediaTime) => number;
  /** A sentence for the log, with what a person can do about it. */
  readonly complain: (message: string) => void;
}

/**
 * Somewhere the delayed programme goes: HLS, a recording, a push to another server.
 *
 * It is told the tracks first and again whenever they change. Pictures and sound come in order per track, each track's times
 * increasing; sound is without a gap (what was lost is concealed), pictures begin with a key frame and may have holes.
 * Tracks are a fraction of a second apart at most. Buffers may be kept. Nothing here waits: what an outlet cannot take at once
 * it queues, bounded, or drops and counts; it never throws for what the world does to it.
 */
export interface Outlet {
  readonly wants: Wants;
  tracks(tracks: readonly OutTrack[]): void;
  picture(picture: OutPicture): void;
  sound(sound: OutSound): void;
  /** Final cues and drafts, as viewers get them: media time, the voice's as soon as that is known. */
  cue(cue: CueView): void;
  /** Several times a second: everything before `position` has come. */
  tick(now: ClockTime, position: MediaTime): void;
  /** What it has done and lost, by name, for the metrics. */
  readonly counts: Readonly<Record<string, number>>;
  /** The programme is over, or this outlet is not wanted any more: finishes what can be finished. */
  close(): Promise<void>;
}
