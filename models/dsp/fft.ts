/** The Fourier transform of one size, a power of two, with its tables made once (radix 2, decimation in time). */
export class Fft {
  readonly size: number;
  readonly #cos: Float64Array;
  readonly #sin: Float64Array;
  readonly #order: Uint32Array;
  readonly #re: Float64Array;
  readonly #im: Float64Array;

  constructor(size: number) {
    if (size < 2 || (size & (size - 1)) !== 0) {
      throw new RangeError(`Cannot transform ${size} samples: the size must be a power of two`);
    }
    this.size = size;
    const angle = (k: number) => (-2 * Math.PI * k) / size;
    this.#cos = Float64Array.from({ length: size / 2 }, (_, k) => Math.cos(angle(k)));
    this.#sin = Float64Array.from({ length: size / 2 }, (_, k) => Math.sin(angle(k)));
    this.#order = new Uint32Array(size);
    for (let i = 1; i < size; i += 1) this.#order[i] = (this.#order[i >> 1]! >> 1) | (i & 1 ? size >> 1 : 0);
    this.#re = new Float64Array(size);
    this.#im = new Float64Array(size);
  }

  /** Writes the power of bins 0 … size/2 of a real signal; what `signal` lacks in length counts as zeros. */
  power(signal: ArrayLike<number>, out: Float64Array): void {
    const { size } = this;
    const [re, im, cos, sin] = [this.#re, this.#im, this.#cos, this.#sin];
    for (let i = 0; i < size; i += 1) re[i] = signal[this.#order[i]!] ?? 0;
    im.fill(0);
    for (let half = 1; half < size; half *= 2) {
      const stride = size / (2 * half);
      for (let from = 0; from < size; from += 2 * half) {
        for (let k = 0; k < half; k += 1) {
          const [a, b] = [from + k, from + k + half];
          const [c, s] = [cos[k * stride]!, sin[k * stride]!];
          const x = re[b]! * c - im[b]! * s;
          const y = re[b]! * s + im[b]! * c;
          re[b] = re[a]! - x;
          im[b] = im[a]! - y;
          re[a]! += x;
          im[a]! += y;
        }
      }
    }
    for (let i = 0; i <= size / 2; i += 1) out[i] = re[i]! * re[i]! + im[i]! * im[i]!;
  }
}
