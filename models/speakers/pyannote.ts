import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { Fault } from '../../pipeline/fault.ts';
import { until } from '../../pipeline/until.ts';
import { EMBEDDINGS, EMBEDDING_CARDS, NETWORK_FILES, SEGMENTATION_CARD } from './embedding-cards.ts';
import { EMBEDDING } from './embedding-open.ts';
import { defineEngine } from '../engine.ts';
import { openOnnx } from '../runtime/onnx.ts';
import { Segmentation } from './pyannote-segmentation.ts';
import { Tracker } from './pyannote-tracker.ts';
import { modelDirectory, needsModel } from '../store/weights.ts';

const RATE = 16_000;
/** What a session gets when it does not choose. */
const USUAL = 'campplus';

/** A file of weights, if it is there; else a fault that says where it was looked for. */
function weightsIn(directory: string, names: readonly string[], pull: string): string {
  const found = names.map((name) => join(directory, name)).find((path) => existsSync(path));
  if (found !== undefined) return found;
  throw new Fault(
    'diarizer',
    'broken',
    `Cannot load pyannote: there is no ${names.join(' or ')} in ${directory}; ${pull}`,
  );
}

/**
 * Who speaks when, by pyannote's segmentation of the last ten seconds and the voices of everybody heard so far.
 *
 * Windows follow each other every quarter of a second; who is told apart within one is followed from window to window and
 * known again by an embedding of their voice where nobody else speaks. Turns come about 1.5 s behind and never change;
 * where two speak at a time the turn says so.
 */
export const pyannote = defineEngine({
  kind: 'diarizer',
  id: 'pyannote',
  host: 'thread',
  summary: 'pyannote segmentation and speaker embeddings, a growing bank of voices, overlapping speech marked.',
  licence: 'MIT AND Apache-2.0',
  needs: [needsModel(SEGMENTATION_CARD), needsModel(EMBEDDING_CARDS[USUAL])],
  models: [SEGMENTATION_CARD, ...Object.values(EMBEDDING_CARDS)],
  config: z.strictObject({
    model: z.string().optional().describe('Directory with the segmentation network; the model store unless told.'),
    embedding: z.enum(EMBEDDINGS).default(USUAL).describe('Which network knows voices again.'),
    embeddingModel: z.string().optional().describe('Directory with that network; the model store unless told.'),
    threshold: z
      .number()
      .min(-1)
      .max(1)
      .optional()
      .describe("How like two voices must be to be one speaker's (cosine); the embedding's own unless told."),
    maxSpeakers: z.number().int().min(1).max(16).default(8).describe('How many speakers are told apart at most.'),
  }),
  async load({ model, embedding: name, embeddingModel, threshold, maxSpeakers }, scope) {
    const card = EMBEDDING_CARDS[name];
    const pull = (each: string) => `livedub models pull ${each}`;
    const [segments, voices] = [modelDirectory(SEGMENTATION_CARD, model), modelDirectory(card, embeddingModel)];
    const segmentationFile = weightsIn(segments, ['model.int8.onnx', 'model.onnx'], pull(SEGMENTATION_CARD.name));
    const exported = NETWORK_FILES[name];
    const how = exported === card.files[0]?.name ? pull(card.name) : 'models/export/embedding_reference.py makes it';
    const segmentation = new Segmentation(await openOnnx(segmentationFile, scope));
    const own = EMBEDDING[name](await openOnnx(weightsIn(voices, [exported], how), scope));
    const embedding = { ...own, embed: own.embed.bind(own), ...(threshold !== undefined && { threshold }) };
    return {
      kind: 'diarizer',
      engine: `pyannote ${name}`,
      caps: { rate: RATE, lookahead: Tracker.lookahead(), maxSpeakers, overlap: true },
      async *run(input, { signal }) {
        const tracker = new Tracker({ segmenting: (window) => segmentation.of(window), embedding, maxSpeakers });
        for await (const chunk of until(input, signal)) yield* tracker.hear(chunk);
        if (!signal.aborted) yield* tracker.end();
      },
    };
  },
});
