import { type Interval, type MediaTime, type Span, at, between, earlier, ms, seconds } from '../media/time.ts';
import type { Box, VideoFrame } from '../media/video-frame.ts';
import type { Face, FaceId, FaceStrip, Scene, Seen } from './face.ts';
import { IBUG, centreOf, eyeDistance, pointOf } from './ibug.ts';

/** Width and height of a strip's pictures. */
export const STRIP = 112;
/** Pictures of a strip are this far apart, and lie on whole multiples of it. */
export const STRIP_STEP = ms(40);

/** What stands for what lies outside the picture. */
const OUTSIDE = 110;

/**
 * A face in grey, 112 × 112, luma stretched to 0 … 255: the square around the middle of its box that is as wide as the
 * box's longer side. Each pixel is the mean of what it covers, or is interpolated where the face is small.
 *
 * LR-ASD is trained on whole boxes (its dataLoader.py) and shown 0.7 of them by its own demonstration (its
 * Columbia_test.py). On three people who speak and one who does not, whole boxes told them further apart.
 *
 * @see https://github.com/Junhua-Liao/LR-ASD
 */
export function greyFace({ width, height, y, colour }: VideoFrame, box: Box): Uint8Array {
  const side = Math.max(box.width, box.height);
  const left = box.left + box.width / 2 - side / 2;
  const top = box.top + box.height / 2 - side / 2;
  const pixel = side / STRIP;
  // Points along each side of a pixel, so that no column of the picture is left out.
  const points = Math.min(6, Math.max(1, Math.ceil(pixel)));
  const columns = sampled(left, pixel, points, width);
  const rows = sampled(top, pixel, points, height);
  const [floor, gain] = colour.range === 'limited' ? [16, 255 / 219] : [0, 1];
  const grey = new Uint8Array(STRIP * STRIP);
  for (let row = 0; row < STRIP; row += 1) {
    for (let column = 0; column < STRIP; column += 1) {
      let sum = 0;
      for (let m = row * points; m < (row + 1) * points; m += 1) {
        const above = rows.from[m]!;
        if (above < 0) {
          sum += points * OUTSIDE;
          continue;
        }
        const below = Math.min(height - 1, above + 1) * width;
        const upper = above * width;
        const down = rows.part[m]!;
        for (let n = column * points; n < (column + 1) * points; n += 1) {
          const x = columns.from[n]!;
          if (x < 0) {
            sum += OUTSIDE;
            continue;
          }
          const next = Math.min(width - 1, x + 1);
          const right = columns.part[n]!;
          const over = y[upper + x]! + (y[upper + next]! - y[upper + x]!) * right;
          const under = y[below + x]! + (y[below + next]! - y[below + x]!) * right;
          sum += (over + (under - over) * down - floor) * gain;
        }
      }
      grey[row * STRIP + column] = Math.max(0, Math.min(255, sum / (points * points) + 0.5));
    }
  }
  return grey;
}

/** Where the sampling points of one side lie: the pixel before each, −1 outside the picture, and how far beyond it. */
function sampled(begin: number, pixel: number, points: number, size: number) {
  const from = new Int32Array(STRIP * points);
  const part = new Float32Array(STRIP * points);
  for (let n = 0; n < from.length; n += 1) {
    const place = begin + ((n + 0.5) * pixel) / points - 0.5;
    if (place < -0.5 || place > size - 0.5) {
      from[n] = -1;
      continue;
    }
    const inside = Math.max(0, Math.min(size - 1, place));
    from[n] = Math.floor(inside);
    part[n] = inside - from[n]!;
  }
  return { from, part };
}

/** The strip's square around a face, in distances of its eyes, and how far its middle lies below them. */
const SQUARE = 3.2;
const BELOW = 0.42;
/** The base of the nose lies that much of the eyes' distance below them, about; of a head that is turned, only that can be seen whole. */
const NOSE = 1.15;
/** And the middle goes sideways with it by this part of the way. */
const ASIDE = 0.35;

/**
 * The square that is cut out of a picture for a face: hung up at the eyes and the nose, which stay where they are while
 * somebody speaks. A box that is drawn around the chin goes up and down with it, and makes a still of a moving mouth. Where
 * the landmarks are not known it is the face's box.
 */
export function stripBox({ box, landmarks }: Pick<Face, 'box' | 'landmarks'>): Box {
  const eyes = eyeDistance(landmarks);
  if (!(eyes > 0)) return box;
  const [left, right] = [centreOf(landmarks, IBUG.leftEye), centreOf(landmarks, IBUG.rightEye)];
  const [x, y] = [(left[0] + right[0]) / 2, (left[1] + right[1]) / 2];
  const nose = pointOf(landmarks, IBUG.noseBase);
  const size = Math.max(eyes, Math.hypot(nose[0] - x, nose[1] - y) * NOSE);
  const side = SQUARE * size;
  const [middle, centre] = [x + (nose[0] - x) * ASIDE, y + BELOW * size];
  return { left: middle - side / 2, top: centre - side / 2, width: side, height: side };
}

interface Crop {
  readonly off: Span;
  readonly grey: Uint8Array;
}
const slotOf = (t: MediaTime) => Math.round(t / STRIP_STEP);

/**
 * The strips of everybody who is seen: keeps the last seconds of each face, 25 pictures a second whatever the picture
 * rate, and makes scenes of them. A picture stands for the multiple of 40 ms that it is nearest to.
 */
export class FaceStrips {
  readonly #keep: Span;
  readonly #most: number;
  readonly #crops = new Map<FaceId, Map<number, Crop>>();

  /**
   * @param keep how far back scenes may reach
   * @param most faces that are kept; of more, the one that was not seen for longest goes
   */
  constructor({ keep = seconds(12), most = 8 }: { keep?: Span; most?: number } = {}) {
    this.#keep = keep;
    this.#most = most;
  }

  /** A picture with what is seen in it, in order of time. */
  push(frame: VideoFrame, { faces }: Pick<Seen, 'faces'>): void {
    const slot = slotOf(frame.start);
    const off = Math.abs(between(at(slot * STRIP_STEP), frame.start)) as Span;
    for (const face of faces) {
      const { id } = face;
      const crops = this.#crops.get(id) ?? new Map<number, Crop>();
      // Set again, so that the map's first is the one not seen for longest.
      this.#crops.delete(id);
      this.#crops.set(id, crops);
      if ((crops.get(slot)?.off ?? Infinity) > off) crops.set(slot, { off, grey: greyFace(frame, stripBox(face)) });
    }
    const oldest = slotOf(earlier(frame.start, this.#keep));
    for (const [id, crops] of this.#crops) {
      for (const each of crops.keys()) {
        if (each >= oldest) break;
        crops.delete(each);
      }
      if (crops.size === 0 || this.#crops.size > this.#most) this.#crops.delete(id);
    }
  }

  /**
   * The scene of an interval, widened to whole pictures, with every face that is in it for at least `least` pictures.
   *
   * @param listen gives the sound of an interval, 16 kHz mono
   */
  scene({ start, end }: Interval, listen: (within: Interval) => Float32Array, least = 3): Scene {
    const first = Math.floor(start / STRIP_STEP);
    const count = Math.max(1, Math.ceil(end / STRIP_STEP) - first);
    const faces: FaceStrip[] = [];
    for (const [id, crops] of this.#crops) {
      const there = [...crops].filter(([slot]) => slot >= first && slot < first + count);
      if (there.length < Math.min(least, count)) continue;
      const grey = new Uint8Array(count * STRIP * STRIP);
      let latest = there[0]![1].grey;
      for (let n = 0; n < count; n += 1) {
        latest = crops.get(first + n)?.grey ?? latest;
        grey.set(latest, n * STRIP * STRIP);
      }
      faces.push({ id, grey });
    }
    const within = { start: at(first * STRIP_STEP), end: at((first + count) * STRIP_STEP) };
    return { ...within, faces, pcm: listen(within) };
  }
}
