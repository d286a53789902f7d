import { type CodecSettings, NativeCodec, rangeCode } from './avcodec.ts';
import { type MediaTime, type Span, at, between, seconds } from './time.ts';
import type { Colour, VideoFrame } from './video-frame.ts';
import type { EncodedPicture } from './video.ts';

export type Encodable = 'VP8' | 'VP9' | 'H264';

export interface VideoEncoderOptions {
  readonly codec: Encodable;
  readonly width: number;
  readonly height: number;
  /** Pictures a second, about: what the bitrate is reckoned by. */
  readonly fps: number;
  /** Bit/s: what is aimed at when live, the most that is used when not. */
  readonly bitrate: number;
  readonly colour: Colour;
  /** The longest time without a key frame. */
  readonly keyEvery: Span;
  /** Every picture comes out before the next goes in, in the profile that every WebRTC viewer decodes. */
  readonly live: boolean;
}

/**
 * Encodes pictures of one size in their order, none of which refers to a later one.
 *
 * H.264 carries all of `colour`; VP9 carries range and matrix (its bitstream has no primaries and no transfer); VP8
 * carries neither, and is read as limited BT.601 by everybody: other numbers go through unchanged, unnamed.
 * Live H.264 is constrained baseline. A live encoder works in the calling thread alone. @throws MissingLibrary
 */
export class VideoEncoder implements Disposable {
  readonly options: VideoEncoderOptions;
  readonly #native: NativeCodec;
  /** Times of pictures inside, in order. */
  readonly #inside: MediaTime[] = [];
  #first: MediaTime | undefined;
  #last: MediaTime | undefined;
  #lastTick = -1;
  #lastKey: MediaTime | undefined;

  constructor(options: VideoEncoderOptions) {
    const { codec, width, height, fps, bitrate, keyEvery } = options;
    for (const [name, value] of Object.entries({ width, height, fps, bitrate, keyEvery })) {
      if (!(value > 0 && Number.isFinite(value))) {
        throw new RangeError(`Cannot create video encoder: ${name} must be positive, received ${value}`);
      }
    }
    if (codec === 'H264' && (width % 2 || height % 2)) {
      throw new RangeError(`Cannot create video encoder: H.264 needs even sides, received ${width} × ${height}`);
    }
    this.options = options;
    this.#native = new NativeCodec('encoder', ENCODERS[codec], settingsOf(options));
  }

  /** @param how `keyFrame`: a decoder can start here */
  encode(frame: VideoFrame, how: { readonly keyFrame?: boolean } = {}): EncodedPicture[] {
    const { width, height, fps, keyEvery } = this.options;
    if (frame.width !== width || frame.height !== height) {
      throw new RangeError(`Cannot encode: expected ${width} × ${height}, received ${frame.width} × ${frame.height}`);
    }
    if (this.#last !== undefined && frame.start <= this.#last) {
      throw new RangeError(`Cannot encode: the picture at ${frame.start} does not follow the one at ${this.#last}`);
    }
    this.#last = frame.start;
    const first = (this.#first ??= frame.start);
    // Rate control reckons in picture periods: the finest clock would tell it a million pictures a second.
    const tick = Math.max(this.#lastTick + 1, Math.round((between(first, frame.start) * fps) / seconds(1)));
    this.#lastTick = tick;
    const due = this.#lastKey === undefined || between(this.#lastKey, frame.start) >= keyEvery;
    const keyFrame = due || how.keyFrame === true;
    if (keyFrame) this.#lastKey = frame.start;
    this.#inside.push(frame.start);
    const { y, u, v } = frame;
    this.#native.sendFrame({ width, height, y, u, v, pts: tick, keyFrame, colour: this.options.colour });
    return this.#encoded();
  }

  /** What is still inside; nothing goes in afterwards. */
  flush(): EncodedPicture[] {
    this.#native.sendFrame(undefined);
    return this.#encoded();
  }

  [Symbol.dispose](): void {
    this.#native[Symbol.dispose]();
  }

  #encoded(): EncodedPicture[] {
    const pictures: EncodedPicture[] = [];
    for (let packet = this.#native.receivePacket(); packet; packet = this.#native.receivePacket()) {
      const start = this.#inside.shift() ?? at(0);
      if (packet.keyFrame && (this.#lastKey === undefined || start > this.#lastKey)) this.#lastKey = start;
      pictures.push({ start, keyFrame: packet.keyFrame, data: packet.data });
    }
    return pictures;
  }
}

const ENCODERS = { VP8: 'libvpx', VP9: 'libvpx-vp9', H264: 'libx264' } as const satisfies Record<Encodable, string>;

function settingsOf({ codec, width, height, fps, bitrate, colour, live }: VideoEncoderOptions): CodecSettings {
  const rate = Math.round(bitrate);
  return {
    video_size: `${width}x${height}`,
    pixel_format: 'yuv420p',
    time_base: `1000/${Math.round(fps * 1_000)}`,
    // Key frames are asked for picture by picture: pictures may be further apart than `fps` says.
    g: 100_000,
    bf: 0,
    ...(live ? { threads: 1 } : {}),
    color_range: rangeCode(colour),
    color_primaries: colour.primaries,
    color_trc: colour.transfer,
    colorspace: colour.matrix,
    ...(codec === 'H264' ? x264(rate, live) : vpx(codec, rate, live)),
  };
}

const x264 = (bitrate: number, live: boolean): CodecSettings => ({
  'forced-idr': 1,
  maxrate: bitrate,
  bufsize: bitrate,
  ...(live
    ? { preset: 'veryfast', tune: 'zerolatency', profile: 'baseline', b: bitrate }
    : { preset: 'medium', profile: 'high', crf: 18 }),
});

/**
 * Alternative references are pictures that are never shown, for which RTP has no place. VP8's speed is negative so that
 * it stays as it is: a positive one follows the time that pictures take, up to half of what there is.
 */
const vpx = (codec: 'VP8' | 'VP9', bitrate: number, live: boolean): CodecSettings => ({
  b: bitrate,
  maxrate: bitrate,
  bufsize: bitrate,
  'auto-alt-ref': 0,
  ...(live
    ? { deadline: 'realtime', 'cpu-used': codec === 'VP8' ? -6 : 8, 'lag-in-frames': 0 }
    : { deadline: 'good', 'cpu-used': 2, 'lag-in-frames': 16, crf: codec === 'VP8' ? 8 : 24 }),
});
