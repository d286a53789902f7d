import type { Scope } from '../../media/scope.ts';
import type { VideoFrame } from '../../media/video-frame.ts';
import type { Pose } from '../../pipeline/face.ts';
import { floats, floatsOf } from '../runtime/tensor.ts';
import { ontoSquare } from '../../media/affine.ts';
import { IBUG, centreOf, pointOf, tiltOf } from '../../pipeline/ibug.ts';
import type { Region } from './landmarks.ts';
import { sampleImage } from './sample-image.ts';
import { FSA_NET } from './seeing-cards.ts';
import { type Sight, inputOf, openSeeing } from './seeing-network.ts';

const DEGREES = 180 / Math.PI;

/** How deep the tip of a nose stands out before the plane of eyes and mouth, in heights of eyes over mouth. */
const NOSE_DEPTH = 0.55;
/** Where the tip is seen between eyes (0) and mouth (1) of a face that looks into the camera; by FSA-Net on five clips. */
const NOSE_PLACE = 0.43;

/**
 * A head's pose by its 68 points alone: the tip of the nose stands out of the plane of eyes and mouth, and wanders
 * across it as the head turns. Coarse: right to some 10° up to 40°, and too small beyond.
 *
 * @see A. Gee, R. Cipolla, "Determining the gaze of faces in images", Image and Vision Computing 12(10), 1994
 */
export function landmarkPose(points: ArrayLike<number>): Pose {
  const [left, right] = [centreOf(points, IBUG.leftEye), centreOf(points, IBUG.rightEye)];
  const [lipLeft, lipRight] = [pointOf(points, IBUG.mouthLeft), pointOf(points, IBUG.mouthRight)];
  const eyes = [(left[0] + right[0]) / 2, (left[1] + right[1]) / 2] as const;
  const mouth = [(lipLeft[0] + lipRight[0]) / 2, (lipLeft[1] + lipRight[1]) / 2] as const;
  const nose = pointOf(points, IBUG.noseTip);
  const tilt = tiltOf(points);
  const [cos, sin] = [Math.cos(tilt), Math.sin(tilt)];
  const height = Math.hypot(mouth[0] - eyes[0], mouth[1] - eyes[1]) || 1;
  const foot = [eyes[0] + NOSE_PLACE * (mouth[0] - eyes[0]), eyes[1] + NOSE_PLACE * (mouth[1] - eyes[1])] as const;
  const [dx, dy] = [nose[0] - foot[0], nose[1] - foot[1]];
  const [across, along] = [(dx * cos + dy * sin) / height, (-dx * sin + dy * cos) / height];
  const angle = (part: number) => Math.asin(Math.max(-1, Math.min(1, part / NOSE_DEPTH))) * DEGREES;
  return { yaw: angle(across), pitch: angle(-along), roll: tilt * DEGREES };
}

const at = (mesh: ArrayLike<number>, n: number) => [mesh[3 * n]!, mesh[3 * n + 1]!, mesh[3 * n + 2]!] as const;
/** Points of the mesh at a head's sides, at the top of its forehead and at its chin. */
const [SIDE_LEFT, SIDE_RIGHT, FOREHEAD, CHIN] = [234, 454, 10, 152];

/**
 * A head's pose by MediaPipe's mesh, whose depth grows away from the camera: from the lines between the head's sides,
 * and from forehead to chin.
 *
 * @param tilt by how much the picture that the mesh was found in had been turned, radians
 */
export function meshPose(mesh: ArrayLike<number>, tilt: number): Pose {
  const [left, right, top, chin] = [SIDE_LEFT, SIDE_RIGHT, FOREHEAD, CHIN].map((n) => at(mesh, n)) as [
    readonly [number, number, number],
    readonly [number, number, number],
    readonly [number, number, number],
    readonly [number, number, number],
  ];
  const across = [right[0] - left[0], right[1] - left[1], right[2] - left[2]] as const;
  const down = [chin[0] - top[0], chin[1] - top[1], chin[2] - top[2]] as const;
  const yaw = Math.atan2(across[2], Math.hypot(across[0], across[1]));
  const pitch = Math.atan2(-down[2], Math.hypot(down[0], down[1]));
  const roll = Math.atan2(across[1], across[0]) + tilt;
  return { yaw: yaw * DEGREES, pitch: pitch * DEGREES, roll: roll * DEGREES };
}

export interface PoseNetwork {
  pose(frame: VideoFrame, region: Region): Promise<Pose>;
}

const SIZE = 64;
/** Edge of what it sees, in edges of the face's square. */
const MARGIN = 1.1;
/**
 * FSA-Net: the average of its two networks' yaw, pitch and roll. Its yaw is positive to the picture's left.
 *
 * @see T.-Y. Yang et al., "FSA-Net: Learning Fine-Grained Structure Aggregation for Head Pose Estimation from a Single Image", CVPR 2019
 */
export async function openFsaNet(sight: Sight, scope: Scope): Promise<PoseNetwork> {
  const networks = await openSeeing(FSA_NET, sight, scope);
  const sampling = { width: SIZE, height: SIZE, channels: 'bgr', layout: 'planes' } as const;
  return {
    async pose(frame, { x, y, edge }) {
      const onto = ontoSquare(SIZE, x, y, edge * MARGIN);
      const seen = sampleImage(frame, onto, { ...sampling, scale: 1 / 128, offset: -127.5 / 128, outside: 'edge' });
      const sum = [0, 0, 0];
      for (const network of networks) {
        const output = network.outputs[0]!.name;
        const made = await network.run({ [inputOf(network)]: floats(seen, [1, 3, SIZE, SIZE]) });
        for (const [n, angle] of floatsOf(made[output], output).entries()) sum[n]! += angle / networks.length;
      }
      return { yaw: -sum[0]!, pitch: sum[1]!, roll: sum[2]! };
    },
  };
}
