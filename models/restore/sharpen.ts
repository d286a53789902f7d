import { z } from 'zod';
import { grown, holds } from '../../media/box.ts';
import { ms } from '../../media/time.ts';
import type { Patch } from '../../media/video-frame.ts';
import type { Driven, Rough } from '../../pipeline/face.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { until } from '../../pipeline/until.ts';
import { defineEngine } from '../engine.ts';
import { type MouthPlace, mouthMask, mouthPlace, patchOf } from './mouth-place.ts';
import { edgesOf, sharpnessOf } from './sharpness.ts';

/** A mouth that is so nearly as sharp as the face around it is left as it is. */
const ALIKE = 0.93;
/** What a mouth is brought to, and the most that may come of it. */
const AIM = 1;
const MOST = 1.08;
/** The strongest step, in parts of what makes a blurred edge a straight one. */
const STRONGEST = 4;
/** How far a pixel may go beyond the lightest and the darkest around it, in parts of their distance: more is a halo. */
const BEYOND = 0.08;
/** Detail up to a 70th of the distance between the eyes counts; what is finer is noise where faces are large. */
const FINEST = 1 / 70;
/** Steps towards the aim: the second and third mend what bounds took from the first. */
const STEPS = 4;
/** Rows that are looked at of a face around a mouth, and of a mouth. */
const ROWS = 30;

const reachOf = ({ eyes }: MouthPlace): number => Math.min(4, Math.max(1, Math.ceil(eyes * FINEST)));

/** How sharp the face is around the mouth, outside of what is driven. Nothing where there are no edges to tell by. */
export function sharpnessAround({ frame }: Pick<Rough, 'frame'>, place: MouthPlace): number | undefined {
  const { around, mouth } = place;
  const plane = { data: frame.y, width: frame.width, height: frame.height };
  const every = Math.max(1, Math.floor(around.height / ROWS));
  return sharpnessOf(edgesOf(plane, around, reachOf(place), every, (x, y) => !holds(mouth, x, y)));
}
/** How sharp the mouth in a patch is. */
export function sharpnessWithin(patch: Patch, place: MouthPlace): number | undefined {
  const { mouth, eyes } = place;
  const { left, top, width, height } = mouth;
  const inner = grown({ left: 0, top: 0, width: patch.width, height: patch.height }, -Math.max(2, 0.08 * eyes));
  const [x, y] = [Math.max(inner.left, left - patch.left), Math.max(inner.top, top - patch.top)];
  const right = Math.min(inner.left + inner.width, left - patch.left + width);
  const bottom = Math.min(inner.top + inner.height, top - patch.top + height);
  const box = { left: x, top: y, width: right - x, height: bottom - y };
  return sharpnessOf(
    edgesOf(
      { data: patch.y, width: patch.width, height: patch.height },
      box,
      reachOf(place),
      Math.max(1, Math.floor(box.height / ROWS)),
    ),
  );
}

/** Where a patch is to become sharper, what it gains there by a step of 1, and between what it must stay. */
interface Gain {
  readonly places: Int32Array;
  readonly gains: Float32Array;
  readonly lows: Float32Array;
  readonly highs: Float32Array;
}
function gainOf({ width, height, y: luma }: Patch, mask: Float32Array, reach: number): Gain {
  const places = new Int32Array(width * height);
  const [gains, lows, highs] = [0, 1, 2].map(() => new Float32Array(width * height)) as [
    Float32Array,
    Float32Array,
    Float32Array,
  ];
  const down = reach * width;
  let count = 0;
  for (let row = reach; row < height - reach; row += 1) {
    for (let i = row * width + reach, end = (row + 1) * width - reach; i < end; i += 1) {
      const weight = mask[i]!;
      if (weight === 0) continue;
      const here = luma[i]!;
      const west = luma[i - reach]!;
      const east = luma[i + reach]!;
      const north = luma[i - down]!;
      const south = luma[i + down]!;
      const low = Math.min(here, west, east, north, south);
      const high = Math.max(here, west, east, north, south);
      const slack = BEYOND * (high - low);
      places[count] = i;
      gains[count] = (weight * (4 * here - west - east - north - south)) / 4;
      lows[count] = low - slack;
      highs[count] = high + slack;
      count += 1;
    }
  }
  return { places: places.subarray(0, count), gains, lows, highs };
}
/** The patch after a step. */
function stepped(patch: Patch, { places, gains, lows, highs }: Gain, by: number): Patch {
  const y = patch.y.slice();
  for (let n = 0; n < places.length; n += 1) {
    const i = places[n]!;
    const made = y[i]! + by * gains[n]!;
    const low = lows[n]!;
    const high = highs[n]!;
    y[i] = (made < low ? low : made > high ? high : made) + 0.5;
  }
  return { ...patch, y };
}

/**
 * A driven picture whose mouth is as sharp as the face around it: where it is blurrier, an unsharp step, strong enough but no
 * stronger than {@link STRONGEST}, is taken at the scale of the face. Brightness alone; colours are as they were.
 *
 * The patch's border is not touched. A mouth that is sharp enough is left as it is, to the bit.
 */
export function sharpened(rough: Rough): Driven {
  const { driven, face } = rough;
  const place = mouthPlace(face.landmarks);
  const which = patchOf(driven.patches, place);
  const patch = driven.patches[which];
  if (!patch) return driven;
  const [wanted, found] = [sharpnessAround(rough, place), sharpnessWithin(patch, place)];
  if (wanted === undefined || found === undefined || found >= ALIKE * wanted) return driven;
  const gain = gainOf(patch, mouthMask(patch, place, 1), reachOf(place));
  let best = patch;
  // The step that is known to be too small, how sharp it makes the mouth, and the one that is known to be too much.
  let [least, reached, most] = [0, found, STRONGEST];
  let by = Math.min(STRONGEST, (AIM * wanted) / Math.max(1e-3, found) - 1);
  for (let step = 0; step < STEPS; step += 1) {
    const tried = stepped(patch, gain, by);
    const now = sharpnessWithin(tried, place) ?? 0;
    if (now <= MOST * wanted && now > reached) {
      [best, least, reached] = [tried, by, now];
      if (now >= ALIKE * wanted || by >= STRONGEST) break;
    } else most = by;
    const further = now > found ? ((AIM * wanted - found) / (now - found)) * by : STRONGEST;
    by = further > least && further < most ? further : (least + most) / 2;
  }
  return { ...driven, patches: driven.patches.with(which, best) };
}

/** {@link sharpened} as a stage. */
export const SHARPEN: Stage<'restorer'> = {
  kind: 'restorer',
  engine: 'sharpen',
  caps: { lookahead: ms(0) },
  async *run(input, { signal }) {
    for await (const rough of until(input, signal)) yield sharpened(rough);
  },
};

/** Brings a driven mouth to the sharpness of the face around it, by an unsharp step. */
export const sharpen = defineEngine({
  kind: 'restorer',
  id: 'sharpen',
  host: 'inline',
  summary: 'A driven mouth is made as sharp as the face around it; no network.',
  licence: 'GPL-3.0-or-later',
  needs: [],
  config: z.strictObject({}),
  load: () => Promise.resolve(SHARPEN),
});
