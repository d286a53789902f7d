/** 0 up to 0, 1 from 1 on, and 3x² − 2x³ in between, which begins and ends level. */
export const smoothstep = (x: number): number => (x <= 0 ? 0 : x >= 1 ? 1 : x * x * (3 - 2 * x));
