import { NativeCodec } from './avcodec.ts';
import { type MediaTime, at } from './time.ts';
import type { VideoFrame } from './video-frame.ts';
import type { VideoCodec } from './video.ts';

const DECODERS = { VP8: 'vp8', VP9: 'vp9', H264: 'h264', AV1: 'libdav1d' } as const satisfies Record<
  VideoCodec,
  string
>;
/** 7680 × 4320: a damaged header may claim anything. */
const MOST_PIXELS = 33_177_600;

export interface VideoDecoderOptions {
  readonly codec: VideoCodec;
  /** 1 unless said otherwise. More of them work on slices and tiles of one picture: no picture comes later for it. */
  readonly threads?: number;
}

/**
 * Decodes one stream of encoded pictures, each as its codec's files hold it (H.264 with start codes, AV1 as temporal
 * units). Pictures come out in the order of presentation, each with the time its own data came with: all at once where
 * none refers to a later one, else as many pictures later as the stream itself says.
 *
 * Damaged data gives no picture and is counted; so does what follows no key frame. Everything happens in the calling
 * thread. Streams that are not 8 bit 4:2:0 are refused with `UnsupportedPixels`. @throws MissingLibrary
 */
export class VideoDecoder implements Disposable {
  readonly codec: VideoCodec;
  readonly #open: () => NativeCodec;
  #native: NativeCodec;
  #damaged = 0;
  /** Of them, those before the decoder last began anew. */
  #past = 0;

  constructor({ codec, threads = 1 }: VideoDecoderOptions) {
    if (!Number.isInteger(threads) || threads < 1) {
      throw new RangeError(`Cannot create video decoder: threads must be a positive integer, received ${threads}`);
    }
    this.codec = codec;
    const settings = { threads, thread_type: 'slice', max_pixels: MOST_PIXELS };
    // Without it dav1d gathers pictures before it gives the first. For H.264 the flag would forbid reordering.
    const delay = codec === 'AV1' ? { flags: '+low_delay' } : {};
    this.#open = () => new NativeCodec('decoder', DECODERS[codec], { ...settings, ...delay });
    this.#native = this.#open();
  }

  /** How often data gave no picture because it was damaged. */
  get damaged(): number {
    return this.#damaged;
  }

  /** @param start where the picture in `data` belongs */
  decode(data: Uint8Array, start: MediaTime): VideoFrame[] {
    if (!this.#native.sendPacket({ data, pts: start })) this.#damaged += 1;
    return this.#pictures();
  }

  /** What is still inside. Afterwards it goes on with a key frame. */
  flush(): VideoFrame[] {
    this.#native.sendPacket(undefined);
    const rest = this.#pictures();
    if (this.#damaged === this.#past) this.#native.reset();
    else {
      // What damaged headers claimed outlasts a reset: libavcodec's VP9 then misses the next key frame, too.
      this.#native[Symbol.dispose]();
      this.#native = this.#open();
      this.#past = this.#damaged;
    }
    return rest;
  }

  [Symbol.dispose](): void {
    this.#native[Symbol.dispose]();
  }

  #pictures(): VideoFrame[] {
    const frames: VideoFrame[] = [];
    for (;;) {
      const picture = this.#native.receiveFrame();
      if (picture === 'none') return frames;
      if (picture === 'damaged') this.#damaged += 1;
      else {
        const { pts, ...planes } = picture;
        frames.push({ ...planes, start: at(pts) });
      }
    }
  }
}
