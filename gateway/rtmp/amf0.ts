import { RtmpError } from './rtmp-error.ts';

/** What AMF0 can say, as far as RTMP needs it. A date is its milliseconds; every kind of object is a record. */
export type AmfValue = number | boolean | string | null | undefined | readonly AmfValue[] | AmfObject;
export interface AmfObject {
  readonly [name: string]: AmfValue;
}

/** Type markers (AMF 0 specification, Adobe 2007, §2.1). */
const NUMBER = 0x00;
const BOOLEAN = 0x01;
const STRING = 0x02;
const OBJECT = 0x03;
const NULL = 0x05;
const UNDEFINED = 0x06;
const ECMA_ARRAY = 0x08;
const OBJECT_END = 0x09;
const STRICT_ARRAY = 0x0a;
const DATE = 0x0b;
const LONG_STRING = 0x0c;
const UNSUPPORTED = 0x0d;
const XML_DOCUMENT = 0x0f;
const TYPED_OBJECT = 0x10;

/** What one message may hold: encoders send some 20 values, objects in objects twice. */
const DEEPEST = 8;
const MOST_VALUES = 1_024;

/** All values of `bytes`, one after the other. @throws RtmpError what is no AMF0, or too much of it */
export function decodeAmf0(bytes: Buffer): AmfValue[] {
  const reader = new Reader(bytes);
  const values: AmfValue[] = [];
  while (reader.left > 0) values.push(reader.value(0));
  return values;
}

class Reader {
  readonly #bytes: Buffer;
  #at = 0;
  #values = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  value(depth: number): AmfValue {
    if (depth > DEEPEST) throw new RtmpError('AMF0 is nested too deeply');
    this.#values += 1;
    if (this.#values > MOST_VALUES) throw new RtmpError('AMF0 holds too many values');
    const marker = this.#take(1).readUInt8();
    switch (marker) {
      case NUMBER:
        return this.#take(8).readDoubleBE();
      case BOOLEAN:
        return this.#take(1).readUInt8() !== 0;
      case STRING:
        return this.#text(2);
      case LONG_STRING:
      case XML_DOCUMENT:
        return this.#text(4);
      case NULL:
        return null;
      case UNDEFINED:
      case UNSUPPORTED:
        return undefined;
      case DATE: {
        const time = this.#take(8).readDoubleBE();
        this.#take(2); // A time zone, reserved (§2.13).
        return time;
      }
      case TYPED_OBJECT:
        this.#text(2);
        return this.#members(depth);
      case ECMA_ARRAY:
        this.#take(4); // How many there are; the end marker says it too, and is what encoders get right.
        return this.#members(depth);
      case OBJECT:
        return this.#members(depth);
      case STRICT_ARRAY: {
        const count = this.#take(4).readUInt32BE();
        if (count > this.left) throw new RtmpError('An AMF0 array is longer than its message');
        return Array.from({ length: count }, () => this.value(depth + 1));
      }
      default:
        throw new RtmpError(`AMF0 has no type ${marker} here`);
    }
  }

  #members(depth: number): AmfObject {
    // Without a prototype: names come from outside.
    const members = Object.create(null) as Record<string, AmfValue>;
    for (;;) {
      const name = this.#text(2);
      if (name === '' && this.#bytes[this.#at] === OBJECT_END) {
        this.#at += 1;
        return members;
      }
      members[name] = this.value(depth + 1);
    }
  }

  #text(width: 2 | 4): string {
    const length = this.#take(width).readUIntBE(0, width);
    return this.#take(length).toString('utf8');
  }

  #take(count: number): Buffer {
    if (count > this.left) throw new RtmpError('AMF0 ends within a value');
    this.#at += count;
    return this.#bytes.subarray(this.#at - count, this.#at);
  }
}

/** @throws RangeError for a name of 64 KiB or more */
export const encodeAmf0 = (...values: readonly AmfValue[]): Buffer => Buffer.concat(values.map(encoded));

function encoded(value: AmfValue): Buffer {
  if (value === null) return Buffer.of(NULL);
  switch (typeof value) {
    case 'undefined':
      return Buffer.of(UNDEFINED);
    case 'boolean':
      return Buffer.of(BOOLEAN, value ? 1 : 0);
    case 'number': {
      const bytes = Buffer.alloc(9);
      bytes.writeDoubleBE(value, 1);
      return bytes;
    }
    case 'string': {
      const text = Buffer.from(value);
      if (text.length <= 0xffff) return Buffer.concat([Buffer.of(STRING), name(text)]);
      const head = Buffer.alloc(5, LONG_STRING);
      head.writeUInt32BE(text.length, 1);
      return Buffer.concat([head, text]);
    }
    default: {
      if (Array.isArray(value)) {
        const head = Buffer.alloc(5, STRICT_ARRAY);
        head.writeUInt32BE(value.length, 1);
        return Buffer.concat([head, ...(value as readonly AmfValue[]).map(encoded)]);
      }
      const members = Object.entries(value as AmfObject).flatMap(([key, each]) => [
        name(Buffer.from(key)),
        encoded(each),
      ]);
      return Buffer.concat([Buffer.of(OBJECT), ...members, Buffer.of(0, 0, OBJECT_END)]);
    }
  }
}

function name(text: Buffer): Buffer {
  if (text.length > 0xffff) throw new RangeError(`Cannot encode AMF0 name: ${text.length} bytes, at most 65535`);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(text.length);
  return Buffer.concat([length, text]);
}
