import { FITTING } from '../pipeline/fit.ts';
import type { FitView } from './protocol.ts';
import type { LineRecord } from './session/ipc.ts';

type Line = Pick<LineRecord, 'language' | 'dub' | 'speed' | 'rung' | 'trimmedWords' | 'fit'>;

/** Whether a dub is whole and nowhere slower than 0.9 or faster than 1.2 times its voice. */
export function fitsWell({ speed, trimmedWords, fit }: Line): boolean {
  const speeds = [speed ?? 1, ...(fit?.phrases ?? []).map((phrase) => phrase.speed)];
  return trimmedWords === 0 && speeds.every((each) => each >= FITTING.slowest && each <= FITTING.fastest);
}

/** What it took to make lines fit, counted as they are settled. Lines without a dub are no part of it. */
export class FitCounts {
  readonly #rungs = new Map<string, Record<string, number>>();
  #lines = 0;
  #well = 0;

  add(line: Line): void {
    if (!line.dub) return;
    const rung = line.rung ?? 'natural';
    const counts = this.#rungs.get(line.language) ?? {};
    this.#rungs.set(line.language, { ...counts, [rung]: (counts[rung] ?? 0) + 1 });
    this.#lines += 1;
    if (fitsWell(line)) this.#well += 1;
  }

  get view(): FitView {
    return {
      rungs: Object.fromEntries(this.#rungs),
      withinSpeed: this.#lines === 0 ? null : Math.round((this.#well / this.#lines) * 10_000) / 10_000,
    };
  }
}
