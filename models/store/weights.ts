import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import type { Need } from '../engine.ts';

/** One file of a model. */
export interface ModelFile {
  /** Name in the model's directory; may have folders, as in `onnx/encoder_model.onnx`. */
  readonly name: string;
  /** Where its makers publish it. */
  readonly url: string;
  readonly bytes?: number;
  /** SHA-256, 64 hexadecimal digits. What has none is recorded when it is first fetched and checked ever after. */
  readonly sha256?: string;
}

/** A model as `livedub models` lists it: files that are fetched together and used together. */
export interface ModelCard {
  /** As in `livedub models pull NAME`: lower case, digits, dots and dashes. */
  readonly name: string;
  /** One sentence. */
  readonly summary: string;
  /** The page on which its makers describe it. */
  readonly home: string;
  /** SPDX expression, or the licence's name where it has none. */
  readonly licence: string;
  /** Weights that may not be used for everything: the terms are shown and accepted once. */
  readonly terms?: 'non-commercial';
  readonly languages: readonly string[] | 'any';
  /** What it needs to keep up with live speech. */
  readonly device: 'cpu' | 'gpu';
  /** What was measured of its speed, and where. */
  readonly speed?: string;
  readonly files: readonly ModelFile[];
}

/** Where models are kept: `LIVEDUB_MODELS`, else `~/.cache/livedub/models`. */
export const storeRoot = (): string =>
  resolve(process.env['LIVEDUB_MODELS'] || join(homedir(), '.cache', 'livedub', 'models'));

/** The directory of a model: the one given, or its place in the model store. It need not be there. */
export const modelDirectory = (card: ModelCard, given?: string): string =>
  given ?? join(storeRoot(), 'models', card.name);

/** A model that must have been pulled before an engine can load. */
export const needsModel = (card: ModelCard): Need => ({
  install: `model ${card.name} (livedub models pull ${card.name})`,
  present: () => card.files.every(({ name }) => existsSync(join(modelDirectory(card), name))),
});

/** The name of the model that a need asks for, if it asks for one. */
export const modelOf = (need: Need): string | undefined => /^model (\S+) \(/.exec(need.install)?.[1];
