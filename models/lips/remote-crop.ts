import { type Box, type Patch, type Planes, cutOut, evenBox } from '../../media/video-frame.ts';
import type { Face } from '../../pipeline/face.ts';

/** A face cut out of its picture, and where its mouth may be replaced. */
export interface Crop {
  readonly box: Box;
  readonly planes: Patch;
}

/** How far a face may move within its crop before the crop follows it, in parts of the crop's side. */
const SLACK = 1 / 24;

/**
 * Where one face is cut out over a take: squares of one size, so that a network sees the head hold still, which move in
 * steps, so that they do not tremble.
 */
export class CropPath {
  readonly side: number;
  #centre: readonly [x: number, y: number] | undefined;

  /** @param margin what is added to the face on each side, in parts of its longer edge */
  constructor({ box }: Face, margin: number, within: Pick<Planes, 'width' | 'height'>) {
    const wanted = Math.ceil(Math.max(box.width, box.height) * (1 + 2 * margin) + 1) & ~1;
    this.side = Math.max(2, Math.min(wanted, within.width & ~1, within.height & ~1));
  }

  /** The square around the face; it lies within the picture. */
  at({ box }: Face, within: Pick<Planes, 'width' | 'height'>): Box {
    const [x, y] = [box.left + box.width / 2, box.top + box.height / 2];
    const before = this.#centre;
    const far = before && Math.max(Math.abs(before[0] - x), Math.abs(before[1] - y)) > this.side * SLACK;
    const centre = before && !far ? before : ([x, y] as const);
    this.#centre = centre;
    const place = (middle: number, most: number) =>
      Math.max(0, Math.min((most & ~1) - this.side, Math.round(middle - this.side / 2) & ~1));
    const [left, top] = [place(centre[0], within.width), place(centre[1], within.height)];
    return { left, top, width: this.side, height: this.side };
  }
}

const byte = (value: number) => (value < 0 ? 0 : value > 255 ? 255 : Math.round(value));

/** The outline of what speech moves: along the jaw, and over the upper lip below the nose. Indices of iBUG's 68 points. */
const LOWER_FACE = [3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 33];
/** How far the edge of a replaced region is spread, in parts of the distance between the mouth's corners. */
const FEATHER = 0.15;

/** How much of each pixel is replaced, 0 … 255, over a box. */
export interface Mask {
  readonly box: Box;
  readonly weights: Uint8Array;
}

/** Where a driven mouth is seen, with soft edges; `box` is in the picture. */
export function mouthMask(landmarks: Float32Array, within: Box): Mask {
  const point = (n: number) => [landmarks[2 * n]!, landmarks[2 * n + 1]!] as const;
  const outline = LOWER_FACE.map(point);
  const [a, b] = [point(48), point(54)];
  const radius = Math.max(1, Math.round(FEATHER * Math.hypot(a[0] - b[0], a[1] - b[1])));
  const xs = outline.map(([x]) => x);
  const ys = outline.map(([, y]) => y);
  const around = {
    left: Math.min(...xs) - 2 * radius,
    top: Math.min(...ys) - 2 * radius,
    width: Math.max(...xs) - Math.min(...xs) + 4 * radius,
    height: Math.max(...ys) - Math.min(...ys) + 4 * radius,
  };
  const [left, top] = [Math.max(around.left, within.left), Math.max(around.top, within.top)];
  const right = Math.min(around.left + around.width, within.left + within.width);
  const bottom = Math.min(around.top + around.height, within.top + within.height);
  const clipped = { left, top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) };
  const box = evenBox(clipped, { width: within.left + within.width, height: within.top + within.height });
  const filled = new Float32Array(box.width * box.height);
  for (let row = 0; row < box.height; row += 1) {
    const crossings: number[] = [];
    const line = box.top + row + 0.5;
    for (const [n, [x0, y0]] of outline.entries()) {
      const [x1, y1] = outline[(n + 1) % outline.length]!;
      if (y0 <= line !== y1 <= line) crossings.push(x0 + ((line - y0) / (y1 - y0)) * (x1 - x0));
    }
    crossings.sort((p, q) => p - q);
    for (let n = 0; n + 1 < crossings.length; n += 2) {
      const begin = Math.max(0, Math.round(crossings[n]! - box.left));
      const end = Math.min(box.width, Math.round(crossings[n + 1]! - box.left));
      filled.fill(1, row * box.width + begin, row * box.width + Math.max(begin, end));
    }
  }
  const soft = blurred(blurred(filled, box.width, box.height, radius), box.width, box.height, radius);
  return { box, weights: Uint8Array.from(soft, (value) => Math.round(255 * value)) };
}

/** The mean over squares of `2 radius + 1`; what lies outside counts as 0. */
function blurred(values: Float32Array, width: number, height: number, radius: number): Float32Array {
  const pass = (from: Float32Array, count: number, length: number, step: number, stride: number) => {
    const to = new Float32Array(from.length);
    for (let line = 0; line < count; line += 1) {
      let sum = 0;
      for (let n = 0; n < length + radius; n += 1) {
        if (n < length) sum += from[line * stride + n * step]!;
        if (n > 2 * radius) sum -= from[line * stride + (n - 2 * radius - 1) * step] ?? 0;
        if (n >= radius) to[line * stride + (n - radius) * step] = sum / (2 * radius + 1);
      }
    }
    return to;
  };
  return pass(pass(values, height, width, 1, width), width, height, width, 1);
}

/**
 * What of the original is to be replaced: the driven crop where the mask says so, mixed with the original by the mask and
 * by `weight` (0 … 1).
 */
export function feathered(original: Patch, driven: Planes, { box, weights }: Mask, weight: number): Patch | undefined {
  if (box.width === 0 || box.height === 0 || weight <= 0) return undefined;
  const inside = { ...box, left: box.left - original.left, top: box.top - original.top };
  const [old, fresh] = [cutOut(original, inside), cutOut(driven, inside)];
  const most = 255 / Math.min(1, weight);
  const y = old.y.map((value, n) => byte(value + ((fresh.y[n]! - value) * weights[n]!) / most));
  const half = box.width >> 1;
  const chroma = (from: Uint8Array, to: Uint8Array) =>
    from.map((value, n) => {
      const at = 2 * Math.floor(n / half) * box.width + 2 * (n % half);
      const share = (weights[at]! + weights[at + 1]! + weights[at + box.width]! + weights[at + box.width + 1]!) / 4;
      return byte(value + ((to[n]! - value) * share) / most);
    });
  return { ...box, y, u: chroma(old.u, fresh.u), v: chroma(old.v, fresh.v) };
}
