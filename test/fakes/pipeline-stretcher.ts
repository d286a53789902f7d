import type { Stretcher } from '../../media/stretch.ts';

/** Stretches by repeating or leaving out samples: pitch moves, lengths are right. */
export const nearestSample: Stretcher = {
  name: 'nearest-sample',
  stretch: async (pcm, _rate, speed) => {
    const out = new Float32Array(Math.round(pcm.length / speed));
    return out.map((_, n) => pcm[Math.min(pcm.length - 1, Math.floor(n * speed))] ?? 0);
  },
};
