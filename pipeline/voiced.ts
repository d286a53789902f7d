import { STRIP_STEP } from './face-strip.ts';

/** Samples of one picture's sound, 16 kHz. */
const SOUND = (STRIP_STEP * 16_000) / 1_000_000;
/** Sound this far below the loudest, or below this, is no voice, dB. */
const RANGE = 30;
const FLOOR = -60;

/** The level of the sound of each of `count` pictures, 25 a second, dB full scale. */
export function levels(pcm: Float32Array, count: number): Float32Array {
  return Float32Array.from({ length: count }, (_, n) => {
    let energy = 0;
    for (let i = n * SOUND; i < Math.min(pcm.length, (n + 1) * SOUND); i += 1) energy += pcm[i]! * pcm[i]!;
    return 10 * Math.log10(energy / SOUND + 1e-10);
  });
}

/** During which of `count` pictures, 25 a second, somebody can be heard: 1, else 0. By level alone. */
export function voiced(pcm: Float32Array, count: number): Uint8Array {
  const loud = levels(pcm, count);
  // One click is not the loudest voice: a twentieth of the pictures is louder than this.
  const top = loud.toSorted()[Math.floor(count * 0.95)] ?? FLOOR;
  return Uint8Array.from(loud, (level) => (level > Math.max(FLOOR, top - RANGE) ? 1 : 0));
}
