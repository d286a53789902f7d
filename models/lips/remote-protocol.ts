import { z } from 'zod';
import type { Box, Planes } from '../../media/video-frame.ts';
import type { MediaTime, Span } from '../../media/time.ts';

/**
 * The words of the driver protocol, version 1: a WebSocket over which face crops and a dub go to a server that drives lips,
 * and driven crops come back. `docs/driver-protocol.md` is its description for those who write servers.
 */

export const VERSION = 1;
/** Where a server takes the WebSocket, after its base address. */
export const PATH = '/v1/drive';

export const PICTURE_FORMATS = ['i420', 'rgb24'] as const;
/** Bytes of a picture: planes of 8 bit Y'CbCr 4:2:0, or red, green, blue row by row. */
export type PictureFormat = (typeof PICTURE_FORMATS)[number];
/** The format's number in binary messages. */
const NUMBERS: Readonly<Record<PictureFormat, number>> = { rgb24: 1, i420: 2 };

/** What a server says first, in answer to the client's hello. */
const Hello = z.object({
  type: z.literal('hello'),
  version: z.literal(VERSION),
  /** Who it is, e.g. `latentsync`. */
  engine: z.string().min(1).max(100),
  formats: z.array(z.string()).min(1),
  /** Pictures it takes at first. */
  credits: z.number().int().min(1).max(100_000),
  /** Pictures it waits for before it begins to answer, unless the take ends earlier. */
  chunk: z.number().int().min(1).max(100_000),
  phonemes: z.boolean(),
});
export type ServerHello = z.output<typeof Hello>;
const number = z.number().int().min(0).max(0xffffffff);
/** Why a picture is not driven. */
export const REASONS = ['no-face', 'late', 'failed', 'unfit'] as const;

/** What a server says in JSON. */
export const FromServer = z.discriminatedUnion('type', [
  Hello,
  z.object({ type: z.literal('credit'), count: z.number().int().min(1).max(100_000) }),
  z.object({ type: z.literal('none'), take: number, number, reason: z.enum(REASONS) }),
  z.object({ type: z.literal('ended'), take: number }),
  z.object({ type: z.literal('working') }),
  z.object({
    type: z.literal('error'),
    code: z.enum(['busy', 'unsupported', 'invalid', 'failed']),
    message: z.string().max(1_000).default(''),
  }),
]);
export type ServerWord = z.output<typeof FromServer>;

/** A speech sound, microseconds from the take's first sample. */
export interface SentPhoneme {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}
/** What the client says in JSON. */
export type ClientWord =
  | { readonly type: 'hello'; readonly version: number; readonly engine: string }
  | {
      readonly type: 'begin';
      readonly take: number;
      /** Size of every picture of the take. */
      readonly width: number;
      readonly height: number;
      readonly format: PictureFormat;
      /** Of `i420`: ITU-T H.273 matrix coefficients, and whether luma is 16…235 or 0…255. */
      readonly matrix: number;
      readonly range: 'limited' | 'full';
      /** Samples of sound that follow, 16 kHz mono. */
      readonly samples: number;
      /** Where the first of them is heard. */
      readonly soundAt: MediaTime;
      readonly language: string;
      readonly phonemes?: readonly SentPhoneme[];
    }
  | { readonly type: 'end'; readonly take: number };

const AUDIO = 1;
const PICTURE = 2;
const DRIVEN = 3;

/** Samples of a take from `offset` on, as a message. */
export function audioMessage(take: number, offset: number, pcm: Int16Array): Uint8Array {
  const message = new Uint8Array(12 + 2 * pcm.length);
  const view = new DataView(message.buffer);
  view.setUint8(0, AUDIO);
  view.setUint8(1, 1);
  view.setUint32(4, take, true);
  view.setUint32(8, offset, true);
  pcm.forEach((sample, n) => view.setInt16(12 + 2 * n, sample, true));
  return message;
}

export interface SentPicture {
  readonly take: number;
  readonly number: number;
  readonly width: number;
  readonly height: number;
  readonly format: PictureFormat;
  readonly start: MediaTime;
  /** How long its answer is waited for. */
  readonly within: Span;
  /** The face in the crop's own pixels. */
  readonly face: Box;
  /** x, y, x, y … in the crop's own pixels; 68 points. */
  readonly landmarks: Float32Array;
  readonly bytes: Uint8Array;
}
const PICTURE_HEAD = 44;
/** A crop as a message. */
export function pictureMessage(picture: SentPicture): Uint8Array {
  const { take, number: n, width, height, start, within, face, landmarks, bytes } = picture;
  const head = PICTURE_HEAD + 4 * landmarks.length;
  const message = new Uint8Array(head + bytes.length);
  const view = new DataView(message.buffer);
  view.setUint8(0, PICTURE);
  view.setUint8(1, NUMBERS[picture.format]);
  view.setUint16(2, landmarks.length / 2, true);
  view.setUint32(4, take, true);
  view.setUint32(8, n, true);
  view.setUint16(12, width, true);
  view.setUint16(14, height, true);
  view.setBigInt64(16, BigInt(start), true);
  view.setUint32(24, Math.min(0xffffffff, Math.round(within / 1_000)), true);
  for (const [i, value] of [face.left, face.top, face.width, face.height].entries()) {
    view.setFloat32(28 + 4 * i, value, true);
  }
  landmarks.forEach((value, i) => view.setFloat32(PICTURE_HEAD + 4 * i, value, true));
  message.set(bytes, head);
  return message;
}

/** A driven crop as it came. `bytes` is a view of the message. */
export interface Answered {
  readonly take: number;
  readonly number: number;
  readonly width: number;
  readonly height: number;
  readonly format: PictureFormat;
  readonly bytes: Uint8Array;
}
const DRIVEN_HEAD = 16;
export const pictureBytes = (format: PictureFormat, width: number, height: number): number =>
  format === 'rgb24' ? 3 * width * height : width * height + 2 * ((width + 1) >> 1) * ((height + 1) >> 1);

/** Reads a binary message of a server; what is wrong with it where it is none. */
export function readAnswer(message: Uint8Array): Answered | string {
  if (message.length < DRIVEN_HEAD) return `a binary message of ${message.length} bytes`;
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  if (view.getUint8(0) !== DRIVEN) return `a binary message of kind ${view.getUint8(0)}`;
  const format = PICTURE_FORMATS.find((each) => NUMBERS[each] === view.getUint8(1));
  if (!format) return `a picture of format ${view.getUint8(1)}`;
  const [width, height] = [view.getUint16(12, true), view.getUint16(14, true)];
  const bytes = message.subarray(DRIVEN_HEAD);
  if (bytes.length !== pictureBytes(format, width, height)) {
    return `a picture of ${width} × ${height} in ${bytes.length} bytes`;
  }
  return { take: view.getUint32(4, true), number: view.getUint32(8, true), width, height, format, bytes };
}

/** The planes of a picture's `i420` bytes; views of them. */
export function planesOf(bytes: Uint8Array, width: number, height: number): Planes {
  const luma = width * height;
  const chroma = ((width + 1) >> 1) * ((height + 1) >> 1);
  return {
    width,
    height,
    y: bytes.subarray(0, luma),
    u: bytes.subarray(luma, luma + chroma),
    v: bytes.subarray(luma + chroma),
  };
}
export function planeBytes({ y, u, v }: Planes): Uint8Array {
  const bytes = new Uint8Array(y.length + u.length + v.length);
  bytes.set(y);
  bytes.set(u, y.length);
  bytes.set(v, y.length + u.length);
  return bytes;
}
