/** Envelope step: 5 ms at 16 kHz. */
const STEP = 80;
const RATE = 16_000;

/**
 * Where in `reference` the recording `heard` begins, in seconds, by the likeness of their loudness over time.
 *
 * Both are mono at 16 kHz. The reference is taken to go round, as a programme played in a loop does. `likeness` is the
 * correlation at that place, 1 for the same sound; below about 0.5 the answer is worth nothing.
 */
export function locate(
  heard: Float32Array,
  reference: Float32Array,
): { readonly at: number; readonly likeness: number } {
  const a = envelope(heard);
  const b = envelope(reference);
  const count = Math.min(a.length, b.length);
  let best = { at: 0, likeness: -1 };
  for (let lag = 0; lag < b.length; lag += 1) {
    let [sum, aa, bb] = [0, 0, 0];
    for (let i = 0; i < count; i += 1) {
      const x = a[i] ?? 0;
      const y = b[(i + lag) % b.length] ?? 0;
      sum += x * y;
      aa += x * x;
      bb += y * y;
    }
    const likeness = sum / Math.sqrt(aa * bb || 1);
    if (likeness > best.likeness) best = { at: (lag * STEP) / RATE, likeness };
  }
  return best;
}

/** Log loudness without its mean, so that silence and speech weigh alike. */
function envelope(pcm: Float32Array): Float32Array {
  const out = new Float32Array(Math.floor(pcm.length / STEP));
  let mean = 0;
  for (let i = 0; i < out.length; i += 1) {
    let power = 1e-7;
    for (let k = 0; k < STEP; k += 1) power += (pcm[i * STEP + k] ?? 0) ** 2;
    out[i] = Math.log(power);
    mean += (out[i] ?? 0) / out.length;
  }
  return out.map((value) => value - mean);
}
