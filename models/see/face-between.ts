import type { Box } from '../../media/video-frame.ts';
import type { Face, Pose } from '../../pipeline/face.ts';

const mix = (a: number, b: number, part: number) => a + (b - a) * part;
const mixBox = (a: Box, b: Box, part: number): Box => ({
  left: mix(a.left, b.left, part),
  top: mix(a.top, b.top, part),
  width: mix(a.width, b.width, part),
  height: mix(a.height, b.height, part),
});
const mixPose = (a: Pose, b: Pose, part: number): Pose => ({
  yaw: mix(a.yaw, b.yaw, part),
  pitch: mix(a.pitch, b.pitch, part),
  roll: mix(a.roll, b.roll, part),
});

/** A face between two pictures of it, `part` (0 … 1) of the way: in a straight line, and unfit where either is. */
export function faceBetween(before: Face, after: Face, part: number): Face {
  const unfit = before.unfit ?? after.unfit;
  return {
    id: before.id,
    box: mixBox(before.box, after.box, part),
    landmarks: before.landmarks.map((value, n) => mix(value, after.landmarks[n]!, part)),
    pose: mixPose(before.pose, after.pose, part),
    opening: mix(before.opening, after.opening, part),
    score: mix(before.score, after.score, part),
    ...(unfit ? { unfit } : {}),
  };
}

/** The faces between two looks: those of the look before, moved towards where the look after has them. */
export function facesBetween(before: readonly Face[], after: readonly Face[] | undefined, part: number): Face[] {
  return before.map((face) => {
    const then = after?.find(({ id }) => id === face.id);
    if (then) return faceBetween(face, then, part);
    // Whose embedding it was has been said.
    const { embedding: _, ...rest } = face;
    return after ? { ...rest, unfit: rest.unfit ?? 'lost' } : rest;
  });
}
