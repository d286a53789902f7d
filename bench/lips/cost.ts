import { sizeOf } from '../../models/runtime/tensor.ts';
import type { Graph, Operation } from './onnx-graph.ts';

/** What kind of work an operation is: with weights, or between things computed (attention). */
export type Work = 'convolution' | 'linear' | 'attention';

/** What an operation costs for one item. */
export interface OperationCost {
  readonly work: Work;
  /** A multiplication and an addition are two. */
  readonly flops: number;
  /** Numbers that are read once for any number of items: weights. */
  readonly fixed: number;
  /** Numbers that are read and written for every item. */
  readonly moving: number;
}

/**
 * What a graph's convolutions and matrix products cost. All else (norms, activations, sums) is taken for free, as if it
 * were fused with them: what comes out is a bound from below.
 *
 * @throws RangeError where the graph does not say the shape of something that must be known
 */
export function costOf(graph: Graph): OperationCost[] {
  const own = new Set((graph.metadata['inputs'] ?? graph.inputs.join(',')).split(','));
  const isFixed = (name: string) => graph.constants.has(name) || (graph.inputs.includes(name) && !own.has(name));
  /** Weights that are only turned or cast on the way are weights. */
  const turned = new Set<string>();
  const shapeOf = (name: string): readonly number[] => {
    const shape = graph.shapes.get(name);
    if (shape && shape.every((size) => size > 0)) return shape;
    throw new RangeError(`Cannot count: the graph does not say the shape of '${name}'`);
  };
  const costs: OperationCost[] = [];
  for (const operation of graph.operations) {
    if (['Transpose', 'Identity', 'Cast'].includes(operation.type) && operation.inputs.every((name) => isFixed(name))) {
      for (const name of operation.outputs) turned.add(name);
    }
    const flops = flopsOf(operation, shapeOf);
    if (flops === undefined) continue;
    const weights = operation.inputs.filter((name) => name && (isFixed(name) || turned.has(name)));
    const rest = operation.inputs.filter((name) => name && !weights.includes(name));
    const count = (names: readonly string[]) => names.reduce((sum, name) => sum + sizeOf(shapeOf(name)), 0);
    costs.push({
      work: operation.type.startsWith('Conv') ? 'convolution' : weights.length > 0 ? 'linear' : 'attention',
      flops,
      fixed: count(weights),
      moving: count([...rest, ...operation.outputs]),
    });
  }
  return costs;
}

function flopsOf(
  { type, inputs, outputs, attributes }: Operation,
  shapeOf: (name: string) => readonly number[],
): number | undefined {
  const [a, b] = inputs as [string, string];
  const made = () => sizeOf(shapeOf(outputs[0]!));
  switch (type) {
    case 'Conv':
      // Weights: outputs, inputs of a group, kernel.
      return 2 * made() * sizeOf(shapeOf(b).slice(1));
    case 'ConvTranspose':
      // Weights: inputs, outputs of a group, kernel; every input meets them all.
      return 2 * sizeOf(shapeOf(a)) * sizeOf(shapeOf(b).slice(1));
    case 'MatMul':
      return 2 * made() * shapeOf(a).at(-1)!;
    case 'Gemm':
      return 2 * made() * shapeOf(a)[attributes['transA']?.[0] === 1 ? 0 : 1]!;
    default:
      return undefined;
  }
}

/** A machine's limits: FLOP and bytes per second. */
export interface Roof {
  readonly flops: number;
  readonly bytes: number;
}

/** The least time that so many items can take, seconds: each operation bound by arithmetic or by memory. */
export function roofline(costs: readonly OperationCost[], items: number, bytesPerNumber: number, roof: Roof): number {
  return costs.reduce((sum, { flops, fixed, moving }) => {
    const bytes = bytesPerNumber * (fixed + items * moving);
    return sum + Math.max((items * flops) / roof.flops, bytes / roof.bytes);
  }, 0);
}

export interface Total {
  readonly flops: number;
  readonly weights: number;
  readonly moving: number;
  readonly share: Readonly<Record<Work, number>>;
}
/** All operations together; `share` says how the FLOPs are spread. */
export function totalOf(costs: readonly OperationCost[]): Total {
  const sum = (read: (cost: OperationCost) => number, some = costs) => some.reduce((all, each) => all + read(each), 0);
  const flops = sum((each) => each.flops);
  const part = (work: Work) =>
    sum(
      (each) => each.flops,
      costs.filter((each) => each.work === work),
    ) / Math.max(1, flops);
  return {
    flops,
    weights: sum((each) => each.fixed),
    moving: sum((each) => each.moving),
    share: { convolution: part('convolution'), linear: part('linear'), attention: part('attention') },
  };
}
