import type { Scope } from '../../media/scope.ts';
import type { VideoFrame } from '../../media/video-frame.ts';
import type { ModelCard } from '../store/weights.ts';
import { floats, floatsOf } from '../runtime/tensor.ts';
import { inverse, similarity } from '../../media/affine.ts';
import { fivePoints } from '../../pipeline/ibug.ts';
import { sampleImage } from './sample-image.ts';
import { ARC_FACE, MOBILE_FACE_NET, SFACE } from './seeing-cards.ts';
import { type Sight, inputOf, openOne } from './seeing-network.ts';

/** Whose face it is, as a vector of unit length. */
export interface FaceEmbedding {
  /** @param landmarks 68 points of iBUG */
  embed(frame: VideoFrame, landmarks: ArrayLike<number>): Promise<Float32Array>;
}

const SIZE = 112;
/**
 * Where eyes, tip of the nose and corners of the mouth lie in a picture of 112 × 112.
 *
 * @see J. Deng et al., "ArcFace: Additive Angular Margin Loss for Deep Face Recognition", CVPR 2019; face_align.py of InsightFace
 */
const TEMPLATE = [38.2946, 51.6963, 73.5318, 51.5014, 56.0252, 71.7366, 41.5493, 92.3655, 70.7299, 92.2041];

/** Vectors of unit length; a vector of zeros stays one. */
export function normalised(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  return length > 0 ? vector.map((x) => x / length) : vector;
}

/** What these networks differ in: how they see a channel's 0 … 255. */
const LOOKS = {
  // Its first layers take the mean away themselves (OpenCV's FaceRecognizerSF gives it 0 … 255).
  sface: { card: SFACE, scale: 1, offset: 0 },
  mobilefacenet: { card: MOBILE_FACE_NET, scale: 1 / 128, offset: -127.5 / 128 },
  arcface: { card: ARC_FACE, scale: 1 / 127.5, offset: -1 },
} as const satisfies Record<string, { card: ModelCard; scale: number; offset: number }>;
export type Embedding = keyof typeof LOOKS;
export const EMBEDDINGS = Object.keys(LOOKS) as readonly Embedding[];
export const embeddingCard = (name: Embedding): ModelCard => LOOKS[name].card;

export async function openEmbedding(name: Embedding, sight: Sight, scope: Scope): Promise<FaceEmbedding> {
  const { card, scale, offset } = LOOKS[name];
  const network = await openOne(card, sight, scope);
  const [input, output] = [inputOf(network), network.outputs[0]!.name];
  const sampling = { width: SIZE, height: SIZE, channels: 'rgb', layout: 'planes', scale, offset } as const;
  return {
    async embed(frame, landmarks) {
      const onto = inverse(similarity(fivePoints(landmarks), TEMPLATE));
      const seen = sampleImage(frame, onto, { ...sampling, outside: 'edge' });
      const made = await network.run({ [input]: floats(seen, [1, 3, SIZE, SIZE]) });
      return normalised(floatsOf(made[output], output));
    },
  };
}
