/** The voice's range, hertz. */
const LOWEST = 70;
const HIGHEST = 400;
/** Audio is averaged down to this rate first: a period need not be known more exactly. */
const RATE = 8_000;
/** How much a period must be like the one before to be called a voice. */
const VOICED = 0.6;
/** A shorter period wins over a longer one that is hardly better: the longer one is a multiple. */
const AS_GOOD = 0.9;

/** Samples of 16 kHz audio that {@link Pitch.of} looks at: 40 ms, nearly three periods of the lowest voice. */
export const PITCH_WINDOW = 640;

/** The pitch of a voice, by normalised autocorrelation. */
export class Pitch {
  readonly #low = new Float64Array(PITCH_WINDOW / 2);
  readonly #energy = new Float64Array(PITCH_WINDOW / 2 + 1);
  readonly #likeness = new Float64Array(Math.ceil(RATE / LOWEST) + 2);

  /** Hertz, or 0 where there is no voice. */
  of(samples: Float32Array): number {
    const [low, energy, likeness] = [this.#low, this.#energy, this.#likeness];
    const n = low.length;
    let mean = 0;
    for (let i = 0; i < n; i += 1) mean += low[i] = (samples[2 * i]! + samples[2 * i + 1]!) / 2;
    mean /= n;
    for (let i = 0; i < n; i += 1) {
      low[i]! -= mean;
      energy[i + 1] = energy[i]! + low[i]! * low[i]!;
    }
    const [shortest, longest] = [Math.floor(RATE / HIGHEST), Math.ceil(RATE / LOWEST)];
    let best = shortest;
    for (let lag = shortest; lag <= longest; lag += 1) {
      let sum = 0;
      for (let i = 0; i + lag < n; i += 1) sum += low[i]! * low[i + lag]!;
      likeness[lag] = sum / Math.sqrt(energy[n - lag]! * (energy[n]! - energy[lag]!) + 1e-9);
      if (likeness[lag]! > likeness[best]!) best = lag;
    }
    for (let lag = shortest + 1; lag < best; lag += 1) {
      const here = likeness[lag]!;
      if (here > AS_GOOD * likeness[best]! && here >= likeness[lag - 1]! && here >= likeness[lag + 1]!) best = lag;
    }
    if (likeness[best]! < VOICED || best === shortest || best === longest) return 0;
    // The top of the parabola through the best lag and its neighbours.
    const [a, b, c] = [likeness[best - 1]!, likeness[best]!, likeness[best + 1]!];
    const bend = a - 2 * b + c;
    return RATE / (best + (bend === 0 ? 0 : (a - c) / (2 * bend)));
  }
}
