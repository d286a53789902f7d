import { avcRecord } from './avc.ts';
import { PPS, SPS, nalUnits, typeOf } from './h264.ts';
import type { VideoCodec } from './video.ts';

/**
 * What Matroska wants to be told of a codec beside its pictures (`CodecPrivate`), made of a key frame; empty where it wants
 * nothing. `undefined` for a picture that lacks it, and with which no file can begin.
 */
export function codecHeader(codec: VideoCodec, keyFrame: Uint8Array): Uint8Array | undefined {
  switch (codec) {
    case 'H264':
      return avcOf(nalUnits(keyFrame, 'annex-b'));
    case 'AV1':
      return av1Record(keyFrame);
    case 'VP8':
    case 'VP9':
      return new Uint8Array(0);
  }
}

/** The record with the first parameter sets of each kind. */
function avcOf(nals: readonly Uint8Array[]): Uint8Array | undefined {
  const sps = nals.find((nal) => typeOf(nal) === SPS);
  const pps = nals.find((nal) => typeOf(nal) === PPS);
  return !sps || !pps || sps.byteLength < 4 ? undefined : avcRecord([sps], [pps]);
}

const OBU_SEQUENCE = 1;

/** AV1CodecConfigurationRecord (AV1 Codec ISO Media File Format Binding, 2.3.3): 8 bit, 4:2:0, and the sequence header. */
function av1Record(unit: Uint8Array): Uint8Array | undefined {
  for (let at = 0; at < unit.byteLength;) {
    const head = unit[at] ?? 0;
    let from = at + (head & 0x04 ? 2 : 1);
    let size = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = unit[from++] ?? 0;
      size += (byte & 0x7f) * 2 ** shift;
      if ((byte & 0x80) === 0 || shift > 21) break;
    }
    const end = from + size;
    if ((head & 0x02) === 0 || end > unit.byteLength) return undefined;
    if (((head >> 3) & 0x0f) === OBU_SEQUENCE) {
      const profile = (unit[from] ?? 0) >> 5;
      return Uint8Array.from([0x81, (profile << 5) | LEVEL_4_0, 0x0c, 0, ...unit.subarray(at, end)]);
    }
    at = end;
  }
  return undefined;
}
/** `seq_level_idx`; decoders go by the sequence header. */
const LEVEL_4_0 = 8;

/** Identification header of Opus (RFC 7845 §5.1) at 48 kHz: a stream that is joined in its middle
 * has no beginning of the encoder's to leave out. */
export const opusHeader = (channels: 1 | 2): Uint8Array =>
  Uint8Array.of(...Buffer.from('OpusHead'), 1, channels, 0, 0, 0x80, 0xbb, 0, 0, 0, 0, 0);
/** Of an Opus packet (RFC 6716 §3.1). */
export const opusChannels = (packet: Uint8Array): 1 | 2 => (((packet[0] ?? 0) & 0x04) !== 0 ? 2 : 1);
