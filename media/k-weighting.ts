import type { SampleRate } from './time.ts';

/**
 * The two second-order filters of ITU-R BS.1770-4, annex 1, as analogue prototypes: a shelf for the head's acoustics,
 * then the "revised low-frequency B curve". The standard lists coefficients at 48 kHz only; these numbers, put through the
 * bilinear transform, give those to nine digits, and their like at any other rate (as in libebur128's `ebur128_init_filter`).
 */
const SHELF = { hertz: 1_681.974450955533, decibels: 3.999843853973347, q: 0.7071752369554196 };
const SHELF_MIDDLE = 0.4996667741545416;
const HIGH_PASS = { hertz: 38.13547087602444, q: 0.5003270373238773 };
/** The standard's high pass has a numerator of 1, −2, 1, which is a hair above unity; it is so at every rate. */
const STANDARD_RATE = 48_000;

interface Coefficients {
  readonly shelf: readonly [b0: number, b1: number, b2: number, a1: number, a2: number];
  readonly pass: readonly [gain: number, a1: number, a2: number];
}

const highPassScale = (rate: number) => {
  const k = Math.tan((Math.PI * HIGH_PASS.hertz) / rate);
  return 1 + k / HIGH_PASS.q + k * k;
};

function coefficients(rate: number): Coefficients {
  const k = Math.tan((Math.PI * SHELF.hertz) / rate);
  const high = 10 ** (SHELF.decibels / 20);
  const middle = high ** SHELF_MIDDLE;
  const scale = 1 + k / SHELF.q + k * k;
  const p = Math.tan((Math.PI * HIGH_PASS.hertz) / rate);
  const passScale = highPassScale(rate);
  return {
    shelf: [
      (high + (middle * k) / SHELF.q + k * k) / scale,
      (2 * (k * k - high)) / scale,
      (high - (middle * k) / SHELF.q + k * k) / scale,
      (2 * (k * k - 1)) / scale,
      (1 - k / SHELF.q + k * k) / scale,
    ],
    pass: [
      highPassScale(STANDARD_RATE) / passScale,
      (2 * (p * p - 1)) / passScale,
      (1 - p / HIGH_PASS.q + p * p) / passScale,
    ],
  };
}

/** Below this a filter's memory is nothing, and would only slow the processor down as a denormal number. */
const NOTHING = 1e-20;
/** What a sample that is not a number leaves behind is forgotten with it. */
const remembered = (state: number) =>
  Math.abs(state) > NOTHING && Math.abs(state) < Number.POSITIVE_INFINITY ? state : 0;

/** The ear's weighting of one channel (ITU-R BS.1770-4, annex 1), as it goes on from call to call. */
export class KWeighting {
  readonly #coefficients: Coefficients;
  #s1 = 0;
  #s2 = 0;
  #t1 = 0;
  #t2 = 0;

  constructor(rate: SampleRate) {
    this.#coefficients = coefficients(rate);
  }

  /** The sum of the squares of what `pcm[from … to)` is after weighting. */
  energy(pcm: Float32Array, from: number, to: number): number {
    const [b0, b1, b2, a1, a2] = this.#coefficients.shelf;
    const [gain, p1, p2] = this.#coefficients.pass;
    let s1 = this.#s1;
    let s2 = this.#s2;
    let t1 = this.#t1;
    let t2 = this.#t2;
    let sum = 0;
    for (let i = from; i < to; i += 1) {
      const x = pcm[i] as number;
      const y = b0 * x + s1;
      s1 = b1 * x - a1 * y + s2;
      s2 = b2 * x - a2 * y;
      const scaled = gain * y;
      const z = scaled + t1;
      t1 = t2 - 2 * scaled - p1 * z;
      t2 = scaled - p2 * z;
      sum += z * z;
    }
    this.#s1 = remembered(s1);
    this.#s2 = remembered(s2);
    this.#t1 = remembered(t1);
    this.#t2 = remembered(t2);
    return sum;
  }

  /** Goes on as `other` would. */
  follow(other: KWeighting): void {
    this.#s1 = other.#s1;
    this.#s2 = other.#s2;
    this.#t1 = other.#t1;
    this.#t2 = other.#t2;
  }
}
