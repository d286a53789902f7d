import type { CueView, ModeView, TrackId } from '../gateway/protocol.ts';

/**
 * `window.livedub`: what a page is doing, for end-to-end tests and the bench. It only reads, every field is taken anew at
 * each access, and nothing in it is secret.
 *
 * ```js
 * await page.waitForFunction(() => livedub.connected && livedub.framesDecoded > 10);
 * ```
 */
export interface ViewerHook {
  readonly page: 'viewer';
  /** The signalling socket is open and, once playing, the media transport is connected. */
  readonly connected: boolean;
  /** `idle` before Play, then `playing` or `paused`. */
  readonly play: 'idle' | 'playing' | 'paused';
  /**
   * The language track chosen, and the one whose sound is let through: they differ while a switch is under way, and where
   * the page itself mixes a dub (`voice:es` is heard for `dub:es`).
   */
  readonly trackId: TrackId | null;
  readonly heard: TrackId | null;
  /** The picture track on the screen. */
  readonly seen: TrackId | null;
  /** Programme position at the ear, µs; `null` while nothing arrives. */
  readonly currentMedia: number | null;
  /** Captions on the picture now. */
  readonly cues: readonly CueView[];
  /** From choosing a language to its sound being let through, ms, of the last switch. */
  readonly switchedInMs: number | null;
  readonly framesDecoded: number;
  /** RMS at the loudspeaker over the last 43 ms, 0 to 1. */
  readonly audioLevel: number;
  /** Level at which the original is let through, 0 to 1. */
  readonly originalLevel: number;
  /** The strongest frequency at the loudspeaker, Hz: tells test tones apart. */
  readonly audioPeakHz: number;
  /** Media time heard less media time seen, ms: positive when the picture is behind the sound. */
  readonly avOffsetMs: number | null;
  readonly mode: ModeView | null;
  readonly state: string;
}

export interface PublisherHook {
  readonly page: 'publisher';
  readonly connected: boolean;
  /** `idle`, `opening`, `preparing` (a file is being converted), `live`, `failed`. */
  readonly state: string;
  readonly problem: string | null;
  /** Position of the file being played, µs; `null` for other sources. */
  readonly fileMedia: number | null;
  readonly framesSent: number;
  readonly audioPacketsSent: number;
  readonly audioLevel: number;
}

declare global {
  interface Window {
    livedub?: ViewerHook | PublisherHook;
  }
}
