import { BitWriter, Bits, escaped, unescaped } from './avc-bits.ts';
import { type PictureParameters, type Sequence, pictureParametersOf, sequenceOf } from './avc-parameters.ts';
import { PPS, SPS, frameOf, nalUnits, typeOf } from './h264.ts';

const SLICE = 1;
const IDR = 5;
/** `slice_type`: all slices of the picture are P (ITU-T H.264 table 7-6). */
const ALL_P = 5;
/** Of SPS and PPS each, those that are kept. */
const MOST = 32;

/** Where a stream is, after its last picture. */
interface Place {
  readonly sequence: Sequence;
  readonly parameters: PictureParameters;
  readonly frameNum: number;
  readonly order: number;
  readonly reference: boolean;
}

/**
 * Makes pictures that show what the picture before showed, out of nothing but skipped macroblocks (ITU-T H.264 §7.3.4): some
 * ten bytes that any decoder takes in the middle of a stream. No other picture refers to them, so that the stream goes on
 * behind them as if they were not there.
 */
export class Repeater {
  readonly #sequences = new Map<number, Sequence>();
  readonly #parameters = new Map<number, PictureParameters>();
  #place: Place | undefined;

  /** A picture of the stream, NAL units behind lengths of four bytes. */
  push(sample: Uint8Array): void {
    for (const nal of nalUnits(sample, 4)) {
      const type = typeOf(nal);
      const sequence = type === SPS && sequenceOf(nal);
      const parameters = type === PPS && pictureParametersOf(nal);
      if (sequence) keep(this.#sequences, sequence);
      if (parameters) keep(this.#parameters, parameters);
      if (type !== SLICE && type !== IDR) continue;
      this.#place = this.#read(nal);
      return;
    }
    this.#place = undefined;
  }

  /** The last picture once more; `undefined` where there was none, or the stream is of a kind that this is not made for. */
  repeat(): Uint8Array | undefined {
    return this.#place && frameOf([skipped(this.#place)], 4);
  }

  /** The first slice of a picture (§7.3.3). */
  #read(nal: Uint8Array): Place | undefined {
    const bits = new Bits(unescaped(nal.subarray(0, 64)).subarray(1));
    if (bits.ue() !== 0) return undefined;
    const kind = bits.ue() % 5;
    const parameters = this.#parameters.get(bits.ue());
    const sequence = parameters && this.#sequences.get(parameters.sequence);
    // Fields and B slices are transcoded long before.
    if (!sequence || !sequence.frames || sequence.separate || kind === 1) return undefined;
    const { type, bits: width, zero } = sequence.order;
    if (type === 1 && !zero) return undefined;
    const frameNum = bits.take(sequence.frameNumBits);
    if (typeOf(nal) === IDR) bits.ue();
    const order = type === 0 ? bits.take(width) : 0;
    const reference = ((nal[0] ?? 0) & 0x60) !== 0;
    return bits.over ? undefined : { sequence, parameters, frameNum, order, reference };
  }
}

function keep<T extends { readonly id: number }>(all: Map<number, T>, one: T): void {
  if (all.size < MOST || all.has(one.id)) all.set(one.id, one);
}

function skipped({ sequence, parameters, frameNum, order, reference }: Place): Uint8Array {
  const { frameNumBits, blocks, chroma } = sequence;
  const out = new BitWriter().put(SLICE, 8).ue(0).ue(ALL_P).ue(parameters.id);
  out.put((frameNum + (reference ? 1 : 0)) % 2 ** frameNumBits, frameNumBits);
  if (sequence.order.type === 0) {
    // Between this picture and the next, which are two apart in streams of frames.
    out.put((order + 1) % 2 ** sequence.order.bits, sequence.order.bits);
    if (parameters.orderPresent) out.se(0);
  }
  if (parameters.redundant) out.ue(0);
  if (parameters.references > 1) out.put(1, 1).ue(0);
  else out.put(0, 1);
  out.put(0, 1); // ref_pic_list_modification_flag_l0
  if (parameters.weighted) {
    out.ue(0);
    if (chroma !== 0) out.ue(0);
    out.put(0, chroma !== 0 ? 2 : 1);
  }
  if (parameters.cabac) out.ue(INIT);
  out.se(parameters.cabac ? QUANTIZER - parameters.quantizer : 0);
  if (parameters.deblocking) out.ue(1);
  if (parameters.cabac) arithmetic(out.align(), blocks);
  else out.ue(blocks).put(1, 1);
  return escaped(out.bytes);
}

/** With these, `mb_skip_flag` begins as probable as it can (§9.3.1.1, table 9-13: m 29, n 16): state 44. */
const INIT = 2;
const QUANTIZER = 51;
/** Table 9-44, `rangeTabLPS` from that state to the last, which is 62. */
const LEAST_PROBABLE = [
  [14, 18, 21, 24],
  [14, 17, 20, 23],
  [13, 16, 19, 22],
  [12, 15, 18, 21],
  [12, 14, 17, 20],
  [11, 14, 16, 19],
  [11, 13, 15, 18],
  [10, 12, 15, 17],
  [10, 12, 14, 16],
  [9, 11, 13, 15],
  [9, 11, 12, 14],
  [8, 10, 12, 14],
  [8, 9, 11, 13],
  [7, 9, 11, 12],
  [7, 9, 10, 12],
  [7, 8, 10, 11],
  [6, 8, 9, 11],
  [6, 7, 9, 10],
  [6, 7, 8, 9],
] as const;

/** `blocks` times `mb_skip_flag` 1 and `end_of_slice_flag` (§9.3.4), up to the stop bit. */
function arithmetic(out: BitWriter, blocks: number): void {
  let [low, range, outstanding, first] = [0, 510, 0, true];
  const put = (bit: number) => {
    if (first) first = false;
    else out.put(bit, 1);
    for (; outstanding > 0; outstanding -= 1) out.put(1 - bit, 1);
  };
  const renormalise = () => {
    while (range < 256) {
      if (low < 256) put(0);
      else if (low >= 512) {
        low -= 512;
        put(1);
      } else {
        low -= 256;
        outstanding += 1;
      }
      range *= 2;
      low *= 2;
    }
  };
  for (let n = 0; n < blocks; n += 1) {
    const row = LEAST_PROBABLE[Math.min(n, LEAST_PROBABLE.length - 1)];
    range -= row?.[(range >> 6) & 3] ?? 2;
    renormalise();
    range -= 2;
    if (n < blocks - 1) renormalise();
  }
  low += range;
  range = 2;
  renormalise();
  put((low >> 9) & 1);
  out.put(((low >> 7) & 3) | 1, 2);
}
