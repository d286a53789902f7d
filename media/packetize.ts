import { AV1, depacketizeAv1 } from './av1.ts';
import { type NalFraming, H264, depacketizeH264, frameOf, nalUnits, packetizeH264 } from './h264.ts';
import { type PayloadFormat, type PictureId, pictureIdBytes } from './payload.ts';
import type { VideoCodec } from './video.ts';
import { VP8, depacketizeVp8, packetizeVp8, vp8PictureId } from './vp8.ts';
import { VP9, depacketizeVp9, packetizeVp9, vp9PictureId } from './vp9.ts';

const FORMATS = { VP8, VP9, H264, AV1 } as const satisfies Record<VideoCodec, PayloadFormat>;

/** Whether a decoder can start at the picture made of `payloads`. */
export const keyFrameIn = (codec: VideoCodec, payloads: readonly Uint8Array[]): boolean =>
  payloads.some((payload) => FORMATS[codec].startsKeyFrame(payload));

/** Whether `payload` may be the first of a picture. */
export const startsFrame = (codec: VideoCodec, payload: Uint8Array): boolean => FORMATS[codec].startsFrame(payload);

/** What a picture's descriptors call it; `undefined` where they do not, and for codecs whose descriptors cannot. */
export function pictureIdOf(codec: VideoCodec, payload: Uint8Array): PictureId | undefined {
  return codec === 'VP8' ? vp8PictureId(payload) : codec === 'VP9' ? vp9PictureId(payload) : undefined;
}

/** The payload with another picture id of the same length in its descriptor; the payload itself where it has none. */
export function withPictureId(codec: VideoCodec, payload: Uint8Array, id: PictureId): Uint8Array {
  const before = pictureIdOf(codec, payload);
  if (before?.bits !== id.bits) return payload;
  const copy = payload.slice();
  copy.set(pictureIdBytes(id), codec === 'VP8' ? 2 : 1);
  return copy;
}

/** One encoded picture as RTP payloads of at most {@link MAX_PAYLOAD} bytes, in order. */
export function payloadsOf(
  codec: 'VP8' | 'VP9' | 'H264',
  frame: Uint8Array,
  id: PictureId | undefined,
  framing: NalFraming = 'annex-b',
): Uint8Array[] {
  switch (codec) {
    case 'VP8':
      return packetizeVp8(frame, id);
    case 'VP9':
      return packetizeVp9(frame, id);
    case 'H264':
      return packetizeH264(nalUnits(frame, framing));
  }
}

const PICTURE_IDS = 0x8000;

/**
 * Cuts the encoded pictures of one stream into RTP payloads of at most {@link MAX_PAYLOAD} bytes.
 *
 * It counts pictures for VP8's and VP9's 15 bit picture id; `pictureId` is where it begins and, afterwards, the next one,
 * for a stream that another process goes on with. H.264 comes with start codes or with lengths, as `framing` says.
 */
export class Packetizer {
  readonly codec: 'VP8' | 'VP9' | 'H264';
  readonly framing: NalFraming;
  #pictureId: number;

  constructor(codec: 'VP8' | 'VP9' | 'H264', options: { pictureId?: number; framing?: NalFraming } = {}) {
    this.codec = codec;
    this.framing = options.framing ?? 'annex-b';
    this.#pictureId = (options.pictureId ?? 0) % PICTURE_IDS;
  }

  get pictureId(): number {
    return this.#pictureId;
  }

  /** The payloads of one picture, in order; none when the frame is empty. */
  packetize(frame: Uint8Array): Uint8Array[] {
    if (frame.byteLength === 0) return [];
    const id: PictureId = { value: this.#pictureId, bits: 15 };
    this.#pictureId = (id.value + 1) % PICTURE_IDS;
    return payloadsOf(this.codec, frame, id, this.framing);
  }
}

/** Puts pictures together again as their codec's files hold them: for recording and for decoding. */
export class Depacketizer {
  readonly codec: VideoCodec;
  readonly framing: NalFraming;

  /** `framing` is what H.264 comes out with. */
  constructor(codec: VideoCodec, framing: NalFraming = 'annex-b') {
    this.codec = codec;
    this.framing = framing;
  }

  /** The picture out of all its payloads, in order; `undefined` when they do not make one. */
  frame(payloads: readonly Uint8Array[]): Uint8Array | undefined {
    switch (this.codec) {
      case 'VP8':
        return depacketizeVp8(payloads);
      case 'VP9':
        return depacketizeVp9(payloads);
      case 'AV1':
        return depacketizeAv1(payloads);
      case 'H264': {
        const nals = depacketizeH264(payloads);
        return nals && frameOf(nals, this.framing);
      }
    }
  }
}
