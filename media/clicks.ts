import type { SampleRate } from './time.ts';

/** Speech is looked at in stretches of this length, seconds; each has one filter. */
const STRETCH = 0.02;
/** What lies around it, on either side: long enough for a neighbouring pulse of the lowest voice. */
const AROUND = 0.02;
/** Taps of the filter, at 48 kHz and at any other rate in proportion, but not fewer than {@link FEWEST}. */
const TAPS = 32;
const FEWEST = 16;
/** A click's energy after the filter lies within this, seconds. */
const CLICK = 0.001;
/** Nearer than this to a click, sound may belong to it, seconds. */
const OWN = 0.003;
/**
 * A click stands out by so much, dB, from all else within 20 ms. At 48 kHz the sharpest sounds of clean speech reach 26
 * (lips, in recordings that fill the whole band), cuts and jumps of 3 dB in speech that does not 30 … 70.
 */
export const THRESHOLD = 28;
/** And is at least so large after the filter, full scale being 1: a step of −60 dB. */
const LEAST = 0.001;
/** Share of the largest energy around that a place has to have to be looked at closely. */
const WORTH_A_LOOK = 0.5;
/** White noise assumed in the signal, in parts of its power: a filter needs no more than 100 dB. */
const DITHER = 1e-10;

export interface Click {
  /** Index of the sample, to a millisecond, counted from the first pushed. */
  readonly at: number;
  /** How far it stands out, dB. */
  readonly by: number;
}

/**
 * Finds clicks: edges that do not belong to the sound, as a cut, a gap or a jump of the gain leaves them.
 *
 * A filter that predicts each sample from those before it takes away what belongs to the sound (linear prediction). What
 * is left of a voice is a pulse for every period, of a hiss or a burst many milliseconds of noise; what is left of a
 * click is one pulse that nothing around it is like.
 *
 * It is made for what we play: 48 kHz, of which speech leaves the upper part empty. There a click has a band of its own.
 * Where sound fills its band (16 kHz speech at 16 kHz, music, hiss) it sees only what is louder than the sound's own
 * pulses, which is little. It cannot see: a second click within 3 ms, fades however short that have no edge in their
 * slope, a click under a louder one within 20 ms. It also finds what recordings bring along: clipping, cuts, lost samples.
 */
export class ClickDetector {
  readonly #rate: number;
  readonly #threshold: number;
  readonly #taps: number;
  readonly #stretch: number;
  readonly #around: number;
  #held: Float32Array;
  /** Index of the first sample held. */
  #first: number;

  constructor(rate: SampleRate, threshold = THRESHOLD) {
    this.#rate = rate;
    this.#threshold = threshold;
    this.#taps = Math.max(FEWEST, Math.round((TAPS * rate) / 48_000));
    this.#stretch = Math.round(STRETCH * rate);
    this.#around = Math.round(AROUND * rate);
    // Before the first sample there was silence.
    const before = this.#taps + this.#around;
    this.#held = new Float32Array(before);
    this.#first = -before;
  }

  /** Gives the clicks found by now: up to 40 ms late. */
  push(pcm: Float32Array): Click[] {
    const line = new Float32Array(this.#held.length + pcm.length);
    line.set(this.#held);
    line.set(pcm, this.#held.length);
    const clicks: Click[] = [];
    const before = this.#taps + this.#around;
    let at = before;
    for (; at + this.#stretch + this.#around <= line.length; at += this.#stretch) {
      const click = this.#look(line.subarray(at - before, at + this.#stretch + this.#around));
      if (click) clicks.push({ at: this.#first + at - before + click.at, by: click.by });
    }
    this.#held = line.slice(at - before);
    this.#first += at - before;
    return clicks;
  }
  /** The rest, as if silence followed. A sound that does not end in silence ends in a click. */
  end(): Click[] {
    return this.push(new Float32Array(this.#stretch + this.#around + this.#held.length));
  }

  #look(line: Float32Array): Click | undefined {
    const begin = this.#taps + this.#around;
    const end = begin + this.#stretch;
    const width = Math.round(CLICK * this.#rate);
    const own = Math.round(OWN * this.#rate);
    // First with a filter made from everything, which shows where a click would be …
    const all = prediction(line, [[this.#taps, line.length]], this.#taps);
    if (!all) return undefined;
    const rough = runningEnergy(residual(line, all), width);
    const place = topOf(rough, begin, end);
    if ((rough[place] as number) < topExcept(rough, place, own) * WORTH_A_LOOK) return undefined;
    // … then with one that was made without that place, so that it cannot have learnt the click.
    const [from, to] = [place - 2 * width, place + this.#taps + width];
    const rest = prediction(
      line,
      [
        [this.#taps, from],
        [to, line.length],
      ],
      this.#taps,
    );
    if (!rest) return undefined;
    const energy = runningEnergy(residual(line, rest), width);
    const top = topOf(energy, place - width, place + width);
    const peak = energy[top] as number;
    if (peak < LEAST ** 2) return undefined;
    const by = 10 * Math.log10(peak / Math.max(topExcept(energy, top, own), LEAST ** 4));
    return by >= this.#threshold ? { at: top - width, by } : undefined;
  }
}

const topOf = (values: Float64Array, begin: number, end: number): number => {
  let top = begin;
  for (let i = begin; i < end; i += 1) if ((values[i] as number) > (values[top] as number)) top = i;
  return top;
};
const topExcept = (values: Float64Array, place: number, own: number): number => {
  let most = 0;
  for (let i = 0; i < values.length; i += 1) {
    if (Math.abs(i - place) > own && (values[i] as number) > most) most = values[i] as number;
  }
  return most;
};

/** The clicks of a whole piece. */
export function findClicks(pcm: Float32Array, rate: SampleRate, threshold = THRESHOLD): Click[] {
  const detector = new ClickDetector(rate, threshold);
  return [...detector.push(pcm), ...detector.end()];
}

/**
 * The weights of the samples before one from which those in `ranges` are best predicted, nearest first (covariance
 * method); nothing for silence.
 */
function prediction(
  pcm: Float32Array,
  ranges: readonly (readonly [from: number, to: number])[],
  order: number,
): Float64Array | undefined {
  const size = order + 1;
  const products = new Float64Array(size * size);
  for (const [from, to] of ranges) addProducts(products, pcm, from, to, size);
  const power = products[0] as number;
  if (!(power > 0)) return undefined;
  // Cholesky's decomposition of the products of samples 1 … order back with each other.
  const root = new Float64Array(order * order);
  for (let i = 0; i < order; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      let sum = products[(i + 1) * size + j + 1] as number;
      if (i === j) sum += power * DITHER;
      for (let k = 0; k < j; k += 1) sum -= (root[i * order + k] as number) * (root[j * order + k] as number);
      if (i === j) root[i * order + i] = Math.sqrt(Math.max(sum, power * DITHER * DITHER));
      else root[i * order + j] = sum / (root[j * order + j] as number);
    }
  }
  const taps = new Float64Array(order);
  for (let i = 0; i < order; i += 1) {
    let sum = products[i + 1] as number;
    for (let k = 0; k < i; k += 1) sum -= (root[i * order + k] as number) * (taps[k] as number);
    taps[i] = sum / (root[i * order + i] as number);
  }
  for (let i = order - 1; i >= 0; i -= 1) {
    let sum = taps[i] as number;
    for (let k = i + 1; k < order; k += 1) sum -= (root[k * order + i] as number) * (taps[k] as number);
    taps[i] = sum / (root[i * order + i] as number);
  }
  return taps;
}
/** Adds the products of all pairs of samples up to `size` − 1 back, summed over `from … to`. */
function addProducts(products: Float64Array, pcm: Float32Array, from: number, to: number, size: number): void {
  if (to <= from) return;
  const own = new Float64Array(size * size);
  for (let j = 0; j < size; j += 1) {
    let sum = 0;
    for (let n = from; n < to; n += 1) sum += (pcm[n] as number) * (pcm[n - j] as number);
    own[j] = own[j * size] = sum;
  }
  // One back is the same sum with one more at its start and one less at its end.
  for (let i = 1; i < size; i += 1) {
    for (let j = i; j < size; j += 1) {
      const sum =
        (own[(i - 1) * size + j - 1] as number) +
        (pcm[from - i] as number) * (pcm[from - j] as number) -
        (pcm[to - i] as number) * (pcm[to - j] as number);
      own[i * size + j] = own[j * size + i] = sum;
    }
  }
  for (let i = 0; i < products.length; i += 1) products[i] = (products[i] as number) + (own[i] as number);
}

/** What the prediction does not explain; the first samples, which have too few before them, are 0. */
function residual(pcm: Float32Array, taps: Float64Array): Float64Array {
  const left = new Float64Array(pcm.length);
  for (let i = taps.length; i < pcm.length; i += 1) {
    let sum = pcm[i] as number;
    for (let n = 0; n < taps.length; n += 1) sum -= (taps[n] as number) * (pcm[i - 1 - n] as number);
    left[i] = sum;
  }
  return left;
}
/** Energy of the `width` samples up to each. */
function runningEnergy(values: Float64Array, width: number): Float64Array {
  const energy = new Float64Array(values.length);
  let sum = 0;
  for (let i = 0; i < values.length; i += 1) {
    sum += (values[i] as number) ** 2;
    if (i >= width) sum -= (values[i - width] as number) ** 2;
    energy[i] = Math.max(0, sum);
  }
  return energy;
}
