import { smoothstep } from '../../media/smoothstep.ts';
import { type Box, evenBox, type Planes } from '../../media/video-frame.ts';
import type { Shape } from './mouth-habit.ts';
import type { Outline } from './mouth-outline.ts';

/** Columns of the mouth per pixel. */
const FINE = 2;
/** The patch's edge, over which nothing moves yet; px, and at least as a share of the distance between the eyes. */
const EDGE = 5;
/** An opening of fewer pixels is a line. */
const THIN = 2;
const EDGE_SHARE = 0.1;
/** The part of the lower lip's way that the chin goes with it. */
const JAW = 0.6;
/** How much of the skin below the chin is given up to it at most. */
const DRAWN = 0.35;
/** Of an opening of the source that is taken out, so much of the way the lower lip has made. */
const LOWER = 0.78;
/** Landmarks of an open mouth lie within its edges by so much: a share of its opening, and of the distance between the eyes; more so at the corners of mouths that are open wide. */
const WITHIN = { opening: 0.22, eyes: 0.03, wide: 0.2 } as const;
/** The line on which lips meet is moved by so much at most, distances between the eyes. */
const SINKS = 0.07;
/** Around the opening, in parts of its height, where the interior fades into the lips. */
export const RIM = 0.16;

/** Nodes of a column, from the nose's base to below the chin: heights in the picture as it is, and as it is to be. */
const TOP = 0;
const UPPER_OUTER = 1;
const UPPER_INNER = 2;
const LOWER_INNER = 3;
const LOWER_OUTER = 4;
const CHIN = 5;
const BOTTOM = 6;
const NODES = 7;

/** The part of a picture that a mouth moves in: below the nose's base, within the cheeks and the face's box. Even edges. */
export function regionOf(outline: Outline, face: Box, picture: Pick<Planes, 'width' | 'height'>): Box {
  const { origin, cos, sin, cheekLeft, cheekRight, nose, chin, eyes } = outline;
  const bottom = chin + 0.12 * eyes;
  let [left, top, right, low] = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [x, y] of [
    [cheekLeft, nose],
    [cheekRight, nose],
    [cheekLeft * 0.6, bottom],
    [cheekRight * 0.6, bottom],
  ] as const) {
    // prettier-ignore
    const [px, py] = [origin[0] + x * cos - y * sin, origin[1] + x * sin + y * cos];
    [left, right] = [Math.min(left, px), Math.max(right, px)];
    [top, low] = [Math.min(top, py), Math.max(low, py)];
  }
  // Inwards, so that no pixel outside the face's box is touched.
  const even = (x: number) => 2 * Math.ceil(x / 2);
  const [l, t] = [even(Math.max(left, face.left, 0)), even(Math.max(top, face.top, 0))];
  const r = 2 * Math.floor(Math.min(right, face.left + face.width, picture.width) / 2);
  const b = 2 * Math.floor(Math.min(low, face.top + face.height, picture.height) / 2);
  return evenBox({ left: l, top: t, width: Math.max(0, r - l), height: Math.max(0, b - t) }, picture);
}

/** Whether all of a mouth lies within a box. */
export function holds({ left, top, width, height }: Box, { origin, cos, sin, ...mouth }: Outline): boolean {
  const [up, down] = [mouth.upperOuter(0), mouth.lowerOuter(0)];
  return [
    [mouth.left, 0],
    [mouth.right, 0],
    [0, up],
    [0, down],
  ].every(([x, y]) => {
    const [px, py] = [origin[0] + x! * cos - y! * sin, origin[1] + x! * sin + y! * cos];
    return px >= left && px < left + width && py >= top && py < top + height;
  });
}

/**
 * Where the pixels of a region come from when its mouth takes another shape.
 *
 * Every column of the upright face is cut at the nose's base, the four lip contours, the chin and the region's end.
 * Lips keep their pixels and move; skin between them and what is fixed is stretched smoothly; what lies between the lips
 * is an interval of its own, so that lips which close meet without dragging teeth along. Lengths in pixels.
 */
export class LowerFace {
  box: Box = { left: 0, top: 0, width: 0, height: 0 };
  /** What to add to a pixel's place to find where it comes from. */
  dx = new Float32Array(0);
  dy = new Float32Array(0);
  /** Place in the mouth's opening: −1 … 1 from corner to corner, and 0 … 1 from lip to lip; only where `cover` is not 0. */
  across = new Float32Array(0);
  down = new Float32Array(0);
  /** How much of a pixel is opening, 0 … 1. */
  cover = new Float32Array(0);
  #from = new Float32Array(0);
  #to = new Float32Array(0);
  #shift = new Float32Array(0);
  #spare = new Float32Array(0);

  /** Works out the field for a mouth that becomes `shape`. */
  move(now: Outline, shape: Shape, box: Box): void {
    const size = box.width * box.height;
    if (this.dx.length < size) {
      const fresh = () => new Float32Array(size);
      [this.dx, this.dy, this.across, this.down, this.cover] = [fresh(), fresh(), fresh(), fresh(), fresh()];
    }
    this.box = box;
    const corners: readonly (readonly [number, number])[] = [
      [box.left, box.top],
      [box.left + box.width, box.top],
      [box.left, box.top + box.height],
      [box.left + box.width, box.top + box.height],
    ];
    const xs = corners.map(([x, y]) => (x - now.origin[0]) * now.cos + (y - now.origin[1]) * now.sin);
    const ys = corners.map(([x, y]) => (y - now.origin[1]) * now.cos - (x - now.origin[0]) * now.sin);
    const first = Math.floor(Math.min(...xs)) - 1;
    const count = (Math.ceil(Math.max(...xs)) + 2 - first) * FINE;
    const bottom = Math.min(ys[2]!, ys[3]!);
    const inner = this.#columns(now, shape, first, count, bottom);
    this.#pixels(now, first, count, inner);
  }

  /** The nodes of every column. */
  #columns(now: Outline, shape: Shape, first: number, count: number, bottom: number): [number, number] {
    if (this.#shift.length < count) {
      [this.#shift, this.#spare] = [new Float32Array(count), new Float32Array(count)];
      [this.#from, this.#to] = [new Float32Array(count * NODES), new Float32Array(count * NODES)];
    }
    const [from, to] = [this.#from, this.#to];
    const width = now.right - now.left;
    const scale = shape.width / width;
    const [innerLeft, innerRight] = [now.innerLeft * scale, now.innerRight * scale];
    const middle = (innerLeft + innerRight) / 2;
    const half = (innerRight - innerLeft) / 2;
    const chin = Math.min(now.chin - 0.14 * now.eyes, bottom - 0.1 * now.eyes);
    const dropped = shape.gap - now.gap;
    const closed = shape.closed * now.eyes;
    // Lips meet where they did when they were closed, not where the upper lip is just now; near enough for any tilt of the head.
    const guess = now.upperInner(0) + (1 - LOWER) * now.gap;
    const sunk = Math.max(-SINKS, Math.min(SINKS, (shape.seam - guess) / now.eyes)) * now.eyes * shape.replaced;
    // Where lips close, what landmarks leave of the opening must go too, at its corners most of all.
    const wide = Math.max(0, now.gap / now.eyes - WITHIN.wide);
    const within = Math.min((WITHIN.eyes + 0.15 * wide) * now.eyes, WITHIN.opening * Math.max(0, now.gap - closed));
    const beyond = 1.07 + 0.6 * wide;
    for (let k = 0; k < count; k += 1) {
      const x = first + k / FINE;
      const corner = x < 0 ? now.left * scale : now.right * scale;
      const edge = x < 0 ? now.cheekLeft : now.cheekRight;
      // Inside, the mouth is drawn out or together; outside, that fades away towards the cheek's end.
      const inside = Math.abs(x) <= Math.abs(corner);
      const shift = inside
        ? x / scale - x
        : (corner / scale - corner) * (1 - smoothstep((x - corner) / (edge - corner || 1)));
      this.#shift[k] = shift;
      const source = x + shift;
      const along = source / (beyond * (source < 0 ? now.left : now.right));
      const more = within * Math.sqrt(Math.max(0, 1 - along * along));
      const uo = now.upperOuter(source);
      const ui = Math.max(now.upperInner(source) - more, uo + 0.4 * (now.upperInner(source) - uo));
      const lo = Math.max(now.lowerInner(source), now.lowerOuter(source));
      const li = Math.max(ui, Math.min(now.lowerInner(source) + more, lo - 0.4 * (lo - now.lowerInner(source))));
      const upper = Math.min(uo, ui);
      const u = (x - middle) / half;
      const round = Math.max(0, 1 - u * u);
      const gap = shape.gap * round ** 0.75;
      const seam = ui + (1 - LOWER) * (li - ui) + sunk * round;
      const at = k * NODES;
      from[at + TOP] = to[at + TOP] = now.nose;
      from[at + UPPER_OUTER] = upper;
      from[at + UPPER_INNER] = ui;
      from[at + LOWER_INNER] = li;
      from[at + LOWER_OUTER] = lo;
      to[at + UPPER_INNER] = seam - shape.lift * gap;
      to[at + LOWER_INNER] = seam + (1 - shape.lift) * gap;
      // Displacements for now, to be smoothed along the lips.
      to[at + UPPER_OUTER] = to[at + UPPER_INNER]! - ui + (1 - shape.upperLip) * (ui - upper);
      to[at + LOWER_OUTER] = to[at + LOWER_INNER]! - li - (1 - shape.lowerLip) * (lo - li);
      from[at + CHIN] = Math.max(chin, lo + 2);
      const reach = 0.9 * (x < 0 ? now.cheekLeft : now.cheekRight);
      from[at + BOTTOM] = to[at + BOTTOM] = Math.max(bottom, from[at + CHIN]! + 1);
      // What lies below does not move, and may only be drawn out so far.
      const most = DRAWN * (from[at + BOTTOM]! - from[at + CHIN]!);
      to[at + CHIN] = Math.max(-most, Math.min(most, JAW * dropped)) * smoothstep(1 - Math.abs(x / reach));
    }
    const blur = Math.max(1, Math.round(0.08 * width * FINE));
    for (const node of [UPPER_OUTER, LOWER_OUTER]) this.#blur(to, node, count, blur);
    for (let k = 0; k < count; k += 1) {
      const at = k * NODES;
      for (const node of [UPPER_OUTER, LOWER_OUTER, CHIN]) to[at + node]! += from[at + node]!;
      // In order, with something left of everything.
      to[at + UPPER_OUTER] = Math.max(to[at + TOP]! + 1, Math.min(to[at + UPPER_OUTER]!, to[at + UPPER_INNER]!));
      to[at + LOWER_OUTER] = Math.max(to[at + LOWER_OUTER]!, to[at + LOWER_INNER]!);
      to[at + CHIN] = Math.max(to[at + CHIN]!, to[at + LOWER_OUTER]! + 1);
      if (to[at + BOTTOM]! < to[at + CHIN]! + 1) to[at + BOTTOM] = from[at + BOTTOM] = to[at + CHIN]! + 1;
    }
    return [middle, half];
  }

  /** A box over `2 reach + 1` columns, twice. */
  #blur(values: Float32Array, node: number, count: number, reach: number): void {
    for (let pass = 0; pass < 2; pass += 1) {
      const line = this.#spare;
      for (let k = 0; k < count; k += 1) line[k] = values[k * NODES + node]!;
      let sum = line[0]! * (reach + 1);
      for (let k = 0; k < reach; k += 1) sum += line[Math.min(count - 1, k)]!;
      for (let k = 0; k < count; k += 1) {
        sum += line[Math.min(count - 1, k + reach)]!;
        values[k * NODES + node] = sum / (2 * reach + 1);
        sum -= line[Math.max(0, k - reach)]!;
      }
    }
  }

  #pixels(now: Outline, first: number, count: number, [middle, half]: readonly [number, number]): void {
    const { box, dx, dy, across, down, cover } = this;
    const [from, to] = [this.#from, this.#to];
    const { cos, sin, eyes } = now;
    const edge = Math.max(EDGE, EDGE_SHARE * eyes);
    for (let row = 0; row < box.height; row += 1) {
      const py = box.top + row - now.origin[1];
      const fadeY = Math.min(row, box.height - 1 - row) / edge;
      for (let column = 0; column < box.width; column += 1) {
        const i = row * box.width + column;
        const px = box.left + column - now.origin[0];
        const x = px * cos + py * sin;
        const y = py * cos - px * sin;
        const k = Math.min(count - 1, Math.max(0, Math.round((x - first) * FINE)));
        const at = k * NODES;
        cover[i] = 0;
        const still = smoothstep(Math.min(fadeY, Math.min(column, box.width - 1 - column) / edge));
        if (y <= to[at + TOP]! || y >= to[at + BOTTOM]!) {
          dx[i] = dy[i] = 0;
          continue;
        }
        let move: number;
        let sideways = 1;
        const opened = to[at + LOWER_INNER]! - to[at + UPPER_INNER]!;
        if (y < to[at + UPPER_OUTER]!) {
          const s = smoothstep((y - to[at + TOP]!) / (to[at + UPPER_OUTER]! - to[at + TOP]!));
          move = s * (from[at + UPPER_OUTER]! - to[at + UPPER_OUTER]!);
          sideways = s;
        } else if (y < to[at + UPPER_INNER]!) move = between(from, to, at + UPPER_OUTER, y);
        else if (y < to[at + LOWER_INNER]!) {
          // Of a mouth that all but closes nothing is left to be seen: lips as far as they go.
          const node = y - to[at + UPPER_INNER]! < opened / 2 ? UPPER_INNER : LOWER_INNER;
          move = opened < THIN ? from[at + node]! - y : between(from, to, at + UPPER_INNER, y);
        } else if (y < to[at + LOWER_OUTER]!) move = between(from, to, at + LOWER_INNER, y);
        else if (y < to[at + CHIN]!) {
          const lip = from[at + LOWER_OUTER]! - to[at + LOWER_OUTER]!;
          const s = smoothstep((y - to[at + LOWER_OUTER]!) / (to[at + CHIN]! - to[at + LOWER_OUTER]!));
          move = lip + s * (from[at + CHIN]! - to[at + CHIN]! - lip);
          sideways = 1 - 0.7 * s;
        } else {
          const s = 1 - smoothstep((y - to[at + CHIN]!) / (to[at + BOTTOM]! - to[at + CHIN]!));
          move = s * (from[at + CHIN]! - to[at + CHIN]!);
          sideways = 0.3 * s;
        }
        // A pixel is covered by as much of the opening as lies on it, and by a rim that fades.
        const depth = Math.min(y - to[at + UPPER_INNER]!, to[at + LOWER_INNER]! - y);
        const rim = Math.max(0.5, RIM * opened);
        const u = (x - middle) / half;
        if (depth > -rim && opened > 0.05 && Math.abs(u) < 1) {
          across[i] = u;
          down[i] = (y - to[at + UPPER_INNER]!) / Math.max(opened, 1);
          cover[i] = still * smoothstep((1 - Math.abs(u)) / 0.1) * Math.min(1, (depth + rim) / (2 * rim));
        }
        const shift = this.#shift[k]! * sideways * still;
        move *= still;
        dx[i] = shift * cos - move * sin;
        dy[i] = shift * sin + move * cos;
      }
    }
  }
}

/** How far a height between two nodes is from where it comes from. */
function between(from: Float32Array, to: Float32Array, node: number, y: number): number {
  const [a, b] = [to[node]!, to[node + 1]!];
  const share = b > a ? (y - a) / (b - a) : 0;
  return from[node]! + share * (from[node + 1]! - from[node]!) - y;
}
