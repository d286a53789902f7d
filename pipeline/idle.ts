import { type Interval, type MediaTime, type Span, at, between, later, ms } from '../media/time.ts';
import type { Planes } from '../media/video-frame.ts';
import type { Face, Seen } from './face.ts';
import { IBUG, centreOf } from './ibug.ts';

/** A small grey picture of what is around a speaker, by which pictures are compared. */
export interface Thumbnail {
  readonly width: number;
  readonly height: number;
  readonly grey: Uint8Array;
}

export interface Idling {
  /** As far as inner lips may be apart, in parts of the distance between the eyes. */
  readonly closed: number;
  /** As fast as a head may turn, degrees a second, and move, distances between the eyes a second. */
  readonly turning: number;
  readonly moving: number;
  /** Shorter stretches are none. */
  readonly shortest: Span;
  /** How long it takes to get into a stretch and out of it again. */
  readonly fade: Span;
}
export const IDLING: Idling = { closed: 0.06, turning: 15, moving: 0.3, shortest: ms(320), fade: ms(200) };

/** Pictures in a row, by index; `to` is the last. */
export interface Run {
  readonly from: number;
  readonly to: number;
}

/** Motion is measured over about this long: from picture to picture most of it is trembling. */
const STEP = ms(240);

/** Where a face idles: its mouth closed, its head nearly still. Runs of pictures that follow each other without a cut. */
export function idleRuns(seen: readonly Seen[], which: (seen: Seen) => Face | undefined, rules = IDLING): Run[] {
  const faces = seen.map(which);
  const calm = seen.map(({ start, cut }, n) => {
    const face = faces[n];
    if (!face || face.unfit !== undefined || face.opening > rules.closed) return false;
    if (cut) return true;
    let from = n;
    while (from > 0 && !seen[from]!.cut && between(seen[from]!.start, start) < STEP) from -= 1;
    const before = faces[from];
    if (!before || from === n) return true;
    return isCalm(before, face, between(seen[from]!.start, start), rules);
  });
  const runs: { from: number; to: number }[] = [];
  for (const [n, idles] of calm.entries()) {
    if (!idles) continue;
    const last = runs.at(-1);
    if (last?.to === n - 1 && !seen[n]!.cut) last.to = n;
    else runs.push({ from: n, to: n });
  }
  return runs.filter(({ from, to }) => between(seen[from]!.start, seen[to]!.start) >= rules.shortest);
}

function isCalm(before: Face, after: Face, span: Span, { turning, moving }: Idling): boolean {
  const seconds = span / 1e6;
  const { yaw, pitch, roll } = after.pose;
  const turned = Math.hypot(yaw - before.pose.yaw, pitch - before.pose.pitch, roll - before.pose.roll);
  const [a, b] = [eyesOf(before), eyesOf(after)];
  const moved = Math.hypot(b.x - a.x, b.y - a.y) / Math.max(1, b.apart);
  return turned <= turning * seconds && moved <= moving * seconds;
}
function eyesOf({ landmarks }: Face): { readonly x: number; readonly y: number; readonly apart: number } {
  const [[lx, ly], [rx, ry]] = [centreOf(landmarks, IBUG.leftEye), centreOf(landmarks, IBUG.rightEye)];
  return { x: (lx + rx) / 2, y: (ly + ry) / 2, apart: Math.hypot(rx - lx, ry - ly) };
}

/** A picture's brightness, every `step`th pixel the mean of its square. */
export function thumbnailOf({ y, width, height }: Planes, step = 8): Thumbnail {
  const [wide, high] = [Math.max(1, Math.floor(width / step)), Math.max(1, Math.floor(height / step))];
  const grey = new Uint8Array(wide * high);
  for (let row = 0; row < high; row += 1) {
    for (let column = 0; column < wide; column += 1) {
      let sum = 0;
      for (let dy = 0; dy < step; dy += 1) {
        for (let dx = 0; dx < step; dx += 1) sum += y[(row * step + dy) * width + column * step + dx] ?? 0;
      }
      grey[row * wide + column] = Math.round(sum / (step * step));
    }
  }
  return { width: wide, height: high, grey };
}

/** How unlike two pictures are: the root mean square of their difference, grey levels. */
export function unlike(a: Thumbnail, b: Thumbnail): number {
  if (a.grey.length !== b.grey.length) return Infinity;
  let sum = 0;
  for (let n = 0; n < a.grey.length; n += 1) sum += (a.grey[n]! - b.grey[n]!) ** 2;
  return Math.sqrt(sum / Math.max(1, a.grey.length));
}

/** What is to be seen at an instant: a picture of the source, or a mix of two. */
export interface IdlePicture {
  readonly at: MediaTime;
  readonly picture: number;
  /** 0 … 1: how much of `picture` is seen; the rest is `under`. Left out, it is seen alone. */
  readonly mix?: { readonly under: number; readonly share: number };
}

/** Along a run to and fro, from `first` on: the index of each of `count` pictures. */
export function toAndFro({ from, to }: Run, first: number, forwards: boolean, count: number): number[] {
  const length = to - from;
  if (length === 0) return Array.from({ length: count }, () => from);
  const phase = forwards ? first - from : 2 * length - (first - from);
  return Array.from({ length: count }, (_, n) => {
    const along = (phase + n) % (2 * length);
    return from + (along <= length ? along : 2 * length - along);
  });
}

/** A picture that differs from the one before so many times more than is usual in a run does not go on from it. */
const JUMP = 4;

/** Runs without the jumps in them: pictures may be as still as can be, and yet not follow each other. */
export function withoutJumps(runs: readonly Run[], thumbnails: readonly Thumbnail[]): Run[] {
  return runs.flatMap(({ from, to }) => {
    const steps = Array.from({ length: to - from }, (_, n) => unlike(thumbnails[from + n]!, thumbnails[from + n + 1]!));
    const usual = [...steps].sort((a, b) => a - b)[steps.length >> 1] ?? 0;
    const ends = steps.flatMap((step, n) => (step > JUMP * Math.max(usual, 0.25) ? [from + n] : []));
    return [...ends, to].map((end, n) => ({ from: n === 0 ? from : ends[n - 1]! + 1, to: end }));
  });
}

/**
 * Fills a gap in a recorded programme with a speaker's own idle pictures: along a run to and fro, so that one picture is
 * always followed by its neighbour; begun and left where run and programme are most alike, and faded across there.
 *
 * @param gap in the output
 * @param around indices of the pictures that are seen right before and right after the gap; left out at the programme's ends
 * @param thumbnails of every picture
 * @param every from one picture to the next
 * @returns what is seen when, in order; nothing where there is no run
 */
export function idleFill(
  gap: Interval,
  around: { readonly before?: number; readonly after?: number },
  runs: readonly Run[],
  thumbnails: readonly Thumbnail[],
  every: Span,
  { fade } = IDLING,
): IdlePicture[] {
  const count = Math.max(1, Math.round(between(gap.start, gap.end) / every));
  const near = (index: number | undefined, picture: number) =>
    index === undefined ? 0 : unlike(thumbnails[index]!, thumbnails[picture]!);
  let best: { readonly cost: number; readonly order: readonly number[] } | undefined;
  for (const run of withoutJumps(runs, thumbnails)) {
    for (let first = run.from; first <= run.to; first += 1) {
      for (const forwards of [true, false]) {
        const order = toAndFro(run, first, forwards, count);
        const cost = near(around.before, first) + near(around.after, order.at(-1)!);
        if (!best || cost < best.cost) best = { cost, order };
      }
    }
  }
  if (!best) return [];
  const steps = Math.min(Math.floor(count / 2), Math.round(fade / every));
  return best.order.map((picture, n) => {
    const place = { at: at(later(gap.start, (n * every) as Span)), picture };
    const [into, out] = [(n + 1) / (steps + 1), (count - n) / (steps + 1)];
    // Nothing is faded between pictures that are one.
    if (into < 1 && around.before !== undefined) return { ...place, mix: { under: around.before, share: into } };
    if (out < 1 && around.after !== undefined) return { ...place, mix: { under: around.after, share: out } };
    return place;
  });
}

/** Two pictures mixed, the first with such a share. */
export function mixed<F extends Planes>(over: F, under: F, share: number): F {
  const mix = (a: Uint8Array, b: Uint8Array) => a.map((value, n) => Math.round(share * value + (1 - share) * b[n]!));
  return { ...over, y: mix(over.y, under.y), u: mix(over.u, under.u), v: mix(over.v, under.v) };
}
