import { execFileSync } from 'node:child_process';
import { Scope } from '../../media/scope.ts';
import { at } from '../../media/time.ts';
import { type Box, UNSPECIFIED, type VideoFrame } from '../../media/video-frame.ts';
import { openOnnx } from '../../models/runtime/onnx.ts';
import { type Network, floats } from '../../models/runtime/tensor.ts';
import type { Face, FaceId } from '../../pipeline/face.ts';
import { weights } from '../weights.ts';

/** Networks that look at faces in tests of drivers: YuNet finds the first one, FaceMesh follows it. */
export const FACE_WEIGHTS = ['face/yunet/yunet_n_dynamic.onnx', 'face/facemesh/FaceMesh.onnx'] as const;

/** Pictures of a file, `width × height` (even), as they are. */
export function picturesOf(file: string, width: number, height: number, fps = 25, most = 1_000): VideoFrame[] {
  const filters = `fps=${fps},scale=${width}:${height}`;
  const args = ['-v', 'error', '-i', file, '-frames:v', String(most), '-vf', filters, '-pix_fmt', 'yuv420p', '-f', 'rawvideo', '-']; // prettier-ignore
  const bytes = execFileSync('ffmpeg', args, { maxBuffer: 2 ** 31 });
  const [luma, chroma] = [width * height, (width / 2) * (height / 2)];
  const size = luma + 2 * chroma;
  return Array.from({ length: bytes.length / size }, (_, n): VideoFrame => {
    const from = n * size;
    const plane = (start: number, length: number) =>
      new Uint8Array(bytes.subarray(from + start, from + start + length));
    const [y, u, v] = [plane(0, luma), plane(luma, chroma), plane(luma + chroma, chroma)];
    return { width, height, y, u, v, start: at((n * 1e6) / fps), colour: UNSPECIFIED };
  });
}

/** FaceMesh's points that stand for those of iBUG 300-W. */
const IBUG = [
  [127, 234, 93, 58, 172, 136, 150, 176, 152, 400, 379, 365, 397, 288, 323, 454, 356],
  [70, 63, 105, 66, 107, 336, 296, 334, 293, 300],
  [168, 197, 5, 4, 75, 97, 2, 326, 305],
  [33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380],
  [61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181],
  [78, 82, 13, 312, 308, 317, 14, 87],
].flat();
const [UPPER_LIP, LOWER_LIP] = [13, 14];
const EYES = [
  [33, 133],
  [362, 263],
] as const;
const INPUT = 192;

/** Red, green and blue of a point, 0 … 255 (BT.601, limited range). */
function colourAt({ width, height, y, u, v }: VideoFrame, px: number, py: number, to: Float32Array): void {
  const x = Math.min(width - 1, Math.max(0, Math.round(px)));
  const row = Math.min(height - 1, Math.max(0, Math.round(py)));
  const c = (row >> 1) * ((width + 1) >> 1) + (x >> 1);
  const [luma, cb, cr] = [1.164 * (y[row * width + x]! - 16), u[c]! - 128, v[c]! - 128];
  const clip = (value: number) => Math.min(255, Math.max(0, value));
  to[0] = clip(luma + 1.596 * cr);
  to[1] = clip(luma - 0.392 * cb - 0.813 * cr);
  to[2] = clip(luma + 2.017 * cb);
}

/** Follows one face through pictures. */
export class MeshFaces {
  readonly #detector: Network;
  readonly #mesh: Network;
  readonly #id: FaceId;
  #points: Float32Array | undefined;

  constructor(detector: Network, mesh: Network, id: string) {
    this.#detector = detector;
    this.#mesh = mesh;
    this.#id = id as FaceId;
  }

  static async open(scope: Scope, id = 'f1'): Promise<MeshFaces> {
    const [detector, mesh] = await Promise.all(FACE_WEIGHTS.map((file) => openOnnx(weights(file), scope)));
    return new MeshFaces(detector!, mesh!, id);
  }

  /** The face of a picture, `undefined` where there is none. */
  async look(frame: VideoFrame): Promise<Face | undefined> {
    const found = this.#points ? undefined : await this.#detect(frame);
    if (!this.#points && !found) return undefined;
    // Once more around what was found makes up for a box that fitted badly.
    for (let pass = this.#points ? 1 : 0; pass < 2; pass += 1) this.#points = await this.#meshOf(frame, found);
    return faceOf(this.#id, this.#points!);
  }

  async #detect(frame: VideoFrame): Promise<Box | undefined> {
    const [w, h] = [Math.ceil(frame.width / 32) * 32, Math.ceil(frame.height / 32) * 32];
    const input = new Float32Array(3 * w * h);
    const rgb = new Float32Array(3);
    for (let y = 0; y < frame.height; y += 1) {
      for (let x = 0; x < frame.width; x += 1) {
        colourAt(frame, x, y, rgb);
        for (let c = 0; c < 3; c += 1) input[c * w * h + y * w + x] = rgb[2 - c]!;
      }
    }
    const out = await this.#detector.run({ input: floats(input, [1, 3, h, w]) });
    let best: Box | undefined;
    let most = 0.5;
    for (const stride of [8, 16, 32]) {
      const [cls, obj, box] = ['cls', 'obj', 'bbox'].map((name) => out[`${name}_${stride}`]!.data as Float32Array);
      for (let n = 0; n < cls!.length; n += 1) {
        const score = Math.sqrt(cls![n]! * obj![n]!);
        if (score <= most) continue;
        most = score;
        const [column, row] = [n % (w / stride), Math.floor(n / (w / stride))];
        const [dx, dy, dw, dh] = box!.subarray(4 * n, 4 * n + 4);
        const [width, height] = [Math.exp(dw!) * stride, Math.exp(dh!) * stride];
        best = { left: (column + dx!) * stride - width / 2, top: (row + dy!) * stride - height / 2, width, height };
      }
    }
    return best;
  }

  async #meshOf(frame: VideoFrame, found: Box | undefined): Promise<Float32Array> {
    const points = this.#points;
    const { left, top, width, height } = points ? boundsOf(points) : found!;
    const side = 1.5 * Math.max(width, height);
    const [cx, cy] = [left + width / 2, top + height / 2];
    const [a, b] = points ? EYES.map((eye) => centre(points, eye)) : [];
    const roll = a && b ? Math.atan2(b[1] - a[1], b[0] - a[0]) : 0;
    const [cos, sin, step] = [Math.cos(roll), Math.sin(roll), side / INPUT];
    const input = new Float32Array(INPUT * INPUT * 3);
    const rgb = new Float32Array(3);
    // Averages four points of each cell, which a large face needs.
    const inner = step > 1.5 ? [-0.25, 0.25] : [0];
    for (let y = 0; y < INPUT; y += 1) {
      for (let x = 0; x < INPUT; x += 1) {
        const to = (y * INPUT + x) * 3;
        for (const oy of inner) {
          for (const ox of inner) {
            const [u, v] = [(x + ox - INPUT / 2) * step, (y + oy - INPUT / 2) * step];
            colourAt(frame, cx + u * cos - v * sin, cy + u * sin + v * cos, rgb);
            for (let c = 0; c < 3; c += 1) input[to + c]! += rgb[c]! / 255 / inner.length ** 2;
          }
        }
      }
    }
    const out = await this.#mesh.run({ input_1: floats(input, [1, INPUT, INPUT, 3]) });
    const mesh = Object.values(out)[0]!.data as Float32Array;
    return Float32Array.from({ length: 936 }, (_, n) => {
      const [u, v] = [(mesh[3 * (n >> 1)]! - INPUT / 2) * step, (mesh[3 * (n >> 1) + 1]! - INPUT / 2) * step];
      return n & 1 ? cy + u * sin + v * cos : cx + u * cos - v * sin;
    });
  }
}

type Point = readonly [number, number];
const pointOf = (points: Float32Array, n: number): Point => [points[2 * n]!, points[2 * n + 1]!];
const apart = ([ax, ay]: Point, [bx, by]: Point) => Math.hypot(ax - bx, ay - by);
function centre(points: Float32Array, of: readonly number[]): Point {
  const all = of.map((n) => pointOf(points, n));
  return [all.reduce((sum, [x]) => sum + x, 0) / all.length, all.reduce((sum, [, y]) => sum + y, 0) / all.length];
}
function boundsOf(points: Float32Array): Box {
  let [left, top, right, bottom] = [Infinity, Infinity, -Infinity, -Infinity];
  for (let n = 0; n < points.length; n += 2) {
    [left, right] = [Math.min(left, points[n]!), Math.max(right, points[n]!)];
    [top, bottom] = [Math.min(top, points[n + 1]!), Math.max(bottom, points[n + 1]!)];
  }
  return { left, top, width: right - left, height: bottom - top };
}

function faceOf(id: FaceId, mesh: Float32Array): Face {
  const [a, b] = [centre(mesh, EYES[0]), centre(mesh, EYES[1])];
  const nose = pointOf(mesh, 1);
  const eyes = apart(a, b);
  const across = ((nose[0] - (a[0] + b[0]) / 2) * (b[0] - a[0]) + (nose[1] - (a[1] + b[1]) / 2) * (b[1] - a[1])) / eyes;
  return {
    id,
    box: boundsOf(mesh),
    landmarks: Float32Array.from(IBUG.flatMap((n) => pointOf(mesh, n))),
    // Coarse: where the nose's tip is between the eyes.
    pose: { yaw: Math.max(-60, Math.min(60, (across / eyes) * 80)), pitch: 0, roll: (Math.atan2(b[1] - a[1], b[0] - a[0]) * 180) / Math.PI }, // prettier-ignore
    opening: apart(pointOf(mesh, UPPER_LIP), pointOf(mesh, LOWER_LIP)) / eyes,
    score: 1,
  };
}

/** What is seen of one face in every picture. */
export async function facesIn(frames: readonly VideoFrame[], id = 'f1'): Promise<(Face | undefined)[]> {
  await using scope = new Scope('faces');
  const eyes = await MeshFaces.open(scope, id);
  const faces: (Face | undefined)[] = [];
  for (const frame of frames) faces.push(await eyes.look(frame));
  return faces;
}
