import type { Spectrum } from '../dsp/real-fft.ts';

/** What DeepFilterNet has found out about a frame. */
export interface Filtering {
  /** A gain for each ERB band, 0 … 1. */
  readonly gains: ArrayLike<number>;
  /** For each of the lowest bins a complex weight (real part, imaginary part) for each frame around it, oldest first. */
  readonly weights: ArrayLike<number>;
}

/**
 * DeepFilterNet's two ways of taking noise out of a frame: the lowest bins become a weighted sum of themselves over
 * `frames` (deep filtering), the others are turned down with their band.
 *
 * @param frames spectra around the frame, oldest first: the frame itself is the middle one
 * @param bandOf each bin's band
 * @param bins how many of the lowest bins are filtered
 * @param rest how much of the original is left in: 0 is none of it
 * @see H. Schröter et al., "DeepFilterNet: Perceptually Motivated Real-Time Speech Enhancement", Interspeech 2023
 */
export function deepFilter(
  frames: readonly Spectrum[],
  { gains, weights }: Filtering,
  bandOf: Uint8Array,
  bins: number,
  rest: number,
  out: Spectrum,
): void {
  const order = frames.length;
  const frame = frames[(order - 1) / 2]!;
  for (let bin = 0; bin < bandOf.length; bin += 1) {
    let [re, im] = [0, 0];
    if (bin < bins) {
      for (const [n, near] of frames.entries()) {
        const at = 2 * (bin * order + n);
        const [a, b] = [weights[at]!, weights[at + 1]!];
        re += near.re[bin]! * a - near.im[bin]! * b;
        im += near.re[bin]! * b + near.im[bin]! * a;
      }
    } else {
      const gain = gains[bandOf[bin]!]!;
      re = frame.re[bin]! * gain;
      im = frame.im[bin]! * gain;
    }
    out.re[bin] = re * (1 - rest) + frame.re[bin]! * rest;
    out.im[bin] = im * (1 - rest) + frame.im[bin]! * rest;
  }
}
