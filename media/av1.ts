import { type PayloadFormat, join } from './payload.ts';

/** The aggregation header (AV1 RTP payload format §4.4): Z continues an OBU, Y is continued, W counts, N new sequence. */
const CONTINUES = 0x80;
const CONTINUED = 0x40;
const NEW_SEQUENCE = 0x08;

export const AV1: PayloadFormat = {
  startsFrame: (payload) => payload.byteLength > 1 && ((payload[0] ?? 0) & CONTINUES) === 0,
  startsKeyFrame: (payload) => payload.byteLength > 1 && ((payload[0] ?? 0) & NEW_SEQUENCE) !== 0,
};

/** OBU header bits (AV1 specification §5.3.2). */
const HAS_EXTENSION = 0x04;
const HAS_SIZE = 0x02;

/**
 * The temporal unit out of its payloads, in order: every OBU with its size, as files want it (AV1 specification §5.2).
 * `undefined` when lengths do not add up or an OBU is not complete.
 */
export function depacketizeAv1(payloads: readonly Uint8Array[]): Uint8Array | undefined {
  const obus: Uint8Array[] = [];
  let begun: Uint8Array[] = [];
  for (const payload of payloads) {
    const head = payload[0] ?? 0;
    const elements = elementsOf(payload);
    if (!elements || ((head & CONTINUES) !== 0) !== begun.length > 0) return undefined;
    for (const [i, element] of elements.entries()) {
      begun.push(element);
      if (i === elements.length - 1 && head & CONTINUED) break;
      obus.push(join(begun));
      begun = [];
    }
  }
  if (begun.length > 0 || obus.length === 0 || obus.some((obu) => obu.byteLength === 0)) return undefined;
  return join(obus.map(sized));
}

/** OBU elements: each has its length before it, but for the last one when W says how many there are. */
function elementsOf(payload: Uint8Array): Uint8Array[] | undefined {
  const count = ((payload[0] ?? 0) >> 4) & 0x03;
  const elements: Uint8Array[] = [];
  for (let at = 1; at < payload.byteLength;) {
    let size = payload.byteLength - at;
    if (count === 0 || elements.length < count - 1) {
      const read = leb128(payload, at);
      if (!read || read.next + read.value > payload.byteLength) return undefined;
      at = read.next;
      size = read.value;
    }
    elements.push(payload.subarray(at, at + size));
    at += size;
  }
  return elements.length > 0 && (count === 0 || elements.length === count) ? elements : undefined;
}

/** The OBU with a size field, whether it had one or not. */
function sized(obu: Uint8Array): Uint8Array {
  const head = obu[0] ?? 0;
  if (head & HAS_SIZE) return obu;
  const headSize = head & HAS_EXTENSION ? 2 : 1;
  const body = obu.subarray(headSize);
  const size: number[] = [];
  for (let left = body.byteLength; ; left >>= 7) {
    size.push((left & 0x7f) | (left > 0x7f ? 0x80 : 0));
    if (left <= 0x7f) break;
  }
  return join([Uint8Array.of(head | HAS_SIZE), obu.subarray(1, headSize), Uint8Array.from(size), body]);
}

/** Little-endian base 128 (AV1 specification §4.10.5); four bytes are more than any packet. */
function leb128(bytes: Uint8Array, at: number): { value: number; next: number } | undefined {
  let value = 0;
  for (let i = 0; i < 4; i += 1) {
    const byte = bytes[at + i];
    if (byte === undefined) return undefined;
    value |= (byte & 0x7f) << (7 * i);
    if ((byte & 0x80) === 0) return { value, next: at + i + 1 };
  }
  return undefined;
}
