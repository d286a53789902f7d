/** Numbers with a shape, row by row. */
export interface Tensor {
  readonly data: Float32Array | BigInt64Array;
  readonly dims: readonly number[];
}
export const floats = (data: Float32Array, dims: readonly number[]): Tensor => ({ data, dims });

/** A neural network, wherever it runs: named tensors in, named tensors out. */
export interface Network {
  run(inputs: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>;
}
