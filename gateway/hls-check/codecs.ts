import { type Box, boxes } from './mp4-boxes.ts';

/** What a sample entry says of what it is for. */
export interface Codec {
  /** Its four characters. */
  readonly entry: string;
  /** As in CODECS (RFC 6381); of codecs that are not looked into the four characters alone. */
  readonly codec: string;
  readonly size: { readonly width: number; readonly height: number } | undefined;
  readonly channels: number | undefined;
  /** Bytes before each NAL unit. */
  readonly lengths: number | undefined;
}

const u16 = (bytes: Uint8Array, at: number) => (bytes[at]! << 8) | bytes[at + 1]!;
const hex = (byte: number) => byte.toString(16).padStart(2, '0');
/** Where the boxes within an entry begin (ISO/IEC 14496-12 §12.1.3, §12.2.3). */
const PICTURE_HEAD = 78;
const SOUND_HEAD = 28;

export function codecOf(entry: Box, handler: string): Codec {
  const { type, body } = entry;
  const none = { entry: type, codec: type, size: undefined, channels: undefined, lengths: undefined };
  if (handler === 'vide') {
    if (body.byteLength < PICTURE_HEAD) throw new RangeError(`a ${type} of ${body.byteLength} bytes`);
    const size = { width: u16(body, 24), height: u16(body, 26) };
    const record = boxes(body, PICTURE_HEAD).find((box) => box.type === 'avcC')?.body;
    if (!type.startsWith('avc') || !record || record.byteLength < 7) return { ...none, size };
    const codec = `${type}.${[...record.subarray(1, 4)].map(hex).join('')}`;
    return { ...none, size, codec, lengths: (record[4]! & 3) + 1 };
  }
  if (handler === 'soun') {
    if (body.byteLength < SOUND_HEAD) throw new RangeError(`a ${type} of ${body.byteLength} bytes`);
    const channels = u16(body, 16);
    const esds = type === 'mp4a' ? boxes(body, SOUND_HEAD).find((box) => box.type === 'esds')?.body : undefined;
    const config = esds && audioConfig(esds);
    if (!config) return { ...none, channels };
    return { ...none, codec: `mp4a.40.${config.object}`, channels: config.channels || channels };
  }
  return none;
}

/** The AudioSpecificConfig within an `esds` (ISO/IEC 14496-1 §7.2.6, 14496-3 §1.6.2.1). */
function audioConfig(esds: Uint8Array): { readonly object: number; readonly channels: number } | undefined {
  let at = 4;
  while (at < esds.byteLength) {
    const tag = esds[at];
    at += 1;
    let size = 0;
    for (let more = true; more && at < esds.byteLength; at += 1) {
      size = size * 128 + (esds[at]! & 127);
      more = (esds[at]! & 128) !== 0;
    }
    if (tag === 3) at += 3;
    else if (tag === 4) at += 13;
    else if (tag === 5 && at + 1 < esds.byteLength && size >= 2) {
      const bits = u16(esds, at);
      return { object: bits >> 11, channels: (bits >> 3) & 15 };
    } else at += size;
  }
  return undefined;
}

/** Whether a name in CODECS stands for what an init holds: profiles and levels of H.264 and AAC's object types count. */
export function names(said: string, codec: string): boolean {
  const [a, b] = [said.trim().toLowerCase(), codec.toLowerCase()];
  if (a === b) return true;
  const [family, other] = [a.split('.')[0] ?? '', b.split('.')[0] ?? ''];
  // avc1 and avc3 say where parameter sets are; a player that takes one profile takes it either way.
  const same = family === other || (/^avc[13]$/u.test(family) && /^avc[13]$/u.test(other));
  return same && (!b.includes('.') || a.split('.').slice(1).join('.') === b.split('.').slice(1).join('.'));
}
