/**
 * A picture's number, written into the picture so that it survives every codec and every size: a strip at the lower
 * edge with sixteen cells, white for 1, twelve for the number and four that check it. The order is from the left, the
 * highest first.
 *
 * The whole strip white, or black, or grey is no number: a slate or an empty picture reads as `undefined`.
 */
export const CELLS = 16;
/** How many numbers there are: a programme has no more pictures. */
export const NUMBERS = 4_096;
/** Share of the picture's height that the strip takes. */
export const STRIP = 1 / 6;

const WHITE = 235;
const BLACK = 16;
/** A cell is black up to here and white from there on, and neither between. */
const BLACK_MOST = 105;
const WHITE_LEAST = 150;

const check = (number: number): number => ((number >> 8) ^ (number >> 4) ^ number ^ 0b0101) & 0xf;

/** The sixteen bits that say `number`. */
export function cellsOf(number: number): boolean[] {
  if (!Number.isInteger(number) || number < 0 || number >= NUMBERS)
    throw new RangeError(`A picture's number is 0 to ${NUMBERS - 1}, received ${number}`);
  const word = (number << 4) | check(number);
  return Array.from({ length: CELLS }, (_, n) => ((word >> (CELLS - 1 - n)) & 1) === 1);
}

/** The number that sixteen brightnesses (0 to 255) say; `undefined` where they say none. */
export function numberIn(cells: readonly number[]): number | undefined {
  if (cells.length !== CELLS) return undefined;
  let word = 0;
  for (const brightness of cells) {
    if (brightness > BLACK_MOST && brightness < WHITE_LEAST) return undefined;
    word = (word << 1) | (brightness >= WHITE_LEAST ? 1 : 0);
  }
  const number = word >> 4;
  return check(number) === (word & 0xf) ? number : undefined;
}

/** A picture's size, both even. */
export interface Size {
  readonly width: number;
  readonly height: number;
}
export const stripHeight = ({ height }: Size): number => 2 * Math.round((height * STRIP) / 2);

/** Writes `number` into a picture (planar YUV 4:2:0, 8 bit), in place. */
export function stamp(picture: Uint8Array, size: Size, number: number): void {
  const { width, height } = size;
  const cells = cellsOf(number);
  const strip = stripHeight(size);
  for (let y = height - strip; y < height; y += 1)
    for (let x = 0; x < width; x += 1) picture[y * width + x] = cells[Math.floor((x * CELLS) / width)] ? WHITE : BLACK;
  const luma = width * height;
  const chroma = luma / 4;
  for (const plane of [luma, luma + chroma])
    picture.fill(128, plane + (((height - strip) / 2) * width) / 2, plane + chroma);
}

/** The size a strip is read at: ten by eight pixels a cell. */
export const READ: Size = { width: CELLS * 10, height: 8 };

/** The brightness of each cell of a strip of {@link READ}'s size, 8 bit grey: its middle, which no neighbour reaches. */
export function cellsIn(strip: Uint8Array): number[] {
  return Array.from({ length: CELLS }, (_, cell) => {
    let sum = 0;
    for (let y = 2; y < 6; y += 1) for (let x = 3; x < 7; x += 1) sum += strip[y * READ.width + cell * 10 + x] ?? 128;
    return sum / 16;
  });
}

/** FFmpeg's filter from a picture of any size to its strip of {@link READ}'s. */
export const STRIP_FILTER = `crop=iw:trunc(ih*${STRIP}):0:ih-trunc(ih*${STRIP}),scale=${READ.width}:${READ.height}:flags=area,format=gray`;

/** Picture numbers in a strip stream, with the moment each came. Bytes may be cut anywhere. */
export class StripReader {
  readonly #strip = new Uint8Array(READ.width * READ.height);
  #filled = 0;

  /** Numbers of the strips that are whole now; `undefined` for a picture that says none. */
  push(bytes: Uint8Array): (number | undefined)[] {
    const numbers: (number | undefined)[] = [];
    for (let at = 0; at < bytes.length;) {
      const some = bytes.subarray(at, at + this.#strip.length - this.#filled);
      this.#strip.set(some, this.#filled);
      this.#filled += some.length;
      at += some.length;
      if (this.#filled < this.#strip.length) break;
      this.#filled = 0;
      numbers.push(numberIn(cellsIn(this.#strip)));
    }
    return numbers;
  }
}
