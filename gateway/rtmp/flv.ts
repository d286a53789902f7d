/** Tag types of FLV (Adobe Flash Video File Format 10.1, annex E.4.1); RTMP's audio, video and data messages hold the same bodies. */
export const TAG = { audio: 8, video: 9, script: 18 } as const;

export interface FlvTag {
  readonly type: (typeof TAG)[keyof typeof TAG];
  /** Milliseconds by the sender's clock, 32 bits that wrap. */
  readonly timestamp: number;
  readonly body: Buffer;
}

/** Bytes that a tag takes besides its body: its header, and its size once more after it. */
export const TAG_OVERHEAD = 15;

/** What the file begins with (annex E.2), and the size of the tag before the first one. */
export function flvHeader({ audio, video }: { readonly audio: boolean; readonly video: boolean }): Buffer {
  return Buffer.from([0x46, 0x4c, 0x56, 1, (audio ? 4 : 0) | (video ? 1 : 0), 0, 0, 0, 9, 0, 0, 0, 0]);
}

/** @param timestamp instead of the tag's own */
export function flvTag({ type, body, timestamp: own }: FlvTag, timestamp = own): Buffer {
  const bytes = Buffer.alloc(TAG_OVERHEAD + body.length);
  bytes.writeUInt8(type);
  bytes.writeUIntBE(body.length, 1, 3);
  bytes.writeUIntBE(timestamp & 0xffffff, 4, 3);
  bytes.writeUInt8(timestamp >>> 24, 7);
  body.copy(bytes, 11);
  bytes.writeUInt32BE(11 + body.length, 11 + body.length);
  return bytes;
}

/** What a tag is to somebody who begins to read: what must come first, where one can begin, and the rest. */
export type TagRole = 'metadata' | 'audio header' | 'video header' | 'audio' | 'key frame' | 'picture';

/** Sound formats and codec ids with a header of their own (annex E.4.2.1, E.4.3.1). */
const AAC = 10;
const AVC = 7;

export function roleOf({ type, body }: FlvTag): TagRole {
  if (type === TAG.script) return 'metadata';
  const first = body[0] ?? 0;
  if (type === TAG.audio) return first >> 4 === AAC && body[1] === 0 ? 'audio header' : 'audio';
  if ((first & 0x0f) === AVC && body[1] === 0) return 'video header';
  // The AVC end of sequence says "key frame" too, and holds none.
  const empty = (first & 0x0f) === AVC && body[1] === 2;
  return ((first >> 4) & 7) === 1 && !empty ? 'key frame' : 'picture';
}

/** Whether a tag must not be lost, since what comes after it cannot be read without. */
export const isLasting = (tag: FlvTag): boolean => {
  const role = roleOf(tag);
  return role === 'metadata' || role === 'audio header' || role === 'video header';
};

const FOUR_CC: Readonly<Record<string, string>> = {
  ...{ hvc1: 'HEVC (H.265)', hev1: 'HEVC (H.265)', vvc1: 'VVC (H.266)', av01: 'AV1', vp09: 'VP9', vp08: 'VP8' },
  ...{ avc1: 'H.264', Opus: 'Opus', fLaC: 'FLAC', 'ac-3': 'AC-3', 'ec-3': 'E-AC-3', mp4a: 'AAC', '.mp3': 'MP3' },
};
/** Packet types of Enhanced RTMP that hold several tracks, in the lower bits of the first byte. */
const MULTITRACK = { audio: 5, video: 6 };

/**
 * Whether it belongs to a track besides the first one: Enhanced RTMP v2 names another track's number behind its codec. OBS sends
 * more sound and sizes so, and the first track as ever.
 */
export function isOtherTrack({ type, body }: FlvTag): boolean {
  const first = body[0] ?? 0;
  const several =
    type === TAG.audio
      ? first === ((9 << 4) | MULTITRACK.audio)
      : type === TAG.video && (first & 0x80) !== 0 && (first & 0x0f) === MULTITRACK.video;
  // One track a message: the upper bits of the second byte are 0.
  return several && (body[1] ?? 0) >> 4 === 0 && (body[6] ?? 0) > 0;
}

/** Codec ids that some encoders took for themselves before there were four letters. */
const ODD: Readonly<Record<number, string>> = { 8: 'MPEG-4', 12: 'HEVC (H.265)', 13: 'AV1', 14: 'VVC (H.266)' };
const fourCc = (body: Buffer): string => {
  const name = body.toString('latin1', 1, 5);
  return `${FOUR_CC[name] ?? 'a codec not known here'} by Enhanced RTMP`;
};

/**
 * What is in a tag that FFmpeg 5.1 cannot take out of FLV; `undefined` where it can. Enhanced RTMP (Veovera, v1 and v2) sets the
 * top bit of a video tag, and sound format 9, and names the codec by four letters.
 */
export function foreignCodec({ type, body }: FlvTag): string | undefined {
  const first = body[0] ?? 0;
  if (type === TAG.audio) return first >> 4 === 9 ? fourCc(body) : undefined;
  if (type !== TAG.video) return undefined;
  return first & 0x80 ? fourCc(body) : ODD[first & 0x0f];
}
