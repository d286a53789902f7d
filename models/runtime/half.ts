/** IEEE 754 binary16 in the bits of unsigned integers: what float16 tensors hold (Node 20 has no Float16Array). */

const bits = new Uint32Array(1);
const float = new Float32Array(bits.buffer);

/** Rounds to the nearest half, ties to even; what is too large becomes infinite. */
function halfOf(value: number): number {
  float[0] = value;
  const word = bits[0] ?? 0;
  const sign = (word >>> 16) & 0x80_00;
  const magnitude = word & 0x7f_ff_ff_ff;
  // Not a number stays so; from 65520 on, the nearest half is infinite.
  if (magnitude > 0x7f_80_00_00) return sign | 0x7e_00;
  if (magnitude >= 0x47_7f_f0_00) return sign | 0x7c_00;
  // Below 2^-14 a half counts steps of 2^-24; adding 0.5 leaves exactly that count, rounded, in the low bits.
  if (magnitude < 0x38_80_00_00) {
    float[0] = Math.abs(value) + 0.5;
    return sign | ((bits[0] ?? 0) - 0x3f_00_00_00);
  }
  const odd = (magnitude >>> 13) & 1;
  return sign | ((magnitude - 0x38_00_00_00 + 0xf_ff + odd) >>> 13);
}

function floatOf(half: number): number {
  const sign = half & 0x80_00 ? -1 : 1;
  const exponent = (half >>> 10) & 0x1f;
  const fraction = half & 0x3_ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1_024) * 2 ** (exponent - 15);
}

/** Every float16 there is: widening is looking up. */
let table: Float32Array | undefined;

export const toHalves = (values: Float32Array): Uint16Array => Uint16Array.from(values, halfOf);
export function toFloats(halves: Uint16Array): Float32Array {
  table ??= Float32Array.from({ length: 0x1_00_00 }, (_, half) => floatOf(half));
  const widened = table;
  return Float32Array.from(halves, (half) => widened[half] ?? NaN);
}
