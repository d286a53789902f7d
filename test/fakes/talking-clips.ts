import { execFileSync } from 'node:child_process';
import type { Scope } from '../../media/scope.ts';
import { type MediaTime, at, seconds } from '../../media/time.ts';
import { type Box, type Patch, UNSPECIFIED, type VideoFrame } from '../../media/video-frame.ts';
import { type Network, floats, floatsOf } from '../../models/runtime/tensor.ts';
import { openOnnx } from '../../models/runtime/onnx.ts';
import type { Face, FaceId } from '../../pipeline/face.ts';
import { recording } from './recordings.ts';
import { weights } from '../weights.ts';

/** A clip with one face, and a square around it in its first picture. */
export interface Clip {
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly fps: number;
  readonly square: readonly [x: number, y: number, size: number];
}
const clip = (file: string, width: number, height: number, fps: number, ...square: [number, number, number]): Clip => ({
  file: `talking/${file}.mp4`,
  width,
  height,
  fps,
  square,
});
/** Centre and size of the square are read off a still. */
export const FACE1 = clip('video-retalking/face1', 700, 700, 30, 383, 197, 345);
export const FACE2 = clip('video-retalking/face2', 844, 844, 25, 396, 383, 500);
export const WEBCAM = clip('open-dubbing/englishvideo', 1080, 720, 30, 664, 371, 620);
/** A woman who listens with her mouth closed. */
export const LISTENER = clip('dh_live/000001', 720, 974, 30, 386, 234, 320);
export const PORTRAIT = clip('dh_live/000002', 720, 1080, 25, 348, 348, 400);

/** The first `count` pictures of a clip, decoded by FFmpeg. */
export function pictures({ file, width, height, fps }: Clip, count: number, from = 0): VideoFrame[] {
  const args = ['-v', 'error', '-i', recording(file), '-frames:v', String(from + count), '-f', 'rawvideo'];
  const bytes = execFileSync('ffmpeg', [...args, '-pix_fmt', 'yuv420p', '-'], { maxBuffer: 1 << 30 });
  return framesOf(bytes, width, height, fps).slice(from);
}
/** Planes one after the other as pictures. */
export function framesOf(bytes: Uint8Array, width: number, height: number, fps: number): VideoFrame[] {
  const luma = width * height;
  const chroma = ((width + 1) >> 1) * ((height + 1) >> 1);
  const size = luma + 2 * chroma;
  return Array.from({ length: Math.floor(bytes.length / size) }, (_, n) => {
    const plane = (begin: number, length: number) =>
      new Uint8Array(bytes.subarray(n * size + begin).subarray(0, length));
    const [y, u, v] = [plane(0, luma), plane(luma, chroma), plane(luma + chroma, chroma)];
    return { start: at(seconds(n / fps)), width, height, y, u, v, colour: UNSPECIFIED };
  });
}

export const MESH = 'face/facemesh/FaceMesh.onnx';
const SIDE = 192;
/** Of the 468 points of FaceMesh those that stand where the 68 of iBUG 300-W do. */
const SIXTY_EIGHT = [
  162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389, 71, 63, 105, 66, 107, 336, 296,
  334, 293, 301, 168, 197, 5, 4, 75, 97, 2, 326, 305, 33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380, 61, 39,
  37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
];

/** Follows the one face of a clip by FaceMesh, picture by picture. */
export class FaceFollower {
  readonly #network: Network;
  #square: readonly [x: number, y: number, size: number];
  #fresh = true;

  constructor(network: Network, { square }: Clip) {
    [this.#network, this.#square] = [network, square];
  }

  static async open(of: Clip, scope: Scope): Promise<FaceFollower> {
    return new FaceFollower(await openOnnx(weights(MESH), scope), of);
  }

  async next(frame: VideoFrame): Promise<Face> {
    let points = new Float32Array(0);
    // The square is only roughly where the face is at first.
    for (let round = this.#fresh ? 3 : 1; round > 0; round -= 1) points = await this.#look(frame);
    this.#fresh = false;
    return faceOf(points);
  }

  async #look(frame: VideoFrame): Promise<Float32Array<ArrayBuffer>> {
    const [x, y, size] = this.#square;
    const scale = size / SIDE;
    const input = new Float32Array(SIDE * SIDE * 3);
    const half = (frame.width + 1) >> 1;
    for (let row = 0; row < SIDE; row += 1) {
      const py = inside(y - size / 2 + (row + 0.5) * scale, frame.height);
      for (let column = 0; column < SIDE; column += 1) {
        const px = inside(x - size / 2 + (column + 0.5) * scale, frame.width);
        const luma = 1.164 * (frame.y[py * frame.width + px]! - 16);
        const [u, v] = [frame.u, frame.v].map((plane) => plane[(py >> 1) * half + (px >> 1)]! - 128) as [
          number,
          number,
        ];
        input.set(
          [luma + 1.596 * v, luma - 0.392 * u - 0.813 * v, luma + 2.017 * u].map(unit),
          (row * SIDE + column) * 3,
        );
      }
    }
    const made = floatsOf(
      (await this.#network.run({ input_1: floats(input, [1, SIDE, SIDE, 3]) }))['conv2d_21'],
      'mesh',
    );
    const points = new Float32Array(2 * 468);
    for (let n = 0; n < 468; n += 1) {
      points[2 * n] = x - size / 2 + made[3 * n]! * scale;
      points[2 * n + 1] = y - size / 2 + made[3 * n + 1]! * scale;
    }
    const { left, top, width, height } = boxOf(points);
    this.#square = [left + width / 2, top + height / 2, 1.5 * Math.max(width, height)];
    return points;
  }
}
const inside = (x: number, size: number) => Math.min(size - 1, Math.max(0, Math.floor(x)));
const unit = (x: number) => Math.min(1, Math.max(0, x / 255));

function boxOf(points: Float32Array): Box {
  const along = (axis: 0 | 1) => points.filter((_, n) => n % 2 === axis);
  const [left, top] = [Math.min(...along(0)), Math.min(...along(1))];
  return { left, top, width: Math.max(...along(0)) - left, height: Math.max(...along(1)) - top };
}

function faceOf(mesh: Float32Array): Face {
  const landmarks = Float32Array.from(SIXTY_EIGHT.flatMap((n) => [mesh[2 * n]!, mesh[2 * n + 1]!]));
  const mean = (axis: 0 | 1, from: number, to: number) => {
    let sum = 0;
    for (let n = from; n < to; n += 1) sum += landmarks[2 * n + axis]!;
    return sum / (to - from);
  };
  const [lx, ly, rx, ry] = [mean(0, 36, 42), mean(1, 36, 42), mean(0, 42, 48), mean(1, 42, 48)];
  const eyes = Math.hypot(rx - lx, ry - ly);
  const [nx, ny] = [landmarks[60]!, landmarks[61]!];
  const degrees = (x: number) => (Math.asin(Math.min(1, Math.max(-1, x))) * 180) / Math.PI;
  return {
    id: 'face' as FaceId,
    box: boxOf(landmarks),
    landmarks,
    // As rough as the tip of the nose tells: it stands out by about half the distance between the eyes.
    pose: {
      yaw: degrees((2 * (nx - (lx + rx) / 2)) / eyes),
      pitch: degrees(0.9 - (2 * (ny - (ly + ry) / 2)) / eyes),
      roll: (Math.atan2(ry - ly, rx - lx) * 180) / Math.PI,
    },
    opening:
      Math.hypot(landmarks[2 * 62]! - landmarks[2 * 66]!, landmarks[2 * 62 + 1]! - landmarks[2 * 66 + 1]!) / eyes,
    score: 1,
  };
}

/** What is seen of the one face in the first `count` pictures of a clip. */
export async function followed(
  of: Clip,
  count: number,
  scope: Scope,
): Promise<readonly { readonly start: MediaTime; readonly frame: VideoFrame; readonly face: Face }[]> {
  const follower = await FaceFollower.open(of, scope);
  const seen: { start: MediaTime; frame: VideoFrame; face: Face }[] = [];
  for (const frame of pictures(of, count)) seen.push({ start: frame.start, frame, face: await follower.next(frame) });
  return seen;
}

/** The patch's brightness through a Gaussian of `sigma` pixels. */
export function blurred(patch: Patch, sigma: number): Patch {
  const reach = Math.ceil(3 * sigma);
  const weights = Array.from({ length: 2 * reach + 1 }, (_, n) => Math.exp(-((n - reach) ** 2) / (2 * sigma * sigma)));
  const whole = weights.reduce((sum, weight) => sum + weight);
  const { width, height } = patch;
  const along = (plane: ArrayLike<number>, across: boolean) =>
    Float32Array.from({ length: width * height }, (_, i) => {
      const [x, y] = [i % width, Math.floor(i / width)];
      return weights.reduce((sum, weight, n) => {
        const [dx, dy] = across ? [n - reach, 0] : [0, n - reach];
        const [px, py] = [inside(x + dx, width), inside(y + dy, height)];
        return sum + (weight / whole) * plane[py * width + px]!;
      }, 0);
    });
  return { ...patch, y: Uint8Array.from(along(along(patch.y, true), false), Math.round) };
}
