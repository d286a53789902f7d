/** Median fundamental frequency of a voice, in Hz, by normalised autocorrelation; NaN where nothing is voiced. */
export function medianPitch(pcm: Float32Array, rate: number): number {
  const frame = Math.round(rate * 0.045);
  const longest = Math.round(rate / 60);
  const found: number[] = [];
  for (let start = 0; start + frame + longest < pcm.length; start += frame >> 1) {
    const power = energy(pcm, start, frame);
    if (power / frame < 1e-3) continue;
    let best = 0.6;
    let period = 0;
    for (let lag = Math.round(rate / 400); lag <= longest; lag += 1) {
      let sum = 0;
      for (let i = start; i < start + frame; i += 1) sum += pcm[i]! * pcm[i + lag]!;
      const likeness = sum / Math.sqrt(power * energy(pcm, start + lag, frame));
      // A longer period has to be clearly better, since its multiples are as good.
      if (likeness > best + 0.02) [best, period] = [likeness, lag];
    }
    if (period > 0) found.push(rate / period);
  }
  return found.sort((a, b) => a - b)[found.length >> 1] ?? NaN;
}

function energy(pcm: Float32Array, start: number, length: number): number {
  let sum = 0;
  for (let i = start; i < start + length; i += 1) sum += pcm[i]! * pcm[i]!;
  return sum;
}
