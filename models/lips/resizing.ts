import type { Rgb } from './colour.ts';

/** For every position along one side of the new picture: which positions of the old one it is made of, and by what weights. */
interface Taps {
  readonly count: number;
  readonly from: Int32Array;
  readonly weights: Float64Array;
}

/**
 * Lanczos' window of 8 taps in OpenCV's fixed point of 11 bits, half-pixel centres, edges repeated, no smoothing when it
 * gets smaller.
 *
 * @see https://github.com/opencv/opencv/blob/4.x/modules/imgproc/src/resize.cpp (`interpolateLanczos4`, `resizeGeneric_`)
 */
function lanczosTaps(old: number, size: number): Taps {
  const from = new Int32Array(8 * size);
  const weights = new Float64Array(8 * size);
  const sinc = (x: number) => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));
  for (let n = 0; n < size; n += 1) {
    const at = ((n + 0.5) * old) / size - 0.5;
    const low = Math.floor(at);
    const some = Array.from({ length: 8 }, (_, k) => sinc(at - low + 3 - k) * sinc((at - low + 3 - k) / 4));
    const sum = some.reduce((a, b) => a + b, 0);
    for (const [k, weight] of some.entries()) {
      from[8 * n + k] = Math.min(old - 1, Math.max(0, low - 3 + k));
      weights[8 * n + k] = evenly((weight / sum) * 2_048);
    }
  }
  return { count: 8, from, weights };
}
/** Rounds halves to the even number, as OpenCV and NumPy do. */
const evenly = (x: number) => {
  const below = Math.floor(x);
  return x - below === 0.5 ? below + (below & 1) : Math.round(x);
};

/** Resizes as `cv2.resize(…, interpolation=cv2.INTER_LANCZOS4)` does. */
export function lanczos(picture: Rgb, width: number, height: number): Rgb {
  const [across, down] = [lanczosTaps(picture.width, width), lanczosTaps(picture.height, height)];
  const data = new Uint8Array(3 * width * height);
  const rows = new Float64Array(picture.height * width);
  for (let plane = 0; plane < 3; plane += 1) {
    const base = plane * picture.width * picture.height;
    for (let row = 0; row < picture.height; row += 1) {
      const begin = base + row * picture.width;
      for (let n = 0; n < width; n += 1) {
        let sum = 0;
        for (let k = 8 * n; k < 8 * n + 8; k += 1) sum += picture.data[begin + across.from[k]!]! * across.weights[k]!;
        rows[row * width + n] = sum;
      }
    }
    for (let row = 0; row < height; row += 1) {
      const to = (plane * height + row) * width;
      for (let n = 0; n < width; n += 1) {
        let sum = 0;
        for (let k = 8 * row; k < 8 * row + 8; k += 1) sum += rows[down.from[k]! * width + n]! * down.weights[k]!;
        data[to + n] = Math.min(255, Math.max(0, Math.floor((sum + 2_097_152) / 4_194_304)));
      }
    }
  }
  return { width, height, data };
}

/** Resizes as `cv2.resize(…)` does by default, linearly, before its rounding. Three planes. */
export function linear(picture: Rgb, width: number, height: number): Float32Array {
  const { width: oldWidth, height: oldHeight, data } = picture;
  const out = new Float32Array(3 * width * height);
  const places = (old: number, size: number) =>
    Array.from({ length: size }, (_, n) => {
      const at = ((n + 0.5) * old) / size - 0.5;
      const low = Math.floor(at);
      return { low: Math.max(0, low), high: Math.min(old - 1, low + 1), share: at - low };
    });
  const [across, down] = [places(oldWidth, width), places(oldHeight, height)];
  for (let plane = 0; plane < 3; plane += 1) {
    const base = plane * oldWidth * oldHeight;
    for (const [row, { low, high, share }] of down.entries()) {
      const [above, below] = [base + low * oldWidth, base + high * oldWidth];
      const to = (plane * height + row) * width;
      for (const [n, x] of across.entries()) {
        const first = data[above + x.low]! + x.share * (data[above + x.high]! - data[above + x.low]!);
        const second = data[below + x.low]! + x.share * (data[below + x.high]! - data[below + x.low]!);
        out[to + n] = first + share * (second - first);
      }
    }
  }
  return out;
}

/** Pillow's filters: how far they reach, and their heights (Keys' cubic with a = -0.5). */
const FILTERS = {
  bilinear: { reach: 1, height: (x: number) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    reach: 2,
    height: (signed: number) => {
      const x = Math.abs(signed);
      if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
      return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
    },
  },
} as const;
/** Pillow computes with weights of 22 bits behind the point. */
const ONE = 4_194_304;

function pillowTaps(old: number, size: number, { reach, height }: (typeof FILTERS)[keyof typeof FILTERS]): Taps {
  const scale = old / size;
  const wide = Math.max(1, scale);
  const count = Math.ceil(reach * wide) * 2 + 1;
  const from = new Int32Array(count * size);
  const weights = new Float64Array(count * size);
  for (let n = 0; n < size; n += 1) {
    const centre = (n + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach * wide + 0.5));
    const last = Math.min(old, Math.trunc(centre + reach * wide + 0.5));
    const some = Array.from({ length: last - first }, (_, k) => height((first + k - centre + 0.5) / wide));
    const sum = some.reduce((a, b) => a + b, 0);
    for (let k = 0; k < count; k += 1) {
      from[count * n + k] = Math.min(old - 1, first + k);
      const weight = ((some[k] ?? 0) / sum) * ONE;
      weights[count * n + k] = Math.trunc(weight + (weight < 0 ? -0.5 : 0.5));
    }
  }
  return { count, from, weights };
}

/**
 * Resizes planes as `Image.resize` of Pillow does: a filter that widens when the picture gets smaller, first along rows,
 * then along columns, bytes in between.
 *
 * @see https://github.com/python-pillow/Pillow/blob/main/src/libImaging/Resample.c
 */
export function pillow(
  planes: { readonly width: number; readonly height: number; readonly data: Uint8Array },
  width: number,
  height: number,
  filter: keyof typeof FILTERS,
): Uint8Array {
  const count = planes.data.length / (planes.width * planes.height);
  const across = pillowTaps(planes.width, width, FILTERS[filter]);
  const down = pillowTaps(planes.height, height, FILTERS[filter]);
  const byte = (sum: number) => Math.min(255, Math.max(0, Math.floor((sum + ONE / 2) / ONE)));
  const rows = new Uint8Array(planes.height * width);
  const data = new Uint8Array(count * width * height);
  for (let plane = 0; plane < count; plane += 1) {
    for (let row = 0; row < planes.height; row += 1) {
      const begin = (plane * planes.height + row) * planes.width;
      for (let n = 0; n < width; n += 1) {
        let sum = 0;
        const end = across.count * (n + 1);
        for (let k = across.count * n; k < end; k += 1) {
          sum += planes.data[begin + across.from[k]!]! * across.weights[k]!;
        }
        rows[row * width + n] = byte(sum);
      }
    }
    for (let row = 0; row < height; row += 1) {
      const to = (plane * height + row) * width;
      const end = down.count * (row + 1);
      for (let n = 0; n < width; n += 1) {
        let sum = 0;
        for (let k = down.count * row; k < end; k += 1) sum += rows[down.from[k]! * width + n]! * down.weights[k]!;
        data[to + n] = byte(sum);
      }
    }
  }
  return data;
}
