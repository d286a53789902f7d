/** At most three people are told apart in one window, and at most two of them at one time. */
export const LOCALS = 3;

/**
 * Who speaks in each class of the powerset: nobody, one of three, or two of them.
 *
 * @see A. Plaquet, H. Bredin, "Powerset multi-class cross entropy loss for neural speaker diarization", Interspeech 2023
 */
export const CLASSES: readonly (readonly number[])[] = [[], [0], [1], [2], [0, 1], [0, 2], [1, 2]];

/** Each class as bits: bit `n` is set when local speaker `n` speaks. */
const BITS = CLASSES.map((speakers) => speakers.reduce((bits, n) => bits | (1 << n), 0));

/** Who speaks in each frame, as bits: the likeliest class of each row of `scores`, which has a row per frame. */
export function whoSpeaks(scores: Float32Array): Uint8Array {
  const width = CLASSES.length;
  if (scores.length % width !== 0) {
    throw new RangeError(`Cannot read powerset scores: ${scores.length} numbers are no rows of ${width}`);
  }
  const frames = new Uint8Array(scores.length / width);
  for (let n = 0; n < frames.length; n += 1) {
    let best = 0;
    for (let k = 1; k < width; k += 1) if (scores[n * width + k]! > scores[n * width + best]!) best = k;
    frames[n] = BITS[best]!;
  }
  return frames;
}
