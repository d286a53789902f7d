import { extname } from 'node:path';
import {
  EncodedAudioPacketSource,
  EncodedPacket,
  EncodedVideoPacketSource,
  FilePathTarget,
  MkvOutputFormat,
  Mp4OutputFormat,
  Output,
  WebMOutputFormat,
} from './mediabunny.ts';
import { opusHeader } from './codec-header.ts';
import { iso639 } from './iso639.ts';
import { Depacketizer } from './packetize.ts';
import { type MediaTime, type Span, between, ms } from './time.ts';
import type { AccessUnit, EncodedPicture, VideoCodec } from './video.ts';

const FORMATS = {
  '.mp4': () => new Mp4OutputFormat(),
  '.mkv': () => new MkvOutputFormat(),
  '.webm': () => new WebMOutputFormat(),
};
const CODECS = { VP8: 'vp8', VP9: 'vp9', H264: 'avc', AV1: 'av1' } as const satisfies Record<VideoCodec, string>;

/** What a container must be called to hold this; the error of a wrong one says it. */
export const RECORDABLE = Object.keys(FORMATS);

export interface RecordedAudio {
  /** Names the track in {@link Recording.audio}. */
  readonly id: string;
  /** BCP 47; `und` where nobody knows. */
  readonly language: string;
  readonly title: string;
}
export interface RecordedVideo {
  readonly codec: VideoCodec;
  readonly width: number;
  readonly height: number;
}

/**
 * Encoded pictures and Opus packets written to a file as they were received, in MP4, Matroska or WebM.
 *
 * The file begins at `origin` of media time; what lies before it is left out. Audio tracks keep their order, and the
 * first is the one a player picks. Nothing is decoded or encoded.
 */
export class Recording {
  readonly #output: Output;
  readonly #origin: MediaTime;
  readonly #frames: Depacketizer | undefined;
  readonly #video: EncodedVideoPacketSource | undefined;
  readonly #config: RecordedVideo | undefined;
  readonly #audio: ReadonlyMap<string, EncodedAudioPacketSource>;
  readonly #begun = new Set<string>();
  #held: EncodedPicture | undefined;
  #pictures = 0;
  #packets = 0;

  private constructor(
    output: Output,
    origin: MediaTime,
    video: { config: RecordedVideo; source: EncodedVideoPacketSource } | undefined,
    audio: ReadonlyMap<string, EncodedAudioPacketSource>,
  ) {
    this.#output = output;
    this.#origin = origin;
    this.#config = video?.config;
    this.#video = video?.source;
    this.#frames = video && new Depacketizer(video.config.codec);
    this.#audio = audio;
  }

  /** @throws RangeError when the file's extension is not one of {@link RECORDABLE} */
  static async open(options: {
    readonly path: string;
    readonly origin: MediaTime;
    readonly video?: RecordedVideo | undefined;
    readonly audio: readonly RecordedAudio[];
  }): Promise<Recording> {
    const format = FORMATS[extname(options.path).toLowerCase() as keyof typeof FORMATS];
    if (!format)
      throw new RangeError(`Cannot record to ${options.path}: the file's name must end in ${RECORDABLE.join(', ')}`);
    const output = new Output({ format: format(), target: new FilePathTarget(options.path) });
    const video = options.video && {
      config: options.video,
      source: new EncodedVideoPacketSource(CODECS[options.video.codec]),
    };
    if (video) output.addVideoTrack(video.source);
    const audio = new Map<string, EncodedAudioPacketSource>();
    for (const [index, { id, language, title }] of options.audio.entries()) {
      const source = new EncodedAudioPacketSource('opus');
      output.addAudioTrack(source, {
        languageCode: iso639(language),
        name: title,
        disposition: { default: index === 0 },
      });
      audio.set(id, source);
    }
    await output.start();
    return new Recording(output, options.origin, video, audio);
  }

  /** Pictures and audio packets written. */
  get written(): { readonly pictures: number; readonly packets: number } {
    return { pictures: this.#pictures, packets: this.#packets };
  }

  /** One picture. The first that is written must be a key frame; those before it are left out. */
  async video(unit: AccessUnit): Promise<void> {
    const { start, keyFrame, payloads } = unit;
    if (!this.#wants(unit)) return;
    const data = this.#frames?.frame(payloads);
    if (data) await this.picture({ start, keyFrame, data });
  }
  /** The same as its codec's files hold it: H.264 with start codes. */
  async picture(picture: EncodedPicture): Promise<void> {
    if (!this.#wants(picture)) return;
    // A picture lasts until the next one: it is written when that is known.
    const held = this.#held;
    this.#held = picture;
    if (held) await this.#write(held, between(held.start, picture.start));
  }
  #wants({ start, keyFrame }: Pick<EncodedPicture, 'start' | 'keyFrame'>): boolean {
    return start >= this.#origin && (this.#held !== undefined || keyFrame);
  }

  /** One Opus packet of 20 ms. */
  async audio(id: string, start: MediaTime, data: Uint8Array): Promise<void> {
    const source = this.#audio.get(id);
    if (!source || start < this.#origin || data.byteLength === 0) return;
    const packet = new EncodedPacket(data, 'key', between(this.#origin, start) / 1e6, 0.02);
    const first = !this.#begun.has(id);
    this.#begun.add(id);
    const meta = {
      decoderConfig: { codec: 'opus', numberOfChannels: 1, sampleRate: 48_000, description: OPUS_HEAD },
    };
    await source.add(packet, first ? meta : undefined);
    this.#packets += 1;
  }

  /** Finishes the file. Without it an MP4 cannot be played. */
  async close(): Promise<void> {
    if (this.#held) await this.#write(this.#held, ms(40));
    this.#held = undefined;
    await this.#output.finalize();
  }

  async #write({ start: at, keyFrame, data }: EncodedPicture, duration: Span): Promise<void> {
    const config = this.#config;
    if (!config || !this.#video) return;
    const start = between(this.#origin, at) / 1e6;
    const packet = new EncodedPacket(data, keyFrame ? 'key' : 'delta', start, duration / 1e6);
    const meta = {
      decoderConfig: {
        codec: CODEC_STRINGS[config.codec](data),
        codedWidth: config.width,
        codedHeight: config.height,
      },
    };
    await this.#video.add(packet, this.#pictures === 0 ? meta : undefined);
    this.#pictures += 1;
  }
}

/** Without it players of MP4 leave out the first 80 ms. */
const OPUS_HEAD = opusHeader(1);

const hex = (byte: number | undefined) => (byte ?? 0).toString(16).padStart(2, '0');
/** The codec string of RFC 6381 §3, from the first key frame. */
const CODEC_STRINGS: Record<VideoCodec, (keyFrame: Uint8Array) => string> = {
  VP8: () => 'vp8',
  VP9: () => 'vp09.00.10.08',
  AV1: () => 'av01.0.04M.08',
  H264: (data) => {
    // Annex B: the sequence parameter set's profile, constraints and level follow its NAL unit header.
    for (let i = 0; i + 6 < data.byteLength; i += 1) {
      const starts = data[i] === 0 && data[i + 1] === 0 && data[i + 2] === 1;
      if (starts && ((data[i + 3] ?? 0) & 31) === 7)
        return `avc1.${hex(data[i + 4])}${hex(data[i + 5])}${hex(data[i + 6])}`;
    }
    return 'avc1.42e01f';
  },
};
