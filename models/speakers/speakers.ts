import type { SpeakerId } from '../../pipeline/domain.ts';

/** A linear map from voice measures to a space in which a distance says how unlike two voices are. */
export interface VoiceSpace {
  /** One row per dimension of the space, one column per measure. */
  readonly rows: readonly (readonly number[])[];
  /** Two pieces of speech further apart than this are two speakers'. */
  readonly threshold: number;
}
export const place = ({ rows }: Pick<VoiceSpace, 'rows'>, measures: ArrayLike<number>): Float64Array =>
  Float64Array.from(rows, (row) => row.reduce((sum, weight, i) => sum + weight * (measures[i] ?? 0), 0));

export const distance = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(sum);
};

interface Cluster {
  readonly speaker: SpeakerId;
  readonly centre: Float64Array;
  count: number;
}
/** A speaker's centre follows the last pieces, since voices and microphones drift. */
const MEMORY = 12;

/** Names speakers as they come, `s1`, `s2`, …, by which voice a piece of speech is nearest to. Names never change. */
export class Speakers {
  readonly #clusters: Cluster[] = [];
  readonly #threshold: number;
  readonly #most: number;

  constructor(threshold: number, most: number) {
    this.#threshold = threshold;
    this.#most = most;
  }

  /** Whose voice this is; a new speaker's when it is like nobody's and there is room for one more. */
  name(voice: Float64Array): SpeakerId {
    let nearest: Cluster | undefined;
    let apart = Infinity;
    for (const cluster of this.#clusters) {
      // A piece is less far from the mean of n others than from one of them: this makes the two comparable.
      const d = distance(voice, cluster.centre) * Math.sqrt((2 * cluster.count) / (cluster.count + 1));
      if (d < apart) [nearest, apart] = [cluster, d];
    }
    if (!nearest || (apart > this.#threshold && this.#clusters.length < this.#most)) {
      const speaker = `s${this.#clusters.length + 1}` as SpeakerId;
      this.#clusters.push({ speaker, centre: voice.slice(), count: 1 });
      return speaker;
    }
    nearest.count += 1;
    const step = 1 / Math.min(nearest.count, MEMORY);
    for (const [i, x] of voice.entries()) nearest.centre[i]! += step * (x - nearest.centre[i]!);
    return nearest.speaker;
  }
}
