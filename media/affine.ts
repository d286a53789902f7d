import type { Box } from './video-frame.ts';

/**
 * A map of the plane: (x, y) goes to (a·x + b·y + c, d·x + e·y + f).
 *
 * Positions are continuous: the pixel in column n covers n … n + 1, and its centre is at n + ½.
 */
export interface Affine {
  readonly a: number;
  readonly b: number;
  readonly c: number;
  readonly d: number;
  readonly e: number;
  readonly f: number;
}

/** Points as x, y, x, y …, moved by the map. */
export function movedPoints(points: ArrayLike<number>, { a, b, c, d, e, f }: Affine): Float32Array {
  const moved = new Float32Array(points.length);
  for (let n = 0; n + 1 < points.length; n += 2) {
    const [x, y] = [points[n]!, points[n + 1]!];
    moved[n] = a * x + b * y + c;
    moved[n + 1] = d * x + e * y + f;
  }
  return moved;
}

/** The map that undoes `map`; the map may not fold the plane onto a line. */
export function inverse({ a, b, c, d, e, f }: Affine): Affine {
  const area = a * e - b * d;
  if (area === 0) throw new RangeError('Cannot undo a map that folds the plane onto a line');
  const [ia, ib, id, ie] = [e / area, -b / area, -d / area, a / area];
  return { a: ia, b: ib, c: -(ia * c + ib * f), d: id, e: ie, f: -(id * c + ie * f) };
}

/** From a picture of `width` × `height` to the part of another that `box` covers. */
export const ontoBox = (width: number, height: number, box: Box): Affine => ({
  a: box.width / width,
  b: 0,
  c: box.left,
  d: 0,
  e: box.height / height,
  f: box.top,
});

/** From a square picture of `size` pixels to a square of edge `edge` around (x, y), turned clockwise by `angle` radians. */
export function ontoSquare(size: number, x: number, y: number, edge: number, angle = 0): Affine {
  const scale = edge / size;
  const [cos, sin] = [Math.cos(angle) * scale, Math.sin(angle) * scale];
  const middle = size / 2;
  return { a: cos, b: -sin, c: x - cos * middle + sin * middle, d: sin, e: cos, f: y - sin * middle - cos * middle };
}

/**
 * The similarity (turn, scale, shift; no mirror) that brings `from` nearest to `to` by least squares; both are x, y, x, y ….
 *
 * @see S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 13(4), 1991
 */
export function similarity(from: ArrayLike<number>, to: ArrayLike<number>): Affine {
  const count = from.length / 2;
  let [fx, fy, tx, ty] = [0, 0, 0, 0];
  for (let n = 0; n < count; n += 1) {
    fx += from[2 * n]! / count;
    fy += from[2 * n + 1]! / count;
    tx += to[2 * n]! / count;
    ty += to[2 * n + 1]! / count;
  }
  let [spread, along, across] = [0, 0, 0];
  for (let n = 0; n < count; n += 1) {
    const [x, y, u, v] = [from[2 * n]! - fx, from[2 * n + 1]! - fy, to[2 * n]! - tx, to[2 * n + 1]! - ty];
    spread += x * x + y * y;
    along += x * u + y * v;
    across += x * v - y * u;
  }
  const [cos, sin] = spread === 0 ? [1, 0] : [along / spread, across / spread];
  return { a: cos, b: -sin, c: tx - cos * fx + sin * fy, d: sin, e: cos, f: ty - sin * fx - cos * fy };
}
