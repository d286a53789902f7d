import { iso639 } from './iso639.ts';
import type { PictureSize } from './picture-size.ts';
import type { Span } from './time.ts';
import type { VideoCodec } from './video.ts';

/** A track as the file's head says it. */
export type WrittenTrack = {
  /** From 1 to 126. */
  readonly number: number;
  /** BCP 47. */
  readonly language: string;
  readonly title: string;
  /** What a player picks of its kind. */
  readonly preferred: boolean;
  /** `CodecPrivate`. */
  readonly header: Uint8Array;
} & (
  | { readonly kind: 'video'; readonly codec: VideoCodec; readonly size: PictureSize }
  | { readonly kind: 'audio'; readonly codec: 'Opus'; readonly channels: number }
);

/** One picture or packet of sound; H.264 with lengths of four bytes. */
export interface Block {
  readonly track: number;
  /** From the beginning of the file. */
  readonly start: Span;
  readonly keyFrame: boolean;
  readonly data: Uint8Array;
}

/** A time stamp counts 100 µs: what 16 bits of a block can then say, 3.2 s, is more than any cluster of ours. */
const TICK = 100;
/** How far blocks may lie from the beginning of their cluster. */
export const REACH = (32_767 * TICK) as Span;

const CODECS = { VP8: 'V_VP8', VP9: 'V_VP9', H264: 'V_MPEG4/ISO/AVC', AV1: 'V_AV1', Opus: 'A_OPUS' } as const;
/** Before an Opus decoder that begins in the middle is to be believed (RFC 9559, appendix on Opus; RFC 7845 §4.6): ns. */
const OPUS_PREROLL = 80_000_000;

/**
 * The head of a live Matroska file (RFC 9559) of exactly `room` bytes, with a segment of unknown size: clusters follow
 * until the file ends. What it does not need is left free, so that a head with more tracks can be written over it.
 *
 * @throws RangeError when `room` is not enough
 */
export function matroskaHead(tracks: readonly WrittenTrack[], room: number, duration?: Span): Uint8Array<ArrayBuffer> {
  const bytes = Uint8Array.from([
    ...element(0x1a45dfa3, [
      ...element(0x4282, text('matroska')),
      ...element(0x4287, unsigned(4)),
      ...element(0x4285, unsigned(2)),
    ]),
    ...idOf(0x18538067),
    ...[0x01, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
    ...element(0x1549a966, [
      ...element(0x2ad7b1, unsigned(TICK * 1_000)),
      ...element(0x4d80, text('Livedub')),
      ...element(0x5741, text('Livedub')),
      ...(duration === undefined ? [] : element(0x4489, float(duration / TICK))),
    ]),
    ...element(0x1654ae6b, tracks.flatMap(trackEntry)),
  ]);
  const free = room - bytes.byteLength - VOID;
  if (free < 0)
    throw new RangeError(`Cannot write Matroska: a head of ${tracks.length} tracks does not fit ${room} bytes`);
  const head = new Uint8Array(room);
  head.set(bytes);
  head.set([0xec, ...sizeOf(free)], bytes.byteLength);
  return head;
}
/** Bytes of the empty element that fills the room: its ID and its size. */
const VOID = 5;

/** Blocks as one cluster that is whole in itself; it begins at `start` from the beginning of the file. */
export function matroskaCluster(start: Span, blocks: readonly Block[]): Uint8Array<ArrayBuffer> {
  const begin = Math.round(start / TICK);
  const head = element(0xe7, unsigned(begin));
  const heads = blocks.map(({ track, start: at, keyFrame, data }) => {
    const relative = Math.round(at / TICK) - begin;
    if (Math.abs(relative) > 32_767)
      throw new RangeError(`Cannot write Matroska: a block ${relative} ticks from its cluster`);
    const of = [0x80 | track, (relative >> 8) & 0xff, relative & 0xff, keyFrame ? 0x80 : 0];
    return [0xa3, ...sizeOf(of.length + data.byteLength), ...of];
  });
  const size = blocks.reduce((sum, { data }, i) => sum + (heads[i]?.length ?? 0) + data.byteLength, head.length);
  const bytes = new Uint8Array(size + 8);
  bytes.set([...idOf(CLUSTER), ...sizeOf(size)]);
  bytes.set(head, 8);
  let offset = 8 + head.length;
  for (const [i, { data }] of blocks.entries()) {
    const of = heads[i] ?? [];
    bytes.set(of, offset);
    bytes.set(data, offset + of.length);
    offset += of.length + data.byteLength;
  }
  return bytes;
}

const CLUSTER = 0x1f43b675;
/** Bytes of the whole cluster that begins with these eight; `undefined` where none of ours does. */
export function clusterSize(head: Uint8Array): number | undefined {
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (head.byteLength < 8 || view.getUint32(0) !== CLUSTER || (head[4] ?? 0) >> 4 !== 1) return undefined;
  return 8 + (view.getUint32(4) & 0x0fff_ffff);
}

function trackEntry(track: WrittenTrack): number[] {
  const { number, kind, codec, language, title, preferred, header } = track;
  return element(0xae, [
    ...element(0xd7, unsigned(number)),
    ...element(0x73c5, unsigned(number)),
    ...element(0x83, unsigned(kind === 'video' ? 1 : 2)),
    ...element(0x88, unsigned(preferred ? 1 : 0)),
    ...element(0x9c, unsigned(0)),
    ...element(0x536e, text(title)),
    ...element(0x22b59c, text(iso639(language))),
    ...element(0x22b59d, text(language)),
    ...element(0x86, text(CODECS[codec])),
    ...(header.byteLength > 0 ? element(0x63a2, [...header]) : []),
    ...(track.kind === 'video'
      ? element(0xe0, [...element(0xb0, unsigned(track.size.width)), ...element(0xba, unsigned(track.size.height))])
      : [
          ...element(0x56bb, unsigned(OPUS_PREROLL)),
          ...element(0xe1, [...element(0xb5, float(48_000)), ...element(0x9f, unsigned(track.channels))]),
        ]),
  ]);
}

/** An element: ID, size in four bytes, content (RFC 8794). */
const element = (id: number, body: readonly number[]): number[] => [...idOf(id), ...sizeOf(body.length), ...body];
function sizeOf(size: number): number[] {
  if (size >= 0x0fff_ffff) throw new RangeError(`Cannot write Matroska: an element of ${size} bytes`);
  return [0x10 | (size >>> 24), (size >> 16) & 0xff, (size >> 8) & 0xff, size & 0xff];
}
const idOf = (id: number): number[] => unsigned(id);
function unsigned(value: number): number[] {
  const bytes: number[] = [];
  for (let left = value; left > 0 || bytes.length === 0; left = Math.floor(left / 256)) bytes.unshift(left % 256);
  return bytes;
}
const text = (value: string): number[] => [...Buffer.from(value)];
function float(value: number): number[] {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return [...bytes];
}
