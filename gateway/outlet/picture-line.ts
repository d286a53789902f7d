import { bitrateFor } from '../../media/bitrate.ts';
import { Depacketizer, keyFrameIn } from '../../media/packetize.ts';
import { type PictureSize, pictureSize } from '../../media/picture-size.ts';
import type { RtpPacket } from '../../media/rtp.ts';
import { type MediaTime, seconds } from '../../media/time.ts';
import { VideoDecoder } from '../../media/video-decoder.ts';
import { VideoEncoder } from '../../media/video-encoder.ts';
import type { EncodedPicture, VideoCodec } from '../../media/video.ts';
import type { OutPicture, Wants } from './outlet.ts';
import type { TapTrack } from './ipc.ts';

/** What H.264 that is made here is reckoned by. */
const FPS = 30;
const KEY_EVERY = seconds(2);

/** Where pictures go, and in which forms they are wanted at present. */
export interface PictureTakers {
  wants(form: Form): boolean;
  give(form: Form, picture: OutPicture): void;
}
type Form = Exclude<Wants['pictures'], 'none'>;

/** One video track on its way to the outlets: packets in order come in, whole pictures go out, as sent and as H.264. */
export class PictureLine implements Disposable {
  readonly track: TapTrack;
  readonly #codec: VideoCodec;
  readonly #to: PictureTakers;
  readonly #frames: Depacketizer;
  #picture: { readonly timestamp: number; readonly start: MediaTime; readonly payloads: Uint8Array[] } | undefined;
  #size: PictureSize | undefined;
  /** A decoder could go on with what comes next. */
  #whole = false;
  #dropped = 0;
  #decoder: VideoDecoder | undefined;
  #encoder: VideoEncoder | undefined;

  constructor(track: TapTrack, to: PictureTakers) {
    this.track = track;
    this.#codec = track.codec as VideoCodec;
    this.#to = to;
    this.#frames = new Depacketizer(this.#codec);
  }

  /** Pictures that could not be handed on: incomplete, or without the key frame they follow. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Packets before the next one never came. */
  lost(): void {
    this.#picture = undefined;
    this.#whole = false;
  }

  push(packet: RtpPacket, start: MediaTime): void {
    let picture = this.#picture;
    if (picture?.timestamp !== packet.timestamp) {
      // The end of the one before never came.
      if (picture) this.lost();
      picture = { timestamp: packet.timestamp, start, payloads: [] };
    }
    picture.payloads.push(packet.payload);
    this.#picture = packet.marker ? undefined : picture;
    if (packet.marker) this.#finish(start, picture.payloads);
  }

  [Symbol.dispose](): void {
    this.#decoder?.[Symbol.dispose]();
    this.#encoder?.[Symbol.dispose]();
  }

  #finish(start: MediaTime, payloads: readonly Uint8Array[]): void {
    const keyFrame = keyFrameIn(this.#codec, payloads);
    const data = this.#frames.frame(payloads);
    if (data && keyFrame) {
      this.#size = pictureSize(this.#codec, data) ?? this.#size;
      this.#whole = true;
    }
    if (!data || !this.#whole || !this.#size) {
      this.#dropped += 1;
      this.#whole = false;
      return;
    }
    const picture: EncodedPicture = { start, keyFrame, data };
    const out = { ...picture, ...this.#size, track: this.track.id, codec: this.#codec };
    this.#to.give('as sent', out);
    if (this.#codec === 'H264') this.#to.give('H264', out);
    else if (this.#to.wants('H264')) this.#transcode(picture);
  }

  #transcode(picture: EncodedPicture): void {
    if (!this.#decoder && !picture.keyFrame) return;
    const decoder = (this.#decoder ??= new VideoDecoder({ codec: this.#codec }));
    for (const frame of decoder.decode(picture.data, picture.start)) {
      // 4:2:0 H.264 has even sides.
      const size = { width: frame.width & ~1, height: frame.height & ~1 };
      if (size.width !== frame.width || size.height !== frame.height) {
        this.#dropped += 1;
        continue;
      }
      const before = this.#encoder?.options;
      if (before?.width !== size.width || before.height !== size.height) {
        this.#encoder?.[Symbol.dispose]();
        const fixed = { codec: 'H264', fps: FPS, keyEvery: KEY_EVERY, live: true } as const;
        this.#encoder = new VideoEncoder({
          ...fixed,
          ...size,
          bitrate: Math.round(bitrateFor(size.width, size.height, FPS)),
          colour: frame.colour,
        });
      }
      // Segments end where the source's do.
      for (const made of this.#encoder?.encode(frame, { keyFrame: picture.keyFrame }) ?? []) {
        this.#to.give('H264', { ...made, ...size, track: this.track.id, codec: 'H264' });
      }
    }
  }
}
