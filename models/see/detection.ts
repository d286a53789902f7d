import type { Box, VideoFrame } from '../../media/video-frame.ts';

/** A face as a detector finds it. */
export interface Detection {
  readonly box: Box;
  /** 0 … 1. */
  readonly score: number;
  /** Eyes, tip of the nose, corners of the mouth, each as x, y; left is left in the picture. Not every detector tells. */
  readonly points?: Float32Array;
}

export interface FaceDetector {
  /** Faces in a picture, or in a part of it; surest first, one per face. */
  detect(frame: VideoFrame, within?: Box): Promise<Detection[]>;
  /** Whether a look at a part of the picture costs next to nothing. */
  readonly cheap: boolean;
}

/** Intersection over union: 1 for equal boxes, 0 for boxes that do not touch. */
export function overlap(a: Box, b: Box): number {
  const width = Math.min(a.left + a.width, b.left + b.width) - Math.max(a.left, b.left);
  const height = Math.min(a.top + a.height, b.top + b.height) - Math.max(a.top, b.top);
  if (width <= 0 || height <= 0) return 0;
  const shared = width * height;
  return shared / (a.width * a.height + b.width * b.height - shared);
}

/** Non-maximum suppression: the surest of those that overlap by more than `most`, surest first. */
export function surest(found: readonly Detection[], most: number): Detection[] {
  const kept: Detection[] = [];
  for (const each of found.toSorted((a, b) => b.score - a.score)) {
    if (kept.every(({ box }) => overlap(box, each.box) <= most)) kept.push(each);
  }
  return kept;
}

/** How a picture, or a part of it, is laid into the upper left of a network's input, keeping its shape. */
export function letterbox(part: Box, width: number, height: number) {
  const scale = Math.max(part.width / width, part.height / height);
  return { a: scale, b: 0, c: part.left, d: 0, e: scale, f: part.top };
}

/** The smallest box around points. */
export function boxAround(points: ArrayLike<number>): Box {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let n = 0; n + 1 < points.length; n += 2) {
    left = Math.min(left, points[n]!);
    right = Math.max(right, points[n]!);
    top = Math.min(top, points[n + 1]!);
    bottom = Math.max(bottom, points[n + 1]!);
  }
  return { left, top, width: right - left, height: bottom - top };
}
