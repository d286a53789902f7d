/** Largest RTP payload we send: with 12 bytes RTP, 10 SRTP, 8 UDP and 40 IPv6 it stays well within 1280 (RFC 8200 §5). */
export const MAX_PAYLOAD = 1180;

/** How one codec's pictures are cut into RTP payloads and put together again. */
export interface PayloadFormat {
  /** Whether a decoder can start at the picture of which `payload` is a part. Told by the part that starts the picture. */
  readonly startsKeyFrame: (payload: Uint8Array) => boolean;
  /** Whether `payload` is the beginning of a picture (or of a piece of one that a decoder can take). */
  readonly startsFrame: (payload: Uint8Array) => boolean;
}

/** Cuts `bytes` into the fewest pieces of at most `size`, all about equally long, so that no tiny one is left at the end. */
export function cut(bytes: Uint8Array, size: number): Uint8Array[] {
  const count = Math.max(1, Math.ceil(bytes.byteLength / size));
  return Array.from({ length: count }, (_, i) =>
    bytes.subarray(Math.floor((i * bytes.byteLength) / count), Math.floor(((i + 1) * bytes.byteLength) / count)),
  );
}

export function join(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.byteLength;
  }
  return whole;
}

/** What VP8's and VP9's payload descriptors count pictures with: 7 or 15 bits (RFC 7741 §4.2, RFC 9628 §4.2). */
export interface PictureId {
  readonly value: number;
  readonly bits: 7 | 15;
}

/** The picture id that begins at `payload[at]`; its first bit says how long it is. */
export function pictureIdAt(payload: Uint8Array, at: number): PictureId | undefined {
  const [first, second] = [payload[at], payload[at + 1]];
  if (first === undefined) return undefined;
  if ((first & 0x80) === 0) return { value: first, bits: 7 };
  return second === undefined ? undefined : { value: ((first & 0x7f) << 8) | second, bits: 15 };
}

export const pictureIdBytes = ({ value, bits }: PictureId): readonly number[] =>
  bits === 7 ? [value & 0x7f] : [0x80 | ((value >> 8) & 0x7f), value & 0xff];
