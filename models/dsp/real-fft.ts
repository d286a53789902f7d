/** Half a spectrum: bins 0 … size/2 of a real signal. */
export interface Spectrum {
  readonly re: Float64Array;
  readonly im: Float64Array;
}
/** A spectrum of zeros for signals of `size` samples. */
export const spectrumOf = (size: number): Spectrum => ({
  re: new Float64Array(size / 2 + 1),
  im: new Float64Array(size / 2 + 1),
});

const RADICES = [4, 2, 3, 5];
/** `size` as a product of radices. */
function factorsOf(size: number): number[] {
  const factors: number[] = [];
  let rest = size > 1 && size % 2 === 0 ? size : 0;
  for (const radix of RADICES) {
    for (; rest > 1 && rest % radix === 0; rest /= radix) factors.push(radix);
  }
  if (rest === 1) return factors;
  throw new RangeError(`Cannot transform ${size} samples: the size must be even and made of factors 2, 3 and 5`);
}

/**
 * The Fourier transform of real signals of one size, there and back, with its tables made once.
 *
 * Any even size of factors 2, 3 and 5 (512, 960, …). Stockham's ordering: every pass reads one buffer and writes the
 * other, and nothing has to be put in order afterwards.
 */
export class RealFft {
  readonly size: number;
  readonly #factors: readonly number[];
  readonly #cos: Float64Array;
  readonly #sin: Float64Array;
  #re: Float64Array;
  #im: Float64Array;
  #spareRe: Float64Array;
  #spareIm: Float64Array;

  constructor(size: number) {
    this.size = size;
    this.#factors = factorsOf(size);
    this.#cos = Float64Array.from({ length: size }, (_, k) => Math.cos((2 * Math.PI * k) / size));
    this.#sin = Float64Array.from({ length: size }, (_, k) => -Math.sin((2 * Math.PI * k) / size));
    this.#re = new Float64Array(size);
    this.#im = new Float64Array(size);
    this.#spareRe = new Float64Array(size);
    this.#spareIm = new Float64Array(size);
  }

  /** The spectrum of `size` samples, without a factor. */
  forward(signal: ArrayLike<number>, { re, im }: Spectrum): void {
    for (let i = 0; i < this.size; i += 1) this.#re[i] = signal[i]!;
    this.#im.fill(0);
    this.#transform();
    const half = this.size / 2 + 1;
    re.set(this.#re.subarray(0, half));
    im.set(this.#im.subarray(0, half));
  }

  /** The signal of a spectrum, divided by the size: what `forward` was given. */
  inverse({ re, im }: Spectrum, signal: Float64Array): void {
    const { size } = this;
    const half = size / 2;
    // The transform of the conjugate is the conjugate of the inverse, and a real signal is its own conjugate.
    for (let k = 0; k <= half; k += 1) {
      this.#re[k] = re[k]!;
      this.#im[k] = k === 0 || k === half ? 0 : -im[k]!;
    }
    for (let k = 1; k < half; k += 1) {
      this.#re[size - k] = re[k]!;
      this.#im[size - k] = im[k]!;
    }
    this.#transform();
    for (let i = 0; i < size; i += 1) signal[i] = this.#re[i]! / size;
  }

  #transform(): void {
    let span = this.size;
    let stride = 1;
    for (const radix of this.#factors) {
      span /= radix;
      if (radix === 4) this.#four(span, stride);
      else this.#some(radix, span, stride);
      stride *= radix;
      [this.#re, this.#spareRe] = [this.#spareRe, this.#re];
      [this.#im, this.#spareIm] = [this.#spareIm, this.#im];
    }
  }

  /** A pass of radix 4, which needs no multiplication inside. */
  #four(span: number, stride: number): void {
    const [re, im, toRe, toIm, cos, sin] = [this.#re, this.#im, this.#spareRe, this.#spareIm, this.#cos, this.#sin];
    const apart = stride * span;
    for (let k = 0; k < span; k += 1) {
      const [c1, s1] = [cos[k * stride]!, sin[k * stride]!];
      const [c2, s2] = [cos[2 * k * stride]!, sin[2 * k * stride]!];
      const [c3, s3] = [cos[3 * k * stride]!, sin[3 * k * stride]!];
      for (let j = 0; j < stride; j += 1) {
        const a = j + stride * k;
        const b = a + apart;
        const c = b + apart;
        const d = c + apart;
        const evenRe = re[a]! + re[c]!;
        const evenIm = im[a]! + im[c]!;
        const restRe = re[a]! - re[c]!;
        const restIm = im[a]! - im[c]!;
        const oddRe = re[b]! + re[d]!;
        const oddIm = im[b]! + im[d]!;
        const turnRe = im[b]! - im[d]!;
        const turnIm = re[d]! - re[b]!;
        const to = j + 4 * stride * k;
        toRe[to] = evenRe + oddRe;
        toIm[to] = evenIm + oddIm;
        const x1 = restRe + turnRe;
        const y1 = restIm + turnIm;
        toRe[to + stride] = x1 * c1 - y1 * s1;
        toIm[to + stride] = x1 * s1 + y1 * c1;
        const x2 = evenRe - oddRe;
        const y2 = evenIm - oddIm;
        toRe[to + 2 * stride] = x2 * c2 - y2 * s2;
        toIm[to + 2 * stride] = x2 * s2 + y2 * c2;
        const x3 = restRe - turnRe;
        const y3 = restIm - turnIm;
        toRe[to + 3 * stride] = x3 * c3 - y3 * s3;
        toIm[to + 3 * stride] = x3 * s3 + y3 * c3;
      }
    }
  }

  /** A pass of any radix, by the definition. */
  #some(radix: number, span: number, stride: number): void {
    const [re, im, toRe, toIm, cos, sin] = [this.#re, this.#im, this.#spareRe, this.#spareIm, this.#cos, this.#sin];
    const turn = this.size / radix;
    const apart = stride * span;
    for (let k = 0; k < span; k += 1) {
      for (let r = 0; r < radix; r += 1) {
        const to = stride * (radix * k + r);
        toRe.fill(0, to, to + stride);
        toIm.fill(0, to, to + stride);
        for (let q = 0; q < radix; q += 1) {
          // The turn inside the pass and the one to the next pass, in one.
          const angle = (((q * r) % radix) * turn + k * r * stride) % this.size;
          const c = cos[angle]!;
          const s = sin[angle]!;
          const from = stride * k + apart * q;
          for (let j = 0; j < stride; j += 1) {
            const x = re[from + j]!;
            const y = im[from + j]!;
            toRe[to + j]! += x * c - y * s;
            toIm[to + j]! += x * s + y * c;
          }
        }
      }
    }
  }
}
