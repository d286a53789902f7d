import { MAX_PAYLOAD, type PayloadFormat, type PictureId, cut, join, pictureIdAt, pictureIdBytes } from './payload.ts';

/** What stands before the VP8 data in an RTP payload (RFC 7741 §4.2). */
interface Descriptor {
  /** Bytes it takes. */
  readonly size: number;
  /** S bit: a partition of the picture begins here. */
  readonly partitionStart: boolean;
  /** PID: which partition, 0…7. */
  readonly partition: number;
}

function descriptorOf(payload: Uint8Array): Descriptor | undefined {
  const first = payload[0];
  if (first === undefined) return undefined;
  let size = 1;
  if (first & 0x80) {
    const extension = payload[1] ?? 0;
    size = 2;
    if (extension & 0x80) size += (payload[2] ?? 0) & 0x80 ? 2 : 1;
    if (extension & 0x40) size += 1;
    if (extension & 0x30) size += 1;
  }
  if (size >= payload.byteLength) return undefined;
  return { size, partitionStart: (first & 0x10) !== 0, partition: first & 0x07 };
}

const startsFrame = (payload: Uint8Array) => {
  const descriptor = descriptorOf(payload);
  return descriptor !== undefined && descriptor.partitionStart && descriptor.partition === 0;
};

export const VP8: PayloadFormat = {
  startsFrame,
  // The first bit of the frame tag is 0 in a key frame (RFC 6386 §9.1).
  startsKeyFrame: (payload) =>
    startsFrame(payload) && ((payload[descriptorOf(payload)?.size ?? payload.length] ?? 1) & 1) === 0,
};

/** The PictureID that a payload's descriptor carries, if it carries one (RFC 7741 §4.2). */
export function vp8PictureId(payload: Uint8Array): PictureId | undefined {
  const extended = ((payload[0] ?? 0) & 0x80) !== 0 && ((payload[1] ?? 0) & 0x80) !== 0;
  return extended ? pictureIdAt(payload, 2) : undefined;
}

/**
 * One VP8 frame as RTP payloads with a PictureID, or without. The data partitions are not told apart: everything is
 * partition 0, as RFC 7741 §4.2 allows a sender that does not know them.
 */
export function packetizeVp8(frame: Uint8Array, id: PictureId | undefined): Uint8Array[] {
  return cut(frame, MAX_PAYLOAD - 4).map((piece, i) => {
    const start = i === 0 ? 0x10 : 0;
    return join([id ? Uint8Array.of(0x80 | start, 0x80, ...pictureIdBytes(id)) : Uint8Array.of(start), piece]);
  });
}

/** The frame out of all its payloads, in order; `undefined` when one of them is not VP8. */
export function depacketizeVp8(payloads: readonly Uint8Array[]): Uint8Array | undefined {
  const parts: Uint8Array[] = [];
  for (const payload of payloads) {
    const descriptor = descriptorOf(payload);
    if (!descriptor) return undefined;
    parts.push(payload.subarray(descriptor.size));
  }
  return payloads[0] && startsFrame(payloads[0]) ? join(parts) : undefined;
}
