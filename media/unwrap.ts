/**
 * Makes a counter that wraps (RTP sequence numbers: 16 bit, time stamps: 32 bit) one that does not.
 *
 * Each value is taken to be the one nearest to the highest seen so far, so packets may come out of order and over a wrap
 * by up to half the range: 32 767 packets; 12.4 h at 48 kHz, 6.6 h at 90 kHz.
 */
export class Unwrapper {
  readonly bits: 16 | 32;
  #highest: number | undefined;

  /**
   * @param near where the first value is expected, for a process that goes on where another one stopped. Without it
   * the first value is itself.
   */
  constructor(bits: 16 | 32, near?: number) {
    this.bits = bits;
    this.#highest = near;
  }

  /** The highest value so far, unwrapped. */
  get highest(): number | undefined {
    return this.#highest;
  }

  /** Unwraps `value` and remembers it if it is the highest. */
  unwrap(value: number): number {
    const unwrapped = this.peek(value);
    if (this.#highest === undefined || unwrapped > this.#highest) this.#highest = unwrapped;
    return unwrapped;
  }

  /** Unwraps `value` and remembers nothing: for values that are only said to belong to this counter. */
  peek(value: number): number {
    return this.#highest === undefined ? value : this.#highest + distance(this.#highest, value, this.bits);
  }

  /** Starts anew with `value`, which is itself again. */
  restart(value: number): void {
    this.#highest = value;
  }
}

/** The shorter way from counter value `from` to `to`, negative backwards. Exactly half the range counts as backwards. */
export function distance(from: number, to: number, bits: 16 | 32): number {
  const range = 2 ** bits;
  const forward = (((to - from) % range) + range) % range;
  return forward < range / 2 ? forward : forward - range;
}
