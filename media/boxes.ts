/** Boxes of the ISO base media file format (ISO/IEC 14496-12 §4.2). Numbers are big-endian. */
export type Content = Uint8Array | readonly Content[];

export const u8 = (...values: number[]): Uint8Array => Uint8Array.from(values);
export const u16 = (...values: number[]): Uint8Array =>
  written(values, 2, (view, at, value) => view.setUint16(at, value));
export const u32 = (...values: number[]): Uint8Array =>
  written(values, 4, (view, at, value) => view.setUint32(at, value));
export const u64 = (...values: number[]): Uint8Array =>
  written(values, 8, (view, at, value) => view.setBigUint64(at, BigInt(value)));
export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
export const zeros = (count: number): Uint8Array => new Uint8Array(count);

function written(values: readonly number[], width: number, set: (view: DataView, at: number, value: number) => void) {
  const bytes = new Uint8Array(values.length * width);
  const view = new DataView(bytes.buffer);
  values.forEach((value, n) => set(view, n * width, value));
  return bytes;
}

/** Everything in one piece. */
export function joined(...content: Content[]): Uint8Array {
  const pieces = (content as unknown[]).flat(Infinity) as Uint8Array[];
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.byteLength, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  return bytes;
}

/** A box: its size, its type of four characters, what is in it. */
export function box(type: string, ...content: Content[]): Uint8Array {
  const inside = joined(...content);
  return joined(u32(8 + inside.byteLength), text(type), inside);
}
/** A box with a version and 24 bits of flags (§4.2.2). */
export const fullBox = (type: string, version: number, flags: number, ...content: Content[]): Uint8Array =>
  box(type, u32(version * 2 ** 24 + flags), ...content);
