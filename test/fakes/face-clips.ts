import { Scope } from '../../media/scope.ts';
import type { Box, VideoFrame } from '../../media/video-frame.ts';
import { openYuNet } from '../../models/see/detectors.ts';
import type { Seen } from '../../pipeline/face.ts';
import { weights } from '../weights.ts';
import { decode, recording } from './recordings.ts';
import { faceAt } from './seen-faces.ts';
import { videoFrames } from './video-frames.ts';

/** Pictures with the faces in them. */
export interface Film {
  readonly frames: readonly VideoFrame[];
  readonly seen: readonly Seen[];
}

/** Of every how many pictures faces are looked for; they are taken to move evenly in between. */
const EVERY = 5;

/** The widest face of every {@link EVERY}th picture as the detector draws it, whatever the mouth does. */
async function widestFaces(frames: readonly VideoFrame[]): Promise<Box[]> {
  await using scope = new Scope('faces');
  const yunet = await openYuNet({ directory: weights('face') }, scope, 320, 0.7);
  const boxes: Box[] = [];
  for (let n = 0; n < frames.length; n += EVERY) {
    const found = await yunet.detect(frames[n]!);
    const [{ box } = { box: NOWHERE }] = found.toSorted((a, b) => b.box.width - a.box.width);
    boxes.push(box);
  }
  return boxes;
}
const NOWHERE: Box = { left: 0, top: 0, width: 0, height: 0 };

/** A recording of one face, made `side` pixels square and so many pictures a second, with the face followed. */
export async function film(name: string, id: string, { side = 360, rate = 25 } = {}): Promise<Film> {
  const square = `fps=${rate},crop='min(iw,ih)':'min(iw,ih)':(iw-ow)/2:0,scale=${side}:${side}`;
  const frames = videoFrames(recording(name), { width: side, height: side, rate, filters: square });
  const boxes = await widestFaces(frames);
  const seen = frames.map(({ start }, n) => {
    const before = boxes[Math.min(boxes.length - 1, Math.floor(n / EVERY))]!;
    const after = boxes[Math.min(boxes.length - 1, Math.floor(n / EVERY) + 1)]!;
    const mix = (key: keyof Box) => before[key] + ((after[key] - before[key]) * (n % EVERY)) / EVERY;
    const box = { left: mix('left'), top: mix('top'), width: mix('width'), height: mix('height') };
    return { start, cut: n === 0, faces: [faceAt(id, box)] };
  });
  return { frames, seen };
}

/** Two films of one height side by side, as long as the shorter one. */
export function beside(left: Film, right: Film): Film {
  const count = Math.min(left.frames.length, right.frames.length);
  const join = (a: Uint8Array, b: Uint8Array, wide: number, wider: number, height: number) => {
    const both = new Uint8Array((wide + wider) * height);
    for (let row = 0; row < height; row += 1) {
      both.set(a.subarray(row * wide, (row + 1) * wide), row * (wide + wider));
      both.set(b.subarray(row * wider, (row + 1) * wider), row * (wide + wider) + wide);
    }
    return both;
  };
  const frames = left.frames.slice(0, count).map((a, n): VideoFrame => {
    const b = right.frames[n]!;
    const chroma = [a.width / 2, b.width / 2, a.height / 2] as const;
    return {
      ...a,
      width: a.width + b.width,
      y: join(a.y, b.y, a.width, b.width, a.height),
      u: join(a.u, b.u, ...chroma),
      v: join(a.v, b.v, ...chroma),
    };
  });
  const seen = left.seen.slice(0, count).map((a, n) => ({
    ...a,
    faces: [
      ...a.faces,
      ...right.seen[n]!.faces.map((face) => ({
        ...face,
        box: { ...face.box, left: face.box.left + left.frames[0]!.width },
      })),
    ],
  }));
  return { frames, seen };
}

/** What is heard of a recording, 16 kHz mono. */
export const soundOf = (name: string): Float32Array => decode(recording(name), 16_000);
