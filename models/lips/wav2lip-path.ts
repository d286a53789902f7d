import { smoothstep } from '../../media/smoothstep.ts';
import { type Box, type Patch, type VideoFrame, cutOut, evenBox } from '../../media/video-frame.ts';
import type { Unfit } from '../../pipeline/face.ts';
import { type Network, type RunOptions, floats, floatsOf } from '../runtime/tensor.ts';
import { type Rgb, blended, patchOf, toRgb } from './colour.ts';
import type { Driver, Spoken } from './driving.ts';
import { linear } from './resizing.ts';
import { TakeSounds, into } from './take-sound.ts';
import { BANDS, type Mel, SEEN, chunkAt, melOf } from './wav2lip-sound.ts';

/** Side of the pictures that the network looks at and makes. */
const SIDE = 96;
const AREA = SIDE * SIDE;
const LEAST = 16;

/** How Wav2Lip is used. */
export interface Wav2LipShape {
  /** Pixels below the detector's box that belong to the face. */
  readonly margin: number;
  /** How wide the edge between old and new is, in parts of the face's width; 0 puts the whole box in, as published. */
  readonly feather: number;
}

/** The detector's box, with the chin, within the picture. */
export function chinBox({ left, top, width, height }: Box, margin: number, frame: VideoFrame): Box | undefined {
  const [x, y] = [Math.max(0, Math.trunc(left)), Math.max(0, Math.trunc(top))];
  const right = Math.min(frame.width, Math.trunc(left + width));
  const bottom = Math.min(frame.height, Math.trunc(top + height) + margin);
  if (right - x < LEAST || bottom - y < LEAST) return undefined;
  return { left: x, top: y, width: right - x, height: bottom - y };
}

/**
 * A face as the network sees it: with its lower half black, and whole; blue, green, red, 0 … 1. 6 × 96 × 96.
 *
 * @see https://github.com/Rudrabha/Wav2Lip/blob/master/inference.py (`datagen`)
 */
export function faces(face: Rgb): Float32Array {
  const small = linear(face, SIDE, SIDE);
  const out = new Float32Array(6 * AREA);
  for (let plane = 0; plane < 3; plane += 1) {
    for (let n = 0; n < AREA; n += 1) {
      const level = Math.floor(small[(2 - plane) * AREA + n]! + 0.5) / 255;
      if (n < AREA / 2) out[plane * AREA + n] = level;
      out[(3 + plane) * AREA + n] = level;
    }
  }
  return out;
}

/** New faces for what is heard: red, green, blue. */
export async function spoken(
  network: Network,
  sounds: readonly Float32Array[],
  looks: readonly Float32Array[],
  options: RunOptions = {},
): Promise<Rgb[]> {
  const count = looks.length;
  const [audio, input] = [new Float32Array(count * BANDS * SEEN), new Float32Array(count * 6 * AREA)];
  for (let n = 0; n < count; n += 1) {
    audio.set(sounds[n]!, n * BANDS * SEEN);
    input.set(looks[n]!, n * 6 * AREA);
  }
  const { out } = await network.run(
    { audio: floats(audio, [count, 1, BANDS, SEEN]), faces: floats(input, [count, 6, SIDE, SIDE]) },
    { ...options, give: 'all' },
  );
  const all = floatsOf(out, 'out');
  return looks.map((_, n) => {
    const data = new Uint8Array(3 * AREA);
    for (let plane = 0; plane < 3; plane += 1) {
      for (let k = 0; k < AREA; k += 1) data[plane * AREA + k] = all[(3 * n + 2 - plane) * AREA + k]! * 255;
    }
    return { width: SIDE, height: SIDE, data };
  });
}

/** How much of the new face is seen, 0 … 1: its lower half, softly; all of it without a feather. */
export function lowerHalf({ width, height }: Box, feather: number): Float32Array {
  const out = new Float32Array(width * height).fill(1);
  if (feather === 0) return out;
  const edge = feather * width;
  const ease = (distance: number) => smoothstep(distance / edge);
  for (let row = 0; row < height; row += 1) {
    const down = ease(row + 0.5 - height / 2) * ease(height - row - 0.5);
    for (let column = 0; column < width; column += 1) {
      out[row * width + column] = down * ease(column + 0.5) * ease(width - column - 0.5);
    }
  }
  return out;
}

/** Puts a new face into its picture: nothing outside its box changes. */
export function laid(frame: VideoFrame, drawn: Rgb, face: Box, feather: number, weight: number): Patch[] {
  const box = evenBox(face, frame);
  if (box.width === 0 || box.height === 0) return [];
  const area = box.width * box.height;
  const rgb = Float32Array.from(toRgb(frame, box).data);
  const large = linear(drawn, face.width, face.height);
  const seen = lowerHalf(face, feather);
  const share = new Float32Array(area);
  for (let row = 0; row < face.height; row += 1) {
    const y = face.top + row - box.top;
    if (y < 0 || y >= box.height) continue;
    for (let column = 0; column < face.width; column += 1) {
      const x = face.left + column - box.left;
      if (x < 0 || x >= box.width) continue;
      const [to, from] = [y * box.width + x, row * face.width + column];
      share[to] = weight * seen[from]!;
      for (let plane = 0; plane < 3; plane += 1) {
        rgb[plane * area + to] = large[plane * face.width * face.height + from]!;
      }
    }
  }
  const ground = cutOut(frame, box);
  return [patchOf(ground, blended(ground, rgb, share, frame.colour, frame.height))];
}

/** What is kept of a shot until it is driven. */
interface Work {
  readonly frame: VideoFrame;
  readonly weight: number;
  readonly face: Box;
  readonly look: Float32Array;
  readonly sound: Float32Array;
}

/** Wav2Lip on live pictures. */
export class Wav2LipPath implements Driver<Work> {
  readonly #network: Network;
  readonly #shape: Wav2LipShape;
  readonly #sounds = new TakeSounds<Mel>(async (pcm) => melOf(pcm));

  constructor(network: Network, shape: Wav2LipShape) {
    this.#network = network;
    this.#shape = shape;
  }

  async prepare({ frame, face: seen, take, start, weight }: Spoken): Promise<Work | Unfit> {
    const face = chinBox(seen.box, this.#shape.margin, frame);
    if (!face) return 'small';
    const mel = await this.#sounds.of(take);
    return { frame, weight, face, look: faces(toRgb(frame, face)), sound: chunkAt(mel, into(take, start)) };
  }

  async drive(work: readonly Work[], options: RunOptions): Promise<readonly (readonly Patch[])[]> {
    const [sounds, looks] = [work.map(({ sound }) => sound), work.map(({ look }) => look)];
    const drawn = await spoken(this.#network, sounds, looks, options);
    return work.map(({ frame, face, weight }, n) => laid(frame, drawn[n]!, face, this.#shape.feather, weight));
  }
}
