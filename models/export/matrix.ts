export type Matrix = number[][];

export const zeros = (rows: number, columns = rows): Matrix =>
  Array.from({ length: rows }, () => new Array<number>(columns).fill(0));
export const transpose = (a: Matrix): Matrix => a[0]!.map((_, j) => a.map((row) => row[j]!));
export const multiply = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((sum, x, k) => sum + x * b[k]![j]!, 0)));

/** The inverse of the lower triangle L with A = L·Lᵀ (Cholesky): what makes data of covariance A white. */
export function whitening(a: Matrix): Matrix {
  const lower = zeros(a.length);
  for (let i = 0; i < a.length; i += 1) {
    for (let j = 0; j <= i; j += 1) {
      let sum = a[i]![j]!;
      for (let k = 0; k < j; k += 1) sum -= lower[i]![k]! * lower[j]![k]!;
      lower[i]![j] = i === j ? Math.sqrt(Math.max(sum, 1e-12)) : sum / lower[j]![j]!;
    }
  }
  const inverse = zeros(a.length);
  for (let column = 0; column < a.length; column += 1) {
    for (let i = column; i < a.length; i += 1) {
      let sum = i === column ? 1 : 0;
      for (let k = column; k < i; k += 1) sum -= lower[i]![k]! * inverse[k]![column]!;
      inverse[i]![column] = sum / lower[i]![i]!;
    }
  }
  return inverse;
}

/** Eigenvalues of a symmetric matrix, largest first, with their vectors as rows (Jacobi's rotations). */
export function eigen(symmetric: Matrix): { value: number; vector: number[] }[] {
  const a = symmetric.map((row) => [...row]);
  const v = zeros(a.length).map((row, i) => row.map((_, j) => (i === j ? 1 : 0)));
  for (let sweep = 0; sweep < 60; sweep += 1) {
    let off = 0;
    for (let p = 0; p < a.length; p += 1) {
      for (let q = p + 1; q < a.length; q += 1) {
        off += a[p]![q]! ** 2;
        const angle = 0.5 * Math.atan2(2 * a[p]![q]!, a[q]![q]! - a[p]![p]!);
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        const rotate = (m: Matrix) => {
          for (const row of m) [row[p], row[q]] = [c * row[p]! - s * row[q]!, s * row[p]! + c * row[q]!];
        };
        rotate(a);
        for (let k = 0; k < a.length; k += 1) {
          const [x, y] = [a[p]![k]!, a[q]![k]!];
          a[p]![k] = c * x - s * y;
          a[q]![k] = s * x + c * y;
        }
        rotate(v);
      }
    }
    if (off < 1e-12) break;
  }
  const columns = transpose(v);
  return a.map((row, i) => ({ value: row[i]!, vector: columns[i]! })).toSorted((x, y) => y.value - x.value);
}
