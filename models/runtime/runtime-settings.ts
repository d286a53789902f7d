import { z } from 'zod';

/** How networks are run. Engines put it into their own settings, as `runtime: networkSettings.prefault({})`. */
export const networkSettings = z.strictObject({
  device: z
    .enum(['cpu', 'cuda', 'tensorrt'])
    .default('cpu')
    .describe('What computes: the CPU, or an NVIDIA GPU by CUDA or TensorRT.'),
  gpu: z.int().min(0).default(0).describe('Which GPU, counted from 0.'),
  threads: z.int().min(1).max(64).default(1).describe('CPU threads of one network.'),
  fp16: z
    .boolean()
    .default(false)
    .describe('Half precision: the file beside the network whose name ends in _fp16.onnx is loaded.'),
  fallback: z
    .boolean()
    .default(false)
    .describe('Where the device or the half-precision file is not to be had, the CPU and the whole file do.'),
});
export type NetworkSettings = z.output<typeof networkSettings>;
