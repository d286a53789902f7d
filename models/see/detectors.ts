import type { Scope } from '../../media/scope.ts';
import type { Box, VideoFrame } from '../../media/video-frame.ts';
import { type Tensors, floats, floatsOf } from '../runtime/tensor.ts';
import { ontoBox } from '../../media/affine.ts';
import { type Detection, type FaceDetector, letterbox, surest } from './detection.ts';
import { type Sampling, sampleImage } from './sample-image.ts';
import { SCRFD, ULTRALIGHT, YUNET } from './seeing-cards.ts';
import { type Sight, inputOf, openOne } from './seeing-network.ts';

/** Boxes that overlap by more are one face. */
const SAME_FACE = 0.4;
const whole = ({ width, height }: VideoFrame): Box => ({ left: 0, top: 0, width, height });

/** How a detector's answer lies in the picture. */
interface Scaling {
  readonly scale: number;
  readonly left: number;
  readonly top: number;
}
const laid = (x: number, y: number, width: number, height: number, { scale, left, top }: Scaling): Box => ({
  left: left + x * scale,
  top: top + y * scale,
  width: width * scale,
  height: height * scale,
});
const pointsAt = (values: Float32Array, at: number, step: number, x: number, y: number, scaling: Scaling) =>
  Float32Array.from({ length: 10 }, (_, n) =>
    n % 2 === 0
      ? scaling.left + (x + values[at + n]! * step) * scaling.scale
      : scaling.top + (y + values[at + n]! * step) * scaling.scale,
  );

/**
 * What YuNet's outputs say: per cell of 8, 16 and 32 pixels a class, an objectness, a box (shift of the centre in
 * cells, logarithm of the size in cells) and five points (shifts in cells).
 *
 * @see W. Wu, H. Peng, S. Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20, 2023
 */
export function readYuNet(made: Tensors, width: number, height: number, least: number, scaling: Scaling): Detection[] {
  const found: Detection[] = [];
  for (const step of [8, 16, 32]) {
    const [classes, objects, boxes, points] = ['cls', 'obj', 'bbox', 'kps'].map((name) =>
      floatsOf(made[`${name}_${step}`], `${name}_${step}`),
    ) as [Float32Array, Float32Array, Float32Array, Float32Array];
    const columns = width / step;
    for (let n = 0; n < columns * (height / step); n += 1) {
      const score = Math.sqrt(Math.max(0, classes[n]!) * Math.max(0, objects[n]!));
      if (score < least) continue;
      const [x, y] = [(n % columns) * step, Math.floor(n / columns) * step];
      const [w, h] = [Math.exp(boxes[4 * n + 2]!) * step, Math.exp(boxes[4 * n + 3]!) * step];
      const [cx, cy] = [x + boxes[4 * n]! * step, y + boxes[4 * n + 1]! * step];
      found.push({
        box: laid(cx - w / 2, cy - h / 2, w, h, scaling),
        score: Math.min(1, score),
        points: pointsAt(points, 10 * n, step, x, y, scaling),
      });
    }
  }
  return surest(found, SAME_FACE);
}

/** Edge of the square in which a part of the picture is looked at. */
const GLANCE = 96;

/** YuNet on pictures made `size` pixels wide or high, whichever is longer, and on parts of them made small. */
export async function openYuNet(sight: Sight, scope: Scope, size: number, least: number): Promise<FaceDetector> {
  const network = await openOne(YUNET, sight, scope);
  const name = inputOf(network);
  return {
    cheap: true,
    async detect(frame, within) {
      const part = within ?? whole(frame);
      const shrink = size / Math.max(part.width, part.height);
      const edge = (length: number) => Math.max(32, Math.ceil((length * shrink) / 32) * 32);
      const [width, height] = within ? [GLANCE, GLANCE] : [edge(part.width), edge(part.height)];
      const onto = letterbox(part, width, height);
      const sampling: Sampling = {
        width,
        height,
        channels: 'bgr',
        layout: 'planes',
        scale: 1,
        offset: 0,
        outside: 'black',
      };
      const seen = sampleImage(frame, onto, sampling);
      const made = await network.run({ [name]: floats(seen, [1, 3, height, width]) });
      return readYuNet(made, width, height, least, { scale: onto.a, left: part.left, top: part.top });
    },
  };
}

/**
 * What SCRFD's outputs say: for two anchors per cell of 8, 16 and 32 pixels a score, the distances of a box's edges and
 * of five points from the cell's corner, in cells. Which output is which is told by its last dimension and its length.
 *
 * @see J. Guo et al., "Sample and Computation Redistribution for Efficient Face Detection", ICLR 2022
 */
export function readScrfd(made: Tensors, size: number, least: number, scaling: Scaling): Detection[] {
  const outputs = Object.entries(made).map(([name, tensor]) => ({
    width: tensor.dims.at(-1) ?? 1,
    values: floatsOf(tensor, name),
  }));
  const found: Detection[] = [];
  for (const step of [8, 16, 32]) {
    const columns = size / step;
    const anchors = 2 * columns * columns;
    const [scores, boxes, points] = [1, 4, 10].map(
      (width) => outputs.find((each) => each.width === width && each.values.length === anchors * width)?.values,
    );
    if (!scores || !boxes)
      throw new TypeError(`Cannot read SCRFD's outputs: there are none for cells of ${step} pixels`);
    for (let n = 0; n < anchors; n += 1) {
      const score = scores[n]!;
      if (score < least) continue;
      const cell = n >> 1;
      const [x, y] = [(cell % columns) * step, Math.floor(cell / columns) * step];
      const [left, top, right, bottom] = [0, 1, 2, 3].map((k) => boxes[4 * n + k]! * step) as [
        number,
        number,
        number,
        number,
      ];
      found.push({
        box: laid(x - left, y - top, left + right, top + bottom, scaling),
        score: Math.min(1, score),
        ...(points ? { points: pointsAt(points, 10 * n, step, x, y, scaling) } : {}),
      });
    }
  }
  return surest(found, SAME_FACE);
}

export async function openScrfd(sight: Sight, scope: Scope, least: number): Promise<FaceDetector> {
  const network = await openOne(SCRFD, sight, scope);
  const name = inputOf(network);
  const size = 640;
  return {
    cheap: false,
    async detect(frame, within) {
      const part = within ?? whole(frame);
      const onto = letterbox(part, size, size);
      const [scale, offset] = [1 / 128, -127.5 / 128];
      const sampling = { width: size, height: size, channels: 'rgb', layout: 'planes', scale, offset } as const;
      const seen = sampleImage(frame, onto, { ...sampling, outside: 'black' });
      const made = await network.run({ [name]: floats(seen, [1, 3, size, size]) });
      return readScrfd(made, size, least, { scale: onto.a, left: part.left, top: part.top });
    },
  };
}

/** What the ultra-light detector says: per anchor the likelihoods of none and of a face, and a box's corners in parts of the picture. */
export function readUltralight(scores: Float32Array, boxes: Float32Array, least: number, part: Box): Detection[] {
  const found: Detection[] = [];
  for (let n = 0; 2 * n + 1 < scores.length; n += 1) {
    const score = scores[2 * n + 1]!;
    if (score < least) continue;
    const [x0, y0, x1, y1] = [boxes[4 * n]!, boxes[4 * n + 1]!, boxes[4 * n + 2]!, boxes[4 * n + 3]!];
    found.push({
      box: {
        left: part.left + x0 * part.width,
        top: part.top + y0 * part.height,
        width: (x1 - x0) * part.width,
        height: (y1 - y0) * part.height,
      },
      score: Math.min(1, score),
    });
  }
  return surest(found, SAME_FACE);
}

export async function openUltralight(sight: Sight, scope: Scope, least: number): Promise<FaceDetector> {
  const network = await openOne(ULTRALIGHT, sight, scope);
  const name = inputOf(network);
  const [width, height] = [320, 240];
  return {
    cheap: false,
    async detect(frame, within) {
      const part = within ?? whole(frame);
      const [scale, offset] = [1 / 128, -127 / 128];
      const sampling = { width, height, channels: 'rgb', layout: 'planes', scale, offset, outside: 'black' } as const;
      const seen = sampleImage(frame, ontoBox(width, height, part), sampling);
      const made = await network.run({ [name]: floats(seen, [1, 3, height, width]) });
      return readUltralight(floatsOf(made['scores'], 'scores'), floatsOf(made['boxes'], 'boxes'), least, part);
    },
  };
}
