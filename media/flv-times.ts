import { ContinuousTimes } from './continuous-times.ts';
import { at, ms, toMs } from './time.ts';
import type { Span } from './time.ts';

const AUDIO = 8;
const VIDEO = 9;
/** PreviousTagSize and the tag's own head. */
const HEAD = 4 + 11;

/**
 * Puts the time stamps of an FLV stream right as it comes (Adobe Flash Video File Format 10.1, annex E.4): bytes in, the same
 * bytes out with a clock that does not jump. FFmpeg gives every packet after a jump back the same time.
 */
export class FlvTimes {
  readonly #times = new ContinuousTimes();
  /** Bytes up to the next head, which pass as they are; the file's own head first. */
  #skip = 9;
  #held = new Uint8Array(0);

  push(bytes: Uint8Array): Uint8Array {
    const input = new Uint8Array(this.#held.length + bytes.length);
    input.set(this.#held);
    input.set(bytes, this.#held.length);
    let offset = 0;
    while (offset + this.#skip + HEAD <= input.length) {
      offset += this.#skip;
      const tag = new DataView(input.buffer, offset + 4, 11);
      const type = tag.getUint8(0) & 0x1f;
      const size = tag.getUint32(0) & 0xffffff;
      // 24 bits, and the upper 8 after them.
      const stamp = at(ms(((tag.getUint8(7) << 24) | (tag.getUint32(4) >>> 8)) >>> 0));
      const placed = type === AUDIO || type === VIDEO ? this.#times.place(type, stamp) : this.#times.peek(stamp);
      const time = Math.max(0, Math.round(toMs(placed as number as Span)));
      tag.setUint8(4, (time >> 16) & 0xff);
      tag.setUint16(5, time & 0xffff);
      tag.setUint8(7, (time / 2 ** 24) & 0xff);
      offset += HEAD;
      this.#skip = size;
    }
    const pass = Math.min(this.#skip, input.length - offset);
    this.#skip -= pass;
    offset += pass;
    this.#held = input.slice(offset);
    return input.slice(0, offset);
  }

  /** What is left of a stream that stopped in mid-picture. */
  end(): Uint8Array {
    return this.#held;
  }
}
