import type { Scope } from '../../media/scope.ts';
import { type CpuOptions, cpu } from './cpu.ts';
import { type GpuOptions, gpu } from './gpu.ts';

/** How fast mouths are moved: on the CPU, or by networks on a GPU. */
export async function lips(
  options: { readonly gpu: GpuOptions | undefined; readonly cpu: CpuOptions },
  scope: Scope,
): Promise<number> {
  if (options.gpu) return (await gpu(options.gpu, scope)) === undefined ? 2 : 0;
  await cpu(options.cpu, scope);
  return 0;
}
