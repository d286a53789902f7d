import type { Scope } from '../../media/scope.ts';
import type { Box, VideoFrame } from '../../media/video-frame.ts';
import type { Pose } from '../../pipeline/face.ts';
import { floats, floatsOf } from '../runtime/tensor.ts';
import { type Affine, movedPoints, ontoSquare } from '../../media/affine.ts';
import { INSIGHT_TO_IBUG, MESH_TO_IBUG, picked } from './ibug-points.ts';
import { meshPose } from './head-pose.ts';
import { type Sampling, sampleImage } from './sample-image.ts';
import { FACE_MESH, LANDMARKS_106, PFLD } from './seeing-cards.ts';
import { type Sight, inputOf, openOne } from './seeing-network.ts';

/** Where a face is looked at. */
export interface Region {
  readonly x: number;
  readonly y: number;
  /** Edge of a square just around the face, pixels. */
  readonly edge: number;
  /** By how much the head is tilted clockwise, radians. */
  readonly tilt: number;
}
export const regionOf = ({ left, top, width, height }: Box, tilt = 0): Region => ({
  x: left + width / 2,
  y: top + height / 2,
  edge: Math.max(width, height),
  tilt,
});

/** What a landmark network says of one face. */
export interface Marks {
  /** 68 points of iBUG as x, y in the picture's pixels. */
  readonly points: Float32Array;
  /** Of networks that know depth. */
  readonly pose?: Pose;
}
export interface LandmarkNetwork {
  mark(frame: VideoFrame, region: Region): Promise<Marks>;
}

/** How a network looks at a face. */
interface Look {
  readonly size: number;
  /** Edge of what it sees, in edges of the face's square. */
  readonly margin: number;
  readonly sampling: Pick<Sampling, 'channels' | 'layout' | 'scale' | 'offset'>;
}
const look = ({ size, sampling }: Look, frame: VideoFrame, onto: Affine, out?: Float32Array) =>
  sampleImage(frame, onto, { ...sampling, width: size, height: size, outside: 'edge' }, out);
const ontoRegion = ({ size, margin }: Look, { x, y, edge, tilt }: Region) =>
  ontoSquare(size, x, y, edge * margin, tilt);

const MESH: Look = {
  size: 192,
  margin: 1.5,
  sampling: { channels: 'rgb', layout: 'pixels', scale: 1 / 255, offset: 0 },
};
/**
 * MediaPipe's face mesh: 468 points, of which 68 are kept; the rest with its depth tells the head's pose.
 *
 * @see Y. Kartynnik et al., "Real-time Facial Surface Geometry from Monocular Video on Mobile GPUs", CVPR workshops 2019
 */
export async function openFaceMesh(sight: Sight, scope: Scope): Promise<LandmarkNetwork> {
  const network = await openOne(FACE_MESH, sight, scope);
  const [input, output] = [inputOf(network), network.outputs[0]!.name];
  /** What was seen before, to be written over; nothing while somebody looks at it. */
  let spare: Float32Array | undefined;
  return {
    async mark(frame, region) {
      const onto = ontoRegion(MESH, region);
      const seen = look(MESH, frame, onto, spare);
      spare = undefined;
      const made = await network.run({ [input]: floats(seen, [1, MESH.size, MESH.size, 3]) });
      spare = seen;
      const mesh = floatsOf(made[output], output);
      return { points: movedPoints(picked(mesh, MESH_TO_IBUG, 3), onto), pose: meshPose(mesh, region.tilt) };
    },
  };
}

const SMALL: Look = {
  size: 112,
  margin: 1.1,
  sampling: { channels: 'rgb', layout: 'planes', scale: 1 / 255, offset: 0 },
};
/**
 * PFLD: the 68 points, in parts of the network's picture.
 *
 * @see X. Guo et al., "PFLD: A Practical Facial Landmark Detector", arXiv:1902.10859
 */
export async function openPfld(sight: Sight, scope: Scope): Promise<LandmarkNetwork> {
  const network = await openOne(PFLD, sight, scope);
  const [input, output] = [inputOf(network), network.outputs[0]!.name];
  return {
    async mark(frame, region) {
      const onto = ontoRegion(SMALL, region);
      const seen = look(SMALL, frame, onto);
      const made = await network.run({ [input]: floats(seen, [1, 3, SMALL.size, SMALL.size]) });
      const points = floatsOf(made[output], output).map((part) => part * SMALL.size);
      return { points: movedPoints(points, onto) };
    },
  };
}

/** Its first layers take the mean away themselves, so it sees 0 … 255. */
const WIDE: Look = { size: 192, margin: 1.5, sampling: { channels: 'rgb', layout: 'planes', scale: 1, offset: 0 } };
/**
 * InsightFace's 2d106det: 106 points, −1 … 1 across the network's picture, of which 68 are kept.
 *
 * @see https://github.com/deepinsight/insightface/blob/master/python-package/insightface/model_zoo/landmark.py
 */
export async function openLandmarks106(sight: Sight, scope: Scope): Promise<LandmarkNetwork> {
  const network = await openOne(LANDMARKS_106, sight, scope);
  const [input, output] = [inputOf(network), network.outputs[0]!.name];
  return {
    async mark(frame, region) {
      // It was taught with upright squares.
      const onto = ontoRegion(WIDE, { ...region, tilt: 0 });
      const seen = look(WIDE, frame, onto);
      const made = await network.run({ [input]: floats(seen, [1, 3, WIDE.size, WIDE.size]) });
      const points = floatsOf(made[output], output).map((part) => (part + 1) * (WIDE.size / 2));
      return { points: movedPoints(picked(points, INSIGHT_TO_IBUG), onto) };
    },
  };
}
