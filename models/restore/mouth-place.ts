import { boxAround, grown, holds } from '../../media/box.ts';
import { smoothstep } from '../../media/smoothstep.ts';
import type { Box, Patch } from '../../media/video-frame.ts';
import { IBUG, eyeDistance } from '../../pipeline/ibug.ts';

/** Where a mouth is: pixels of the picture's luma plane. */
export interface MouthPlace {
  /** Distance between the eyes' centres. */
  readonly eyes: number;
  /** The lips and a little of what is around them. */
  readonly mouth: Box;
  /** From the bridge of the nose to the chin, as wide as the cheeks beside the mouth. */
  readonly around: Box;
}

/** @param landmarks 68 points as in `Face` */
export function mouthPlace(landmarks: Float32Array): MouthPlace {
  const eyes = eyeDistance(landmarks);
  const mouth = grown(boxAround(landmarks, IBUG.mouth), 0.1 * eyes);
  const [top, bottom] = [landmarks[2 * 29 + 1]!, landmarks[2 * 8 + 1]!];
  const beside = 0.4 * eyes;
  const around = { left: mouth.left - beside, top, width: mouth.width + 2 * beside, height: Math.max(0, bottom - top) };
  return { eyes, mouth, around };
}

/** Which of a driven picture's patches has the mouth in it; -1 where none has. */
export const patchOf = (patches: readonly Patch[], { mouth }: MouthPlace): number =>
  patches.findIndex((patch) => holds(patch, mouth.left + mouth.width / 2, mouth.top + mouth.height / 2));

/** Where the mask ends, in parts of how far it is whole. */
const OUTER = 1.35;

/**
 * How much of what is made for the mouth is seen at each pixel of the patch: 1 over the lips, falling to 0 around them, and 0
 * in the patch's outermost pixels, which are as the picture.
 *
 * @param size 1 for every pixel, 2 for the chroma planes' pixels
 */
export function mouthMask(patch: Patch, { mouth, eyes }: MouthPlace, size: 1 | 2): Float32Array {
  const [width, height] = [patch.width / size, patch.height / size];
  const [cx, cy] = [mouth.left + mouth.width / 2 - patch.left, mouth.top + mouth.height / 2 - patch.top];
  const [rx, ry] = [mouth.width / 2 + 0.15 * eyes, mouth.height / 2 + 0.2 * eyes];
  const feather = Math.max(2, 0.08 * eyes);
  const mask = new Float32Array(width * height);
  for (let row = 0; row < height; row += 1) {
    const dy = ((row + 0.5) * size - 0.5 - cy) / ry;
    const fromEdge = Math.min(row, height - 1 - row) * size;
    for (let column = 0; column < width; column += 1) {
      const dx = ((column + 0.5) * size - 0.5 - cx) / rx;
      const away = dx * dx + dy * dy;
      if (away >= OUTER * OUTER) continue;
      const inside = Math.min(fromEdge, Math.min(column, width - 1 - column) * size) / feather;
      mask[row * width + column] = smoothstep(inside) * smoothstep((OUTER - Math.sqrt(away)) / (OUTER - 1));
    }
  }
  return mask;
}
