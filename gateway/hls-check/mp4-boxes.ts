/** Fragmented MP4 as it came over the network (ISO/IEC 14496-12), read with suspicion. */
export interface Box {
  readonly type: string;
  /** Its content. */
  readonly body: Uint8Array;
  /** Where the box begins in what was read. */
  readonly at: number;
}
const view = (bytes: Uint8Array) => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
export const u32 = (bytes: Uint8Array, at: number) => view(bytes).getUint32(at);
export const u64 = (bytes: Uint8Array, at: number) => Number(view(bytes).getBigUint64(at));
/** Boxes one after the other. A box that is longer than what there is, is a RangeError. */
export function boxes(bytes: Uint8Array, from = 0): Box[] {
  const all: Box[] = [];
  for (let at = from; at < bytes.byteLength;) {
    if (at + 8 > bytes.byteLength) throw new RangeError(`${bytes.byteLength - at} bytes behind the last box`);
    const small = u32(bytes, at);
    const large = small === 1;
    const size = large ? u64(bytes, at + 8) : small === 0 ? bytes.byteLength - at : small;
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const head = large ? 16 : 8;
    if (size < head || at + size > bytes.byteLength) throw new RangeError(`box ${type} of ${size} bytes at ${at}`);
    all.push({ type, at, body: bytes.subarray(at + head, at + size) });
    at += size;
  }
  return all;
}
