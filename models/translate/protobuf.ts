/** A field of a Protocol Buffers message, as it lies on the wire. */
export interface Field {
  readonly number: number;
  /** A varint's value, or the bits of a 32-bit or 64-bit number; 0 for bytes. */
  readonly value: number;
  /** The content of a string, of bytes or of a message within the message. */
  readonly bytes: Uint8Array;
}
const NOTHING = new Uint8Array();

/**
 * The fields of a message, in order.
 *
 * Numbers are read up to 2⁵³; a message that ends within a field is refused with a `RangeError`.
 *
 * @see https://protobuf.dev/programming-guides/encoding/
 */
export function* fieldsOf(message: Uint8Array): Generator<Field, void, void> {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  let at = 0;
  const ended = (): never => {
    throw new RangeError('Cannot read message: it ends within a field');
  };
  const varint = () => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = message[at] ?? ended();
      at += 1;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  };
  while (at < message.length) {
    const tag = varint();
    const number = Math.floor(tag / 8);
    switch (tag & 7) {
      case 0:
        yield { number, value: varint(), bytes: NOTHING };
        break;
      case 1:
        if (at + 8 > message.length) ended();
        yield { number, value: Number(view.getBigUint64(at, true)), bytes: NOTHING };
        at += 8;
        break;
      case 2: {
        const length = varint();
        if (at + length > message.length) ended();
        yield { number, value: 0, bytes: message.subarray(at, at + length) };
        at += length;
        break;
      }
      case 5:
        if (at + 4 > message.length) ended();
        yield { number, value: view.getUint32(at, true), bytes: NOTHING };
        at += 4;
        break;
      default:
        throw new RangeError(`Cannot read message: field ${number} is of the unknown wire type ${tag & 7}`);
    }
  }
}

const bits = new DataView(new ArrayBuffer(4));
/** The float whose bits a field has. */
export function floatOf({ value }: Field): number {
  bits.setUint32(0, value);
  return bits.getFloat32(0);
}
