/** Level of speech while it lasts: RMS of −20 dB below full scale, where a voice sits beside broadcast speech. */
const TARGET = 10 ** (-20 / 20);
/** No sample above −1 dB below full scale, so that Opus has room for what it overshoots. */
const CEILING = 10 ** (-1 / 20);
/** A frame counts as speech when it is within 30 dB of the loudest one: pauses must not pull the average down. */
const ACTIVE = 10 ** (-30 / 10);

/**
 * The gain that brings a voice to the common level without clipping it.
 *
 * @param pcm samples of any scale
 * @param frame samples in 20 ms
 */
export function levelling(pcm: Float32Array | Int16Array, frame: number): number {
  const powers: number[] = [];
  let peak = 0;
  for (let start = 0; start < pcm.length; start += frame) {
    const end = Math.min(start + frame, pcm.length);
    let sum = 0;
    for (let i = start; i < end; i += 1) {
      const sample = pcm[i] ?? 0;
      sum += sample * sample;
      peak = Math.max(peak, Math.abs(sample));
    }
    powers.push(sum / (end - start));
  }
  if (peak === 0) return 0;
  const threshold = Math.max(...powers) * ACTIVE;
  const active = powers.filter((power) => power >= threshold);
  const rms = Math.sqrt(active.reduce((sum, power) => sum + power, 0) / active.length);
  return Math.min(TARGET / rms, CEILING / peak);
}

/** 16-bit samples as floats at the common level; a copy. */
export function levelled(pcm: Int16Array, frame: number): Float32Array {
  const gain = levelling(pcm, frame);
  return Float32Array.from(pcm, (sample) => sample * gain);
}
