import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lacking, weights } from '../weights.ts';

/** The models that `livedub dub --lips` uses without further ado, by card: where their weights lie. */
const MODELS = {
  yunet: 'face/yunet',
  facemesh: 'face/facemesh',
  fsanet: 'face/fsanet',
  mobilefacenet: 'face/mobilefacenet',
  'lr-asd': 'asd/lr-asd',
} as const;

/** A model store of links to real weights, as `livedub models pull` lays it out. */
export interface LipStore {
  /** What `LIVEDUB_MODELS` is to be. */
  readonly root: string;
  /** What engines call a folder of models by card. */
  readonly models: string;
  close(): void;
}

/** Why there can be no {@link lipStore} here, or nothing. */
export const lipStoreLacks = (): string | undefined => lacking(...Object.values(MODELS));

/** Makes a store of what drives lips in a temporary folder. The weights are found first: `LIVEDUB_MODELS` may be set to it after. */
export function lipStore(): LipStore {
  const root = mkdtempSync(join(tmpdir(), 'livedub-lip-store-'));
  const models = join(root, 'models');
  mkdirSync(models);
  for (const [card, folder] of Object.entries(MODELS)) symlinkSync(weights(folder), join(models, card));
  return { root, models, close: () => rmSync(root, { recursive: true }) };
}
