/** What it costs to be in a state (log odds): all but the first are entered for `enter`, changing costs `change[t]`. */
export interface Costs {
  readonly states: number;
  readonly enter: number;
  readonly change: Float64Array;
}

/**
 * The sequence of states that gains most (Viterbi). State 0 is where nothing is gained or lost; of sequences that gain
 * the same, the one that changes later.
 *
 * @param gains row by row, one row of `states` per step
 */
export function likeliest(gains: Float64Array, { states, enter, change }: Costs): number[] {
  const count = change.length;
  const from = new Int32Array(count * states);
  let best = Float64Array.from({ length: states }, (_, s) => gains[s]! - (s === 0 ? 0 : enter));
  for (let t = 1; t < count; t += 1) {
    const top = best.indexOf(Math.max(...best));
    const next = new Float64Array(states);
    for (let s = 0; s < states; s += 1) {
      const stay = best[s]!;
      const come = best[top]! - change[t]!;
      from[t * states + s] = s === top || stay > come ? s : top;
      next[s] = Math.max(stay, come) + gains[t * states + s]!;
    }
    best = next;
  }
  const path = new Array<number>(count);
  path[count - 1] = best.indexOf(Math.max(...best));
  for (let t = count - 1; t > 0; t -= 1) path[t - 1] = from[t * states + path[t]!]!;
  return path;
}

const logSum = (values: Float64Array): number => {
  const most = Math.max(...values);
  let sum = 0;
  for (const value of values) sum += Math.exp(value - most);
  return most + Math.log(sum);
};

/** How likely each state is at each step, by all sequences at once (forwards and backwards); rows as in `gains`. */
export function posteriors(gains: Float64Array, { states, enter, change }: Costs): Float64Array {
  const count = change.length;
  const forward = new Float64Array(count * states);
  const backward = new Float64Array(count * states);
  const values = new Float64Array(states);
  for (let s = 0; s < states; s += 1) forward[s] = gains[s]! - (s === 0 ? 0 : enter);
  for (let t = 1; t < count; t += 1) {
    for (let s = 0; s < states; s += 1) {
      for (let r = 0; r < states; r += 1) values[r] = forward[(t - 1) * states + r]! - (r === s ? 0 : change[t]!);
      forward[t * states + s] = logSum(values) + gains[t * states + s]!;
    }
  }
  for (let t = count - 2; t >= 0; t -= 1) {
    for (let s = 0; s < states; s += 1) {
      for (let r = 0; r < states; r += 1) {
        const place = (t + 1) * states + r;
        values[r] = backward[place]! + gains[place]! - (r === s ? 0 : change[t + 1]!);
      }
      backward[t * states + s] = logSum(values);
    }
  }
  return forward.map((_, place) => {
    const row = place - (place % states);
    for (let r = 0; r < states; r += 1) values[r] = forward[row + r]! + backward[row + r]!;
    return Math.exp(forward[place]! + backward[place]! - logSum(values));
  });
}
