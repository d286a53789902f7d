import type { PictureFormat } from '../../../media/fmp4.ts';
import { type MediaTime, type Span, seconds } from '../../../media/time.ts';

/** A picture, or a frame of sound. */
export interface Item {
  readonly start: MediaTime;
  readonly keyFrame: boolean;
  readonly data: Uint8Array;
  /** Of a key frame. */
  readonly format?: PictureFormat;
  /** A decoder of what came before cannot take it. */
  readonly changed?: boolean;
}
/** Where segments of every track begin. */
export interface Boundary {
  readonly start: MediaTime;
  /** Counts from 0. */
  readonly index: number;
  /** Settled when the first part behind it is cut. */
  discontinuity: boolean;
}
/** One part of one track. */
export interface Cut {
  readonly track: string;
  readonly boundary: Boundary;
  readonly start: MediaTime;
  readonly end: MediaTime;
  /** In order, none before `start`; the first may begin later, and there may be none. */
  readonly items: readonly Item[];
  /** The segment ends with it. */
  readonly last: boolean;
}
export interface Lengths {
  /** A part is never longer. */
  readonly part: Span;
  /** A segment ends at the first key frame after so long… */
  readonly aim: Span;
  /** …and after so long without one. */
  readonly most: Span;
}

/** What a gateway's spec says, as lengths. The longest segment rounds to the target duration (RFC 8216bis §4.4.3.1). */
export function lengthsOf(spec: {
  readonly part: number;
  readonly segment: number;
}): Lengths & { readonly target: number } {
  const target = Math.ceil(spec.segment * 1.5);
  return {
    part: seconds(spec.part),
    aim: seconds(spec.segment),
    most: seconds(target + 0.4),
    target,
  };
}
