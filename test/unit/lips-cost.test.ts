import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { type OperationCost, costOf, roofline, totalOf } from '../../bench/lips/cost.ts';
import { countedIn } from '../../bench/lips/gpu.ts';
import { graphOf } from '../../bench/lips/onnx-graph.ts';

const folder = fileURLToPath(new URL('../fixtures/musetalk', import.meta.url));
const read = (name: string) => readFileSync(join(folder, 'cost', `${name}.onnx`));

describe('what a network costs', () => {
  test('a small network of convolutions, counted by hand', () => {
    // TAESD's encoder with 8 channels and one block per size: a 3 × 3 convolution per line.
    const conv = (side: number, from: number, to: number) => 2 * side * side * to * from * 9;
    const block = (side: number) => 3 * conv(side, 8, 8);
    const flops =
      conv(256, 3, 8) +
      [256, 128, 64, 32].reduce((sum, side) => sum + block(side), 0) +
      [128, 64, 32].reduce((sum, side) => sum + conv(side, 8, 8), 0) +
      conv(32, 8, 4);
    // Biases everywhere but where it gets smaller.
    const weights = 3 * 8 * 9 + 8 + 12 * (8 * 8 * 9 + 8) + 3 * 8 * 8 * 9 + 8 * 4 * 9 + 4;
    const total = totalOf(costOf(graphOf(read('taesd_encoder'))));
    expect(total.flops).toBe(flops);
    expect(total.weights).toBe(weights);
    expect(total.share).toEqual({ convolution: 1, linear: 0, attention: 0 });
  });

  test('attention is told from layers with weights', () => {
    // Whisper's encoder: 250 positions, 16 wide, 2 layers.
    const costs = costOf(graphOf(read('whisper')));
    const flopsOf = (work: OperationCost['work']) =>
      costs.filter((each) => each.work === work).reduce((sum, { flops }) => sum + flops, 0);
    expect(flopsOf('attention')).toBe(2 * 2 * (2 * 250 * 250 * 16));
    // Query, key, value, out: 16 → 16; then 16 → 64 → 16.
    expect(flopsOf('linear')).toBe(2 * (2 * 250 * (4 * 16 * 16 + 2 * 16 * 64)));
    expect(flopsOf('convolution')).toBe(2 * 500 * 80 * 16 * 3 + 2 * 250 * 16 * 16 * 3);
  });

  test.for(['whisper', 'unet', 'sd_vae_encoder', 'sd_vae_decoder', 'taesd_encoder', 'taesd_decoder', 'parsing'])(
    'every product in %s has its shape',
    (name) => {
      const { costs, inputs, outputs } = countedIn(folder, name);
      const graph = graphOf(read(name));
      expect(costs.length).toBe(graph.operations.filter(({ type }) => /^(Conv|MatMul|Gemm)/.test(type)).length);
      expect(Object.values({ ...inputs, ...outputs }).every((dims) => dims.length > 0 && dims[0] === 1)).toBe(true);
      expect(costs.every(({ flops, moving }) => flops > 0 && moving > 0)).toBe(true);
    },
  );

  test('the UNet at its true size, from its graph without weights', () => {
    const graph = graphOf(readFileSync(join(folder, 'true-unet.onnx')));
    expect(graph.shapes.get('latents')).toEqual([1, 8, 32, 32]);
    expect(graph.shapes.get('audio')).toEqual([1, 50, 384]);
    expect(graph.shapes.get('out')).toEqual([1, 4, 32, 32]);
    const { flops, weights } = totalOf(costOf(graph));
    // PyTorch counts 849,947,844 parameters; those of the norms, less than a thousandth, are no products' weights.
    expect(weights).toBeLessThan(849_947_844);
    expect(weights).toBeGreaterThan(0.999 * 849_947_844);
    expect(flops / 1e9).toBeCloseTo(177.8, 1);
  });

  test('a file that ends too early is refused', () => {
    expect(() => graphOf(read('unet').subarray(0, 5_000))).toThrow(/does not fit the file|ends within a number/);
  });
});

test('the roofline: one item waits for the weights, many for the arithmetic', () => {
  const costs: OperationCost[] = [{ work: 'linear', flops: 2e9, fixed: 1e9, moving: 1e6 }];
  const roof = { flops: 1e12, bytes: 1e12 };
  // 2 bytes × (1e9 + 1e6) at 1 TB/s, against 2e9 at 1 TFLOP/s.
  expect(roofline(costs, 1, 2, roof)).toBeCloseTo(2.002e-3, 9);
  expect(roofline(costs, 100, 2, roof)).toBeCloseTo(0.2, 9);
  expect(roofline([...costs, ...costs], 1, 2, roof)).toBeCloseTo(4.004e-3, 9);
});
