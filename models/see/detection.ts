import { overlap } from '../../media/box.ts';
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
