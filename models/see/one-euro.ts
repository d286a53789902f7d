/** How a {@link OneEuro} filter weighs jitter against lag. */
export interface Smoothness {
  /** Cut-off in hertz of what stands still: lower takes more jitter away. */
  readonly still: number;
  /** By how many hertz the cut-off rises per unit of speed: higher follows faster. */
  readonly follow: number;
}

/** Cut-off in hertz for the speed itself, as the paper has it. */
const SPEED_CUTOFF = 1;
const share = (cutoff: number, seconds: number) => {
  const rate = 2 * Math.PI * cutoff * seconds;
  return rate / (rate + 1);
};

/**
 * Smooths points (x, y, x, y …) strongly while they stand still and hardly while they move.
 *
 * A point's two coordinates share one cut-off, by the length of its velocity, so that it is not bent off its path.
 *
 * @see G. Casiez, N. Roussel, D. Vogel, "1€ Filter: A Simple Speed-based Low-pass Filter for Noisy Input", CHI 2012
 */
export class OneEuro {
  readonly #smoothness: (point: number) => Smoothness;
  #points: Float64Array | undefined;
  #raw = new Float64Array();
  #velocity = new Float64Array();

  /** @param smoothness what is wanted of each point, by its number */
  constructor(smoothness: (point: number) => Smoothness) {
    this.#smoothness = smoothness;
  }

  /**
   * The smoothed points. The first come back as they are.
   *
   * @param seconds since the points before
   * @param unit how many of the points' units are one unit of speed's distance
   */
  push(points: ArrayLike<number>, seconds: number, unit = 1): Float32Array {
    if (!this.#points || seconds <= 0 || this.#points.length !== points.length) {
      this.#points = Float64Array.from(points);
      this.#raw = Float64Array.from(points);
      this.#velocity = new Float64Array(points.length);
      return Float32Array.from(points);
    }
    const [kept, raw, velocity] = [this.#points, this.#raw, this.#velocity];
    const slow = share(SPEED_CUTOFF, seconds);
    for (let n = 0; n < points.length; n += 2) {
      const { still, follow } = this.#smoothness(n / 2);
      for (const i of [n, n + 1]) {
        velocity[i]! += slow * ((points[i]! - raw[i]!) / seconds - velocity[i]!);
        raw[i] = points[i]!;
      }
      const speed = Math.hypot(velocity[n]!, velocity[n + 1]!) / unit;
      const fresh = share(still + follow * speed, seconds);
      kept[n]! += fresh * (points[n]! - kept[n]!);
      kept[n + 1]! += fresh * (points[n + 1]! - kept[n + 1]!);
    }
    return Float32Array.from(kept);
  }
}
