import { packedRgb } from '../../media/colour.ts';
import type { Scope } from '../../media/scope.ts';
import { type Box, type VideoFrame, cutOut, evenBox } from '../../media/video-frame.ts';
import { squareOf } from '../../models/evaluate/picture-measures.ts';
import { openOnnx } from '../../models/runtime/onnx.ts';
import { floats, floatsOf } from '../../models/runtime/tensor.ts';
import type { Face, FaceId, Seen } from '../../pipeline/face.ts';
import type { Stage } from '../../pipeline/stage.ts';
import { weights } from '../weights.ts';

export const FACE_WEIGHTS = [
  'face/yunet/yunet_n_dynamic.onnx',
  'face/facemesh/FaceMesh.onnx',
  'face/mobilefacenet/mobilefacenet.photo_analyze.onnx',
] as const;

/** Which of the mesh's 468 points are nearest to the 68 of iBUG 300-W. */
// prettier-ignore
const MESH = [
  162, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 389,
  71, 63, 105, 66, 107, 336, 296, 334, 293, 301, 168, 197, 5, 4, 75, 97, 2, 326, 305,
  33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380,
  61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181, 78, 82, 13, 312, 308, 317, 14, 87,
];
const LOOK = 192;
const SIDE = 320;
/** Every how manieth picture is searched for faces and told whose they are. */
const SEARCH = 10;

/** A face tracker for tests of what comes after one: the surest face of YuNet, MediaPipe's landmarks, MobileFaceNet's embedding. */
export async function simpleFaces(scope: Scope): Promise<Stage<'faceTracker'>> {
  const [yunet, mesh, mobile] = await Promise.all(FACE_WEIGHTS.map((file) => openOnnx(weights(file), scope)));
  const outputName = (network: typeof yunet) => network!.outputs[0]!.name;

  async function detect(frame: VideoFrame): Promise<{ box: Box; points: number[]; score: number } | undefined> {
    const scale = Math.max(frame.width, frame.height) / SIDE;
    const whole = { left: 0, top: 0, width: frame.width, height: frame.height };
    const seen = squareOf(
      packedRgb(frame, frame.colour),
      whole,
      { left: 0, top: 0, width: SIDE * scale, height: SIDE * scale },
      SIDE,
    );
    const bgr = new Float32Array(seen.length);
    for (let c = 0; c < 3; c += 1)
      bgr.set(seen.subarray(c * SIDE * SIDE, (c + 1) * SIDE * SIDE), (2 - c) * SIDE * SIDE);
    const made = await yunet!.run({ input: floats(bgr, [1, 3, SIDE, SIDE]) });
    let best: { box: Box; points: number[]; score: number } | undefined;
    for (const stride of [8, 16, 32]) {
      const [cls, obj, bbox, kps] = ['cls', 'obj', 'bbox', 'kps'].map((name) =>
        floatsOf(made[`${name}_${stride}`], name),
      );
      const columns = SIDE / stride;
      for (let n = 0; n < columns * columns; n += 1) {
        const score = Math.sqrt(cls![n]! * obj![n]!);
        if (score < 0.6 || score <= (best?.score ?? 0)) continue;
        const [column, row] = [n % columns, Math.floor(n / columns)];
        const unit = stride * scale;
        const [width, height] = [Math.exp(bbox![4 * n + 2]!) * unit, Math.exp(bbox![4 * n + 3]!) * unit];
        const [x, y] = [(column + bbox![4 * n]!) * unit, (row + bbox![4 * n + 1]!) * unit];
        const points = Array.from({ length: 10 }, (_, i) => (kps![10 * n + i]! + (i % 2 === 0 ? column : row)) * unit);
        best = { box: { left: x - width / 2, top: y - height / 2, width, height }, points, score };
      }
    }
    return best;
  }
  async function mark(frame: VideoFrame, { left, top, width, height }: Box): Promise<Float32Array> {
    const side = 1.5 * Math.max(width, height);
    const square = { left: left + (width - side) / 2, top: top + (height - side) / 2, width: side, height: side };
    const part = evenBox(square, frame);
    const seen = squareOf(packedRgb(cutOut(frame, part), frame.colour, frame.height), part, square, LOOK);
    const pixels = Float32Array.from(seen, (_, n) => seen[(n % 3) * LOOK * LOOK + Math.floor(n / 3)]! / 255);
    const made = await mesh!.run({ [mesh!.inputs[0]!.name]: floats(pixels, [1, LOOK, LOOK, 3]) });
    const all = floatsOf(made[outputName(mesh)], 'landmarks');
    return Float32Array.from(
      MESH.flatMap((n) => [square.left + (all[3 * n]! / LOOK) * side, square.top + (all[3 * n + 1]! / LOOK) * side]),
    );
  }
  /** The face upright, eyes where ArcFace has them; a square by the eyes' distance and middle is near enough here. */
  async function embed(frame: VideoFrame, points: readonly number[]): Promise<Float32Array> {
    const [ax, ay, bx, by] = points as [number, number, number, number];
    const unit = Math.hypot(bx - ax, by - ay) / 35.24;
    const [x, y] = [(ax + bx) / 2 - 55.9 * unit, (ay + by) / 2 - 51.6 * unit];
    const square = { left: x, top: y, width: 112 * unit, height: 112 * unit };
    const part = evenBox(square, frame);
    const seen = squareOf(packedRgb(cutOut(frame, part), frame.colour, frame.height), part, square, 112).map(
      (value) => (value - 127.5) / 128,
    );
    const made = await mobile!.run({ input: floats(seen, [1, 3, 112, 112]) });
    const vector = floatsOf(made[outputName(mobile)], 'embedding').slice();
    const length = Math.hypot(...vector);
    return vector.map((value) => value / length);
  }

  return {
    kind: 'faceTracker',
    engine: 'simple',
    caps: { lookahead: 0 as never, mostFaces: 1, embeddings: true },
    async *run(input) {
      let box: Box | undefined;
      let count = 0;
      for await (const frame of input) {
        let embedding: Float32Array | undefined;
        let score = 1;
        if (count % SEARCH === 0) {
          const found = await detect(frame);
          box = found?.box;
          score = found?.score ?? 0;
          if (found) embedding = await embed(frame, found.points);
        }
        count += 1;
        const faces: Face[] = [];
        if (box) {
          const landmarks = await mark(frame, box);
          const middle = (from: number, to: number, axis: number) => {
            let sum = 0;
            for (let n = from; n < to; n += 1) sum += landmarks[2 * n + axis]! / (to - from);
            return sum;
          };
          const eyes = Math.hypot(middle(36, 42, 0) - middle(42, 48, 0), middle(36, 42, 1) - middle(42, 48, 1));
          const lips = Math.hypot(landmarks[124]! - landmarks[132]!, landmarks[125]! - landmarks[133]!);
          faces.push({
            id: 'f1' as FaceId,
            box,
            landmarks,
            pose: { yaw: 0, pitch: 0, roll: 0 },
            opening: lips / eyes,
            score,
            ...(embedding && { embedding }),
          });
        }
        yield { start: frame.start, faces, cut: false } satisfies Seen;
      }
    },
  };
}
