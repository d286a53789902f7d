/** Peak signal to noise ratio of brightness, dB. */
export function psnr(a: Uint8Array, b: Uint8Array): number {
  let sum = 0;
  for (let n = 0; n < a.length; n += 1) sum += (a[n]! - b[n]!) ** 2;
  return 10 * Math.log10((255 * 255 * a.length) / Math.max(1e-9, sum));
}

/** Structural similarity by windows of 8 × 8 side by side (Wang et al. 2004, without the Gaussian). */
export function similarityOf(a: Uint8Array, b: Uint8Array, width: number): number {
  const [c1, c2] = [(0.01 * 255) ** 2, (0.03 * 255) ** 2];
  let [sum, count] = [0, 0];
  for (let top = 0; (top + 8) * width <= a.length; top += 8) {
    for (let left = 0; left + 8 <= width; left += 8) {
      let [ma, mb, aa, bb, ab] = [0, 0, 0, 0, 0];
      for (let n = 0; n < 64; n += 1) {
        const i = (top + (n >> 3)) * width + left + (n & 7);
        const [x, y] = [a[i]!, b[i]!];
        ma += x / 64;
        mb += y / 64;
        aa += (x * x) / 64;
        bb += (y * y) / 64;
        ab += (x * y) / 64;
      }
      const [va, vb, cov] = [aa - ma * ma, bb - mb * mb, ab - ma * mb];
      sum += ((2 * ma * mb + c1) * (2 * cov + c2)) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
      count += 1;
    }
  }
  return sum / count;
}
