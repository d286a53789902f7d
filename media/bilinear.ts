/**
 * A plane between its pixels; beyond its edges it goes on as they are.
 *
 * @param x pixels from the centre of the first one
 * @param first where the plane begins in `plane`
 */
export function bilinear(
  plane: Uint8Array | Float32Array,
  width: number,
  height: number,
  x: number,
  y: number,
  first = 0,
): number {
  const px = x < 0 ? 0 : x > width - 1 ? width - 1 : x;
  const py = y < 0 ? 0 : y > height - 1 ? height - 1 : y;
  const [column, row] = [px | 0, py | 0];
  const [s, t] = [px - column, py - row];
  const right = column + 1 < width ? 1 : 0;
  const below = row + 1 < height ? width : 0;
  const at = first + row * width + column;
  const upper = plane[at]! * (1 - s) + plane[at + right]! * s;
  const lower = plane[at + below]! * (1 - s) + plane[at + below + right]! * s;
  return upper * (1 - t) + lower * t;
}
