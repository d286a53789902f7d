import { NativeCodec } from './avcodec.ts';
import { type MediaTime, type SampleRate, later, samples } from './time.ts';

export const AAC_RATE: SampleRate = 48_000;
/** Samples of one frame (ISO/IEC 14496-3 §4.5.1.1). */
export const AAC_FRAME = 1_024;
/** What FFmpeg's encoder puts before the first sample; the frame that holds only this is left out. */
const PRIMING = 1;

/** One frame of AAC-LC without a header. */
export interface AacFrame {
  readonly start: MediaTime;
  readonly data: Uint8Array;
}

export interface AacEncoderOptions {
  readonly channels?: 1 | 2;
  /** Bit/s. */
  readonly bitrate?: number;
}

/**
 * Encodes one stream of sound at 48 kHz to AAC-LC.
 *
 * Sound goes in without a gap, cut as it likes; each frame comes out with the time of its own first sample, counted from where the
 * stream began. Everything happens in the calling thread: some 1 % of a core for a voice. @throws MissingLibrary
 */
export class AacEncoder implements Disposable {
  readonly channels: 1 | 2;
  readonly #native: NativeCodec;
  readonly #held: Float32Array[];
  #filled = 0;
  /** Frames given to the encoder, and frames that came out. */
  #sent = 0;
  #received = 0;
  #origin: MediaTime | undefined;

  constructor({ channels = 1, bitrate = channels * 64_000 }: AacEncoderOptions = {}) {
    this.channels = channels;
    this.#held = Array.from({ length: channels }, () => new Float32Array(AAC_FRAME));
    const settings = { ar: AAC_RATE, ch_layout: channels === 2 ? 'stereo' : 'mono', b: bitrate };
    this.#native = new NativeCodec('encoder', 'aac', settings, 'sound');
  }

  /** @param start of the first sample ever; of later ones nothing but their number counts */
  encode(start: MediaTime, ...planes: readonly Float32Array[]): AacFrame[] {
    if (planes.length !== this.channels) {
      throw new TypeError(`Cannot encode AAC: expected ${this.channels} channels, received ${planes.length}`);
    }
    this.#origin ??= start;
    const frames: AacFrame[] = [];
    const length = planes[0]?.length ?? 0;
    for (let from = 0; from < length;) {
      const count = Math.min(length - from, AAC_FRAME - this.#filled);
      planes.forEach((plane, i) => this.#held[i]?.set(plane.subarray(from, from + count), this.#filled));
      this.#filled += count;
      from += count;
      if (this.#filled < AAC_FRAME) break;
      this.#filled = 0;
      this.#native.sendSound(this.#held, { rate: AAC_RATE, pts: this.#sent * AAC_FRAME });
      this.#sent += 1;
      for (let packet = this.#native.receivePacket(); packet; packet = this.#native.receivePacket()) {
        const place = this.#received - PRIMING;
        this.#received += 1;
        if (place < 0) continue;
        frames.push({ start: later(this.#origin, samples(place * AAC_FRAME, AAC_RATE)), data: packet.data });
      }
    }
    return frames;
  }

  [Symbol.dispose](): void {
    this.#native[Symbol.dispose]();
  }
}

/** Channels of a raw frame of AAC (ISO/IEC 14496-3 §4.4.2.1): what its first single or pair element says. */
export function aacChannels(frame: Uint8Array): 1 | 2 | undefined {
  let at = 0;
  const take = (count: number) => {
    let value = 0;
    for (let n = 0; n < count; n += 1, at += 1) value = value * 2 + (((frame[at >> 3] ?? 0) >> (7 - (at & 7))) & 1);
    return value;
  };
  while (at < frame.byteLength * 8) {
    const element = take(3);
    if (element === 0) return 1;
    if (element === 1) return 2;
    if (element === 6) {
      let count = take(4);
      if (count === 15) count += take(8) - 1;
      at += count * 8;
    } else if (element === 4) {
      take(4);
      const aligned = take(1);
      let count = take(8);
      if (count === 255) count += take(8);
      if (aligned) at = Math.ceil(at / 8) * 8;
      at += count * 8;
    } else return undefined;
  }
  return undefined;
}

/** A frame of AAC-LC at 48 kHz behind its ADTS header (ISO/IEC 14496-3, 1.A.2.2.1), as a transport stream carries it. */
export function adts(frame: Uint8Array, channels: 1 | 2): Uint8Array {
  const length = frame.byteLength + 7;
  const header = [
    0xff,
    0xf1,
    0x4c,
    (channels << 6) | (length >> 11),
    (length >> 3) & 0xff,
    ((length & 7) << 5) | 0x1f,
    0xfc,
  ];
  return Buffer.concat([Uint8Array.from(header), frame]);
}
