/** How a state is entered: from where, at what cost. */
interface Arc {
  readonly from: number;
  /** Natural logarithm of a probability. */
  readonly weight: number;
}

/** A sound that passes through one or several states, in order. */
export interface Unit {
  /** Which score of a frame each state reads. */
  readonly scores: readonly number[];
  /** Logarithms of staying in each state for another frame. */
  readonly stay: readonly number[];
  /** Logarithms of leaving each state; that of the last is paid by what follows. */
  readonly leave: readonly number[];
}

/** Where a path can go on from: units that may have come last, and what entering from each costs on top. */
export type Ends = ReadonlyMap<number, number>;
/** The place before everything. */
const START = -1;
export const FROM_START: Ends = new Map([[START, 0]]);

/**
 * What may be heard, as states that are passed from left to right.
 *
 * Units are added in order, each after the ends it may follow, so that every arc leads to the right.
 */
export class Trellis {
  readonly #scores: number[] = [];
  readonly #stay: number[] = [];
  readonly #arcs: (readonly Arc[])[] = [];
  readonly #unitOf: number[] = [];
  readonly #lastOf: number[] = [];
  readonly #leaving: number[] = [];
  /** Without any, a path may end in the midst of things. */
  #ends: Ends | undefined;

  /** Adds a unit. Returns its number. */
  add({ scores, stay, leave }: Unit, after: Ends): number {
    const unit = this.#lastOf.length;
    for (const [n, score] of scores.entries()) {
      const state = this.#scores.length;
      this.#scores.push(score);
      this.#stay.push(stay[n]!);
      this.#unitOf.push(unit);
      this.#arcs.push(
        n > 0
          ? [{ from: state - 1, weight: leave[n - 1]! }]
          : [...after].map(([last, weight]) =>
              last === START
                ? { from: START, weight }
                : { from: this.#lastOf[last]!, weight: weight + this.#leaving[last]! },
            ),
      );
    }
    this.#lastOf.push(this.#scores.length - 1);
    this.#leaving.push(leave.at(-1)!);
    return unit;
  }
  /** Says where a path may end. */
  end(ends: Ends): void {
    this.#ends = ends;
  }

  /**
   * The best way through `frames`, or nothing when none leads to an end.
   *
   * @param frames the scores of each frame: natural logarithms of likelihoods
   * @param beam how far below the best a way may fall before it is given up
   * @param doubt how far below the best a way is no longer thought to become the best
   */
  walk(frames: readonly Float32Array[], beam: number, doubt = beam): Walk | undefined {
    const size = this.#scores.length;
    if (frames.length === 0 || size === 0) return undefined;
    const [scores, stays] = [Int32Array.from(this.#scores), Float64Array.from(this.#stay)];
    const arcs = this.#arcs;
    // How far to the right of a state its successors lie.
    const reach = Int32Array.from({ length: size }, (_, state) => state);
    for (const [state, into] of arcs.entries()) {
      for (const { from } of into) if (from !== START) reach[from] = Math.max(reach[from]!, state);
    }
    const paths = new Float64Array(size).fill(-Infinity);
    // 0: it stayed; n: it came by arc n − 1.
    const choices = frames.map(() => new Uint8Array(0));
    const lows = new Int32Array(frames.length);
    let [low, high] = [0, size - 1];
    for (const [t, frame] of frames.entries()) {
      const choice = new Uint8Array(high - low + 1);
      let best = -Infinity;
      for (let state = high; state >= low; state -= 1) {
        let path = paths[state]! + stays[state]!;
        let chosen = 0;
        const into = arcs[state]!;
        for (let n = 0; n < into.length; n += 1) {
          const { from, weight } = into[n]!;
          const before = from === START ? (t === 0 ? 0 : -Infinity) : t === 0 ? -Infinity : paths[from]!;
          if (before + weight > path) {
            path = before + weight;
            chosen = n + 1;
          }
        }
        path += frame[scores[state]!]!;
        paths[state] = path;
        choice[state - low] = chosen;
        if (path > best) best = path;
      }
      choices[t] = choice;
      lows[t] = low;
      if (best === -Infinity) return undefined;
      // What lies far below the best is given up.
      let [first, last] = [high, low];
      for (let state = low; state <= high; state += 1) {
        if (paths[state]! < best - beam) paths[state] = -Infinity;
        else {
          first = Math.min(first, state);
          last = Math.max(last, reach[state]!);
        }
      }
      for (let state = low; state < first; state += 1) paths[state] = -Infinity;
      [low, high] = [first, last];
    }
    return this.#trace(paths, choices, lows, doubt);
  }

  #trace(paths: Float64Array, choices: readonly Uint8Array[], lows: Int32Array, doubt: number): Walk | undefined {
    const ends = this.#ends
      ? [...this.#ends].map(([unit, weight]) => ({ state: unit === START ? START : this.#lastOf[unit]!, weight }))
      : [...paths.keys()].map((state) => ({ state, weight: 0 }));
    let [best, score] = [START, -Infinity];
    for (const { state, weight } of ends) {
      const path = (paths[state] ?? -Infinity) + weight;
      if (path > score) [best, score] = [state, path];
    }
    if (best === START) return undefined;
    const back = (t: number, state: number) => {
      const chosen = choices[t]![state - lows[t]!]!;
      return chosen === 0 ? state : this.#arcs[state]![chosen - 1]!.from;
    };
    const visits: Visit[] = [];
    let state = best;
    const units = new Int32Array(choices.length);
    const columns = new Int32Array(choices.length);
    for (let t = choices.length - 1; t >= 0; t -= 1) {
      units[t] = this.#unitOf[state]!;
      columns[t] = this.#scores[state]!;
      state = back(t, state);
    }
    for (let t = 0; t < units.length; t += 1) {
      const visit = visits.at(-1);
      if (visit && visit.unit === units[t]) visit.end = t + 1;
      else visits.push({ unit: units[t]!, start: t, end: t + 1 });
    }
    // Every path that may yet be the best, followed back until they are one.
    let alive = new Set<number>();
    const top = paths.reduce((a, b) => Math.max(a, b));
    for (const [n, path] of paths.entries()) if (path >= top - doubt) alive.add(n);
    let agreed = choices.length;
    for (; agreed > 0 && alive.size > 1; agreed -= 1) {
      const before = new Set<number>();
      for (const each of alive) before.add(back(agreed - 1, each));
      alive = before;
    }
    return { visits, columns, score, agreed };
  }
}

/** A unit on the best way, in frames; `end` is the first that is not in it. */
export interface Visit {
  readonly unit: number;
  readonly start: number;
  end: number;
}
export interface Walk {
  /** The units passed, without gaps. */
  readonly visits: readonly Visit[];
  /** Which score was read at each frame. */
  readonly columns: Int32Array;
  /** Natural logarithm of the likelihood of this way. */
  readonly score: number;
  /** Before this frame, all ways that are still open are one. */
  readonly agreed: number;
}
