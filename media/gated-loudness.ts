/** Loudness of a mean square after K weighting, both channels added: LUFS (ITU-R BS.1770-4, equation 2). */
export const lufs = (meanSquare: number): number => -0.691 + 10 * Math.log10(meanSquare);
/** The mean square that has this loudness; the inverse of {@link lufs}. */
export const meanSquareOf = (loudness: number): number => 10 ** ((loudness + 0.691) / 10);

/** What is quieter than this is never part of a programme, LUFS (BS.1770-4, absolute gate). */
export const ABSOLUTE_GATE = -70;
/** Width of a class, LU. A class is counted whole or not at all, which moves the result by less than this. */
const STEP = 0.05;
/** The loudest class takes all that is louder: far above what full scale can give. */
const LOUDEST = 30;
const CLASSES = Math.round((LOUDEST - ABSOLUTE_GATE) / STEP);
/** Weights are brought down before they grow past this. */
const HEAVY = 1e12;

/**
 * Loudness of many overlapping blocks, with an absolute and a relative gate (BS.1770-4, equations 5 … 7).
 *
 * Keeps one counter and one sum for each twentieth of a loudness unit, so that days take as much memory as a second.
 * It may forget: then a block counts for less the longer ago it was, e-fold after `memory` blocks.
 */
export class GatedLoudness {
  readonly #weights = new Float64Array(CLASSES);
  readonly #energies = new Float64Array(CLASSES);
  readonly #growth: number;
  #weight = 1;
  #latest: number | undefined;

  constructor(memory = Number.POSITIVE_INFINITY) {
    if (!(memory > 0))
      throw new RangeError(`Cannot create gated loudness: memory must be positive, received ${memory}`);
    this.#growth = Math.exp(1 / memory);
  }

  /** Takes one block; what is below the absolute gate changes nothing. */
  add(meanSquare: number): void {
    const loudness = lufs(meanSquare);
    // Written so that NaN, out of a broken decoder, is refused too.
    if (!(loudness >= ABSOLUTE_GATE)) return;
    this.#weight *= this.#growth;
    if (this.#weight > HEAVY) this.#lighten();
    const at = Math.min(CLASSES - 1, Math.floor((loudness - ABSOLUTE_GATE) / STEP));
    this.#weights[at] = (this.#weights[at] as number) + this.#weight;
    this.#energies[at] = (this.#energies[at] as number) + this.#weight * meanSquare;
    this.#latest = undefined;
  }

  /** LUFS of the blocks not more than 10 LU below the mean of all; −∞ before the first. */
  get loudness(): number {
    return (this.#latest ??= lufs(this.#mean(this.#threshold(-10))));
  }

  /** From the `low` to the `high` part of the blocks not more than `gate` LU below the mean, LU; 0 before the first. */
  spread(gate: number, low: number, high: number): number {
    const threshold = this.#threshold(gate);
    let total = 0;
    for (let at = 0; at < CLASSES; at += 1) if (this.#counts(at, threshold)) total += this.#weights[at] as number;
    if (total === 0) return 0;
    let sum = 0;
    let from: number | undefined;
    for (let at = 0; at < CLASSES; at += 1) {
      if (!this.#counts(at, threshold)) continue;
      sum += this.#weights[at] as number;
      if (from === undefined && sum >= low * total) from = at;
      if (sum >= high * total) return (at - (from ?? at)) * STEP;
    }
    return 0;
  }

  #counts(at: number, threshold: number): boolean {
    const weight = this.#weights[at] as number;
    return weight > 0 && (this.#energies[at] as number) >= threshold * weight;
  }
  /** The mean square that lies `gate` LU below the mean of all blocks. */
  #threshold(gate: number): number {
    return this.#mean(0) * 10 ** (gate / 10);
  }
  #mean(threshold: number): number {
    let weight = 0;
    let energy = 0;
    for (let at = 0; at < CLASSES; at += 1) {
      if (!this.#counts(at, threshold)) continue;
      weight += this.#weights[at] as number;
      energy += this.#energies[at] as number;
    }
    return weight === 0 ? 0 : energy / weight;
  }
  #lighten(): void {
    for (let at = 0; at < CLASSES; at += 1) {
      this.#weights[at] = (this.#weights[at] as number) / this.#weight;
      this.#energies[at] = (this.#energies[at] as number) / this.#weight;
    }
    this.#weight = 1;
  }
}
