import { type NalFraming, SPS, frameOf, nalUnits, typeOf } from './h264.ts';

/** An AVCDecoderConfigurationRecord (ISO/IEC 14496-15, 5.3.3.1): how MP4 and Matroska frame H.264. */
export interface AvcConfiguration {
  readonly framing: NalFraming;
  /** Sequence and picture parameter sets. */
  readonly parameters: readonly Uint8Array[];
}

export function avcConfiguration(record: Uint8Array): AvcConfiguration {
  const parameters: Uint8Array[] = [];
  let offset = 5;
  for (const mask of [0x1f, 0xff]) {
    for (let left = (record[offset++] ?? 0) & mask; left > 0; left -= 1) {
      const end = offset + 2 + (((record[offset] ?? 0) << 8) | (record[offset + 1] ?? 0));
      parameters.push(record.slice(offset + 2, end));
      offset = end;
    }
  }
  return { framing: (((record[4] ?? 3) & 3) + 1) as NalFraming, parameters };
}

/** Profiles whose record says chroma format and depth again. */
const HIGH = [100, 110, 122, 144];

/** The record of these parameter sets, for lengths of four bytes; what is sent by WebRTC is 4:2:0 of 8 bit. */
export function avcRecord(sps: readonly Uint8Array[], pps: readonly Uint8Array[]): Uint8Array {
  const [, profile = 0, constraints = 0, level = 0] = sps[0] ?? [];
  const sized = (sets: readonly Uint8Array[]) =>
    sets.flatMap((set) => [Uint8Array.of(set.byteLength >> 8, set.byteLength & 0xff), set]);
  return Buffer.concat([
    Uint8Array.of(1, profile, constraints, level, 0xff, 0xe0 | sps.length),
    ...sized(sps),
    Uint8Array.of(pps.length),
    ...sized(pps),
    Uint8Array.from(HIGH.includes(profile) ? [0xfd, 0xf8, 0xf8, 0] : []),
  ]);
}

/** A picture as a live stream carries it: start codes, and the parameter sets before a key frame that has none. */
export function annexB(frame: Uint8Array, keyFrame: boolean, { framing, parameters }: AvcConfiguration): Uint8Array {
  const nals = nalUnits(frame, framing);
  const bare = keyFrame && !nals.some((nal) => typeOf(nal) === SPS);
  return frameOf(bare ? [...parameters, ...nals] : nals, 'annex-b');
}
