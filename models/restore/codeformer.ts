import { z } from 'zod';
import { defineEngine } from '../engine.ts';
import { floats } from '../runtime/tensor.ts';
import type { ModelCard } from '../store/weights.ts';
import { needsExport, openFaceRestorer, restorerSettings } from './face-restorer.ts';

const FILE = 'codeformer.onnx';
export const CODEFORMER: ModelCard = {
  name: 'codeformer',
  summary: `CodeFormer: makes blurred faces whole, 512 × 512; models/export/codeformer.py makes ${FILE} of it.`,
  home: 'https://github.com/sczhou/CodeFormer',
  licence: 'S-Lab License 1.0',
  terms: 'non-commercial',
  languages: 'any',
  device: 'gpu',
  files: [
    { name: 'codeformer.pth', url: 'https://github.com/sczhou/CodeFormer/releases/download/v0.1.0/codeformer.pth' },
  ],
};

/**
 * CodeFormer: a face is put together from a book of learned pieces, and `fidelity` says how much it must stay the face that
 * it was.
 *
 * @see Zhou et al., "Towards Robust Blind Face Restoration with Codebook Lookup Transformer", NeurIPS 2022
 */
export const codeformer = defineEngine({
  kind: 'restorer',
  id: 'codeformer',
  host: 'inline',
  summary: 'CodeFormer on the driven mouth, as true to the original as is asked; wants a GPU.',
  licence: 'LicenseRef-S-Lab-1.0',
  needs: [needsExport(CODEFORMER, FILE)],
  models: [CODEFORMER],
  config: z.strictObject({
    ...restorerSettings(FILE),
    fidelity: z
      .number()
      .min(0)
      .max(1)
      .default(0.7)
      .describe('The weight w: 0 for the finest picture, 1 for the one that is most like the original.'),
  }),
  load: ({ fidelity, ...config }, scope) =>
    openFaceRestorer('codeformer', CODEFORMER, FILE, config, scope, {
      w: floats(Float32Array.of(fidelity), [1]),
    }),
});
