import type { Planes } from './video-frame.ts';

type Size = Pick<Planes, 'width' | 'height'>;

/** The largest even size of the same shape within `most`; never larger than `size`, never smaller than 2 × 2. */
export function sizeWithin(size: Size, most: Size): Size {
  const factor = Math.min(1, most.width / size.width, most.height / size.height);
  const even = (side: number) => Math.max(2, 2 * Math.round((side * factor) / 2));
  return { width: Math.min(even(size.width), most.width), height: Math.min(even(size.height), most.height) };
}

/** A smaller copy: each pixel is the mean of those it takes the place of. `width` and `height` are even. */
export function shrunk(picture: Planes, { width, height }: Size): Planes {
  const half = (side: number) => (side + 1) >> 1;
  const [w, h] = [half(picture.width), half(picture.height)];
  return {
    width,
    height,
    y: plane(picture.y, picture.width, picture.height, width, height),
    u: plane(picture.u, w, h, width >> 1, height >> 1),
    v: plane(picture.v, w, h, width >> 1, height >> 1),
  };
}

function plane(from: Uint8Array, width: number, height: number, toWidth: number, toHeight: number): Uint8Array {
  const to = new Uint8Array(toWidth * toHeight);
  for (let row = 0; row < toHeight; row += 1) {
    const [top, bottom] = reach(row, height, toHeight);
    for (let column = 0; column < toWidth; column += 1) {
      const [left, right] = reach(column, width, toWidth);
      let sum = 0;
      for (let y = top; y < bottom; y += 1) {
        const begin = y * width;
        for (let x = left; x < right; x += 1) sum += from[begin + x]!;
      }
      to[row * toWidth + column] = Math.round(sum / ((bottom - top) * (right - left)));
    }
  }
  return to;
}

/** Which of `from` pixels in a row one of `to` stands for: at least one. */
function reach(place: number, from: number, to: number): readonly [begin: number, end: number] {
  const begin = Math.min(from - 1, Math.floor((place * from) / to));
  return [begin, Math.max(begin + 1, Math.floor(((place + 1) * from) / to))];
}
