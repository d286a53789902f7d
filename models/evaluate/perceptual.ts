import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Scope } from '../../media/scope.ts';
import { openOnnx } from '../runtime/onnx.ts';
import { type Network, floats, floatsOf } from '../runtime/tensor.ts';
import { type ModelCard, modelDirectory } from '../store/weights.ts';
import { INCEPTION, LPIPS } from './evaluation-cards.ts';

/** One network of a card's that was exported, or why it is not here. */
async function opened(card: ModelCard, name: string, scope: Scope, directory?: string): Promise<Network | string> {
  const file = join(modelDirectory(card, directory), name);
  if (existsSync(file)) return openOnnx(file, scope);
  return `there is no ${file}: run 'livedub models pull ${card.name}' and models/export/perceptual.py`;
}
/** LPIPS: `one` and `other` [N, 3, H, W], −1 … 1 → `distance` [N]. */
export const openLpips = (scope: Scope, directory?: string) => opened(LPIPS, 'lpips_alex.onnx', scope, directory);
/** Inception v3: `pictures` [N, 3, 299, 299], −1 … 1 → `features` [N, D]. */
export const openInception = (scope: Scope, directory?: string) =>
  opened(INCEPTION, 'fid_inception.onnx', scope, directory);

/** −1 … 1 of 0 … 255. */
export const centred = (pixels: Float32Array): Float32Array => pixels.map((value) => value / 127.5 - 1);

/** How different two pictures of `size` × `size` look to people; 0 where they are the same. */
export async function lpips(network: Network, a: Float32Array, b: Float32Array, size: number): Promise<number> {
  const shape = [1, 3, size, size];
  const made = await network.run({ one: floats(centred(a), shape), other: floats(centred(b), shape) });
  return floatsOf(made['distance'], 'distance')[0]!;
}
export async function features(network: Network, picture: Float32Array): Promise<Float32Array> {
  const made = await network.run({ pictures: floats(centred(picture), [1, 3, 299, 299]) });
  return floatsOf(made['features'], 'features').slice();
}

/**
 * The Fréchet distance of two sets of features, taken for normally distributed: |μ₁ − μ₂|² + tr(Σ₁ + Σ₂ − 2 √(Σ₁Σ₂)).
 * Variances are over n − 1. Nothing where one set has fewer than two.
 *
 * The root's trace is the sum of the singular values of A Bᵀ, where Σ₁ = AᵀA and Σ₂ = BᵀB: sets are smaller than features
 * are long.
 *
 * @see M. Heusel et al., "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium", NeurIPS 2017
 */
export function frechetDistance(a: readonly Float32Array[], b: readonly Float32Array[]): number | undefined {
  if (a.length < 2 || b.length < 2) return undefined;
  const [first, second] = [deviations(a), deviations(b)];
  let apart = 0;
  for (let i = 0; i < first.mean.length; i += 1) apart += (first.mean[i]! - second.mean[i]!) ** 2;
  const traces = first.rows.concat(second.rows).reduce((sum, row) => sum + dot(row, row), 0);
  const product = first.rows.map((row) => Float64Array.from(second.rows, (other) => dot(row, other)));
  const squares = product.map((row) => Float64Array.from(product, (other) => dot(row, other)));
  const roots = eigenvalues(squares).reduce((sum, value) => sum + Math.sqrt(Math.max(0, value)), 0);
  return Math.max(0, apart + traces - 2 * roots);
}
function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += a[i]! * b[i]!;
  return sum;
}
/** The mean, and what is left of each, over the root of n − 1. */
function deviations(set: readonly Float32Array[]): { mean: Float64Array; rows: Float64Array[] } {
  const mean = new Float64Array(set[0]!.length);
  for (const each of set) for (let i = 0; i < mean.length; i += 1) mean[i]! += each[i]! / set.length;
  const root = Math.sqrt(set.length - 1);
  return { mean, rows: set.map((each) => Float64Array.from(mean, (value, i) => (each[i]! - value) / root)) };
}
/** Eigenvalues of a symmetric matrix, by Jacobi's rotations. */
export function eigenvalues(matrix: readonly Float64Array[]): number[] {
  const m = matrix.map((row) => row.slice());
  const size = m.length;
  const total = m.reduce((sum, row) => sum + dot(row, row), 0);
  for (let sweep = 0; sweep < 60; sweep += 1) {
    let off = 0;
    for (let p = 0; p < size; p += 1) for (let q = p + 1; q < size; q += 1) off += m[p]![q]! ** 2;
    if (off <= 1e-22 * total) break;
    for (let p = 0; p < size; p += 1) {
      for (let q = p + 1; q < size; q += 1) {
        const value = m[p]![q]!;
        if (value === 0) continue;
        const theta = (m[q]![q]! - m[p]![p]!) / (2 * value);
        const t = Math.sign(theta || 1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
        const c = 1 / Math.sqrt(t * t + 1);
        const s = t * c;
        for (let k = 0; k < size; k += 1) {
          const [x, y] = [m[k]![p]!, m[k]![q]!];
          m[k]![p] = c * x - s * y;
          m[k]![q] = s * x + c * y;
        }
        for (let k = 0; k < size; k += 1) {
          const [x, y] = [m[p]![k]!, m[q]![k]!];
          m[p]![k] = c * x - s * y;
          m[q]![k] = s * x + c * y;
        }
      }
    }
  }
  return m.map((row, n) => row[n]!);
}
