import { avcRecord } from './avc.ts';
import { box, fullBox, joined, text, u16, u32, u64, u8, zeros } from './boxes.ts';
import { PPS, SPS, frameOf, nalUnits, typeOf } from './h264.ts';
import type { PictureSize } from './picture-size.ts';

/**
 * Fragmented MP4 as CMAF has it (ISO/IEC 23000-19): one track to a file, an init segment and fragments of a moof and an mdat.
 * The muxer in media/mediabunny.ts begins a fragment at key frames only, and parts of Low-Latency HLS are shorter than that.
 */
export const PICTURE_SCALE = 90_000;
export const SOUND_SCALE = 48_000;

const DELIMITER = 9;

export interface PictureFormat extends PictureSize {
  /** Sequence and picture parameter sets, without start codes. */
  readonly sps: readonly Uint8Array[];
  readonly pps: readonly Uint8Array[];
}

/** What a key frame (Annex B) says of itself; `undefined` when a parameter set is missing. */
export function pictureFormat(frame: Uint8Array, size: PictureSize): PictureFormat | undefined {
  const nals = nalUnits(frame, 'annex-b');
  const sps = nals.filter((nal) => typeOf(nal) === SPS && nal.byteLength >= 4);
  const pps = nals.filter((nal) => typeOf(nal) === PPS);
  if (sps.length === 0 || pps.length === 0) return undefined;
  return { width: size.width, height: size.height, sps: sps.slice(0, 31), pps: pps.slice(0, 255) };
}

/**
 * The codec's name (RFC 6381 §3.3). `avc3`: parameter sets may also be in the samples (ISO/IEC 14496-15 §5.4.2), so that they
 * change where pictures of two encoders meet, without another init segment.
 */
export const pictureCodec = ({ sps }: PictureFormat): string =>
  `avc3.${[...(sps[0] ?? u8()).subarray(1, 4)].map((byte) => byte.toString(16).padStart(2, '0').toUpperCase()).join('')}`;
export const SOUND_CODEC = 'mp4a.40.2';

/** A frame in Annex B as a sample: lengths of four bytes instead of start codes. Parameter sets stay in it. */
export const pictureSample = (frame: Uint8Array): Uint8Array =>
  frameOf(
    nalUnits(frame, 'annex-b').filter((nal) => typeOf(nal) !== DELIMITER),
    4,
  );

export function pictureInit(format: PictureFormat): Uint8Array {
  const { width, height, sps, pps } = format;
  const entry = box(
    'avc3',
    zeros(6),
    u16(1), // data_reference_index
    zeros(16),
    u16(width, height),
    u32(0x0048_0000, 0x0048_0000, 0), // 72 dpi
    u16(1), // frame_count
    zeros(32),
    u16(0x18, 0xffff),
    box('avcC', avcRecord(sps, pps)),
  );
  return init({ scale: PICTURE_SCALE, handler: 'vide', head: fullBox('vmhd', 0, 1, zeros(8)), entry, width, height });
}

/** @param channels 1 or 2 */
export function soundInit(channels: number): Uint8Array {
  // AudioSpecificConfig (ISO/IEC 14496-3 §1.6.2.1): object type 2, frequency index 3 (48 kHz), channels.
  const config = u16((2 << 11) | (3 << 7) | (channels << 3));
  const descriptor = (tag: number, ...content: Uint8Array[]) => {
    const inside = joined(...content);
    return joined(u8(tag, inside.byteLength), inside);
  };
  const esds = fullBox(
    'esds',
    0,
    0,
    descriptor(
      3,
      u16(0),
      u8(0),
      descriptor(4, u8(0x40, 0x15), zeros(3), u32(0, 0), descriptor(5, config)),
      descriptor(6, u8(2)),
    ),
  );
  const entry = box('mp4a', zeros(6), u16(1), zeros(8), u16(channels, 16, 0, 0), u32(SOUND_SCALE * 65_536), esds);
  return init({
    scale: SOUND_SCALE,
    handler: 'soun',
    head: fullBox('smhd', 0, 0, zeros(4)),
    entry,
    width: 0,
    height: 0,
  });
}

interface TrackHead extends PictureSize {
  readonly scale: number;
  readonly handler: 'vide' | 'soun';
  readonly head: Uint8Array;
  readonly entry: Uint8Array;
}

function init({ scale, handler, head, entry, width, height }: TrackHead): Uint8Array {
  const matrix = u32(0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000);
  const volume = handler === 'soun' ? 0x0100 : 0;
  const table = box(
    'stbl',
    fullBox('stsd', 0, 0, u32(1), entry),
    fullBox('stts', 0, 0, u32(0)),
    fullBox('stsc', 0, 0, u32(0)),
    fullBox('stsz', 0, 0, u32(0, 0)),
    fullBox('stco', 0, 0, u32(0)),
  );
  const media = box(
    'mdia',
    fullBox('mdhd', 0, 0, u32(0, 0, scale, 0), u16(0x55c4, 0)), // und
    fullBox('hdlr', 0, 0, u32(0), text(handler), zeros(12), text('Livedub\0')),
    box('minf', head, box('dinf', fullBox('dref', 0, 0, u32(1), fullBox('url ', 0, 1))), table),
  );
  const track = box(
    'trak',
    fullBox(
      'tkhd',
      0,
      3,
      u32(0, 0, 1, 0, 0),
      zeros(8),
      u16(0, 0, volume, 0),
      matrix,
      u32(width * 65_536, height * 65_536),
    ),
    media,
  );
  return joined(
    box('ftyp', text('iso6'), u32(0), text('iso6cmfcmp41')),
    box(
      'moov',
      fullBox('mvhd', 0, 0, u32(0, 0, scale, 0, 0x1_0000), u16(0x0100, 0), zeros(8), matrix, zeros(24), u32(2)),
      track,
      box('mvex', fullBox('trex', 0, 0, u32(1, 1, 0, 0, 0))),
    ),
  );
}

export interface Sample {
  /** In units of the track's scale. */
  readonly duration: number;
  readonly sync: boolean;
  readonly data: Uint8Array;
}

/** Fragment number `sequence` (from 1) of a track; `time` is where its first sample is decoded, in the track's scale. */
export function fragment(sequence: number, time: number, samples: readonly Sample[]): Uint8Array {
  const moof = (offset: number) =>
    box(
      'moof',
      fullBox('mfhd', 0, 0, u32(sequence)),
      box(
        'traf',
        fullBox('tfhd', 0, 0x02_0000, u32(1)), // default-base-is-moof
        fullBox('tfdt', 1, 0, u64(time)),
        // data offset; of each sample duration, size and flags (§8.8.8.1)
        fullBox(
          'trun',
          0,
          0x701,
          u32(samples.length, offset),
          // sample_depends_on 2 and sync, or 1 and not sync (§8.8.3.1)
          samples.map(({ duration, data, sync }) => u32(duration, data.byteLength, sync ? 0x0200_0000 : 0x0101_0000)),
        ),
      ),
    );
  return joined(moof(moof(0).byteLength + 8), box('mdat', ...samples.map(({ data }) => data)));
}
