/** Bits a pixel that keep a talking head whole, and what small pictures need besides. */
const PER_PIXEL = 0.07;
const BASE = 200_000;

/** Bit/s for pictures of this size, so many a second; not rounded. */
export const bitrateFor = (width: number, height: number, fps: number): number =>
  BASE + PER_PIXEL * width * height * fps;
