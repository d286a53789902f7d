import { sequenceOf } from './avc-parameters.ts';
import { SPS, nalUnits, typeOf } from './h264.ts';
import type { VideoCodec } from './video.ts';

export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/**
 * Width and height in pixels as the key frame itself says them; `undefined` when it does not (or for a codec whose
 * headers are not read here: VP9, AV1).
 *
 * @param frame as its codec's files hold it; H.264 with start codes (Annex B)
 */
export function pictureSize(codec: VideoCodec, frame: Uint8Array): PictureSize | undefined {
  switch (codec) {
    case 'VP8':
      return vp8(frame);
    case 'H264':
      return h264(frame);
    case 'VP9':
    case 'AV1':
      return undefined;
  }
}

/** RFC 6386 §9.1: three bytes of tag, the start code 9d 01 2a, then 14 bits each, little-endian. */
function vp8(frame: Uint8Array): PictureSize | undefined {
  if (frame.byteLength < 10 || ((frame[0] ?? 1) & 1) !== 0) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint8(3) !== 0x9d || view.getUint8(4) !== 0x01 || view.getUint8(5) !== 0x2a) return undefined;
  return { width: view.getUint16(6, true) & 0x3fff, height: view.getUint16(8, true) & 0x3fff };
}

function h264(frame: Uint8Array): PictureSize | undefined {
  const nal = nalUnits(frame, 'annex-b').find((one) => typeOf(one) === SPS);
  const sequence = nal && sequenceOf(nal);
  return sequence && { width: sequence.width, height: sequence.height };
}
