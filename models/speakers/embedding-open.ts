import type { Embedding } from './embedding.ts';
import type { EmbeddingName } from './embedding-cards.ts';
import { Ecapa } from './embedding-ecapa.ts';
import { KaldiEmbedding, THREE_D_SPEAKER, WESPEAKER } from './embedding-kaldi.ts';
import { TitaNet } from './embedding-titanet.ts';
import { Wq2012 } from './embedding-wq2012.ts';
import type { Network } from '../runtime/tensor.ts';

/**
 * The embedding that a network makes, with the front-end that it was trained with.
 *
 * Thresholds of networks whose weights were not at hand are those of their makers' own verification or of the diarizers
 * that use them, and are a setting of the engine.
 */
export const EMBEDDING: Readonly<Record<EmbeddingName, (network: Network) => Embedding>> = {
  campplus: (network) =>
    new KaldiEmbedding(
      { name: 'campplus', dimension: 512, threshold: 0.4, input: 'x', output: 'embedding', fbank: THREE_D_SPEAKER },
      network,
    ),
  eres2net: (network) =>
    new KaldiEmbedding(
      { name: 'eres2net', dimension: 192, threshold: 0.4, input: 'x', output: 'embedding', fbank: THREE_D_SPEAKER },
      network,
    ),
  wespeaker: (network) =>
    new KaldiEmbedding(
      { name: 'wespeaker', dimension: 256, threshold: 0.4, input: 'feats', output: 'embs', fbank: WESPEAKER },
      network,
    ),
  titanet: (network) => new TitaNet(network),
  ecapa: (network) => new Ecapa(network),
  wq2012: (network) => new Wq2012(network),
};
