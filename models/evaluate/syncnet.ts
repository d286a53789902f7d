import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { packedRgb } from '../../media/colour.ts';
import type { Scope } from '../../media/scope.ts';
import { type Box, type VideoFrame, cutOut, evenBox } from '../../media/video-frame.ts';
import { COEFFICIENTS } from '../dsp/lifted-mfcc.ts';
import { openOnnx } from '../runtime/onnx.ts';
import { type Network, floats, floatsOf } from '../runtime/tensor.ts';
import { modelDirectory } from '../store/weights.ts';
import { SYNCNET } from './evaluation-cards.ts';
import { CROP, type FacePlace, type Pixels, REACH, cropArea, smoothedPlace, syncCrop } from './sync-features.ts';

/** Pictures, and rows of coefficients, of one look. */
const PICTURES = 5;
const ROWS = 20;
const ROWS_A_PICTURE = 4;
/** How far sound is moved against the picture, pictures. */
export const SHIFT = 15;
/** How many looks are computed at once. */
const BATCH = 8;
/** The longest run whose embeddings are kept, pictures; a longer one is measured in parts. */
const LONGEST = 1_500;

export interface SyncNetworks {
  readonly lips: Network;
  readonly sound: Network;
}
/** SyncNet's networks, or why they are not here. */
export async function openSyncNet(scope: Scope, directory = modelDirectory(SYNCNET)): Promise<SyncNetworks | string> {
  const [lips, sound] = ['syncnet_lip.onnx', 'syncnet_sound.onnx'].map((name) => join(directory, name));
  const absent = [lips!, sound!].find((file) => !existsSync(file));
  if (absent !== undefined) {
    return `there is no ${absent}: run 'livedub models pull syncnet' and models/export/syncnet.py`;
  }
  return { lips: await openOnnx(lips!, scope), sound: await openOnnx(sound!, scope) };
}

/** How well lips and sound go together. */
export interface LipSync {
  /** The least mean distance over all shifts; lower is better. */
  readonly lseD: number;
  /** The median of the mean distances less the least; higher is better. */
  readonly lseC: number;
  /** By how many pictures the sound comes after the picture it goes with. */
  readonly late: number;
  /** The mean distance at each shift of the sound, −15 … 15 pictures. */
  readonly distances: readonly number[];
}

/** Adds up distances between what is seen and what is heard at each shift. */
export class SyncTally {
  readonly #sums = new Float64Array(2 * SHIFT + 1);
  #count = 0;

  /** One run's embeddings. What is not heard, before and after it, is all zeros. */
  add(lips: readonly Float32Array[], sound: readonly Float32Array[]): void {
    for (const [n, seen] of lips.entries()) {
      for (let shift = -SHIFT; shift <= SHIFT; shift += 1) {
        const heard = sound[n + shift];
        let sum = 0;
        for (let i = 0; i < seen.length; i += 1) sum += (seen[i]! - (heard?.[i] ?? 0) + 1e-6) ** 2;
        this.#sums[shift + SHIFT]! += Math.sqrt(sum);
      }
    }
    this.#count += lips.length;
  }

  get result(): LipSync | undefined {
    if (this.#count === 0) return undefined;
    const distances = [...this.#sums].map((sum) => sum / this.#count);
    const least = Math.min(...distances);
    const median = distances.toSorted((a, b) => a - b)[SHIFT]!;
    return { lseD: least, lseC: median - least, late: distances.indexOf(least) - SHIFT, distances };
  }
}

/** The part of a picture that a crop is made of, in blue, green and red. */
export function pixelsOf(frame: VideoFrame, place: FacePlace): Pixels {
  const { left, top, right, bottom } = cropArea(place);
  const box = evenBox({ left, top, width: Math.max(0, right - left), height: Math.max(0, bottom - top) }, frame);
  const bgr = packedRgb(cutOut(frame, box), frame.colour, frame.height);
  for (let i = 0; i < bgr.length; i += 3) [bgr[i], bgr[i + 2]] = [bgr[i + 2]!, bgr[i]!];
  return { ...box, bgr };
}

/**
 * Looks at one face as long as it is seen without a break, 25 pictures a second, beside a recording's sound.
 *
 * @param coefficients those of the whole recording (`syncCoefficients`)
 */
export class SyncWatch {
  readonly #networks: SyncNetworks;
  readonly #coefficients: Float32Array;
  readonly #tally: SyncTally;
  #first = 0;
  #places: FacePlace[] = [];
  #frames: VideoFrame[] = [];
  #crops: Uint8Array[] = [];
  #cropped = 0;
  #pending: Float32Array[] = [];
  #lips: Float32Array[] = [];

  constructor(networks: SyncNetworks, coefficients: Float32Array, tally: SyncTally) {
    this.#networks = networks;
    this.#coefficients = coefficients;
    this.#tally = tally;
  }

  /** @param picture which of the recording's pictures it is, from 0 on */
  async push(picture: number, frame: VideoFrame, { left, top, width, height }: Box): Promise<void> {
    if (this.#places.length === 0) this.#first = picture;
    this.#places.push({ x: left + width / 2, y: top + height / 2, half: Math.max(width, height) / 2 });
    this.#frames.push(frame);
    while (this.#cropped + REACH < this.#places.length) await this.#crop();
    if (this.#places.length >= LONGEST) await this.end();
  }

  /** The face is not seen any more. */
  async end(): Promise<void> {
    while (this.#cropped < this.#places.length) await this.#crop();
    await this.#look(0);
    // As the authors count: what begins in the last five pictures is left out.
    const looks = Math.min(this.#lips.length, Math.max(0, this.#places.length - PICTURES));
    const lips = this.#lips.slice(0, looks);
    this.#tally.add(lips, await this.#heard(lips.length));
    this.#places = [];
    this.#frames = [];
    this.#crops = [];
    this.#lips = [];
    this.#cropped = 0;
  }

  async #crop(): Promise<void> {
    const place = smoothedPlace(this.#places, this.#cropped);
    const frame = this.#frames.shift()!;
    this.#crops.push(syncCrop(pixelsOf(frame, place), place));
    this.#cropped += 1;
    if (this.#crops.length < PICTURES) return;
    this.#pending.push(stacked(this.#crops));
    this.#crops.shift();
    if (this.#pending.length >= BATCH) await this.#look(0);
  }
  async #look(least: number): Promise<void> {
    if (this.#pending.length <= least) return;
    const looks = this.#pending.splice(0);
    this.#lips.push(...(await embedded(this.#networks.lips, 'lips', looks, [3, PICTURES, CROP, CROP])));
  }
  async #heard(count: number): Promise<Float32Array[]> {
    const out: Float32Array[] = [];
    for (let from = 0; from < count; from += 64) {
      const looks = Array.from({ length: Math.min(64, count - from) }, (_, n) =>
        soundLook(this.#coefficients, ROWS_A_PICTURE * (this.#first + from + n)),
      );
      out.push(...(await embedded(this.#networks.sound, 'sound', looks, [1, COEFFICIENTS, ROWS])));
    }
    return out;
  }
}

/** Five crops as channel, picture, row, column. */
export function stacked(crops: readonly Uint8Array[]): Float32Array {
  const area = CROP * CROP;
  const out = new Float32Array(3 * PICTURES * area);
  for (const [n, crop] of crops.entries()) {
    for (let c = 0; c < 3; c += 1) {
      const to = (c * PICTURES + n) * area;
      for (let i = 0; i < area; i += 1) out[to + i] = crop[3 * i + c]!;
    }
  }
  return out;
}
/** Twenty rows of coefficients as coefficient, row; beyond the end there are zeros. */
export function soundLook(coefficients: Float32Array, row: number): Float32Array {
  const out = new Float32Array(COEFFICIENTS * ROWS);
  for (let k = 0; k < COEFFICIENTS; k += 1) {
    for (let n = 0; n < ROWS; n += 1) out[k * ROWS + n] = coefficients[(row + n) * COEFFICIENTS + k] ?? 0;
  }
  return out;
}
export async function embedded(
  network: Network,
  input: string,
  looks: readonly Float32Array[],
  shape: readonly number[],
): Promise<Float32Array[]> {
  if (looks.length === 0) return [];
  const data = new Float32Array(looks.length * looks[0]!.length);
  for (const [n, look] of looks.entries()) data.set(look, n * look.length);
  const made = await network.run({ [input]: floats(data, [looks.length, ...shape]) });
  const all = floatsOf(made['embedding'], 'embedding');
  const size = all.length / looks.length;
  return looks.map((_, n) => all.slice(n * size, (n + 1) * size));
}
