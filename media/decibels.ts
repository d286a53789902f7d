/** Level of an amplitude, dB; full scale is 0, nothing is −∞. */
export const decibels = (amplitude: number): number => 20 * Math.log10(amplitude);
/** Amplitude of a level in dB. */
export const factor = (db: number): number => 10 ** (db / 20);
