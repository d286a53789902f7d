import type { Scope } from '../../media/scope.ts';
import { type GpuOptions, gpu } from './gpu.ts';

/** The bench cannot measure what was asked for. */
export class UnknownLips extends Error {}

/** How fast mouths are moved. At present by networks on a GPU. */
export async function lips(options: GpuOptions & { readonly gpu: boolean }, scope: Scope): Promise<number> {
  if (!options.gpu) throw new UnknownLips('bench lips measures networks on a GPU: say --gpu');
  return (await gpu(options, scope)) === undefined ? 2 : 0;
}
