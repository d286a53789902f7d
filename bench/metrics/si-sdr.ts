/**
 * Scale-invariant signal-to-distortion ratio in dB: how much of `estimate` is `reference` at some level, against the rest.
 *
 * Samples past the shorter one's end are left out.
 *
 * @see J. Le Roux et al., "SDR – half-baked or well done?", ICASSP 2019
 */
export function siSdr(reference: Float32Array, estimate: Float32Array): number {
  const length = Math.min(reference.length, estimate.length);
  let [dot, power] = [0, 0];
  for (let i = 0; i < length; i += 1) {
    dot += reference[i]! * estimate[i]!;
    power += reference[i]! ** 2;
  }
  const gain = dot / power;
  let [target, error] = [0, 0];
  for (let i = 0; i < length; i += 1) {
    target += (gain * reference[i]!) ** 2;
    error += (estimate[i]! - gain * reference[i]!) ** 2;
  }
  return 10 * Math.log10(target / error);
}
