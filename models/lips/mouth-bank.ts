import { bilinear } from '../../media/bilinear.ts';
import type { Planes, VideoFrame } from '../../media/video-frame.ts';
import { RIM } from './lower-face.ts';
import type { Outline } from './mouth-outline.ts';

/**
 * An interior's luma is as large as it was seen, within these bounds, since what is scaled flickers; chroma has half of it.
 * Rows go from a little above the opening to a little below it.
 */
const MOST = { width: 160, height: 96 } as const;
const LEAST = { width: 16, height: 4 } as const;
const PAINTING = { width: 72, height: 40 } as const;

/** Openings (distances between the eyes) and widths (parts of the resting width) that are kept apart. */
const OPENINGS = [0, 0.015, 0.03, 0.055, 0.085, 0.115, 0.15, 0.19, 0.24, 0.3];
const WIDTHS = [0, 0.93, 1.04];
/** What is seen this much better, as a ratio, takes a place; so does anything after so many looks. */
const BETTER = 1.15;
const STALE = 1_500;
/** A painted interior is as bad as one that is too small or too large by this factor's logarithm. */
const PAINTED = 0.7;
/** What is shown already is kept unless another is better by this. */
const KEEP = 0.12;

/** Mean colour of the skin about a mouth. */
export interface Skin {
  readonly y: number;
  readonly u: number;
  readonly v: number;
}

/** What is to be seen between lips: `columns` × `rows` of luma, half of both (even numbers) of chroma. */
export interface Interior {
  readonly columns: number;
  readonly rows: number;
  readonly y: Float32Array;
  readonly u: Float32Array;
  readonly v: Float32Array;
  /** Distances between the eyes. */
  readonly opening: number;
  /** Against the width at rest. */
  readonly width: number;
  /** How bright it is against the skin: teeth are, a dark cavity is not. */
  readonly bright: number;
  /** The skin in the same light. */
  readonly skin: Skin;
  readonly painted: boolean;
}
interface Place {
  readonly interior: Interior;
  readonly quality: number;
  readonly seen: number;
}

const half = (size: number) => (size + 1) >> 1;

/** The skin beside, above and below a mouth. */
export function skinOf(frame: Planes, outline: Outline): Skin {
  const { origin, cos, sin, left, right, eyes } = outline;
  const sum = [0, 0, 0];
  let count = 0;
  const spots: (readonly [number, number])[] = [];
  for (const x of [left - 0.18 * eyes, left - 0.1 * eyes, right + 0.1 * eyes, right + 0.18 * eyes]) {
    for (const y of [-0.12, 0, 0.12, 0.24]) spots.push([x, y * eyes]);
  }
  for (const share of [-0.5, -0.25, 0.25, 0.5]) {
    const x = share * (right - left);
    spots.push([x, (outline.upperOuter(x) + outline.nose) / 2], [x, outline.lowerOuter(x) + 0.1 * eyes]);
  }
  for (const [x, y] of spots) {
    const [px, py] = [origin[0] + x * cos - y * sin, origin[1] + x * sin + y * cos];
    sum[0]! += bilinear(frame.y, frame.width, frame.height, px, py);
    sum[1]! += bilinear(frame.u, half(frame.width), half(frame.height), px / 2, py / 2);
    sum[2]! += bilinear(frame.v, half(frame.width), half(frame.height), px / 2, py / 2);
    count += 1;
  }
  return { y: sum[0]! / count, u: sum[1]! / count, v: sum[2]! / count };
}

/** Cuts the mouth's opening out of a picture. */
export function interiorOf(frame: VideoFrame, outline: Outline, rest: number, skin: Skin): Interior {
  const { origin, cos, sin, innerLeft, innerRight } = outline;
  const even = (size: number, least: number, most: number) => 2 * Math.round(Math.min(most, Math.max(least, size)) / 2);
  const width = even(innerRight - innerLeft, LEAST.width, MOST.width);
  const height = even(outline.gap * (1 + 2 * RIM), LEAST.height, MOST.height);
  const take = (plane: Uint8Array, pw: number, ph: number, scale: number) => {
    const [w, h] = [width / scale, height / scale];
    const out = new Float32Array(w * h);
    for (let column = 0; column < w; column += 1) {
      const x = innerLeft + ((column + 0.5) / w) * (innerRight - innerLeft);
      const top = outline.upperInner(x);
      const opening = Math.max(0, outline.lowerInner(x) - top);
      for (let row = 0; row < h; row += 1) {
        const y = top + (((row + 0.5) / h) * (1 + 2 * RIM) - RIM) * opening;
        const [px, py] = [origin[0] + x * cos - y * sin, origin[1] + x * sin + y * cos];
        out[row * w + column] = bilinear(plane, pw, ph, px / scale, py / scale);
      }
    }
    return out;
  };
  const [cw, ch] = [half(frame.width), half(frame.height)];
  const y = take(frame.y, frame.width, frame.height, 1);
  const [u, v] = [take(frame.u, cw, ch, 2), take(frame.v, cw, ch, 2)];
  const opening = outline.gap / outline.eyes;
  const width_ = (outline.right - outline.left) / outline.eyes / rest;
  return { columns: width, rows: height, y, u, v, opening, width: width_, bright: brightness(y, width, height, skin), skin, painted: false }; // prettier-ignore
}

function brightness(y: Float32Array, columns: number, rows: number, skin: Skin): number {
  let sum = 0;
  let count = 0;
  for (let row = Math.floor(rows * 0.2); row < rows * 0.6; row += 1) {
    for (let column = columns >> 2; column < (3 * columns) >> 2; column += 1) {
      sum += y[row * columns + column]!;
      count += 1;
    }
  }
  return (sum / count - 16) / Math.max(20, skin.y - 16);
}

/**
 * A mouth's interior as a painter would have it, for speakers who have not opened theirs yet: a dark cavity, the edge of
 * the upper teeth, a tongue below.
 */
export function painted(opening: number, skin: Skin): Interior {
  const { width, height } = PAINTING;
  const light = Math.max(20, skin.y - 16);
  const lum = new Float32Array(width * height);
  const [u, v] = [new Float32Array((width * height) / 4), new Float32Array((width * height) / 4)];
  const band = Math.min(0.5, 0.055 / Math.max(0.02, opening));
  const step = (x: number, soft: number) => Math.min(1, Math.max(0, 0.5 + x / soft));
  for (let row = 0; row < height; row += 1) {
    const t = ((row + 0.5) / height) * (1 + 2 * RIM) - RIM;
    for (let column = 0; column < width; column += 1) {
      const x = ((column + 0.5) / width) * 2 - 1;
      const dark = 0.13 + 0.1 * x * x;
      const arch = band * (1 - 0.35 * x * x);
      const tooth = step(t - 0.03, 0.06) * step(arch - t, 0.1) * step(0.78 - Math.abs(x), 0.3);
      const seam = 1 - 0.1 * Math.max(0, 1 - Math.abs((((Math.abs(x) + 1e-3) % 0.24) - 0.12) * 18 - 2.1));
      const tongue = step(t - (0.7 + 0.5 * x * x), 0.35) * Math.min(1, opening / 0.12) * 0.8;
      const tone = dark + tongue * 0.3;
      lum[row * width + column] = 16 + light * (tone + tooth * (0.74 * seam * (1 - 0.35 * Math.abs(x)) - tone));
      if (row % 2 === 0 && column % 2 === 0) {
        const c = (row / 2) * (width / 2) + column / 2;
        u[c] = 128 + (skin.u - 128) * (1 - tooth * 0.5) * 0.5;
        v[c] = 128 + (skin.v - 128) * (0.6 + 0.6 * tongue) * (1 - tooth * 0.6) + 3 * (1 - tooth);
      }
    }
  }
  return { columns: width, rows: height, y: lum, u, v, opening, width: 1, bright: brightness(lum, width, height, skin), skin, painted: true }; // prettier-ignore
}

/** What one speaker's mouth was seen to hold, at several openings and widths; bounded. */
export class MouthBank {
  readonly #places = new Map<number, Place>();
  #looks = 0;

  get size(): number {
    return this.#places.size;
  }
  static get most(): number {
    return OPENINGS.length * WIDTHS.length;
  }

  /** Keeps the mouth of a picture if it shows something better than before. `rest` is the resting width, distances between the eyes. */
  look(frame: VideoFrame, outline: Outline, rest: number, turned: number): void {
    this.#looks += 1;
    const opening = outline.gap / outline.eyes;
    const width = (outline.right - outline.left) / outline.eyes / rest;
    const place = OPENINGS.findLastIndex((least) => opening >= least) * WIDTHS.length + WIDTHS.findLastIndex((least) => width >= least); // prettier-ignore
    const quality = outline.eyes * (1 - Math.min(0.8, turned / 60));
    const before = this.#places.get(place);
    if (before && quality < before.quality * BETTER && this.#looks - before.seen < STALE) return;
    const interior = interiorOf(frame, outline, rest, skinOf(frame, outline));
    this.#places.set(place, { interior, quality, seen: this.#looks });
  }

  /** What fits an opening best. `teeth`: how bright it should be, 0 … 1. `shown` is kept where it is about as good. */
  pick(opening: number, width: number, teeth: number, skin: Skin, shown: Interior | undefined): Interior {
    let best: Interior | undefined;
    let least = Infinity;
    const judge = (interior: Interior, extra: number) => {
      const ratio = Math.log((opening + 0.02) / (interior.opening + 0.02));
      // Drawing a small interior out shows more than cutting a large one down.
      const size = ratio > 0 ? 1.4 * ratio : -ratio;
      const cost = size + 0.8 * Math.abs(width - interior.width) + 0.15 * Math.abs(teeth * 0.8 - interior.bright) + extra - (interior === shown ? KEEP : 0); // prettier-ignore
      if (cost < least) [best, least] = [interior, cost];
    };
    for (const { interior } of this.#places.values()) judge(interior, 0);
    if (least < PAINTED && best) return best;
    if (shown?.painted) judge(shown, PAINTED);
    for (const degree of [0.03, 0.08, 0.15, 0.25]) {
      if (PAINTED + Math.abs(Math.log((opening + 0.02) / (degree + 0.02))) < least)
        judge(painted(degree, skin), PAINTED);
    }
    return best ?? painted(opening, skin);
  }
}
