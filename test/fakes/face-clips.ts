import { execFileSync } from 'node:child_process';
import { Scope } from '../../media/scope.ts';
import type { Box, VideoFrame } from '../../media/video-frame.ts';
import { openOnnx } from '../../models/runtime/onnx.ts';
import { floats, floatsOf } from '../../models/runtime/tensor.ts';
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

const SEARCHED = 320;

/** The largest face in each of the pictures, in parts of their side. YuNet, as libfacedetection.train decodes it. */
async function largestFaces(bgr: Uint8Array): Promise<Box[]> {
  await using scope = new Scope('faces');
  const network = await openOnnx(weights('face/yunet/yunet_n_dynamic.onnx'), scope);
  const plane = SEARCHED * SEARCHED;
  const boxes: Box[] = [];
  for (let picture = 0; picture < bgr.length / plane / 3; picture += 1) {
    const input = new Float32Array(3 * plane);
    for (let i = 0; i < plane; i += 1) {
      for (let c = 0; c < 3; c += 1) input[c * plane + i] = bgr[(picture * plane + i) * 3 + c]!;
    }
    const made = await network.run({ input: floats(input, [1, 3, SEARCHED, SEARCHED]) });
    let best: Box = { left: 0, top: 0, width: 0, height: 0 };
    for (const stride of [8, 16, 32]) {
      const [cls, obj, box] = ['cls', 'obj', 'bbox'].map((name) =>
        floatsOf(made[`${name}_${stride}`], `${name}_${stride}`),
      ) as [Float32Array, Float32Array, Float32Array];
      const across = SEARCHED / stride;
      for (let n = 0; n < cls.length; n += 1) {
        if (Math.sqrt(cls[n]! * obj[n]!) < 0.7) continue;
        const part = (i: number) => box[n * 4 + i]!;
        const [width, height] = [(Math.exp(part(2)) * stride) / SEARCHED, (Math.exp(part(3)) * stride) / SEARCHED];
        if (width <= best.width) continue;
        const left = (((n % across) + part(0)) * stride) / SEARCHED - width / 2;
        const top = ((Math.floor(n / across) + part(1)) * stride) / SEARCHED - height / 2;
        best = { left, top, width, height };
      }
    }
    boxes.push(best);
  }
  return boxes;
}

/** A recording of one face, made `side` pixels square and so many pictures a second, with the face followed. */
export async function film(name: string, id: string, { side = 360, rate = 25 } = {}): Promise<Film> {
  const square = `fps=${rate},crop='min(iw,ih)':'min(iw,ih)':(iw-ow)/2:0,scale=${side}:${side}`;
  const frames = videoFrames(recording(name), { width: side, height: side, rate, filters: square });
  const searched = `fps=${rate},crop='min(iw,ih)':'min(iw,ih)':(iw-ow)/2:0,scale=${SEARCHED}:${SEARCHED},select='not(mod(n,${EVERY}))'`;
  const args = [
    '-v',
    'error',
    '-i',
    recording(name),
    '-vf',
    searched,
    '-an',
    '-f',
    'rawvideo',
    '-pix_fmt',
    'bgr24',
    '-',
  ];
  const boxes = await largestFaces(new Uint8Array(execFileSync('ffmpeg', args, { maxBuffer: 1 << 30 })));
  const seen = frames.map(({ start }, n) => {
    const before = boxes[Math.min(boxes.length - 1, Math.floor(n / EVERY))]!;
    const after = boxes[Math.min(boxes.length - 1, Math.floor(n / EVERY) + 1)]!;
    const mix = (key: keyof Box) => side * (before[key] + ((after[key] - before[key]) * (n % EVERY)) / EVERY);
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
