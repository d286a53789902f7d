/** Which samples belong to the voice: one number for each of as many equal parts of the audio, 0 where they do not. */
export type Mask = Uint8Array;

/** What a piece of speech says about whose it is. */
export interface Embedding {
  /** As in the setting `embedding`. */
  readonly name: string;
  /** Hertz of what it hears. */
  readonly rate: 16_000;
  /** Numbers of an embedding. */
  readonly dimension: number;
  /** Two embeddings at least this like are one speaker's (cosine). */
  readonly threshold: number;
  /** Seconds of one voice below which it says nothing. */
  readonly shortest: number;
  /**
   * The voice in `pcm` (±1), where `mask` says it is; of length 1. Nothing when there is less of it than `shortest`.
   *
   * `pcm` is not kept.
   */
  embed(pcm: Float32Array, mask?: Mask): Promise<Float32Array | undefined>;
}

/** How like two embeddings are: the cosine of the angle between them. */
export function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = 0; i < a.length; i += 1) {
    dot += a[i]! * b[i]!;
    aa += a[i]! * a[i]!;
    bb += b[i]! * b[i]!;
  }
  return aa > 0 && bb > 0 ? dot / Math.sqrt(aa * bb) : 0;
}

/** The same direction with length 1. */
export function unit(vector: ArrayLike<number>): Float32Array {
  let sum = 0;
  for (let i = 0; i < vector.length; i += 1) sum += vector[i]! * vector[i]!;
  const length = Math.sqrt(sum) || 1;
  return Float32Array.from(vector, (x) => x / length);
}

/** Which of `count` frames every `hop` samples lie where the mask says so; all of them when there is no mask. */
export function kept(mask: Mask | undefined, count: number, hop: number, length: number): number[] {
  const frames: number[] = [];
  for (let n = 0; n < count; n += 1) {
    const part = mask ? Math.min(mask.length - 1, Math.floor((n * hop * mask.length) / length)) : 0;
    if (!mask || mask[part]) frames.push(n);
  }
  return frames;
}
