import { typeOf } from '../../media/h264.ts';
import type { Stretch } from './fmp4-pieces.ts';

const PACKET = 188;
/** Stream types (ISO/IEC 13818-1 table 2-34) that are looked at. */
const KINDS: Readonly<Record<number, 'video' | 'audio'>> = {
  0x1b: 'video',
  0x24: 'video',
  0x0f: 'audio',
  0x11: 'audio',
  0x03: 'audio',
  0x04: 'audio',
  0x81: 'audio',
};
const H264 = 0x1b;

export interface Transport {
  /** As in CODECS, the family alone. */
  readonly codecs: readonly string[];
  readonly stretches: readonly Stretch[];
}
interface Stream {
  readonly type: number;
  first: number | undefined;
  least: number;
  most: number;
  count: number;
  /** The beginning of its first access unit. */
  head: number[];
  open: boolean;
}

/** What a segment in MPEG-TS holds (ISO/IEC 13818-1); a RangeError says what is wrong with it. */
export function transportOf(bytes: Uint8Array): Transport {
  if (bytes.byteLength === 0 || bytes.byteLength % PACKET !== 0)
    throw new RangeError(`${bytes.byteLength} bytes are no whole packets`);
  const streams = new Map<number, Stream>();
  let table: number | undefined;
  for (let at = 0; at < bytes.byteLength; at += PACKET) {
    if (bytes[at] !== 0x47) throw new RangeError(`no sync byte at ${at}`);
    const starts = (bytes[at + 1]! & 0x40) !== 0;
    const pid = ((bytes[at + 1]! & 0x1f) << 8) | bytes[at + 2]!;
    const control = (bytes[at + 3]! >> 4) & 3;
    if ((control & 1) === 0) continue;
    const from = at + 4 + (control === 3 ? 1 + bytes[at + 4]! : 0);
    const payload = bytes.subarray(Math.min(from, at + PACKET), at + PACKET);
    if (pid === 0 && starts) table ??= programme(payload);
    else if (pid === table && starts && streams.size === 0)
      for (const [id, type] of elementary(payload))
        streams.set(id, { type, first: undefined, least: Infinity, most: -Infinity, count: 0, head: [], open: false });
    else {
      const stream = streams.get(pid);
      if (stream) take(stream, payload, starts);
      else if (table === undefined && pid !== 0x1fff && pid !== 0x11)
        throw new RangeError('it does not begin with a PAT');
    }
  }
  if (streams.size === 0) throw new RangeError('no PAT and PMT');
  const seen = [...streams.values()].filter(({ type, count }) => KINDS[type] !== undefined && count > 0);
  return {
    codecs: seen.map(({ type }) => (type === H264 ? 'avc1' : type === 0x24 ? 'hvc1' : type === 0x0f ? 'mp4a' : 'ac-3')),
    stretches: seen.map(stretchOf),
  };
}

function programme(payload: Uint8Array): number | undefined {
  const section = payload.subarray(1 + (payload[0] ?? 0));
  for (let at = 8; at + 4 <= section.byteLength - 4; at += 4)
    if (((section[at]! << 8) | section[at + 1]!) !== 0) return ((section[at + 2]! & 0x1f) << 8) | section[at + 3]!;
  return undefined;
}
function elementary(payload: Uint8Array): [number, number][] {
  const section = payload.subarray(1 + (payload[0] ?? 0));
  const end = Math.min(section.byteLength, 3 + (((section[1]! & 0x0f) << 8) | section[2]!)) - 4;
  const all: [number, number][] = [];
  for (let at = 12 + (((section[10]! & 0x0f) << 8) | section[11]!); at + 5 <= end;) {
    all.push([((section[at + 1]! & 0x1f) << 8) | section[at + 2]!, section[at]!]);
    at += 5 + (((section[at + 3]! & 0x0f) << 8) | section[at + 4]!);
  }
  return all;
}

const MOST_HEAD = 4_096;
function take(stream: Stream, payload: Uint8Array, starts: boolean): void {
  if (starts && payload[0] === 0 && payload[1] === 0 && payload[2] === 1) {
    stream.open = stream.count === 0;
    stream.count += 1;
    if ((payload[7]! & 0x80) !== 0) {
      const time =
        ((payload[9]! & 0x0e) * 2 ** 29 +
          (payload[10]! << 22) +
          ((payload[11]! & 0xfe) << 14) +
          (payload[12]! << 7) +
          (payload[13]! >> 1)) /
        90_000;
      stream.first ??= time;
      stream.least = Math.min(stream.least, time);
      stream.most = Math.max(stream.most, time);
    }
    if (stream.open) stream.head.push(...payload.subarray(9 + payload[8]!));
  } else if (stream.open && stream.head.length < MOST_HEAD) stream.head.push(...payload);
}

function stretchOf({ type, least, most, count, head }: Stream): Stretch {
  const kind = KINDS[type] ?? 'other';
  const key = kind === 'audio' ? true : type === H264 ? holdsIdr(head) : undefined;
  const step = count > 1 ? (most - least) / (count - 1) : 0;
  return { kind, start: least, end: most + step, samples: count, sync: key ?? true, key };
}
const holdsIdr = (head: readonly number[]): boolean =>
  head.some(
    (byte, n) => byte === 1 && head[n - 1] === 0 && head[n - 2] === 0 && typeOf(Uint8Array.of(head[n + 1] ?? 0)) === 5,
  );
