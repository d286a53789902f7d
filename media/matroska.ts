import { at, type MediaTime } from './time.ts';

/** What the Tracks element says about a track. */
export interface MatroskaTrack {
  readonly number: number;
  readonly kind: 'video' | 'audio' | 'other';
  /** E.g. `V_VP8`, `V_MPEG4/ISO/AVC`, `A_PCM/FLOAT/IEEE`. */
  readonly codec: string;
  /** The codec's own header, e.g. H.264's AVCDecoderConfigurationRecord; empty where there is none. */
  readonly header: Uint8Array;
}

export interface MatroskaPacket {
  readonly track: MatroskaTrack;
  /** Presentation time, to the stream's precision (1 ms unless it says otherwise). */
  readonly start: MediaTime;
  readonly keyFrame: boolean;
  /** The packet's own memory. */
  readonly data: Uint8Array;
}

/** Element IDs (RFC 9559, section 5). */
const SEGMENT = 0x18538067;
const INFO = 0x1549a966;
const TIMESTAMP_SCALE = 0x2ad7b1;
const TRACKS = 0x1654ae6b;
const TRACK_ENTRY = 0xae;
const TRACK_NUMBER = 0xd7;
const TRACK_TYPE = 0x83;
const CODEC_ID = 0x86;
const CODEC_PRIVATE = 0x63a2;
const CLUSTER = 0x1f43b675;
const CLUSTER_TIMESTAMP = 0xe7;
const SIMPLE_BLOCK = 0xa3;
const BLOCK_GROUP = 0xa0;
const BLOCK = 0xa1;
const REFERENCE_BLOCK = 0xfb;

/** Elements that we read through as if their children stood in their place. So an unknown size needs no end. */
const OPENED = new Set([SEGMENT, CLUSTER]);
/** The largest picture or header believed; a size beyond it is a stream gone wrong. */
const LARGEST = 64 * 1024 * 1024;

/**
 * Reads a live Matroska stream (RFC 9559 in EBML, RFC 8794) as it comes: bytes in, packets out, in the stream's order.
 *
 * It holds one unfinished element. For what ffmpeg writes to a pipe: no lacing, no content compression. Ours rather than
 * mediabunny's reader, which follows each track on its own: on a pipe whose video ends before its audio it looks for the
 * next picture until what it needs for the sound has left its cache, and fails ("already-evicted", with 1.61).
 */
export class MatroskaReader {
  readonly #tracks = new Map<number, MatroskaTrack>();
  #rest = new Uint8Array(0);
  /** Nanoseconds per unit of a time stamp. */
  #scale = 1_000_000;
  #cluster = 0;
  #begun = false;

  /** The packets that `bytes` completes. */
  push(bytes: Uint8Array): MatroskaPacket[] {
    const input = new Uint8Array(this.#rest.length + bytes.length);
    input.set(this.#rest);
    input.set(bytes, this.#rest.length);
    const packets: MatroskaPacket[] = [];
    let offset = 0;
    for (;;) {
      const element = elementAt(input, offset);
      if (!element) break;
      if (!this.#begun && element.id !== 0x1a45dfa3)
        throw new RangeError('Cannot read Matroska: it does not start with EBML');
      this.#begun = true;
      if (OPENED.has(element.id)) {
        offset = element.from;
        continue;
      }
      if (element.size > LARGEST) throw new RangeError(`Cannot read Matroska: an element of ${element.size} bytes`);
      if (element.from + element.size > input.length) break;
      offset = element.from + element.size;
      const packet = this.#read(element.id, input.subarray(element.from, offset));
      if (packet) packets.push(packet);
    }
    this.#rest = input.slice(offset);
    return packets;
  }

  #read(id: number, body: Uint8Array): MatroskaPacket | undefined {
    switch (id) {
      case INFO:
        for (const child of childrenOf(body)) if (child.id === TIMESTAMP_SCALE) this.#scale = unsigned(child.body);
        return undefined;
      case TRACKS:
        for (const child of childrenOf(body)) {
          if (child.id !== TRACK_ENTRY) continue;
          const track = trackOf(child.body);
          this.#tracks.set(track.number, track);
        }
        return undefined;
      case CLUSTER_TIMESTAMP:
        this.#cluster = unsigned(body);
        return undefined;
      case SIMPLE_BLOCK:
        return this.#packet(body);
      case BLOCK_GROUP: {
        const children = [...childrenOf(body)];
        const block = children.find((child) => child.id === BLOCK);
        return block && this.#packet(block.body, !children.some((child) => child.id === REFERENCE_BLOCK));
      }
      default:
        return undefined;
    }
  }

  /** A (Simple)Block: track number, time stamp less the cluster's, flags, data (RFC 9559, section 10). */
  #packet(body: Uint8Array, keyFrame?: boolean): MatroskaPacket | undefined {
    const number = vint(body, 0, true);
    if (!number || body.length < number.length + 3) return undefined;
    const track = this.#tracks.get(number.value);
    if (!track) return undefined;
    const view = new DataView(body.buffer, body.byteOffset + number.length);
    const flags = view.getUint8(2);
    if ((flags & 0x06) !== 0) throw new RangeError('Cannot read Matroska: laced blocks are not supported');
    const start = at(((this.#cluster + view.getInt16(0)) * this.#scale) / 1_000);
    return { track, start, keyFrame: keyFrame ?? (flags & 0x80) !== 0, data: body.slice(number.length + 3) };
  }
}

interface Element {
  readonly id: number;
  /** Where its content starts. */
  readonly from: number;
  readonly size: number;
}

/** The head of the element at `offset`, once all of it is there. */
function elementAt(bytes: Uint8Array, offset: number): Element | undefined {
  const id = vint(bytes, offset, false);
  const size = id && vint(bytes, offset + id.length, true);
  return size && { id: id.value, from: offset + id.length + size.length, size: size.value };
}

function* childrenOf(body: Uint8Array): Generator<{ id: number; body: Uint8Array }> {
  for (let offset = 0; ;) {
    const child = elementAt(body, offset);
    if (!child || child.from + child.size > body.length) return;
    offset = child.from + child.size;
    yield { id: child.id, body: body.subarray(child.from, offset) };
  }
}

function trackOf(body: Uint8Array): MatroskaTrack {
  let number = 0;
  let type = 0;
  let codec = '';
  let header = new Uint8Array(0);
  for (const child of childrenOf(body)) {
    if (child.id === TRACK_NUMBER) number = unsigned(child.body);
    else if (child.id === TRACK_TYPE) type = unsigned(child.body);
    else if (child.id === CODEC_ID) codec = String.fromCharCode(...child.body).replace(/\0+$/, '');
    else if (child.id === CODEC_PRIVATE) header = child.body.slice();
  }
  return { number, kind: type === 1 ? 'video' : type === 2 ? 'audio' : 'other', codec, header };
}

/**
 * A variable-size integer (RFC 8794, section 4): as many leading zero bits as bytes follow the first.
 *
 * @param strip without the marker bit, as sizes and track numbers are; element IDs keep it
 */
function vint(bytes: Uint8Array, offset: number, strip: boolean): { value: number; length: number } | undefined {
  const first = bytes[offset];
  if (first === undefined) return undefined;
  const length = Math.clz32(first) - 23;
  if (length > 8) throw new RangeError('Cannot read Matroska: not a variable-size integer');
  if (offset + length > bytes.length) return undefined;
  let value = strip ? first & (0xff >> length) : first;
  for (let i = 1; i < length; i += 1) value = value * 256 + (bytes[offset + i] ?? 0);
  return { value, length };
}

const unsigned = (body: Uint8Array) => body.reduce((value, byte) => value * 256 + byte, 0);
