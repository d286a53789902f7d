import { MissingLibrary, koffi, library } from './native.ts';
import type { Colour, Planes } from './video-frame.ts';

/**
 * FFmpeg's codecs in this process: libavcodec 59 and libavutil 57, the libraries of Debian 12's `ffmpeg` 5.1.
 *
 * Fields of `AVPacket` and `AVFrame` are read and written where the headers of this major version put them (FFmpeg keeps
 * their places within a major version: doc/APIchanges, libavutil/frame.h); other versions are refused. Codecs are set up
 * by name through AVOptions, never by place. All calls happen in the calling thread.
 */
const AVCODEC = 59;
const AVUTIL = 57;

/** `AVPacket` (libavcodec/packet.h). */
const PACKET = { pts: 8, data: 24, size: 32, flags: 40 } as const;
/** `AVFrame` (libavutil/frame.h). */
const FRAME = {
  data: 0,
  linesize: 64,
  width: 104,
  height: 108,
  samples: 112,
  format: 116,
  pictType: 124,
  pts: 136,
  flags: 316,
  range: 320,
  primaries: 324,
  transfer: 328,
  matrix: 332,
  errors: 376,
  rate: 208,
  channels: 448,
} as const;
/** `AVCodecContext` (libavcodec/avcodec.h): the one field that no AVOption sets. */
const CONTEXT = { sampleFormat: 360 } as const;

/** Constants of libavutil and libavcodec 59. */
const QUIET = -8;
const EAGAIN = -11;
const EOF = -541_478_725;
const SEARCH_CHILDREN = 1;
const PACKET_KEY = 1;
const FRAME_CORRUPT = 1;
const INTRA = 1;
const YUV420P = 0;
const YUVJ420P = 12;
/** `AV_SAMPLE_FMT_FLTP`: floats, a plane per channel. */
const FLOATS = 8;
/** `AVCOL_RANGE_MPEG`, `AVCOL_RANGE_JPEG`. */
const LIMITED = 1;
const FULL = 2;

type Pointer = bigint;

/** What libavcodec says it cannot do, in its words. */
export class CodecError extends Error {
  override readonly name = 'CodecError';
}
/** A stream whose pictures are not 8 bit 4:2:0. */
export class UnsupportedPixels extends Error {
  override readonly name = 'UnsupportedPixels';
}

type Native = ReturnType<typeof bind>;
let native: Native | undefined;

function bind() {
  const hint = 'libavcodec59 (apt), FFmpeg 5.0 or 5.1';
  const util = library([`libavutil.so.${AVUTIL}`, `libavutil.${AVUTIL}.dylib`], hint);
  const codec = library([`libavcodec.so.${AVCODEC}`, `libavcodec.${AVCODEC}.dylib`], hint);
  const version = (codec.func('uint32_t avcodec_version()') as () => number)();
  const utilVersion = (util.func('uint32_t avutil_version()') as () => number)();
  if (version >> 16 !== AVCODEC || utilVersion >> 16 !== AVUTIL) {
    throw new MissingLibrary(
      `Cannot use libavcodec ${version >> 16} with libavutil ${utilVersion >> 16}: install ${hint}`,
    );
  }
  (util.func('void av_log_set_level(int level)') as (level: number) => void)(QUIET);
  return {
    version,
    reason: util.func('int av_strerror(int code, uint8_t *text, size_t size)'),
    findDecoder: codec.func('void *avcodec_find_decoder_by_name(const char *name)'),
    findEncoder: codec.func('void *avcodec_find_encoder_by_name(const char *name)'),
    allocContext: codec.func('void *avcodec_alloc_context3(void *codec)'),
    freeContext: codec.func('void avcodec_free_context(_Inout_ void **context)'),
    set: util.func('int av_opt_set(void *object, const char *name, const char *value, int flags)'),
    open: codec.func('int avcodec_open2(void *context, void *codec, void *options)'),
    sendPacket: codec.func('int avcodec_send_packet(void *context, void *packet)'),
    receiveFrame: codec.func('int avcodec_receive_frame(void *context, void *frame)'),
    sendFrame: codec.func('int avcodec_send_frame(void *context, void *frame)'),
    receivePacket: codec.func('int avcodec_receive_packet(void *context, void *packet)'),
    flushBuffers: codec.func('void avcodec_flush_buffers(void *context)'),
    allocPacket: codec.func('void *av_packet_alloc()'),
    newPacket: codec.func('int av_new_packet(void *packet, int size)'),
    unrefPacket: codec.func('void av_packet_unref(void *packet)'),
    freePacket: codec.func('void av_packet_free(_Inout_ void **packet)'),
    allocFrame: util.func('void *av_frame_alloc()'),
    frameBuffer: util.func('int av_frame_get_buffer(void *frame, int align)'),
    makeWritable: util.func('int av_frame_make_writable(void *frame)'),
    unrefFrame: util.func('void av_frame_unref(void *frame)'),
    freeFrame: util.func('void av_frame_free(_Inout_ void **frame)'),
    copyPlane: util.func(
      'void av_image_copy_plane(uint8_t *to, int to_stride, const uint8_t *from, int from_stride, int width, int height)',
    ),
    channels: util.func('void av_channel_layout_default(void *layout, int channels)'),
    pixelName: util.func('const char *av_get_pix_fmt_name(int format)'),
    planePointers: koffi.array('uintptr_t', 3),
    planeStrides: koffi.array('int', 3),
  };
}

const avcodec = (): Native => (native ??= bind());

/** E.g. `59.37.100`. @throws MissingLibrary */
export function avcodecVersion(): string {
  const { version } = avcodec();
  return `${version >> 16}.${(version >> 8) & 0xff}.${version & 0xff}`;
}

function reason(code: number): string {
  const text = new Uint8Array(128);
  avcodec().reason(code, text, text.length);
  return Buffer.from(text.subarray(0, text.indexOf(0))).toString();
}

const int = (pointer: Pointer, offset: number) => koffi.decode(pointer, offset, 'int') as number;
const half = (size: number) => (size + 1) >> 1;

/** A picture as it comes out of a decoder; `pts` is what its packet was sent with. */
export interface DecodedPicture extends Planes {
  readonly pts: number;
  readonly colour: Colour;
}
export interface PacketOut {
  readonly pts: number;
  readonly keyFrame: boolean;
  readonly data: Uint8Array;
}

export type CodecSettings = Readonly<Record<string, string | number>>;

/** One open codec of libavcodec with a packet and a frame of its own. Calls come from one thread, one after another. */
export class NativeCodec implements Disposable {
  readonly #name: string;
  #context: Pointer | undefined;
  #packet: Pointer;
  #frame: Pointer;
  /** What of an encoder's frame is already set. */
  #shape = '';

  /**
   * @param settings AVOptions of `AVCodecContext` and of the codec itself
   * @throws MissingLibrary
   * @throws CodecError when there is no such codec or it does not take the settings
   */
  constructor(
    kind: 'decoder' | 'encoder',
    name: string,
    settings: CodecSettings,
    of: 'pictures' | 'sound' = 'pictures',
  ) {
    const av = avcodec();
    this.#name = name;
    const codec = (kind === 'decoder' ? av.findDecoder(name) : av.findEncoder(name)) as Pointer | null;
    if (!codec) throw new CodecError(`Cannot open ${kind} ${name}: this libavcodec was built without it`);
    this.#context = av.allocContext(codec) as Pointer;
    this.#packet = av.allocPacket() as Pointer;
    this.#frame = av.allocFrame() as Pointer;
    try {
      for (const [key, value] of Object.entries(settings)) {
        const code = av.set(this.#context, key, String(value), SEARCH_CHILDREN) as number;
        if (code < 0) throw new CodecError(`Cannot set ${key} of ${kind} ${name} to ${value}: ${reason(code)}`);
      }
      if (of === 'sound') koffi.encode(this.#context, CONTEXT.sampleFormat, 'int', FLOATS);
      const code = av.open(this.#context, codec, null) as number;
      if (code < 0) throw new CodecError(`Cannot open ${kind} ${name}: ${reason(code)}`);
    } catch (failure) {
      this[Symbol.dispose]();
      throw failure;
    }
  }

  /** Gives a decoder a packet, or the end of the stream; `false` when it refuses it. Take all pictures afterwards. */
  sendPacket(packet: { readonly data: Uint8Array; readonly pts: number } | undefined): boolean {
    const av = avcodec();
    const context = this.#open;
    if (!packet) return (av.sendPacket(context, null) as number) >= 0;
    const { data, pts } = packet;
    const size = data.byteLength;
    // An empty packet would mean the end of the stream.
    if (size === 0) return false;
    const made = av.newPacket(this.#packet, size) as number;
    if (made < 0) throw new CodecError(`Cannot make packet of ${size} bytes: ${reason(made)}`);
    av.copyPlane(koffi.decode(this.#packet, PACKET.data, 'uintptr_t') as Pointer, size, data, size, size, 1);
    koffi.encode(this.#packet, PACKET.pts, 'int64_t', BigInt(pts));
    const code = av.sendPacket(context, this.#packet) as number;
    av.unrefPacket(this.#packet);
    return code >= 0;
  }

  /**
   * The decoder's next picture, in the order of presentation; `'none'` when it wants more packets, `'damaged'` when
   * there was one that is not as it was encoded.
   *
   * @throws UnsupportedPixels
   */
  receiveFrame(): DecodedPicture | 'none' | 'damaged' {
    const av = avcodec();
    const frame = this.#frame;
    const code = av.receiveFrame(this.#open, frame) as number;
    if (code === EAGAIN || code === EOF) return 'none';
    if (code < 0) return 'damaged';
    try {
      if (int(frame, FRAME.errors) !== 0 || int(frame, FRAME.flags) & FRAME_CORRUPT) return 'damaged';
      const format = int(frame, FRAME.format);
      if (format !== YUV420P && format !== YUVJ420P) {
        const pixels = (av.pixelName(format) as string | null) ?? `format ${format}`;
        throw new UnsupportedPixels(`Cannot use pictures of ${this.#name}: they are ${pixels}, not 8 bit 4:2:0`);
      }
      const width = int(frame, FRAME.width);
      const height = int(frame, FRAME.height);
      const [luma, chroma] = [width * height, half(width) * half(height)];
      // One buffer for all three planes: a picture that changes threads is one transfer.
      const bytes = new Uint8Array(luma + 2 * chroma);
      const y = bytes.subarray(0, luma);
      const u = bytes.subarray(luma, luma + chroma);
      const v = bytes.subarray(luma + chroma);
      const from = koffi.decode(frame, FRAME.data, av.planePointers) as BigUint64Array;
      const strides = koffi.decode(frame, FRAME.linesize, av.planeStrides) as Int32Array;
      av.copyPlane(y, width, from[0], strides[0], width, height);
      av.copyPlane(u, half(width), from[1], strides[1], half(width), half(height));
      av.copyPlane(v, half(width), from[2], strides[2], half(width), half(height));
      const full = format === YUVJ420P || int(frame, FRAME.range) === FULL;
      const colour: Colour = {
        range: full ? 'full' : 'limited',
        primaries: int(frame, FRAME.primaries),
        transfer: int(frame, FRAME.transfer),
        matrix: int(frame, FRAME.matrix),
      };
      const pts = Number(koffi.decode(frame, FRAME.pts, 'int64_t'));
      return { pts, colour, width, height, y, u, v };
    } finally {
      av.unrefFrame(frame);
    }
  }

  /** Gives an encoder a picture, or the end of the stream. Take all packets afterwards. @throws CodecError */
  sendFrame(picture: (Planes & { pts: number; keyFrame: boolean; colour: Colour }) | undefined): void {
    const av = avcodec();
    const context = this.#open;
    const frame = this.#frame;
    if (picture) {
      const { width, height, pts, keyFrame, colour } = picture;
      const shape = `${width}x${height}`;
      if (this.#shape === shape) check(av.makeWritable(frame) as number);
      else {
        av.unrefFrame(frame);
        koffi.encode(frame, FRAME.width, 'int', width);
        koffi.encode(frame, FRAME.height, 'int', height);
        koffi.encode(frame, FRAME.format, 'int', YUV420P);
        check(av.frameBuffer(frame, 0) as number);
        this.#shape = shape;
      }
      const to = koffi.decode(frame, FRAME.data, av.planePointers) as BigUint64Array;
      const strides = koffi.decode(frame, FRAME.linesize, av.planeStrides) as Int32Array;
      av.copyPlane(to[0], strides[0], picture.y, width, width, height);
      av.copyPlane(to[1], strides[1], picture.u, half(width), half(width), half(height));
      av.copyPlane(to[2], strides[2], picture.v, half(width), half(width), half(height));
      koffi.encode(frame, FRAME.pts, 'int64_t', BigInt(pts));
      koffi.encode(frame, FRAME.pictType, 'int', keyFrame ? INTRA : 0);
      koffi.encode(frame, FRAME.range, 'int', rangeCode(colour));
      koffi.encode(frame, FRAME.primaries, 'int', colour.primaries);
      koffi.encode(frame, FRAME.transfer, 'int', colour.transfer);
      koffi.encode(frame, FRAME.matrix, 'int', colour.matrix);
    }
    check(av.sendFrame(context, picture ? frame : null) as number);
  }

  /**
   * Gives an encoder sound, as many samples as it takes at once, a plane per channel. Take all packets afterwards.
   *
   * @throws CodecError
   */
  sendSound(planes: readonly Float32Array[], sound: { readonly rate: number; readonly pts: number }): void {
    const av = avcodec();
    const frame = this.#frame;
    const length = planes[0]?.length ?? 0;
    const shape = `${planes.length}x${length}`;
    if (this.#shape === shape) check(av.makeWritable(frame) as number);
    else {
      av.unrefFrame(frame);
      koffi.encode(frame, FRAME.samples, 'int', length);
      koffi.encode(frame, FRAME.format, 'int', FLOATS);
      koffi.encode(frame, FRAME.rate, 'int', sound.rate);
      av.channels(frame + BigInt(FRAME.channels), planes.length);
      check(av.frameBuffer(frame, 0) as number);
      this.#shape = shape;
    }
    const to = koffi.decode(frame, FRAME.data, av.planePointers) as BigUint64Array;
    const bytes = length * Float32Array.BYTES_PER_ELEMENT;
    for (const [i, plane] of planes.entries()) {
      const from = new Uint8Array(plane.buffer, plane.byteOffset, plane.byteLength);
      av.copyPlane(to[i], bytes, from, bytes, bytes, 1);
    }
    koffi.encode(frame, FRAME.pts, 'int64_t', BigInt(sound.pts));
    check(av.sendFrame(this.#open, frame) as number);
  }

  /** The encoder's next packet, in a buffer of its own; `undefined` when it wants more pictures. @throws CodecError */
  receivePacket(): PacketOut | undefined {
    const av = avcodec();
    const packet = this.#packet;
    const code = av.receivePacket(this.#open, packet) as number;
    if (code === EAGAIN || code === EOF) return undefined;
    check(code);
    const size = int(packet, PACKET.size);
    const data = new Uint8Array(size);
    av.copyPlane(data, size, koffi.decode(packet, PACKET.data, 'uintptr_t') as Pointer, size, size, 1);
    const pts = Number(koffi.decode(packet, PACKET.pts, 'int64_t'));
    const keyFrame = (int(packet, PACKET.flags) & PACKET_KEY) !== 0;
    av.unrefPacket(packet);
    return { pts, keyFrame, data };
  }

  /** Forgets what it holds, after the end of a stream: a decoder goes on with a key frame. */
  reset(): void {
    avcodec().flushBuffers(this.#open);
  }

  [Symbol.dispose](): void {
    if (this.#context === undefined) return;
    const av = avcodec();
    av.freeContext([this.#context]);
    av.freePacket([this.#packet]);
    av.freeFrame([this.#frame]);
    this.#context = undefined;
  }

  get #open(): Pointer {
    if (this.#context === undefined) throw new TypeError(`Cannot use ${this.#name}: it is disposed`);
    return this.#context;
  }
}

/** How libavcodec calls a colour's range. */
export const rangeCode = ({ range }: Colour): number => (range === 'full' ? FULL : LIMITED);

function check(code: number): void {
  if (code < 0) throw new CodecError(`libavcodec refuses: ${reason(code)}`);
}
