import { type NalFraming, frameOf, nalUnits } from './h264.ts';

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

const SPS = 7;

/** A picture as a live stream carries it: start codes, and the parameter sets before a key frame that has none. */
export function annexB(frame: Uint8Array, keyFrame: boolean, { framing, parameters }: AvcConfiguration): Uint8Array {
  const nals = nalUnits(frame, framing);
  const bare = keyFrame && !nals.some((nal) => ((nal[0] ?? 0) & 0x1f) === SPS);
  return frameOf(bare ? [...parameters, ...nals] : nals, 'annex-b');
}
