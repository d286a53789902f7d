import type { AudioChunk } from './audio.ts';
import type { Scope } from './scope.ts';
import type { MediaTime, Span } from './time.ts';

/** Codecs that FFmpeg hands on as they are. */
export type PassedCodec = 'VP8' | 'VP9' | 'H264';

/** What a programme is made of, as its container says. */
export interface ProgrammeInfo {
  readonly container: string;
  /** Of one round; `null` where nobody knows, as of everything live. */
  readonly duration: Span | null;
  readonly audio: { readonly codec: string; readonly rate: number; readonly channels: number } | null;
  readonly video: {
    /** What comes out. */
    readonly codec: PassedCodec;
    /** What is in the source, by FFmpeg's name. */
    readonly source: string;
    /** Of what comes out. */
    readonly width: number;
    readonly height: number;
    readonly fps: number;
    /** Why pictures are transcoded; `null` when they pass bit for bit. */
    readonly why: string | null;
  } | null;
}

/** 20 ms of sound (less at the very end), or one picture. H.264 is in Annex B, with parameter sets at every key frame. */
export type ProgrammeItem =
  | ({ readonly kind: 'audio'; readonly rate: 48_000 } & AudioChunk)
  | {
      readonly kind: 'video';
      readonly start: MediaTime;
      readonly keyFrame: boolean;
      readonly codec: PassedCodec;
      readonly data: Uint8Array;
    };

/**
 * One reading of a source, from when it was opened: sound and pictures as one sequence in the order of presentation.
 *
 * Of a file, times are places in the file from `start` on; of a live source they begin near 0. Sound is without a gap from its
 * first sample on: holes are silence. The consumer sets the pace. It ends where the source ends, throws where the source
 * breaks off, and is read once. It ends with its scope too.
 */
export interface Programme extends AsyncIterable<ProgrammeItem> {
  readonly info: ProgrammeInfo;
}

/** How every kind of source is opened: once for each time it comes. @throws Refusal what cannot ever work, with the field */
export type OpenProgramme = (scope: Scope) => Promise<Programme>;
