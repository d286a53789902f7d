import { type Interval, overlaps } from '../media/time.ts';
import type { Face, FaceId, Seen, Unfit } from './face.ts';
import { type Sightings, faceIn } from './sightings.ts';

/** Pictures over which a driven mouth fades in and out. */
export const FADE = 3;

/** Which face a take drives, and when. */
export interface DrivenFace extends Interval {
  readonly face: FaceId;
}
/** A face that is to be driven in one picture, or why none is. */
export type Aim =
  { readonly face: Face; readonly weight: number } | { readonly face: undefined; readonly why: Unfit | 'nobody' };

/** Why the bound face cannot be driven in a picture. */
function unfitness(seen: Seen, bound: readonly DrivenFace[]): { face: Face } | { why: Unfit | 'nobody' } {
  const who = bound.find(({ start, end }) => seen.start >= start && seen.start < end);
  if (!who) return { why: 'nobody' };
  const face = faceIn(seen, who.face);
  if (!face) return { why: 'lost' };
  return face.unfit ? { why: face.unfit } : { face };
}

/**
 * The face to drive in the picture at `seen.start`, and how much of it: pictures beside one in which it cannot be driven, or
 * beside the ends of the take, are driven in part.
 *
 * @param sightings must hold {@link FADE} pictures behind `seen`, unless nothing follows
 */
export function aim(seen: Seen, take: Interval, bound: readonly DrivenFace[], sightings: Sightings): Aim {
  const here = unfitness(seen, bound);
  if (!('face' in here)) return { face: undefined, why: here.why };
  const { before, behind } = sightings.beside(seen.start, FADE);
  const same = (other: Seen) => {
    if (!overlaps({ start: other.start, end: (other.start + 1) as Seen['start'] }, take)) return false;
    const there = unfitness(other, bound);
    return 'face' in there && there.face.id === here.face.id;
  };
  const run = (others: readonly Seen[]) => {
    const stop = others.findIndex((other) => !same(other));
    // Where the programme begins or ends there is nothing to fade from.
    return stop < 0 ? FADE : stop;
  };
  const nearest = Math.min(run(before.toReversed()), run(behind));
  return { face: here.face, weight: Math.min(1, (nearest + 1) / (FADE + 1)) };
}
