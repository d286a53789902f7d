import type { MediaTime } from './time.ts';

/** How Y'CbCr numbers stand for colours, by ITU-T H.273 code points; 2 is "unspecified". */
export interface Colour {
  /** `limited`: luma 16…235, chroma 16…240. `full`: 0…255. */
  readonly range: 'limited' | 'full';
  readonly primaries: number;
  readonly transfer: number;
  readonly matrix: number;
}
export const UNSPECIFIED: Colour = { range: 'limited', primaries: 2, transfer: 2, matrix: 2 };

/** Planes of 8 bit Y'CbCr 4:2:0, rows without padding: `width × height` luma, half of each (rounded up) chroma. */
export interface Planes {
  readonly width: number;
  readonly height: number;
  readonly y: Uint8Array;
  readonly u: Uint8Array;
  readonly v: Uint8Array;
}

/** A decoded picture. Whoever gets one may keep it; nobody writes to it. */
export interface VideoFrame extends Planes {
  readonly start: MediaTime;
  readonly colour: Colour;
}

/** Planes that take the place of a part of a picture. `left`, `top`, `width` and `height` are even. */
export interface Patch extends Planes {
  readonly left: number;
  readonly top: number;
}

export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

const half = (size: number) => (size + 1) >> 1;

/** Planes full of black. */
export function blank(width: number, height: number): Planes {
  const chroma = half(width) * half(height);
  const [u, v] = [new Uint8Array(chroma).fill(128), new Uint8Array(chroma).fill(128)];
  return { width, height, y: new Uint8Array(width * height).fill(16), u, v };
}

/** The smallest box with even edges around `box` that lies within the picture; its size may be 0. */
export function evenBox({ left, top, width, height }: Box, within: Pick<Planes, 'width' | 'height'>): Box {
  const [most, deepest] = [within.width & ~1, within.height & ~1];
  const x = Math.min(most, Math.max(0, Math.floor(left) & ~1));
  const y = Math.min(deepest, Math.max(0, Math.floor(top) & ~1));
  const right = Math.min(most, Math.max(x, (Math.ceil(left + width) + 1) & ~1));
  const bottom = Math.min(deepest, Math.max(y, (Math.ceil(top + height) + 1) & ~1));
  return { left: x, top: y, width: right - x, height: bottom - y };
}

/** A copy of a part of a picture; `box` has even edges within it ({@link evenBox}). */
export function cutOut(frame: Planes, box: Box): Patch {
  const { left, top, width, height } = box;
  const plane = (from: Uint8Array, stride: number, x: number, y: number, w: number, h: number) => {
    const part = new Uint8Array(w * h);
    for (let row = 0; row < h; row += 1) {
      const begin = (y + row) * stride + x;
      part.set(from.subarray(begin, begin + w), row * w);
    }
    return part;
  };
  const stride = half(frame.width);
  const chroma = [left >> 1, top >> 1, width >> 1, height >> 1] as const;
  return {
    left,
    top,
    width,
    height,
    y: plane(frame.y, frame.width, left, top, width, height),
    u: plane(frame.u, stride, ...chroma),
    v: plane(frame.v, stride, ...chroma),
  };
}

/** A copy of the picture with the patches on it, the last on top. Without patches it is the picture itself. */
export function patched<F extends Planes>(frame: F, patches: readonly Patch[]): F {
  if (patches.length === 0) return frame;
  const copy = { ...frame, y: frame.y.slice(), u: frame.u.slice(), v: frame.v.slice() };
  const lay = (to: Uint8Array, stride: number, from: Uint8Array, x: number, y: number, w: number, h: number) => {
    for (let row = 0; row < h; row += 1) to.set(from.subarray(row * w, (row + 1) * w), (y + row) * stride + x);
  };
  const stride = half(frame.width);
  for (const { left, top, width, height, y, u, v } of patches) {
    lay(copy.y, frame.width, y, left, top, width, height);
    lay(copy.u, stride, u, left >> 1, top >> 1, width >> 1, height >> 1);
    lay(copy.v, stride, v, left >> 1, top >> 1, width >> 1, height >> 1);
  }
  return copy;
}
