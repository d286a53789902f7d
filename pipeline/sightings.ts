import { type Interval, type MediaTime, type Span, between, earlier, ms, seconds } from '../media/time.ts';
import type { Face, FaceId, Seen } from './face.ts';

export interface SightingsOptions {
  /** How far back what was seen is remembered. */
  readonly keep?: Span;
}

/** What was seen of late, picture by picture, for whoever looks back: who speaks, what is driven, where captions go. */
export class Sightings {
  readonly #keep: Span;
  #sights: Seen[] = [];

  constructor({ keep = seconds(60) }: SightingsOptions = {}) {
    this.#keep = keep;
  }

  /** When the newest picture was. */
  get end(): MediaTime | undefined {
    return this.#sights.at(-1)?.start;
  }

  /** Pictures come in order; one that is older than the newest begins anew from there. */
  push(seen: Seen): void {
    const newest = this.end;
    if (newest !== undefined && seen.start <= newest) {
      this.#sights = this.#sights.filter(({ start }) => start < seen.start);
    }
    this.#sights.push(seen);
    const oldest = earlier(seen.start, this.#keep);
    const old = this.#sights.findIndex(({ start }) => start >= oldest);
    if (old > 0) this.#sights.splice(0, old);
  }

  /** What was seen in the picture of that very time. */
  at(start: MediaTime): Seen | undefined {
    const sight = this.#sights[this.#first(start)];
    return sight?.start === start ? sight : undefined;
  }
  /** What was seen last before or at `t`, unless that was more than a quarter of a second before. */
  around(t: MediaTime): Seen | undefined {
    const next = this.#first(t);
    const sight = this.#sights[next]?.start === t ? this.#sights[next] : this.#sights[next - 1];
    return sight && between(sight.start, t) <= ms(250) ? sight : undefined;
  }
  /** Pictures that start within the interval, in order. */
  during({ start, end }: Interval): Seen[] {
    return this.#sights.slice(this.#first(start), this.#first(end));
  }
  /** The `count` pictures before and behind the one at `start`, in order, without it. */
  beside(start: MediaTime, count: number): { readonly before: Seen[]; readonly behind: Seen[] } {
    const here = this.#first(start);
    const behind = this.#sights[here]?.start === start ? here + 1 : here;
    return {
      before: this.#sights.slice(Math.max(0, here - count), here),
      behind: this.#sights.slice(behind, behind + count),
    };
  }

  /** Index of the first picture at or after `t`. */
  #first(t: MediaTime): number {
    let [from, to] = [0, this.#sights.length];
    while (from < to) {
      const middle = (from + to) >> 1;
      if ((this.#sights[middle] as Seen).start < t) from = middle + 1;
      else to = middle;
    }
    return from;
  }
}

/** The face called `id` in a picture. */
export const faceIn = (seen: Seen | undefined, id: FaceId): Face | undefined =>
  seen?.faces.find((face) => face.id === id);
