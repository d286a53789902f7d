/**
 * What the decoder attended to tells how much of a hypothesis is safe: a token that looked at the last moments of the
 * audio may read differently once more of it has come.
 *
 * @see Papi, Turchi, Negri: "AlignAtt: Using Attention-based Audio-Translation Alignments as a Guide for Simultaneous
 * Speech Translation", Interspeech 2023
 */

/** The frame that a token attends to most, by weights over the frames. */
export function focusOf(weights: Float32Array): number {
  let best = 0;
  for (let n = 1; n < weights.length; n += 1) if (weights[n]! > weights[best]!) best = n;
  return best;
}

/**
 * How many tokens may be settled: those before the first that attends to one of the last `guard` frames.
 *
 * @param focus the frame each token attends to most
 * @param frames how many there are
 */
export function attendedBefore(focus: readonly number[], frames: number, guard: number): number {
  const first = focus.findIndex((frame) => frame >= frames - guard);
  return first === -1 ? focus.length : first;
}
