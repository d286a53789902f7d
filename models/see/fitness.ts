import { type MediaTime, type Span, between, ms } from '../../media/time.ts';
import type { Unfit } from '../../pipeline/face.ts';

/** What is known of a face in one picture. */
export interface Condition {
  /** Since the last cut, if there has been one. */
  readonly sinceCut: Span | undefined;
  /** It was found where it was looked for. */
  readonly found: boolean;
  /** Distance of the eyes' centres, pixels. */
  readonly eyes: number;
  /** Degrees. */
  readonly yaw: number;
  /** Eye distances a second. */
  readonly speed: number;
  readonly covered: boolean;
}

/** Pictures after a cut that are left alone, as a span. */
const AFTER_CUT = ms(80);
/** Degrees at which a head is turned away, and at which it is back. */
const [AWAY, BACK] = [45, 40];
/**
 * Eye distances a second at which a face is blurred, and at which it is not any more. At 25 pictures a second and half
 * a picture's exposure, 5 smear it by a tenth of an eye distance: about as far as lips part in speech.
 */
const [BLURRED, SHARP] = [5, 3];
/** How much larger than too small a face must be to be large enough again. */
const GROWN = 1.1;
/** A reason that is gone still holds for so long, so that it does not come and go. */
const HOLD = ms(160);

/** Why one face's mouth is better left alone, with hysteresis. */
export class Fitness {
  readonly #smallest: number;
  /** When each reason was last there. */
  readonly #last = new Map<Unfit, MediaTime>();

  /** @param smallest distance of the eyes, in pixels, below which a face is too small */
  constructor(smallest: number) {
    this.#smallest = smallest;
  }

  push(at: MediaTime, { sinceCut, found, eyes, yaw, speed, covered }: Condition): Unfit | undefined {
    if (sinceCut !== undefined && sinceCut < AFTER_CUT) return 'cut';
    const reasons: readonly [Unfit, boolean][] = [
      ['lost', !found],
      ['small', eyes < this.#smallest * (this.#held('small', at) ? GROWN : 1)],
      ['profile', Math.abs(yaw) > (this.#held('profile', at) ? BACK : AWAY)],
      ['fast', speed > (this.#held('fast', at) ? SHARP : BLURRED)],
      ['occluded', covered],
    ];
    for (const [reason, there] of reasons) if (there) this.#last.set(reason, at);
    return reasons.find(([reason]) => this.#held(reason, at))?.[0];
  }

  #held(reason: Unfit, at: MediaTime): boolean {
    const last = this.#last.get(reason);
    return last !== undefined && between(last, at) < HOLD;
  }
}
