import type { MediaTime } from '../../../media/time.ts';
import type { LanguageTag } from '../../protocol.ts';

export interface Part {
  readonly start: MediaTime;
  readonly end: MediaTime;
  /** A decoder can start with it. */
  readonly independent: boolean;
  /** Nothing came: it is listed as a gap, and nobody can have it. */
  readonly gap: boolean;
  readonly body: Uint8Array;
}
/** What a decoder must have before a segment. */
export interface Init {
  /** Number of the first segment that it is for. */
  readonly first: number;
  readonly body: Uint8Array;
  readonly codec: string;
  readonly size: { readonly width: number; readonly height: number } | null;
  readonly channels: number | null;
}
export interface Segment {
  readonly number: number;
  readonly start: MediaTime;
  readonly discontinuity: boolean;
  /** Discontinuities up to and with this segment's. */
  readonly discontinuities: number;
  /** Index among the rendition's inits. */
  readonly init: number;
  readonly parts: Part[];
  /** Of captions, which are no joined parts. */
  body?: Uint8Array;
  /** Pictures in it. */
  pictures: number;
  complete: boolean;
}

/** One track as players get it, with what is kept of it. */
export interface Rendition {
  /** Its folder. */
  readonly id: string;
  readonly kind: 'video' | 'audio' | 'captions';
  readonly language: LanguageTag | null;
  readonly title: string;
  readonly inits: Init[];
  segments: Segment[];
  /** Nothing follows. */
  ended: boolean;
  /** Its track is gone while the programme goes on: no player should begin with it. */
  gone: boolean;
}

export const endOf = ({ parts, start }: Segment): MediaTime => parts.at(-1)?.end ?? start;
export const lengthOf = (segment: Segment): number => (endOf(segment) - segment.start) / 1e6;
export const bytesOf = ({ parts, body }: Segment): number =>
  parts.reduce((sum, part) => sum + part.body.byteLength, body?.byteLength ?? 0);
/** Nothing came in all its time. */
export const isGap = ({ parts }: Segment): boolean => parts.length > 0 && parts.every(({ gap }) => gap);
export const isIndependent = ({ parts }: Segment): boolean => parts[0]?.independent ?? true;
/** The newest part there is: where the live edge is. */
export function edgeOf({ segments }: Rendition): { readonly number: number; readonly part: number } | undefined {
  const last = segments.at(-1);
  return last && { number: last.number, part: last.parts.length - 1 };
}
/** Bits a second, of complete segments: the most of one, and over all. */
export function rateOf(segments: readonly Segment[]): { readonly peak: number; readonly average: number } {
  const done = segments.filter((segment) => segment.complete && lengthOf(segment) > 0);
  const whole = done.filter((segment) => lengthOf(segment) >= 0.5);
  const rates = (whole.length > 0 ? whole : done).map((segment) => (bytesOf(segment) * 8) / lengthOf(segment));
  const length = done.reduce((sum, segment) => sum + lengthOf(segment), 0);
  const bytes = done.reduce((sum, segment) => sum + bytesOf(segment), 0);
  return { peak: Math.ceil(Math.max(1, ...rates)), average: length > 0 ? Math.ceil((bytes * 8) / length) : 1 };
}
/** Pictures a second over what is kept; `undefined` before a segment is complete. */
export function pictureRate(segments: readonly Segment[]): number | undefined {
  const done = segments.filter((segment) => segment.complete && segment.pictures > 0);
  const length = done.reduce((sum, segment) => sum + lengthOf(segment), 0);
  return length > 0 ? done.reduce((sum, { pictures }) => sum + pictures, 0) / length : undefined;
}
