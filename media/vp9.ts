import { MAX_PAYLOAD, type PayloadFormat, type PictureId, cut, join, pictureIdAt, pictureIdBytes } from './payload.ts';

/** What stands before the VP9 data in an RTP payload (RFC 9628 §4.2). */
interface Descriptor {
  readonly size: number;
  /** P bit: needs an earlier picture. */
  readonly predicted: boolean;
  /** B and E bits: first and last payload of a frame (of one spatial layer). */
  readonly begins: boolean;
  /** SID; 0 when there are no layers. */
  readonly spatialLayer: number;
}

function descriptorOf(payload: Uint8Array): Descriptor | undefined {
  const first = payload[0];
  if (first === undefined) return undefined;
  const flexible = (first & 0x10) !== 0;
  let at = 1;
  let spatialLayer = 0;
  if (first & 0x80) at += (payload[at] ?? 0) & 0x80 ? 2 : 1;
  if (first & 0x20) {
    spatialLayer = ((payload[at] ?? 0) >> 1) & 0x07;
    at += flexible ? 1 : 2;
  }
  if (flexible && first & 0x40) {
    // Up to three reference indices, each with a bit that says whether another one follows.
    for (let more = 1, count = 0; more === 1 && count < 3; count += 1, at += 1) more = (payload[at] ?? 0) & 1;
  }
  if (first & 0x02) at += structureSize(payload, at);
  if (at >= payload.byteLength) return undefined;
  return { size: at, predicted: (first & 0x40) !== 0, begins: (first & 0x08) !== 0, spatialLayer };
}

/** Bytes of the scalability structure at `at`: N_S + 1 sizes when Y is set, and N_G pictures when G is. */
function structureSize(payload: Uint8Array, at: number): number {
  const head = payload[at] ?? 0;
  let size = 1;
  if (head & 0x10) size += ((head >> 5) + 1) * 4;
  if (head & 0x08) {
    const pictures = payload[at + size] ?? 0;
    size += 1;
    for (let i = 0; i < pictures; i += 1) size += 1 + (((payload[at + size] ?? 0) >> 2) & 0x03);
  }
  return size;
}

const startsFrame = (payload: Uint8Array) => {
  const descriptor = descriptorOf(payload);
  return descriptor !== undefined && descriptor.begins && descriptor.spatialLayer === 0;
};

/** Whether the frame's own header says key frame (VP9 bitstream specification §6.2, `uncompressed_header`). */
export function isVp9KeyFrame(frame: Uint8Array): boolean {
  const bits = frame[0] ?? 0;
  if (bits >> 6 !== 2) return false;
  // Profile 3 has one more, reserved, bit before show_existing_frame and frame_type.
  const shift = (bits & 0x30) === 0x30 ? 1 : 0;
  const showExisting = (bits >> (3 - shift)) & 1;
  const type = (bits >> (2 - shift)) & 1;
  return showExisting === 0 && type === 0;
}

/** Both the P bit and the frame's own header are asked: FFmpeg's sender never sets P. */
export const VP9: PayloadFormat = {
  startsFrame,
  startsKeyFrame: (payload) => {
    const descriptor = descriptorOf(payload);
    return (
      descriptor !== undefined &&
      startsFrame(payload) &&
      !descriptor.predicted &&
      isVp9KeyFrame(payload.subarray(descriptor.size))
    );
  },
};

/** The picture id that a payload's descriptor carries, if it carries one (I bit, RFC 9628 §4.2). */
export const vp9PictureId = (payload: Uint8Array): PictureId | undefined =>
  ((payload[0] ?? 0) & 0x80) !== 0 ? pictureIdAt(payload, 1) : undefined;

/** One VP9 frame without layers as RTP payloads: flexible mode off, with a picture id or without. */
export function packetizeVp9(frame: Uint8Array, id: PictureId | undefined): Uint8Array[] {
  const predicted = isVp9KeyFrame(frame) ? 0 : 0x40;
  const pieces = cut(frame, MAX_PAYLOAD - 3);
  return pieces.map((piece, i) => {
    const edges = (i === 0 ? 0x08 : 0) | (i === pieces.length - 1 ? 0x04 : 0);
    const has = id ? 0x80 : 0;
    return join([Uint8Array.of(has | predicted | edges, ...(id ? pictureIdBytes(id) : [])), piece]);
  });
}

/** The frame (all spatial layers of a picture, one after the other) out of its payloads, in order. */
export function depacketizeVp9(payloads: readonly Uint8Array[]): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  for (const payload of payloads) {
    const descriptor = descriptorOf(payload);
    if (!descriptor) return undefined;
    parts.push(payload.subarray(descriptor.size));
  }
  return payloads[0] && startsFrame(payloads[0]) ? join(parts) : undefined;
}
