import type { Config } from '../config.ts';
import type { CueView, LanguageTag } from '../protocol.ts';
import type { Outputs } from '../source-spec.ts';
import type { OutTrack } from './outlet.ts';

/**
 * What the gateway and an outlet process say to each other over Node's IPC channel. Media comes as plain RTP on loopback from
 * the SFU, as to any viewer; segments and playlists are asked for over HTTP on loopback.
 */

/** A track as the outlet process receives it. */
export interface TapTrack extends OutTrack {
  readonly ssrc: number;
  /** RTP time stamp of media time 0, and ticks per second. */
  readonly rtp: { readonly base: number; readonly rate: number };
}

export type ToOutlets =
  | {
      readonly type: 'start';
      readonly session: string;
      readonly name: string;
      readonly from: LanguageTag;
      readonly outputs: Outputs;
      readonly recordings: Config['recordings'];
      /** Wall clock of media time 0, ms since 1970, as a predecessor had it. */
      readonly epoch: number | null;
    }
  /** Whole list, whenever it changes. */
  | { readonly type: 'tracks'; readonly tracks: readonly TapTrack[] }
  | { readonly type: 'cue'; readonly cue: CueView }
  /** Finishes what can be finished, then exits. */
  | { readonly type: 'stop' };

export type FromOutlets =
  | { readonly type: 'ready'; readonly rtp: number; readonly http: number }
  | { readonly type: 'epoch'; readonly epoch: number }
  /** Once a second, by outlet. */
  | { readonly type: 'counts'; readonly counts: Readonly<Record<string, Readonly<Record<string, number>>>> }
  | { readonly type: 'complaint'; readonly outlet: string; readonly message: string };
