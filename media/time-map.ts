import { type Interval, type MediaTime, type Span, at, ms } from './time.ts';

/** A stretch of the programme that is to take `factor` times as long. */
export interface Slowing extends Interval {
  /** 1 (as it is) … the most that {@link timeMap} is told. */
  readonly factor: number;
}

/** Pictures that run up to a fifth longer still look like what they are; beyond that, pictures have to be invented. */
export const SLOWEST = 1.2;
/** The most that any programme is slowed: speech at half its pace is hard to listen to, and stretchers go no further. */
export const FURTHEST = 2;
/**
 * Edges lie on whole milliseconds on both sides, which are whole samples at 48 kHz and what Matroska counts in: sound and
 * pictures follow the very same map.
 */
export const GRID: Span = ms(1);
/** No piece is shorter: there is room for a cross-fade at either end. */
export const SHORTEST: Span = ms(100);
/** As many slowed stretches as fit one argument of FFmpeg: 128 KiB (Linux, MAX_ARG_STRLEN), 208 bytes each. */
export const MOST = 500;

/** A stretch of the programme with its place in the output; the map is a straight line from corner to corner. */
export interface Piece {
  readonly from: Interval;
  readonly to: Interval;
}

/**
 * Where in the output each position of the programme is when some of it runs slower: piecewise linear, never faster than
 * the programme, never slower than {@link FURTHEST}.
 *
 * Strictly monotonic in whole microseconds, so that {@link back} undoes {@link at} exactly. Before 0 and behind the last
 * slowed stretch the programme runs as it is.
 */
export class TimeMap {
  /** What runs slower, in order; stretches of different factors may touch. */
  readonly slowed: readonly Piece[];
  readonly #pieces: readonly Piece[];

  /** @param slowed in order, disjoint, contiguous with what runs as it is between them: use {@link timeMap} */
  constructor(slowed: readonly Piece[]) {
    this.slowed = slowed;
    this.#pieces = filled(slowed);
  }

  /** The whole programme, in order, without a gap; the last piece has no end. */
  get pieces(): readonly Piece[] {
    return this.#pieces;
  }
  /** How much longer the output is. */
  get added(): Span {
    const last = this.slowed.at(-1);
    return (last ? last.to.end - last.from.end : 0) as Span;
  }

  /** Of a position in the programme, the one in the output. */
  at(t: MediaTime): MediaTime {
    const { from, to } = this.#find(t, 'from');
    return t < from.start ? t : at(to.start + (t - from.start) * slope(from, to));
  }
  /** Of a position in the output, the one in the programme that is nearest to it. */
  back(t: MediaTime): MediaTime {
    const { from, to } = this.#find(t, 'to');
    return t < to.start ? t : at(from.start + (t - to.start) * slope(to, from));
  }
  interval<T extends Interval>(of: T): T {
    return { ...of, start: this.at(of.start), end: this.at(of.end) };
  }
  /** How much slower the programme runs where it runs slowest. */
  get slowest(): number {
    return this.slowed.reduce((most, { from, to }) => Math.max(most, slope(from, to)), 1);
  }
  /** How much slower the programme runs at `t`. */
  factor(t: MediaTime): number {
    const { from, to } = this.#find(t, 'from');
    return t < from.start ? 1 : slope(from, to);
  }

  #find(t: MediaTime, axis: 'from' | 'to'): Piece {
    const pieces = this.#pieces;
    let [low, high] = [0, pieces.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((pieces[middle] as Piece)[axis].start <= t) low = middle;
      else high = middle - 1;
    }
    return pieces[low] as Piece;
  }
}

/** How much longer `b` is than `a`. What has no end runs as it is. */
const slope = (a: Interval, b: Interval): number =>
  Number.isFinite(a.end) ? (b.end - b.start) / (a.end - a.start) : 1;

const FOREVER = Number.POSITIVE_INFINITY as MediaTime;

function filled(slowed: readonly Piece[]): Piece[] {
  const pieces: Piece[] = [];
  let [from, to] = [at(0), at(0)];
  for (const piece of slowed) {
    if (piece.from.start > from) {
      pieces.push({ from: { start: from, end: piece.from.start }, to: { start: to, end: piece.to.start } });
    }
    pieces.push(piece);
    [from, to] = [piece.from.end, piece.to.end];
  }
  pieces.push({ from: { start: from, end: FOREVER }, to: { start: to, end: FOREVER } });
  return pieces;
}

/**
 * The map that gives every request what it asks for. Where requests overlap, the largest counts; edges are moved outwards
 * to {@link GRID}, and what is left between two requests is slowed along where it is shorter than {@link SHORTEST}.
 *
 * @param most the largest factor there may be, no more than {@link FURTHEST}
 * @throws RangeError for a factor that is not within 1 and `most`
 */
export function timeMap(requests: readonly Slowing[], most = SLOWEST): TimeMap {
  if (!(most >= 1 && most <= FURTHEST)) {
    throw new RangeError(`Cannot slow the programme: the most must be within 1 and ${FURTHEST}, received ${most}`);
  }
  const stretches = joined(fewest(without(overlaid(requests.flatMap((request) => onGrid(request, most))))));
  const slowed: Piece[] = [];
  let added = 0;
  for (const { start, end, factor } of stretches) {
    const length = end - start;
    const longest = Math.floor((length * most + 1e-6) / GRID) * GRID;
    const wanted = Math.min(longest, Math.ceil((length * factor - 1e-6) / GRID) * GRID);
    if (wanted <= length) continue;
    slowed.push({ from: { start, end }, to: { start: at(start + added), end: at(start + added + wanted) } });
    added += wanted - length;
  }
  return new TimeMap(slowed);
}

function onGrid({ start, end, factor }: Slowing, most: number): Slowing[] {
  if (!(factor >= 1 && factor <= most)) {
    throw new RangeError(`Cannot slow the programme: factor must be within 1 and ${most}, received ${factor}`);
  }
  const first = Math.max(0, Math.floor(start / GRID) * GRID);
  const last = Math.max(Math.ceil(end / GRID) * GRID, first + SHORTEST);
  // Factors that differ by less than anybody could tell are one: each stretch of its own may fall short by a step of the grid.
  const rounded = Math.min(most, Math.ceil(factor * 1e6 - 1e-3) / 1e6);
  return factor === 1 || end <= start || end <= 0 ? [] : [{ start: at(first), end: at(last), factor: rounded }];
}

/** Requests laid over each other: disjoint stretches in order, without those that run as they are. */
function overlaid(requests: readonly Slowing[]): Slowing[] {
  const inOrder = [...requests].sort((a, b) => a.start - b.start);
  const edges = [...new Set(inOrder.flatMap(({ start, end }) => [start, end]))].sort((a, b) => a - b);
  const stretches: Slowing[] = [];
  let open: Slowing[] = [];
  let next = 0;
  edges.forEach((start, n) => {
    const end = edges[n + 1];
    for (let request = inOrder[next]; request && request.start <= start; request = inOrder[next]) {
      open.push(request);
      next += 1;
    }
    open = open.filter((request) => request.end > start);
    if (end !== undefined && open.length > 0) {
      stretches.push({ start, end, factor: Math.max(...open.map(({ factor }) => factor)) });
    }
  });
  return joined(stretches);
}

/** Without pieces shorter than {@link SHORTEST}: they run as slow as the slower of their neighbours. */
function without(stretches: readonly Slowing[]): Slowing[] {
  let pieces = withGaps(stretches);
  for (let n = 0; n < pieces.length;) {
    const piece = pieces[n] as Slowing;
    const factor = Math.max(piece.factor, pieces[n - 1]?.factor ?? 1, pieces[n + 1]?.factor ?? 1);
    if (piece.end - piece.start >= SHORTEST || factor === piece.factor) n += 1;
    else {
      pieces = joined(pieces.with(n, { ...piece, factor }));
      n = Math.max(0, n - 1);
    }
  }
  return pieces.filter(({ factor }) => factor > 1);
}

/** With the shortest gaps closed where there are more stretches than {@link MOST}. */
function fewest(stretches: readonly Slowing[]): Slowing[] {
  let slowed = joined(stretches);
  if (slowed.length <= MOST) return slowed;
  // Neighbours that touch are a gap of nothing, and close first.
  const gaps = slowed.slice(1).map(({ start }, n) => ({ n, length: start - (slowed[n] as Slowing).end }));
  const closed = new Set(
    gaps
      .sort((a, b) => a.length - b.length)
      .slice(0, slowed.length - MOST)
      .map(({ n }) => n),
  );
  slowed = slowed.reduce<Slowing[]>((done, stretch, n) => {
    const before = done.at(-1);
    if (!before || !closed.has(n - 1)) return [...done, stretch];
    const factor = Math.max(before.factor, stretch.factor);
    done[done.length - 1] = { start: before.start, end: stretch.end, factor };
    return done;
  }, []);
  return slowed;
}

function withGaps(stretches: readonly Slowing[]): Slowing[] {
  let end = at(0);
  return stretches.flatMap((stretch) => {
    const gap = { start: end, end: stretch.start, factor: 1 };
    end = stretch.end;
    return gap.end > gap.start ? [gap, stretch] : [stretch];
  });
}

/** Touching stretches of one factor as one. */
function joined(stretches: readonly Slowing[]): Slowing[] {
  const whole: Slowing[] = [];
  for (const stretch of stretches) {
    const before = whole.at(-1);
    if (before && before.end === stretch.start && before.factor === stretch.factor) {
      whole[whole.length - 1] = { ...before, end: stretch.end };
    } else whole.push(stretch);
  }
  return whole;
}
