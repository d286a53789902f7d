import type { Anchor } from '../../media/clock.ts';
import type { LineRecord } from '../../pipeline/ledger.ts';
import type { ClipView, CueView, ModeView, StatsView, TrackId } from '../protocol.ts';
import type { SessionSpec } from '../config.ts';

export type { LineRecord } from '../../pipeline/ledger.ts';

/**
 * What the gateway and a session process say to each other over Node's IPC channel. Both ends are ours, so nothing is
 * validated here; a message neither knows is a bug.
 *
 * Media does not travel here: RTP and RTCP do, over loopback UDP. The session process binds one port for input (fed by
 * the gateway's relay) and one for output (connected to an SFU PlainTransport with rtcp-mux); both ports stay the same
 * over a restart, as do SSRCs, payload types and media time, so that the SFU's producers and their viewers survive it.
 */

/** One RTP stream of the publisher as the SFU forwards it to the session process. */
export interface InputTrack {
  readonly kind: 'audio' | 'video';
  readonly ssrc: number;
  readonly payloadType: number;
  /** `audio/opus`, `video/VP8`, `video/H264`, … */
  readonly mimeType: string;
  readonly clockRate: number;
  readonly channels: number;
}

/** A publisher's sender report (RFC 3550 §6.4.1), taken at the SFU: whatever the SFU itself reports says less. */
export interface SenderReport {
  /** Of the input track. */
  readonly ssrc: number;
  /** µs since 1900, by the publisher's clock. */
  readonly ntp: number;
  /** The 32 bit time stamp of that instant. */
  readonly rtp: number;
}

/** One RTP stream that the session process sends to the SFU. */
export interface OutputTrack {
  readonly id: TrackId;
  readonly kind: 'audio' | 'video';
  readonly language: string | null;
  readonly ssrc: number;
  readonly payloadType: number;
  readonly mimeType: string;
  readonly clockRate: number;
  readonly channels: number;
  /** Codec parameters for the SFU, e.g. H.264's `profile-level-id`; Opus' `useinbandfec`. */
  readonly parameters: Readonly<Record<string, string | number>>;
  /** RTP time stamp of media time 0. */
  readonly rtpBase: number;
}

/** What a session process must know to go on where its predecessor died. */
export interface Resume {
  /** Media time ↔ the system-wide monotonic clock (CLOCK_MONOTONIC, the same in every process). */
  readonly anchor: Anchor;
  /** How late the programme is played behind it, µs. */
  readonly delay: number;
  /** Per input SSRC: an unwrapped RTP time stamp and its media time (µs). */
  readonly inputs: readonly { readonly ssrc: number; readonly rtp: number; readonly media: number }[];
  /** Last sequence number known to have been sent, by video track. */
  readonly videoSequences: Readonly<Record<string, number>>;
  /** How often the process was started before; part of utterance ids. */
  readonly generation: number;
}

export type ToSession =
  | {
      readonly type: 'start';
      readonly session: string;
      readonly spec: SessionSpec;
      /** UDP ports on 127.0.0.1: 0 lets the process choose (and report in `ready`). */
      readonly ports: { readonly input: number; readonly output: number };
      /** Where output RTP goes: the SFU's PlainTransport. */
      readonly sfu: { readonly address: string; readonly port: number };
      readonly outputs: readonly OutputTrack[];
      readonly resume: Resume | null;
    }
  /** The publisher's tracks, whole list, whenever it changes; empty when the publisher has left. */
  | { readonly type: 'input'; readonly tracks: readonly InputTrack[] }
  | { readonly type: 'report'; readonly report: SenderReport }
  | { readonly type: 'add-language'; readonly tracks: readonly OutputTrack[] }
  | { readonly type: 'remove-language'; readonly language: string }
  /** Ends in an orderly way; the process then exits by itself. */
  | { readonly type: 'stop' };

export type FromSession =
  /** `feed`: where what is published by RTMP is taken (`feed.ts`), for a session with that source. */
  | {
      readonly type: 'ready';
      readonly ports: { readonly input: number; readonly output: number };
      readonly feed?: number;
    }
  /** Answers one `input`: datagrams of those tracks are now taken. */
  | { readonly type: 'listening' }
  /**
   * Video tracks, all of them, whenever they change: their codec is known only once input is; audio tracks are agreed in
   * `start`/`add-language`.
   */
  | { readonly type: 'video'; readonly tracks: readonly Omit<OutputTrack, 'ssrc' | 'rtpBase'>[] }
  /**
   * How a stream that is pulled, or pushed to us, is: `opening` (it has not come yet), `live`, or `away`, and then why, as
   * a clause without a full stop. It is tried again for as long as the session lasts.
   */
  | { readonly type: 'source'; readonly state: 'opening' | 'live' | 'away'; readonly reason: string | null }
  /** First picture or sound has been sent. */
  | { readonly type: 'live' }
  | { readonly type: 'cue'; readonly cue: CueView }
  | { readonly type: 'clip'; readonly clip: ClipView }
  | { readonly type: 'line'; readonly line: LineRecord }
  | { readonly type: 'mode'; readonly mode: ModeView }
  | { readonly type: 'fault'; readonly stage: string; readonly kind: string; readonly message: string }
  /** About five times a second. */
  | { readonly type: 'pulse'; readonly resume: Resume }
  /** Once a second. `viewers`, `restarts` are the gateway's and come as 0. */
  | { readonly type: 'stats'; readonly stats: StatsView }
  /** A recorded programme has been played to its end. */
  | { readonly type: 'ended' }
  /** The session cannot run: e.g. a file that is no media. The process exits after it and is not restarted. */
  | {
      readonly type: 'failed';
      readonly code: string;
      readonly field: string | null;
      readonly message: string;
      readonly fix: string | null;
    };
