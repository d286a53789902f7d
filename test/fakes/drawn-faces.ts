import { type MediaTime, at } from '../../media/time.ts';
import { UNSPECIFIED, type VideoFrame } from '../../media/video-frame.ts';
import type { Face, FaceId } from '../../pipeline/face.ts';

/** How a drawn face stands. Lengths in pixels; `eyes` between the eyes' centres, `gap` between the inner lips. */
export interface Drawn {
  readonly x: number;
  readonly y: number;
  readonly eyes: number;
  readonly gap: number;
  readonly roll?: number;
  readonly width?: number;
  readonly height?: number;
  readonly start?: MediaTime;
  readonly id?: string;
}

/** A face as a draughtsman has it: landmarks in a front view's proportions, `x`, `y` being the middle of the mouth. */
export function drawnFace({ x, y, eyes, gap, roll = 0, id = 'f1' }: Drawn): Face {
  const points: [number, number][] = [];
  const arc = (n: number, count: number) => (n / (count - 1)) * 2 - 1;
  for (let n = 0; n < 17; n += 1) points.push([arc(n, 17) * 1.05 * eyes, -0.6 * eyes + 1.25 * eyes * Math.sqrt(1 - arc(n, 17) ** 2)]); // prettier-ignore
  for (let n = 0; n < 10; n += 1) points.push([arc(n, 10) * 0.8 * eyes, -1.4 * eyes]);
  for (let n = 0; n < 4; n += 1) points.push([0, (-1.1 + 0.18 * n) * eyes]);
  for (let n = 0; n < 5; n += 1) points.push([arc(n, 5) * 0.22 * eyes, -0.42 * eyes]);
  for (const side of [-0.5, 0.5]) for (let n = 0; n < 6; n += 1) points.push([(side + 0.18 * Math.cos((n * Math.PI) / 3)) * eyes, (-1.12 + 0.06 * Math.sin((n * Math.PI) / 3)) * eyes]); // prettier-ignore
  const half = 0.38 * eyes;
  const lip = (u: number) => Math.sqrt(Math.max(0, 1 - u * u));
  for (let n = 0; n < 7; n += 1) points.push([arc(n, 7) * half, -0.12 * eyes * lip(arc(n, 7)) - 0.2 * gap * lip(arc(n, 7))]); // prettier-ignore
  for (let n = 1; n < 6; n += 1) points.push([-arc(n, 7) * half, 0.15 * eyes * lip(arc(n, 7)) + 0.8 * gap * lip(arc(n, 7))]); // prettier-ignore
  for (let n = 0; n < 5; n += 1) points.push([arc(n, 5) * half * 0.88, -0.2 * gap * lip(arc(n, 5))]);
  for (let n = 1; n < 4; n += 1) points.push([-arc(n, 5) * half * 0.88, 0.8 * gap * lip(arc(n, 5))]);
  const [cos, sin] = [Math.cos(roll), Math.sin(roll)];
  const landmarks = Float32Array.from(points.flatMap(([px, py]) => [x + px * cos - py * sin, y + px * sin + py * cos]));
  const [xs, ys] = [0, 1].map((axis) => landmarks.filter((_, n) => n % 2 === axis)) as [Float32Array, Float32Array];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  return {
    id: id as FaceId,
    box: { left, top, width: Math.max(...xs) - left, height: Math.max(...ys) - top },
    landmarks,
    pose: { yaw: 0, pitch: 0, roll: (roll * 180) / Math.PI },
    opening: gap / eyes,
    score: 1,
  };
}

/** A picture of it: skin with grain, darker lips, a dark opening. */
export function drawnPicture(drawn: Drawn): VideoFrame {
  const { x, y, eyes, gap, roll = 0, width = 320, height = 240, start = at(0) } = drawn;
  const frame = { width, height, start, colour: UNSPECIFIED, y: new Uint8Array(width * height), u: new Uint8Array((width / 2) * (height / 2)).fill(120), v: new Uint8Array((width / 2) * (height / 2)).fill(145) }; // prettier-ignore
  let seed = 7;
  const [cos, sin] = [Math.cos(roll), Math.sin(roll)];
  for (let row = 0; row < height; row += 1) {
    for (let column = 0; column < width; column += 1) {
      const [px, py] = [(column - x) * cos + (row - y) * sin, (row - y) * cos - (column - x) * sin];
      const lip = Math.sqrt(Math.max(0, 1 - (px / (0.38 * eyes)) ** 2));
      seed = (seed * 16_807) % 2_147_483_647;
      let level = 140 + (seed % 9);
      if (lip > 0 && py > -0.12 * eyes * lip - 0.2 * gap * lip && py < 0.15 * eyes * lip + 0.8 * gap * lip) level -= 35;
      if (lip > 0 && gap > 0 && py > -0.2 * gap * lip && py < 0.8 * gap * lip) level = 30;
      frame.y[row * width + column] = level;
    }
  }
  return frame;
}
