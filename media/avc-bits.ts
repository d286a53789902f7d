/** Bits of a NAL unit (ITU-T H.264 §7.2), from the most significant one on; zeros after the end, which `over` tells. */
export class Bits {
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

/** Writes what `Bits` reads. */
export class BitWriter {
  readonly #bytes: number[] = [];
  #used = 0;

  put(value: number, count: number): this {
    for (let left = count - 1; left >= 0; left -= 1) {
      if (this.#used % 8 === 0) this.#bytes.push(0);
      const last = this.#bytes.length - 1;
      this.#bytes[last] = (this.#bytes[last] ?? 0) | ((Math.floor(value / 2 ** left) & 1) << (7 - (this.#used % 8)));
      this.#used += 1;
    }
    return this;
  }
  ue(value: number): this {
    const size = Math.floor(Math.log2(value + 1));
    return this.put(0, size).put(value + 1, size + 1);
  }
  se(value: number): this {
    return this.ue(value > 0 ? 2 * value - 1 : -2 * value);
  }
  /** Fills the byte up with ones (`cabac_alignment_one_bit`). */
  align(): this {
    while (this.#used % 8 !== 0) this.put(1, 1);
    return this;
  }
  get bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }
}

/** Takes out the emulation prevention bytes (§7.4.1): 00 00 03 stands for 00 00. */
export function unescaped(nal: Uint8Array): Uint8Array {
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

/** Puts them in: 00 00 is followed by nothing below 04. */
export function escaped(nal: Uint8Array): Uint8Array {
  const out: number[] = [];
  let zeros = 0;
  for (const byte of nal) {
    if (zeros >= 2 && byte <= 3) {
      out.push(3);
      zeros = 0;
    }
    zeros = byte === 0 ? zeros + 1 : 0;
    out.push(byte);
  }
  return Uint8Array.from(out);
}
