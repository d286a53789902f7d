import { type Box, type Patch, type VideoFrame, cutOut, evenBox } from '../../media/video-frame.ts';
import type { Unfit } from '../../pipeline/face.ts';
import { type Network, type RunOptions, floats, floatsOf } from '../runtime/tensor.ts';
import { type Rgb, blended, part, patchOf, toRgb } from './colour.ts';
import type { Driver, Spoken } from './driving.ts';
import { SIDE, faceBox, parsable, pixels, surroundings } from './musetalk-face.ts';
import { PARSED, feathered, jaw } from './musetalk-mask.ts';
import { PictureMemory, glance } from './musetalk-memory.ts';
import { type Ear, type Heard, SEEN, hear, places, positionAt, tokensAt } from './musetalk-sound.ts';
import { linear } from './resizing.ts';
import { TakeSounds, into } from './take-sound.ts';

/** MuseTalk's networks, as `models/export/musetalk.py` writes them. */
export interface MuseTalkNetworks {
  readonly whisper: Network;
  readonly encoder: Network;
  readonly decoder: Network;
  readonly unet: Network;
  readonly parsing: Network;
}

/** How MuseTalk is used. */
export interface MuseTalkShape extends Ear {
  /** By what the VAE's latents are multiplied for the UNet. */
  readonly factor: number;
  /** Pixels below the chin that belong to the face. */
  readonly margin: number;
  /** How far the edge of the new face is blurred, in parts of the surroundings' width. */
  readonly feather: number;
  /** Where the cheeks begin, in pixels of 512 from the middle. */
  readonly cheeks: number;
  /** By how many of 255 levels pictures may differ to count as the same; 0 never. */
  readonly reuse: number;
}

/** Channels and side of latents. */
const CHANNELS = 4;
const CODE = SIDE / 8;
const LATENTS = CHANNELS * CODE * CODE;
const COLOURS = 3 * SIDE * SIDE;
/** Pictures that are remembered, over all faces: a third of a megabyte each. */
const REMEMBERED = 24;

/**
 * Latents of faces for the UNet: masked and whole, 8 × 32 × 32 each.
 *
 * @param faces of {@link pixels}
 */
export async function encoded(
  encoder: Network,
  faces: readonly Float32Array[],
  factor: number,
  options: RunOptions = {},
): Promise<Float32Array[]> {
  const input = new Float32Array(faces.length * 2 * COLOURS);
  for (const [n, face] of faces.entries()) input.set(face, n * 2 * COLOURS);
  const { latents } = await encoder.run(
    { pixels: floats(input, [2 * faces.length, 3, SIDE, SIDE]) },
    { ...options, give: 'all' },
  );
  const all = floatsOf(latents, 'latents');
  return faces.map((_, n) => all.slice(n * 2 * LATENTS, (n + 1) * 2 * LATENTS).map((value) => value * factor));
}

/** The UNet's one step: what the latents become when the tokens are heard. */
export async function stepped(
  unet: Network,
  latents: readonly Float32Array[],
  tokens: readonly Float32Array[],
  width: number,
  options: RunOptions = {},
): Promise<Float32Array> {
  const count = latents.length;
  const size = tokens[0]!.length;
  const code = new Float32Array(count * 2 * LATENTS);
  const audio = new Float32Array(count * size);
  for (let n = 0; n < count; n += 1) {
    code.set(latents[n]!, n * 2 * LATENTS);
    audio.set(tokens[n]!, n * size);
  }
  const { out } = await unet.run(
    { latents: floats(code, [count, 2 * CHANNELS, CODE, CODE]), audio: floats(audio, [count, size / width, width]) },
    { ...options, give: 'all' },
  );
  return floatsOf(out, 'out');
}

/** Latents as pictures of 256 × 256. */
export async function decoded(
  decoder: Network,
  latents: Float32Array,
  factor: number,
  options: RunOptions = {},
): Promise<Rgb[]> {
  const count = latents.length / LATENTS;
  const input = floats(
    latents.map((value) => value / factor),
    [count, CHANNELS, CODE, CODE],
  );
  const made = await decoder.run({ latents: input }, { ...options, give: 'all' });
  const all = floatsOf(made['pixels'], 'pixels');
  return Array.from({ length: count }, (_, n) => {
    const bytes = new Uint8ClampedArray(COLOURS);
    for (let k = 0; k < COLOURS; k += 1) bytes[k] = (all[n * COLOURS + k]! / 2 + 0.5) * 255;
    return { width: SIDE, height: SIDE, data: new Uint8Array(bytes.buffer) };
  });
}

/** The class of every pixel of parsed faces, 512 × 512 each. */
export async function parsed(
  parsing: Network,
  faces: readonly Float32Array[],
  options: RunOptions = {},
): Promise<Uint8Array[]> {
  const area = PARSED * PARSED;
  const input = new Float32Array(faces.length * 3 * area);
  for (const [n, face] of faces.entries()) input.set(face, n * 3 * area);
  const { labels } = await parsing.run(
    { pixels: floats(input, [faces.length, 3, PARSED, PARSED]) },
    { ...options, give: 'all' },
  );
  if (!(labels?.data instanceof Uint8Array)) throw new TypeError(`Cannot read output 'labels' as bytes`);
  const all = labels.data;
  return faces.map((_, n) => all.subarray(n * area, (n + 1) * area));
}

/** A face in its picture: its box, the square around it, and how much of the new face is seen there, 0 … 255. */
export interface Placed {
  readonly face: Box;
  readonly square: Box;
  readonly mask: Uint8Array;
}

/**
 * Puts a drawn face into its picture: nothing outside the face's box changes.
 *
 * @param weight 0 … 1, by which the mask is multiplied
 * @returns nothing where the mask is empty
 */
export function pasted(frame: VideoFrame, drawn: Rgb, { face, square, mask }: Placed, weight: number): Patch[] {
  const seen = (row: number, column: number) => mask[(row - square.top) * square.width + column - square.left]!;
  const [left, right] = [face.left, face.left + face.width];
  const rows = Array.from({ length: face.height }, (_, n) => face.top + n).filter((row) => {
    const from = (row - square.top) * square.width - square.left;
    return mask.subarray(from + left, from + right).some((value) => value > 0);
  });
  if (rows.length === 0) return [];
  const [top, bottom] = [rows[0]!, rows.at(-1)! + 1];
  const box = evenBox({ left, top, width: right - left, height: bottom - top }, frame);
  if (box.width === 0 || box.height === 0) return [];
  const area = box.width * box.height;
  const rgb = Float32Array.from(toRgb(frame, box).data);
  const large = linear(drawn, face.width, face.height);
  const share = new Float32Array(area);
  for (let row = Math.max(top, box.top); row < Math.min(bottom, box.top + box.height); row += 1) {
    for (let column = Math.max(left, box.left); column < Math.min(right, box.left + box.width); column += 1) {
      const to = (row - box.top) * box.width + column - box.left;
      const from = (row - face.top) * face.width + column - face.left;
      share[to] = (weight * seen(row, column)) / 255;
      for (let plane = 0; plane < 3; plane += 1) {
        rgb[plane * area + to] = large[plane * face.width * face.height + from]!;
      }
    }
  }
  const ground = cutOut(frame, box);
  return [patchOf(ground, blended(ground, rgb, share, frame.colour, frame.height))];
}

/** What is made of a face's surroundings: the region that is drawn anew, and its last mask. */
interface Region {
  readonly region: Uint8Array;
  soft?: { readonly key: string; readonly mask: Uint8Array };
}
/** What is kept of a shot until it is driven. */
interface Work {
  readonly frame: VideoFrame;
  readonly weight: number;
  readonly face: Box;
  readonly square: Box;
  readonly tokens: Float32Array;
  readonly latents: { made?: Float32Array };
  readonly region: { made?: Region };
  /** What the networks are shown where nothing is known. */
  readonly pixels?: Float32Array;
  readonly parsable?: Float32Array;
}

/** MuseTalk 1.5 on live pictures: each mouth is drawn from the picture it is put into. */
export class MuseTalkPath implements Driver<Work> {
  readonly latents: PictureMemory<Float32Array>;
  readonly regions: PictureMemory<Region>;
  readonly #networks: MuseTalkNetworks;
  readonly #shape: MuseTalkShape;
  readonly #places: Float32Array;
  readonly #sounds: TakeSounds<Heard>;

  constructor(networks: MuseTalkNetworks, shape: MuseTalkShape) {
    this.#networks = networks;
    this.#shape = shape;
    this.latents = new PictureMemory(REMEMBERED, shape.reuse);
    this.regions = new PictureMemory(REMEMBERED, shape.reuse);
    this.#places = places(SEEN * shape.states, shape.width);
    this.#sounds = new TakeSounds((pcm) => hear(networks.whisper, shape, pcm));
  }

  async prepare({ frame, face: seen, take, start, weight }: Spoken): Promise<Work | Unfit> {
    const face = faceBox(seen, this.#shape.margin, frame);
    if (!face) return 'small';
    const square = surroundings(face);
    const around = toRgb(frame, square);
    const near = part(around, { ...face, left: face.left - square.left, top: face.top - square.top });
    const latents = this.latents.recall(seen.id, glance(near));
    const region = this.regions.recall(seen.id, glance(around));
    const heard = await this.#sounds.of(take);
    return {
      frame,
      weight,
      face,
      square,
      latents,
      region,
      tokens: tokensAt(heard, positionAt(into(take, start)), this.#shape, this.#places),
      ...(latents.made ? {} : { pixels: pixels(near) }),
      ...(region.made ? {} : { parsable: parsable(around) }),
    };
  }

  async drive(work: readonly Work[], options: RunOptions): Promise<readonly (readonly Patch[])[]> {
    const { encoder, decoder, unet, parsing } = this.#networks;
    const { factor, width, cheeks } = this.#shape;
    // Pictures that look alike share a place, and the first of them is looked at.
    const firsts = (place: (each: Work) => object) =>
      work.filter((each, n) => work.findIndex((other) => place(other) === place(each)) === n);
    const unknown = firsts(({ latents }) => latents).filter(({ latents }) => !latents.made);
    const unparsed = firsts(({ region }) => region).filter(({ region }) => !region.made);
    const [codes, labels] = await Promise.all([
      unknown.length > 0
        ? encoded(
            encoder,
            unknown.map((each) => each.pixels!),
            factor,
            options,
          )
        : [],
      unparsed.length > 0
        ? parsed(
            parsing,
            unparsed.map((each) => each.parsable!),
            options,
          )
        : [],
    ]);
    for (const [n, { latents }] of unknown.entries()) latents.made = codes[n]!;
    for (const [n, { region }] of unparsed.entries()) region.made = { region: jaw(labels[n]!, cheeks) };
    const codesOf = work.map(({ latents }) => latents.made!);
    const out = await stepped(
      unet,
      codesOf,
      work.map(({ tokens }) => tokens),
      width,
      options,
    );
    const drawn = await decoded(decoder, out, factor, options);
    return work.map((each, n) => pasted(each.frame, drawn[n]!, this.#placed(each), each.weight));
  }

  #placed({ face, square, region }: Work): Placed {
    const made = region.made!;
    const inner = { ...face, left: face.left - square.left, top: face.top - square.top };
    const key = [inner.left, inner.top, inner.width, inner.height, square.width].join(' ');
    const soft =
      made.soft?.key === key ? made.soft : { key, mask: feathered(made.region, inner, square, this.#shape.feather) };
    made.soft = soft;
    return { face, square, mask: soft.mask };
  }
}
