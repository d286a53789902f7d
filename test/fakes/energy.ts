/** Root mean square of 16 kHz mono about a time, µs from its beginning: 60 ms. */
export function energyAt(pcm: Float32Array, t: number): number {
  const middle = (t / 1e6) * 16_000;
  const part = pcm.subarray(Math.max(0, Math.round(middle - 480)), Math.max(0, Math.round(middle + 480)));
  return Math.sqrt(part.reduce((sum, x) => sum + x * x, 0) / 960);
}
/** The loudest of five places within a tenth of a second: where that is silence, lips have had the time to close. */
export const energyAround = (pcm: Float32Array, t: number): number =>
  Math.max(...[-100, -50, 0, 50, 100].map((off) => energyAt(pcm, t + off * 1_000)));

/** Pearson's correlation. */
export function correlation(a: readonly number[], b: readonly number[]): number {
  const mean = (of: readonly number[]) => of.reduce((sum, x) => sum + x, 0) / of.length;
  const [ma, mb] = [mean(a), mean(b)];
  let [ab, aa, bb] = [0, 0, 0];
  for (const [n, x] of a.entries()) {
    const [p, q] = [x - ma, b[n]! - mb];
    [ab, aa, bb] = [ab + p * q, aa + p * p, bb + q * q];
  }
  return ab / Math.sqrt(aa * bb);
}
