import { Bits, unescaped } from './avc-bits.ts';

/** What a sequence parameter set says (ITU-T H.264 §7.3.2.1.1), as far as the cropping rectangle. */
export interface Sequence {
  readonly id: number;
  readonly width: number;
  readonly height: number;
  /** Macroblocks of a frame. */
  readonly blocks: number;
  /** `ChromaArrayType`. */
  readonly chroma: number;
  readonly separate: boolean;
  readonly frameNumBits: number;
  readonly order: { readonly type: number; readonly bits: number; readonly zero: boolean };
  /** No fields. */
  readonly frames: boolean;
}
/** What a picture parameter set says (§7.3.2.2), without what only slice groups need. */
export interface PictureParameters {
  readonly id: number;
  readonly sequence: number;
  readonly cabac: boolean;
  readonly orderPresent: boolean;
  readonly groups: number;
  readonly references: number;
  readonly weighted: boolean;
  readonly quantizer: number;
  readonly deblocking: boolean;
  readonly redundant: boolean;
}

const WITH_CHROMA = [100, 110, 122, 244, 44, 83, 86, 118, 128];

/** @param nal without its start code. `undefined` when it is cut off */
export function sequenceOf(nal: Uint8Array): Sequence | undefined {
  const bits = new Bits(unescaped(nal).subarray(1));
  const profile = bits.take(8);
  bits.take(16); // constraints, level
  const id = bits.ue();
  let format = 1;
  let separate = false;
  if (WITH_CHROMA.includes(profile)) {
    format = bits.ue();
    if (format === 3) separate = bits.take(1) === 1;
    bits.ue();
    bits.ue();
    bits.take(1);
    if (bits.take(1))
      for (let list = 0; list < (format === 3 ? 12 : 8); list += 1)
        if (bits.take(1)) skipScaling(bits, list < 6 ? 16 : 64);
  }
  const frameNumBits = bits.ue() + 4;
  const type = bits.ue();
  let [orderBits, zero] = [0, false];
  if (type === 0) orderBits = bits.ue() + 4;
  else if (type === 1) {
    zero = bits.take(1) === 1;
    bits.se();
    bits.se();
    for (let left = bits.ue(); left > 0 && !bits.over; left -= 1) bits.se();
  }
  bits.ue(); // max_num_ref_frames
  bits.take(1);
  const across = bits.ue() + 1;
  const down = bits.ue() + 1;
  const frames = bits.take(1);
  if (!frames) bits.take(1);
  bits.take(1); // direct_8x8_inference_flag
  const [left = 0, right = 0, top = 0, bottom = 0] = bits.take(1) ? [bits.ue(), bits.ue(), bits.ue(), bits.ue()] : [];
  if (bits.over) return undefined;
  const chroma = separate ? 0 : format;
  const unitX = chroma === 1 || chroma === 2 ? 2 : 1;
  const unitY = (chroma === 1 ? 2 : 1) * (2 - frames);
  return {
    id,
    width: across * 16 - unitX * (left + right),
    height: down * 16 * (2 - frames) - unitY * (top + bottom),
    blocks: across * down * (2 - frames),
    chroma,
    separate,
    frameNumBits,
    order: { type, bits: orderBits, zero },
    frames: frames === 1,
  };
}

/** @param nal without its start code. `undefined` when it is cut off, or has slice groups */
export function pictureParametersOf(nal: Uint8Array): PictureParameters | undefined {
  const bits = new Bits(unescaped(nal).subarray(1));
  const [id, sequence] = [bits.ue(), bits.ue()];
  const [cabac, orderPresent] = [bits.take(1) === 1, bits.take(1) === 1];
  const groups = bits.ue() + 1;
  if (groups > 1) return undefined;
  const references = bits.ue() + 1;
  bits.ue();
  const weighted = bits.take(1) === 1;
  bits.take(2);
  const quantizer = 26 + bits.se();
  bits.se();
  bits.se();
  const deblocking = bits.take(1) === 1;
  bits.take(1);
  const redundant = bits.take(1) === 1;
  if (bits.over) return undefined;
  return { id, sequence, cabac, orderPresent, groups, references, weighted, quantizer, deblocking, redundant };
}

function skipScaling(bits: Bits, count: number): void {
  let last = 8;
  let next = 8;
  for (let i = 0; i < count; i += 1) {
    if (next !== 0) next = (last + bits.se() + 256) % 256;
    last = next === 0 ? last : next;
  }
}
