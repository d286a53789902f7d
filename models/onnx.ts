import type { InferenceSession } from 'onnxruntime-node';
import type { Scope } from '../media/scope.ts';
import type { Network, Tensor } from './tensor.ts';

/**
 * Opens an ONNX file on onnxruntime with one CPU thread. Closes with `scope`.
 *
 * Its `run` blocks the thread it is called in for as long as it computes, promise or not, so engines that use it are
 * hosted in a thread.
 */
export async function openOnnx(file: string, scope: Scope): Promise<Network> {
  // Read when the library loads: without it, it writes a device id below the home directory and reports usage.
  process.env['ORT_DISABLE_TELEMETRY'] = '1';
  const ort = await import('onnxruntime-node');
  const session = await ort.InferenceSession.create(file, {
    intraOpNumThreads: 1,
    interOpNumThreads: 1,
    executionMode: 'sequential',
    graphOptimizationLevel: 'all',
  });
  scope.defer(() => session.release());
  const typeOf = ({ data }: Tensor) => (data instanceof BigInt64Array ? 'int64' : 'float32');
  return {
    async run(inputs) {
      const feeds: Record<string, InferenceSession.OnnxValueMapType[string]> = {};
      for (const [name, tensor] of Object.entries(inputs)) {
        feeds[name] = new ort.Tensor(typeOf(tensor), tensor.data, tensor.dims);
      }
      const outputs: Record<string, Tensor> = {};
      for (const [name, { data, dims }] of Object.entries(await session.run(feeds))) {
        if (!(data instanceof Float32Array || data instanceof BigInt64Array)) {
          throw new TypeError(`Cannot read output '${name}' of ${file}: only float32 and int64 are known here`);
        }
        outputs[name] = { data, dims };
      }
      return outputs;
    },
  };
}
