/** How long receivers hold what arrives before they play it, ms. */
export interface Holds {
  readonly audio: number;
  readonly video: number;
}

/** An offset that nobody sees, ms (ITU-R BT.1359: detectable from +45 sound early, −125 sound late). */
const UNSEEN = 15;
/** Share of the offset corrected at a time, and the most at a time, ms: slow enough that a picture is never seen to jump. */
const SHARE = 0.4;
const STEP = 40;
/** More than this is no jitter of ours, ms: holding longer would only add delay. */
const MOST = 500;

/**
 * The next holds after the sound was found `offset` ms ahead of the picture (negative: behind it). What comes out early is
 * held longer; what was held beyond `least` is let go first, so that the holds never creep up together.
 */
export function hold({ audio, video }: Holds, offset: number, least: number): Holds {
  if (Math.abs(offset) <= UNSEEN) return { audio, video };
  const step = Math.min(STEP, Math.abs(offset) * SHARE);
  const [early, late] = offset > 0 ? [audio, video] : [video, audio];
  const given = Math.min(step, late - least);
  const held = [Math.min(MOST, early + step - given), late - given] as const;
  return offset > 0 ? { audio: held[0], video: held[1] } : { audio: held[1], video: held[0] };
}
