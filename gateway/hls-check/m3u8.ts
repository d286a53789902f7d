/**
 * HLS playlists as they were written (RFC 8216bis §4): every tag with its line, so that what is wrong can be pointed at.
 * Nothing is put right and nothing throws; what cannot be read is in `troubles`.
 */
export interface Value {
  readonly text: string;
  readonly quoted: boolean;
}
export type Attributes = ReadonlyMap<string, Value>;
export interface Tag {
  /** From 1. */
  readonly line: number;
  readonly name: string;
  readonly text: string;
}
export interface Trouble {
  readonly line: number;
  readonly what: 'header' | 'encoding' | 'attributes' | 'number' | 'extinf' | 'twice';
  readonly seen: string;
}
export interface Written {
  readonly text: string;
  readonly version: number | undefined;
  readonly tags: readonly Tag[];
  readonly troubles: readonly Trouble[];
  readonly independent: boolean;
}

/** Seconds throughout. */
export interface Part {
  readonly line: number;
  readonly uri: string;
  readonly duration: number;
  readonly independent: boolean;
  readonly gap: boolean;
  readonly range: string | undefined;
}
export interface Segment {
  readonly line: number;
  readonly number: number;
  /** `undefined` while it is being written. */
  readonly uri: string | undefined;
  readonly duration: number | undefined;
  readonly parts: readonly Part[];
  readonly discontinuity: boolean;
  /** Its discontinuity sequence number. */
  readonly era: number;
  readonly map: string | undefined;
  /** What its own EXT-X-PROGRAM-DATE-TIME says, ms since 1970. */
  readonly date: number | undefined;
  readonly gap: boolean;
  readonly range: string | undefined;
}
export interface Control {
  readonly block: boolean;
  readonly skipUntil: number | undefined;
  readonly holdBack: number | undefined;
  readonly partHoldBack: number | undefined;
}
export interface Report {
  readonly uri: string;
  readonly number: number | undefined;
  readonly part: number | undefined;
}
export interface MediaPlaylist extends Written {
  readonly kind: 'media';
  readonly target: number | undefined;
  readonly sequence: number;
  readonly era: number;
  readonly partTarget: number | undefined;
  readonly control: Control | undefined;
  readonly type: string | undefined;
  /** Segments that a delta update leaves out. */
  readonly skipped: number;
  readonly segments: readonly Segment[];
  readonly hint: string | undefined;
  readonly reports: readonly Report[];
  readonly ended: boolean;
}
export interface Media {
  readonly line: number;
  readonly type: string | undefined;
  readonly group: string | undefined;
  readonly name: string | undefined;
  readonly language: string | undefined;
  readonly uri: string | undefined;
  readonly preferred: boolean;
  readonly autoselect: boolean;
  readonly attributes: Attributes;
}
export interface Variant {
  readonly line: number;
  readonly uri: string | undefined;
  readonly bandwidth: number | undefined;
  readonly average: number | undefined;
  readonly codecs: readonly string[] | undefined;
  readonly size: { readonly width: number; readonly height: number } | undefined;
  readonly rate: number | undefined;
  readonly attributes: Attributes;
}
export interface Multivariant extends Written {
  readonly kind: 'multivariant';
  readonly media: readonly Media[];
  readonly variants: readonly Variant[];
  readonly iFrames: number;
}
export type Playlist = MediaPlaylist | Multivariant;

/** A delta update with what it leaves out (§6.2.5.1); `undefined` when `before` does not hold that. */
export function filled(delta: MediaPlaylist, before: MediaPlaylist): MediaPlaylist | undefined {
  const known = before.segments.filter(
    ({ number }) => number >= delta.sequence && number < delta.sequence + delta.skipped,
  );
  if (known.length !== delta.skipped) return undefined;
  const map = known.at(-1)?.map;
  // Tags hold on: what the skipped ones said of later segments is still true of them.
  const mapped = delta.tags.some(({ name }) => name === 'EXT-X-MAP');
  const era = known.at(-1)?.era;
  const shift = era === undefined ? 0 : era - delta.era;
  const rest = delta.segments.map((one) => ({ ...one, era: one.era + shift, map: mapped ? (one.map ?? map) : map }));
  return { ...delta, skipped: 0, segments: [...known, ...rest] };
}

export const lengthOf = ({ duration, parts }: Segment): number =>
  duration ?? parts.reduce((sum, part) => sum + part.duration, 0);
/** Where the newest part is, as `_HLS_msn` and `_HLS_part` count. */
export function edgeOf({ segments }: MediaPlaylist): { readonly number: number; readonly part: number } | undefined {
  const last = segments.at(-1);
  return last && { number: last.number, part: last.parts.length - 1 };
}
