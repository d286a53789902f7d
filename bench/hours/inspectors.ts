import type { MediaTime } from '../../media/time.ts';
import type { Verdict } from '../verdicts.ts';

export type Track = 'original' | 'dub';

/** Looks at every frame that is played, as it is played, and keeps a bounded amount. */
export interface Inspector {
  readonly name: string;
  /** `pcm`: 20 ms at 48 kHz, borrowed. */
  frame(track: Track, start: MediaTime, pcm: Float32Array): void;
  /** Figures of the time since it was asked last, for the plots: name with unit → value. */
  minute(): Readonly<Record<string, number>>;
  verdicts(): readonly Verdict[];
}

/** How loud the dub is, without weighting: mean level and the highest sample. */
export class Levels implements Inspector {
  readonly name = 'levels';
  #sum = 0;
  #count = 0;
  #peak = 0;
  #highest = 0;

  frame(track: Track, _start: MediaTime, pcm: Float32Array): void {
    if (track !== 'dub') return;
    for (const x of pcm) {
      this.#sum += x * x;
      const size = Math.abs(x);
      if (!(size <= this.#peak)) this.#peak = size;
    }
    this.#count += pcm.length;
  }
  minute(): Readonly<Record<string, number>> {
    const figures = {
      'level, dBFS': decibels(Math.sqrt(this.#sum / Math.max(1, this.#count))),
      'peak, dBFS': decibels(this.#peak),
    };
    this.#highest = Math.max(this.#highest, this.#peak);
    [this.#sum, this.#count, this.#peak] = [0, 0, 0];
    return figures;
  }
  verdicts(): readonly Verdict[] {
    const highest = Math.max(this.#highest, this.#peak);
    return [
      {
        what: 'samples of the dub',
        wanted: 'none beyond full scale',
        measured: `highest ${decibels(highest).toFixed(1)} dBFS`,
        passed: highest <= 1,
      },
    ];
  }
}
const decibels = (value: number) => 20 * Math.log10(Math.max(1e-6, value));

/** Everything that looks at what is played. Detectors of clicks and meters of loudness belong into this list. */
export const inspectors = (): Inspector[] => [new Levels()];
