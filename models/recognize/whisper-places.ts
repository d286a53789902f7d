/**
 * Where tokens lie in the audio, by dynamic time warping over the decoder's cross-attention.
 *
 * @see https://github.com/openai/whisper/blob/main/whisper/timing.py (`find_alignment`)
 */

/** Width of the median filter along time, frames of 20 ms. */
const SMOOTHING = 7;

/** Attention of one head: `rows` tokens × `frames`. */
export interface Attention {
  readonly rows: number;
  readonly frames: number;
  readonly weights: Float32Array;
}

/** Medians of `width` neighbours along a row; at the ends the row is mirrored. Short rows stay as they are. */
function smooth(row: Float64Array, width: number): Float64Array {
  const half = Math.floor(width / 2);
  if (row.length <= half) return row;
  const around = new Float64Array(width);
  return row.map((_, n) => {
    for (let i = 0; i < width; i += 1) {
      const at = Math.abs(n - half + i);
      around[i] = row[at < row.length ? at : 2 * (row.length - 1) - at]!;
    }
    return around.sort()[half]!;
  });
}

/** How much each token belongs to each frame: heads made comparable, smoothed, averaged. */
function likeness(heads: readonly Attention[]): Float64Array[] {
  const { rows = 0, frames = 0 } = heads[0] ?? {};
  const sum = Array.from({ length: rows }, () => new Float64Array(frames));
  for (const { weights } of heads) {
    const shares = Array.from({ length: rows }, (_, r) => {
      const row = Float64Array.from(weights.subarray(r * frames, (r + 1) * frames));
      const total = row.reduce((all, x) => all + x, 0);
      return row.map((x) => x / total);
    });
    for (let n = 0; n < frames; n += 1) {
      let [mean, square] = [0, 0];
      for (const row of shares) mean += row[n]! / rows;
      for (const row of shares) square += (row[n]! - mean) ** 2 / rows;
      for (const row of shares) row[n] = (row[n]! - mean) / (Math.sqrt(square) || 1);
    }
    for (const [r, row] of shares.entries()) {
      const smoothed = smooth(row, SMOOTHING);
      for (let n = 0; n < frames; n += 1) sum[r]![n]! += smoothed[n]! / heads.length;
    }
  }
  return sum;
}

/** The cheapest way through costs `-gain`, from the first row and column to the last; where each row begins. */
export function warp(gain: readonly Float64Array[]): number[] {
  const [rows, columns] = [gain.length, gain[0]?.length ?? 0];
  const wide = columns + 1;
  const cost = new Float32Array((rows + 1) * wide).fill(Number.POSITIVE_INFINITY);
  const trace = new Uint8Array((rows + 1) * wide);
  cost[0] = 0;
  for (let j = 1; j <= columns; j += 1) {
    for (let i = 1; i <= rows; i += 1) {
      const both = cost[(i - 1) * wide + j - 1]!;
      const down = cost[(i - 1) * wide + j]!;
      const along = cost[i * wide + j - 1]!;
      const step = both < down && both < along ? 0 : down < both && down < along ? 1 : 2;
      const before = step === 0 ? both : step === 1 ? down : along;
      cost[i * wide + j] = before - gain[i - 1]![j - 1]!;
      trace[i * wide + j] = step;
    }
  }
  const begins = new Array<number>(rows).fill(0);
  for (let [i, j] = [rows, columns]; i > 0 || j > 0;) {
    if (i > 0) begins[i - 1] = Math.max(0, j - 1);
    const step = i === 0 ? 2 : j === 0 ? 1 : trace[i * wide + j];
    if (step !== 2) i -= 1;
    if (step !== 1) j -= 1;
  }
  return begins;
}

/**
 * Where each row's token begins, in frames.
 *
 * @param heads attention of the alignment heads over what was heard: a row per token that was put in
 * @param skipped rows at the beginning that stand for no text, and are there to compare with
 * @param trailing rows at the end that are not placed either
 */
export function beginnings(heads: readonly Attention[], skipped: number, trailing: number): number[] {
  const gain = likeness(heads);
  return warp(gain.slice(skipped, gain.length - trailing));
}
