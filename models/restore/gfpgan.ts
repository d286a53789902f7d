import { z } from 'zod';
import { defineEngine } from '../engine.ts';
import type { ModelCard } from '../store/weights.ts';
import { needsExport, openFaceRestorer, restorerSettings } from './face-restorer.ts';

const FILE = 'gfpgan.onnx';
export const GFPGAN: ModelCard = {
  name: 'gfpgan',
  summary: `GFPGAN 1.4: makes blurred faces whole, 512 × 512; models/export/gfpgan.py makes ${FILE} of it.`,
  home: 'https://github.com/TencentARC/GFPGAN',
  licence: 'Apache-2.0',
  languages: 'any',
  device: 'gpu',
  files: [
    { name: 'GFPGANv1.4.pth', url: 'https://github.com/TencentARC/GFPGAN/releases/download/v1.3.0/GFPGANv1.4.pth' },
  ],
};

/**
 * GFPGAN: a network that knows faces paints over what is blurred in one.
 *
 * @see Wang et al., "Towards Real-World Blind Face Restoration with Generative Facial Prior", CVPR 2021
 */
export const gfpgan = defineEngine({
  kind: 'restorer',
  id: 'gfpgan',
  host: 'inline',
  summary: 'GFPGAN 1.4 on the driven mouth; wants a GPU.',
  licence: 'Apache-2.0',
  needs: [needsExport(GFPGAN, FILE)],
  models: [GFPGAN],
  config: z.strictObject(restorerSettings(FILE)),
  load: (config, scope) => openFaceRestorer('gfpgan', GFPGAN, FILE, config, scope),
});
