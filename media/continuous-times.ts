import { type MediaTime, type Span, at, later, ms, seconds } from './time.ts';

/** Time stamps that step back by more, or ahead by more, of where their track was are a jump of the source's clock. */
const BACK = ms(500);
const AHEAD = seconds(10);
/** What comes after a jump follows what came before it by about a picture. */
const STEP = ms(40);

/**
 * Makes one time line of a source whose clock jumps: after a jump every track is moved by the same amount, so that sound and
 * pictures stay together. Packets of the old time that come late among those of the new keep their place.
 *
 * Of several tracks as one sequence, each in the order of decoding.
 */
export class ContinuousTimes {
  #offset = 0 as Span;
  #before: Span | undefined;
  /** Where each track is. */
  readonly #last = new Map<number | string, MediaTime>();
  #latest: MediaTime | undefined;
  #jumps = 0;

  /** Jumps so far. */
  get jumps(): number {
    return this.#jumps;
  }

  place(track: number | string, t: MediaTime): MediaTime {
    const last = this.#last.get(track) ?? this.#latest;
    let placed = later(t, this.#offset);
    const fits = (candidate: MediaTime) =>
      last === undefined || (candidate >= last - BACK && candidate <= Math.max(last, this.#latest ?? last) + AHEAD);
    if (!fits(placed)) {
      const old = this.#before === undefined ? undefined : later(t, this.#before);
      if (old !== undefined && fits(old)) placed = old;
      else {
        placed = later(this.#latest ?? at(0), STEP);
        this.#before = this.#offset;
        this.#offset = (placed - t) as Span;
        this.#jumps += 1;
      }
    }
    this.#last.set(track, placed);
    if (this.#latest === undefined || placed > this.#latest) this.#latest = placed;
    return placed;
  }

  /** Where something of no track belongs. */
  peek(t: MediaTime): MediaTime {
    return later(t, this.#offset);
  }
}
