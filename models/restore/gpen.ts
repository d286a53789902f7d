import { z } from 'zod';
import { defineEngine } from '../engine.ts';
import type { ModelCard } from '../store/weights.ts';
import { needsExport, openFaceRestorer, restorerSettings } from './face-restorer.ts';

const FILE = 'gpen.onnx';
const HOME = 'https://public-vigen-video.oss-cn-shanghai.aliyuncs.com/robin/models';
/** The repository states no licence, and speaks of "commercial issues" with its weights. */
export const GPEN: ModelCard = {
  name: 'gpen',
  summary: `GPEN-BFR-512: makes blurred faces whole, 512 × 512; models/export/gpen.py makes ${FILE} of it.`,
  home: 'https://github.com/yangxy/GPEN',
  licence: 'LicenseRef-GPEN-none-stated',
  terms: 'non-commercial',
  languages: 'any',
  device: 'gpu',
  files: [{ name: 'GPEN-BFR-512.pth', url: `${HOME}/GPEN-BFR-512.pth` }],
};

/**
 * GPEN: a face is encoded and drawn again by a network that has learned to draw faces.
 *
 * @see Yang et al., "GAN Prior Embedded Network for Blind Face Restoration in the Wild", CVPR 2021
 */
export const gpen = defineEngine({
  kind: 'restorer',
  id: 'gpen',
  host: 'inline',
  summary: 'GPEN-BFR-512 on the driven mouth; wants a GPU.',
  licence: 'LicenseRef-GPEN-none-stated',
  needs: [needsExport(GPEN, FILE)],
  models: [GPEN],
  config: z.strictObject(restorerSettings(FILE)),
  load: (config, scope) => openFaceRestorer('gpen', GPEN, FILE, config, scope),
});
