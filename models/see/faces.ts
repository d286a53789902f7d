import { z } from 'zod';
import type { Scope } from '../../media/scope.ts';
import { ms } from '../../media/time.ts';
import type { Seen } from '../../pipeline/face.ts';
import { until } from '../../pipeline/until.ts';
import { defineEngine } from '../engine.ts';
import { networkSettings } from '../runtime/runtime-settings.ts';
import { needsModel } from '../store/weights.ts';
import type { FaceDetector } from './detection.ts';
import { openScrfd, openUltralight, openYuNet } from './detectors.ts';
import { EMBEDDINGS, embeddingCard, openEmbedding } from './face-embedding.ts';
import { type Eyes, FaceTracker, type Tracking } from './face-tracker.ts';
import { openFsaNet } from './head-pose.ts';
import { openFaceMesh, openLandmarks106, openPfld } from './landmarks.ts';
import {
  ARC_FACE,
  FACE_MESH,
  FSA_NET,
  LANDMARKS_106,
  MOBILE_FACE_NET,
  PFLD,
  SCRFD,
  SFACE,
  ULTRALIGHT,
  YUNET,
} from './seeing-cards.ts';
import { type Sight, held } from './seeing-network.ts';

/** Settings of the engine `faces`. */
export const facesConfig = z.strictObject({
  detector: z
    .enum(['yunet', 'scrfd', 'ultralight'])
    .default('yunet')
    .describe('What finds faces. SCRFD’s weights are not for commercial use.'),
  landmarks: z
    .enum(['facemesh', 'pfld', '2d106det'])
    .default('facemesh')
    .describe(
      'What finds a face’s points. The weights of PFLD state no licence, those of 2d106det are not for commercial use.',
    ),
  pose: z
    .enum(['fsanet', 'landmarks'])
    .default('fsanet')
    .describe(
      'What tells where a head looks: FSA-Net, or the landmarks, which make little of a head that is turned far.',
    ),
  embedding: z
    .enum(['auto', 'none', 'sface', 'mobilefacenet', 'arcface'])
    .default('auto')
    .describe('What tells whose face it is; auto takes the first of these that has been pulled, none if none has.'),
  size: z.int().min(96).max(1920).default(320).describe('Longer edge of the picture that YuNet looks at, pixels.'),
  smallest: z
    .number()
    .min(4)
    .default(20)
    .describe('Distance of the eyes, in pixels, below which a face is too small to be driven.'),
  faces: z.int().min(1).max(16).default(4).describe('How many faces are followed, the largest first.'),
  detect: z.number().min(0).max(5_000).default(480).describe('Milliseconds between looks at the whole picture.'),
  every: z
    .number()
    .min(0)
    .max(400)
    .default(0)
    .describe(
      'Milliseconds between looks at a calm face’s landmarks, interpolated in between; 0 looks in every picture.',
    ),
  models: z
    .string()
    .min(1)
    .optional()
    .describe('Directory with a folder per network, named after its model, instead of the model store.'),
  runtime: networkSettings.prefault({}),
});
type Settings = z.output<typeof facesConfig>;

/** Scores from which something may be a face, and from which a new one begins. */
const SCORES = { yunet: [0.5, 0.7], scrfd: [0.4, 0.5], ultralight: [0.6, 0.8] } as const;

function openDetector({ detector, size }: Settings, sight: Sight, scope: Scope): Promise<FaceDetector> {
  const [least] = SCORES[detector];
  switch (detector) {
    case 'yunet':
      return openYuNet(sight, scope, size, least);
    case 'scrfd':
      return openScrfd(sight, scope, least);
    case 'ultralight':
      return openUltralight(sight, scope, least);
  }
}
const openLandmarks = { facemesh: openFaceMesh, pfld: openPfld, '2d106det': openLandmarks106 } as const;

/** The networks that these settings ask for. */
export async function openEyes(settings: Settings, scope: Scope): Promise<Eyes> {
  const sight: Sight = { directory: settings.models, settings: settings.runtime };
  const chosen =
    settings.embedding === 'auto'
      ? EMBEDDINGS.find((name) => held(embeddingCard(name), sight))
      : settings.embedding === 'none'
        ? undefined
        : settings.embedding;
  const [detector, landmarks, pose, embedding] = await Promise.all([
    openDetector(settings, sight, scope),
    openLandmarks[settings.landmarks](sight, scope),
    settings.pose === 'fsanet' ? openFsaNet(sight, scope) : undefined,
    chosen && openEmbedding(chosen, sight, scope),
  ]);
  return { detector, landmarks, pose, embedding };
}
/** How often they are asked. */
export const trackingOf = (settings: Settings): Tracking => ({
  detectEvery: ms(settings.detect),
  landmarksEvery: ms(settings.every),
  poseEvery: ms(120),
  confirmEvery: ms(80),
  embedEvery: ms(1_000),
  surely: SCORES[settings.detector][1],
  mostFaces: settings.faces,
  smallest: settings.smallest,
});

/**
 * Faces by small networks: a detector now and then, a look at each face's landmarks in every picture, and from these the
 * mouth's opening, the head's pose and why a mouth is better left alone.
 */
export const faces = defineEngine({
  kind: 'faceTracker',
  id: 'faces',
  // It runs in a picture process, which has nothing else to do meanwhile.
  host: 'inline',
  summary: 'Faces, their landmarks, pose and identity: YuNet, MediaPipe’s face mesh and FSA-Net, or other networks.',
  licence: 'BSD-3-Clause AND Apache-2.0 AND MIT',
  needs: [needsModel(YUNET), needsModel(FACE_MESH), needsModel(FSA_NET)],
  models: [YUNET, FACE_MESH, FSA_NET, SFACE, ULTRALIGHT, PFLD, MOBILE_FACE_NET, SCRFD, LANDMARKS_106, ARC_FACE],
  config: facesConfig,
  async load(settings, scope) {
    const eyes = await openEyes(settings, scope);
    const tracking = trackingOf(settings);
    return {
      kind: 'faceTracker',
      engine: 'faces',
      caps: { lookahead: ms(settings.every), mostFaces: settings.faces, embeddings: eyes.embedding !== undefined },
      async *run(input, { signal }): AsyncGenerator<Seen> {
        const tracker = new FaceTracker(eyes, tracking);
        for await (const frame of until(input, signal)) {
          // Looking blocks; what came of it is nobody's any more once the signal is there.
          const seen = await tracker.push(frame);
          if (signal.aborted) return;
          yield* seen;
        }
        if (!signal.aborted) yield* tracker.end();
      },
    };
  },
});
