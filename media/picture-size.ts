import { nalUnits } from './h264.ts';
import type { VideoCodec } from './video.ts';

export interface PictureSize {
  readonly width: number;
  readonly height: number;
}

/**
 * Width and height in pixels as the key frame itself says them; `undefined` when it does not (or for a codec whose
 * headers are not read here: VP9, AV1).
 *
 * @param frame as its codec's files hold it; H.264 with start codes (Annex B)
 */
export function pictureSize(codec: VideoCodec, frame: Uint8Array): PictureSize | undefined {
  switch (codec) {
    case 'VP8':
      return vp8(frame);
    case 'H264':
      return h264(frame);
    case 'VP9':
    case 'AV1':
      return undefined;
  }
}

/** RFC 6386 §9.1: three bytes of tag, the start code 9d 01 2a, then 14 bits each, little-endian. */
function vp8(frame: Uint8Array): PictureSize | undefined {
  if (frame.byteLength < 10 || ((frame[0] ?? 1) & 1) !== 0) return undefined;
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint8(3) !== 0x9d || view.getUint8(4) !== 0x01 || view.getUint8(5) !== 0x2a) return undefined;
  return { width: view.getUint16(6, true) & 0x3fff, height: view.getUint16(8, true) & 0x3fff };
}

/** ITU-T H.264 §7.3.2.1.1, sequence parameter set, as far as the cropping rectangle. */
function h264(frame: Uint8Array): PictureSize | undefined {
  const sps = nalUnits(frame, 'annex-b').find((nal) => ((nal[0] ?? 0) & 31) === 7);
  if (!sps) return undefined;
  const bits = new Bits(unescaped(sps).subarray(1));
  const profile = bits.take(8);
  bits.take(16); // constraints, level
  bits.ue(); // seq_parameter_set_id
  let chroma = 1;
  let separate = 0;
  if ([100, 110, 122, 244, 44, 83, 86, 118, 128].includes(profile)) {
    chroma = bits.ue();
    if (chroma === 3) separate = bits.take(1);
    bits.ue();
    bits.ue();
    bits.take(1);
    if (bits.take(1)) {
      for (let list = 0; list < (chroma === 3 ? 12 : 8); list += 1)
        if (bits.take(1)) skipScaling(bits, list < 6 ? 16 : 64);
    }
  }
  bits.ue(); // log2_max_frame_num_minus4
  const order = bits.ue();
  if (order === 0) bits.ue();
  else if (order === 1) {
    bits.take(1);
    bits.se();
    bits.se();
    for (let left = bits.ue(); left > 0; left -= 1) bits.se();
  }
  bits.ue(); // max_num_ref_frames
  bits.take(1);
  const across = bits.ue() + 1;
  const down = bits.ue() + 1;
  const frames = bits.take(1);
  if (!frames) bits.take(1);
  bits.take(1); // direct_8x8_inference_flag
  const crop = bits.take(1) ? [bits.ue(), bits.ue(), bits.ue(), bits.ue()] : [0, 0, 0, 0];
  if (bits.over) return undefined;
  const format = separate ? 0 : chroma;
  const unitX = format === 1 || format === 2 ? 2 : 1;
  const unitY = (format === 1 ? 2 : 1) * (2 - frames);
  const [left = 0, right = 0, top = 0, bottom = 0] = crop;
  return {
    width: across * 16 - unitX * (left + right),
    height: down * 16 * (2 - frames) - unitY * (top + bottom),
  };
}

/** Takes out the emulation prevention bytes (§7.4.1): 00 00 03 stands for 00 00. */
function unescaped(nal: Uint8Array): Uint8Array {
  const out = new Uint8Array(nal.byteLength);
  let size = 0;
  for (let i = 0, zeros = 0; i < nal.byteLength; i += 1) {
    const byte = nal[i] ?? 0;
    if (zeros >= 2 && byte === 3) {
      zeros = 0;
      continue;
    }
    zeros = byte === 0 ? zeros + 1 : 0;
    out[size++] = byte;
  }
  return out.subarray(0, size);
}

function skipScaling(bits: Bits, count: number): void {
  let last = 8;
  let next = 8;
  for (let i = 0; i < count; i += 1) {
    if (next !== 0) next = (last + bits.se() + 256) % 256;
    last = next === 0 ? last : next;
  }
}

/** Bits from the most significant one on; zeros after the end, which `over` tells. */
class Bits {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }
  get over(): boolean {
    return this.#at > this.#bytes.byteLength * 8;
  }
  take(count: number): number {
    let value = 0;
    for (let left = count; left > 0; left -= 1) {
      value = value * 2 + (((this.#bytes[this.#at >> 3] ?? 0) >> (7 - (this.#at & 7))) & 1);
      this.#at += 1;
    }
    return value;
  }
  /** Exp-Golomb, unsigned (§9.1). */
  ue(): number {
    let zeros = 0;
    while (zeros < 32 && !this.over && this.take(1) === 0) zeros += 1;
    return 2 ** zeros - 1 + this.take(zeros);
  }
  se(): number {
    const code = this.ue();
    return code % 2 === 1 ? (code + 1) / 2 : -code / 2;
  }
}
