import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ffmpeg, inputFile, outputFile } from '../../media/ffmpeg.ts';
import { frameOf, nalUnits } from '../../media/h264.ts';
import { OPUS_FRAME, OpusEncoder } from '../../media/opus.ts';
import type { Scope } from '../../media/scope.ts';
import { samplesFrom } from '../../media/bytes.ts';
import { NUMBERS, type Size, stamp } from './time-code.ts';

/** Small, because two processors decode up to three of them at once: what is measured is doors and not codecs. */
export const SIZE: Size = { width: 320, height: 192 };
export const RATE = 25;
/** Pictures from one key frame to the next. */
export const GROUP = RATE;

/** Some bytes to be sent at a time. */
export interface Unit {
  /** ms from the beginning. */
  readonly at: number;
  readonly bytes: Uint8Array;
  /** The picture that these bytes end. */
  readonly number?: number;
}

/** The programme that goes through the doors: a real face that talks, each picture with its number. */
export interface Reel {
  readonly file: string;
  readonly pictures: number;
  /** H.264 with start codes, parameter sets before every key frame. */
  readonly coded: readonly Uint8Array[];
  /** Opus, 20 ms each. */
  readonly sound: readonly Uint8Array[];
  /** MPEG-TS and FLV, H.264 and AAC, as FFmpeg writes them. */
  readonly ts: readonly Unit[];
  readonly flv: readonly Unit[];
}

/** Makes a reel of so many seconds of a clip, again and again, in `folder`. */
export async function makeReel(clip: string, seconds: number, folder: string, scope: Scope): Promise<Reel> {
  const pictures = Math.ceil(seconds * RATE);
  if (pictures > NUMBERS) throw new RangeError(`A reel has ${NUMBERS} pictures at most, received ${pictures}`);
  const file = join(folder, 'reel.mp4');
  await encode(clip, pictures, file, scope);
  const as = async (name: string, args: readonly string[]) => {
    const path = join(folder, name);
    await ffmpeg([...inputFile(file), '-c', 'copy', ...args, '-y', outputFile(path)], scope).done;
    return readFile(path);
  };
  const flv = await as('reel.flv', ['-f', 'flv']);
  // A sound in each PES packet, so that none waits for the next one; no delay of the muxer's own.
  const ts = await as('reel.ts', ['-f', 'mpegts', '-pes_payload_size', '0', '-muxdelay', '0', '-muxpreload', '0']);
  return {
    file,
    pictures,
    coded: codedIn(flv),
    sound: await soundOf(file, scope),
    ts: tsUnits(ts),
    flv: flvUnits(flv),
  };
}

/** Numbers the clip's pictures, and encodes them as a live encoder does. */
async function encode(clip: string, pictures: number, file: string, scope: Scope): Promise<void> {
  const { width, height } = SIZE;
  const filter = `fps=${RATE},scale=${width}:${height}:force_original_aspect_ratio=increase,crop=${width}:${height}`;
  const raw = ['-an', '-vf', filter, '-pix_fmt', 'yuv420p', '-frames:v', String(pictures), '-f', 'rawvideo', '-'];
  const from = ffmpeg(['-stream_loop', '-1', ...inputFile(clip), ...raw], scope);
  const into = spawn(
    'ffmpeg',
    [
      ...['-v', 'error', '-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-s', `${width}x${height}`, '-r', String(RATE)],
      ...['-i', 'pipe:', '-stream_loop', '-1', '-i', clip, '-map', '0:v', '-map', '1:a', '-shortest'],
      ...['-c:v', 'libx264', '-preset', 'ultrafast', '-bf', '0', '-g', String(GROUP), '-sc_threshold', '0'],
      ...['-b:v', '400k', '-maxrate', '600k', '-bufsize', '300k', '-c:a', 'aac', '-b:a', '96k', '-ar', '48000'],
      ...['-movflags', '+faststart', '-y', file],
    ],
    { stdio: ['pipe', 'ignore', 'inherit'], signal: scope.signal },
  );
  const ended = once(into, 'exit') as Promise<[number | null]>;
  const size = (width * height * 3) / 2;
  let rest: Buffer = Buffer.alloc(0);
  let number = 0;
  for await (const bytes of from.stdout as AsyncIterable<Buffer>) {
    rest = rest.length > 0 ? Buffer.concat([rest, bytes]) : bytes;
    for (; rest.length >= size; rest = rest.subarray(size)) {
      const picture = Buffer.from(rest.subarray(0, size));
      stamp(picture, SIZE, number);
      number += 1;
      if (!into.stdin.write(picture)) await once(into.stdin, 'drain');
    }
  }
  into.stdin.end();
  await from.done;
  const [code] = await ended;
  if (code !== 0 || number !== pictures) throw new Error(`The reel could not be made of ${clip}`);
}

async function soundOf(file: string, scope: Scope): Promise<Uint8Array[]> {
  const running = ffmpeg([...inputFile(file), '-vn', '-ac', '1', '-ar', '48000', '-f', 'f32le', '-'], scope);
  const parts: Buffer[] = [];
  for await (const part of running.stdout as AsyncIterable<Buffer>) parts.push(part);
  await running.done;
  const pcm = samplesFrom(Buffer.concat(parts), 'f32le');
  using encoder = new OpusEncoder({ bitrate: 48_000 });
  return Array.from({ length: Math.floor(pcm.length / OPUS_FRAME) }, (_, n) =>
    encoder.encode(pcm.subarray(n * OPUS_FRAME, (n + 1) * OPUS_FRAME)).slice(),
  );
}

const TS_PACKET = 188;
const VIDEO = 0xe0;

/** A transport stream (ISO/IEC 13818-1 §2.4) packet by packet, each at the time of what it carries. */
export function tsUnits(ts: Uint8Array): Unit[] {
  const kinds = new Map<number, { readonly video: boolean; readonly at: number }>();
  const packets: { at: number; from: number; video: boolean; starts: boolean }[] = [];
  let origin: number | undefined;
  let now = 0;
  for (let from = 0; from + TS_PACKET <= ts.length; from += TS_PACKET) {
    const pid = (((ts[from + 1] ?? 0) & 0x1f) << 8) | (ts[from + 2] ?? 0);
    const starts = ((ts[from + 1] ?? 0) & 0x40) !== 0;
    const head = startOfPayload(ts, from);
    const pes = starts && ts[head] === 0 && ts[head + 1] === 0 && ts[head + 2] === 1;
    if (pes) {
      const pts = ptsAt(ts, head + 9);
      origin ??= pts;
      kinds.set(pid, { video: ((ts[head + 3] ?? 0) & 0xf0) === VIDEO, at: (pts - origin) / 90 });
    }
    const kind = kinds.get(pid);
    now = Math.max(now, kind?.at ?? 0);
    packets.push({ at: now, from, video: kind?.video ?? false, starts: pes });
  }
  return numbered(packets.map(({ from, ...rest }) => ({ ...rest, bytes: ts.subarray(from, from + TS_PACKET) })));
}

/** Says which packet is the last of which picture. */
function numbered(packets: readonly { at: number; bytes: Uint8Array; video: boolean; starts: boolean }[]): Unit[] {
  const lasts = new Map<number, number>();
  let number = -1;
  packets.forEach(({ video, starts }, n) => {
    if (!video) return;
    if (starts) number += 1;
    lasts.set(number, n);
  });
  const ends = new Map([...lasts].map(([picture, n]) => [n, picture]));
  return packets.map(({ at, bytes }, n) => {
    const picture = ends.get(n);
    return { at, bytes, ...(picture !== undefined && { number: picture }) };
  });
}

const startOfPayload = (ts: Uint8Array, from: number): number =>
  from + 4 + (((ts[from + 3] ?? 0) & 0x20) !== 0 ? 1 + (ts[from + 4] ?? 0) : 0);
/** 33 bits in five bytes (§2.4.3.6). */
const ptsAt = (ts: Uint8Array, at: number): number => {
  const byte = (n: number) => ts[at + n] ?? 0;
  return ((byte(0) >> 1) & 7) * 2 ** 30 + (byte(1) << 22) + ((byte(2) >> 1) << 15) + (byte(3) << 7) + (byte(4) >> 1);
};

interface Tag {
  readonly type: number;
  readonly ms: number;
  readonly body: Uint8Array;
  readonly whole: Uint8Array;
}
const FLV_VIDEO = 9;

/** Tags of an FLV file (Adobe's FLV 10.1, annex E), each with the four bytes that say its length behind it. */
function* tagsIn(flv: Uint8Array): Generator<Tag> {
  const view = new DataView(flv.buffer, flv.byteOffset, flv.byteLength);
  for (let at = 13; at + 11 <= flv.length;) {
    const word = view.getUint32(at);
    const size = word & 0xffffff;
    const ms = (view.getUint32(at + 4) >>> 8) | ((flv[at + 7] ?? 0) << 24);
    yield {
      type: word >>> 24,
      ms,
      body: flv.subarray(at + 11, at + 11 + size),
      whole: flv.subarray(at, at + 15 + size),
    };
    at += 15 + size;
  }
}
/** H.264 itself, not its parameter sets and not the end of its sequence. */
const isPicture = ({ type, body }: Tag) => type === FLV_VIDEO && body[1] === 1;

function flvUnits(flv: Uint8Array): Unit[] {
  let number = 0;
  let now = 0;
  const units: Unit[] = [{ at: 0, bytes: flv.subarray(0, 13) }];
  for (const tag of tagsIn(flv)) {
    now = Math.max(now, tag.ms);
    units.push({ at: now, bytes: tag.whole, ...(isPicture(tag) && { number: number++ }) });
  }
  return units;
}

/** The pictures in an FLV file, with the parameter sets of its header before every key frame. */
function codedIn(flv: Uint8Array): Uint8Array[] {
  const pictures: Uint8Array[] = [];
  let sets: Uint8Array[] = [];
  for (const tag of tagsIn(flv)) {
    if (tag.type === FLV_VIDEO && tag.body[1] === 0) sets = parameterSets(tag.body.subarray(5));
    if (!isPicture(tag)) continue;
    const nals = nalUnits(tag.body.subarray(5), 4).filter((nal) => nal.length > 0);
    const key = (tag.body[0] ?? 0) >> 4 === 1;
    pictures.push(frameOf(key ? [...sets, ...nals] : nals, 'annex-b'));
  }
  return pictures;
}

/** What an `avcC` box holds (ISO/IEC 14496-15 §5.3.3.1). */
function parameterSets(avcc: Uint8Array): Uint8Array[] {
  const sets: Uint8Array[] = [];
  let at = 5;
  for (const mask of [0x1f, 0xff]) {
    let count = (avcc[at] ?? 0) & mask;
    at += 1;
    for (; count > 0; count -= 1) {
      const size = ((avcc[at] ?? 0) << 8) | (avcc[at + 1] ?? 0);
      sets.push(avcc.subarray(at + 2, at + 2 + size));
      at += 2 + size;
    }
  }
  return sets;
}
