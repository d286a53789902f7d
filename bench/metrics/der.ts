/** Who speaks from when to when, in seconds. People may speak at the same time. */
export interface Spoke {
  readonly start: number;
  readonly end: number;
  readonly speaker: string;
}

/** Parts of the time that somebody speaks, in seconds of speakers: two people who speak for a second are two seconds. */
export interface DiarizationError {
  /** What the reference says is spoken: the divisor of the others. */
  readonly spoken: number;
  readonly missed: number;
  readonly falseAlarm: number;
  readonly confused: number;
  /** `(missed + falseAlarm + confused) / spoken`; 0 when nobody speaks and nothing was heard. */
  readonly rate: number;
  /** Whom of the reference each heard speaker was taken for. */
  readonly mapping: ReadonlyMap<string, string>;
}

export interface Scoring {
  /** Seconds before and after each beginning and end of the reference in which nothing counts. */
  readonly collar?: number;
  /** Left out where more than one person of the reference speaks. */
  readonly skipOverlap?: boolean;
  /** What is scored, in seconds: everything from the first to the last time of either, unless told. */
  readonly within?: readonly { readonly start: number; readonly end: number }[];
}

/** A stretch in which nobody begins or ends. */
interface Piece {
  readonly length: number;
  readonly truth: readonly string[];
  readonly heard: readonly string[];
}

function piecesOf(reference: readonly Spoke[], hypothesis: readonly Spoke[], scoring: Scoring): Piece[] {
  const { collar = 0, skipOverlap = false, within } = scoring;
  const edges = new Set<number>();
  for (const { start, end } of [...reference, ...hypothesis, ...(within ?? [])]) edges.add(start).add(end);
  const closed: { start: number; end: number }[] = [];
  for (const { start, end } of reference) {
    for (const edge of [start, end]) closed.push({ start: edge - collar, end: edge + collar });
  }
  if (collar > 0) for (const { start, end } of closed) edges.add(start).add(end);
  const times = [...edges].toSorted((a, b) => a - b);
  const speaking = (some: readonly Spoke[], at: number) => [
    ...new Set(some.filter(({ start, end }) => start <= at && at < end).map(({ speaker }) => speaker)),
  ];
  const pieces: Piece[] = [];
  for (const [n, start] of times.entries()) {
    const end = times[n + 1];
    if (end === undefined || end - start < 1e-9) continue;
    const middle = (start + end) / 2;
    const inside = (some: readonly { start: number; end: number }[]) =>
      some.some((each) => each.start <= middle && middle < each.end);
    if (within && !inside(within)) continue;
    if (collar > 0 && inside(closed)) continue;
    const truth = speaking(reference, middle);
    if (skipOverlap && truth.length > 1) continue;
    pieces.push({ length: end - start, truth, heard: speaking(hypothesis, middle) });
  }
  return pieces;
}

/** The pairs with the greatest sum, each row and each column in one at most: assignment by augmenting along cheapest paths. */
export function assign(gain: readonly (readonly number[])[]): Map<number, number> {
  const size = Math.max(gain.length, gain[0]?.length ?? 0);
  const cost = (row: number, column: number) => -(gain[row]?.[column] ?? 0);
  // H. W. Kuhn's method with J. Munkres' potentials, O(n³); row and column 0 stand for "none".
  const [u, v] = [new Float64Array(size + 1), new Float64Array(size + 1)];
  const rowOf = new Int32Array(size + 1);
  for (let row = 1; row <= size; row += 1) {
    const from = new Int32Array(size + 1);
    const least = new Float64Array(size + 1).fill(Infinity);
    const used = new Uint8Array(size + 1);
    rowOf[0] = row;
    let column = 0;
    do {
      used[column] = 1;
      const here = rowOf[column]!;
      let [delta, next] = [Infinity, 0];
      for (let k = 1; k <= size; k += 1) {
        if (used[k]) continue;
        const reduced = cost(here - 1, k - 1) - u[here]! - v[k]!;
        if (reduced < least[k]!) [least[k], from[k]] = [reduced, column];
        if (least[k]! < delta) [delta, next] = [least[k]!, k];
      }
      for (let k = 0; k <= size; k += 1) {
        if (used[k]) {
          u[rowOf[k]!]! += delta;
          v[k]! -= delta;
        } else least[k]! -= delta;
      }
      column = next;
    } while (rowOf[column] !== 0);
    while (column !== 0) {
      rowOf[column] = rowOf[from[column]!]!;
      column = from[column]!;
    }
  }
  const pairs = new Map<number, number>();
  for (let column = 1; column <= size; column += 1) {
    const row = rowOf[column]! - 1;
    if ((gain[row]?.[column - 1] ?? 0) > 0) pairs.set(row, column - 1);
  }
  return pairs;
}

/**
 * Diarization error rate: how much of what is spoken is missed, made up or given to somebody else, for the best way to
 * match heard speakers with those of the reference.
 *
 * As in NIST's md-eval (The 2009 (RT-09) Rich Transcription Meeting Recognition Evaluation Plan, §6.1) and
 * pyannote.metrics: where the reference has `n` speakers and the hypothesis `m`, `max(0, n−m)` are missed, `max(0, m−n)`
 * are false alarms, and of the `min(n, m)` others those that do not match are confused. The collar is on each side of
 * every beginning and end of the reference, as md-eval's `-c` (pyannote.metrics counts both sides together: its
 * `collar` is twice this one). The mapping maximises the time that matched speakers have in common where it is scored.
 *
 * @see https://pyannote.github.io/pyannote-metrics/reference.html
 */
export function diarizationError(
  reference: readonly Spoke[],
  hypothesis: readonly Spoke[],
  scoring: Scoring = {},
): DiarizationError {
  const pieces = piecesOf(reference, hypothesis, scoring);
  const people = [...new Set(reference.map(({ speaker }) => speaker))];
  const names = [...new Set(hypothesis.map(({ speaker }) => speaker))];
  const common = names.map(() => people.map(() => 0));
  for (const { length, truth, heard } of pieces) {
    for (const name of heard) for (const who of truth) common[names.indexOf(name)]![people.indexOf(who)]! += length;
  }
  const mapping = new Map([...assign(common)].map(([name, who]) => [names[name]!, people[who]!]));
  let [spoken, missed, falseAlarm, confused] = [0, 0, 0, 0];
  for (const { length, truth, heard } of pieces) {
    const right = heard.filter((name) => truth.includes(mapping.get(name) ?? ' nobody')).length;
    spoken += length * truth.length;
    missed += length * Math.max(0, truth.length - heard.length);
    falseAlarm += length * Math.max(0, heard.length - truth.length);
    confused += length * (Math.min(truth.length, heard.length) - right);
  }
  const wrong = missed + falseAlarm + confused;
  const rate = spoken > 0 ? wrong / spoken : wrong > 0 ? 1 : 0;
  return { spoken, missed, falseAlarm, confused, rate, mapping };
}

/** The stretches of one recording in an RTTM file, in order. */
export function parseRttm(text: string, recording: string): Spoke[] {
  const spokes: Spoke[] = [];
  for (const line of text.split('\n')) {
    const [type, file, , start, duration, , , speaker] = line.trim().split(/\s+/);
    if (type !== 'SPEAKER' || file !== recording || speaker === undefined) continue;
    spokes.push({ start: Number(start), end: Number(start) + Number(duration), speaker });
  }
  return spokes.toSorted((a, b) => a.start - b.start);
}
