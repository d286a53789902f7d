import { type Band, hertz as fromMel, mel as toMel } from '../dsp/mel.ts';

/** Slaney's mel scale: even up to 1 kHz, logarithmic above (M. Slaney, "Auditory Toolbox", 1998); librosa's default. */
const STEP = 200 / 3;
const KNEE = 15;
const LOG = Math.log(6.4) / 27;
const mel = (hertz: number) => (hertz >= 1_000 ? KNEE + Math.log(hertz / 1_000) / LOG : hertz / STEP);
const hertz = (m: number) => (m >= KNEE ? 1_000 * Math.exp(LOG * (m - KNEE)) : m * STEP);

/** librosa's `filters.mel`: triangles between two frequencies (0 Hz and half the rate unless told), each with area 1. */
export function slaneyBands(count: number, size: number, rate: number, lowest = 0, highest = rate / 2): Band[] {
  const first = mel(lowest);
  const step = (mel(highest) - first) / (count + 1);
  const edge = (n: number) => hertz(first + step * n);
  return Array.from({ length: count }, (_, n) => {
    const [left, top, right] = [edge(n), edge(n + 1), edge(n + 2)];
    return triangle(
      size,
      rate,
      (at) => Math.min((at - left) / (top - left), (right - at) / (right - top)),
      2 / (right - left),
    );
  });
}

/** SpeechBrain's: triangles as wide to the right as they are to the left, on O'Shaughnessy's mel scale. */
export function evenBands(count: number, size: number, rate: number): Band[] {
  const top = toMel(rate / 2);
  const edge = (n: number) => fromMel((top * n) / (count + 1));
  return Array.from({ length: count }, (_, n) => {
    const [left, centre] = [edge(n), edge(n + 1)];
    return triangle(size, rate, (at) => 1 - Math.abs(at - centre) / (centre - left), 1);
  });
}

function triangle(size: number, rate: number, height: (hertz: number) => number, area: number): Band {
  const weights: number[] = [];
  let from = 0;
  for (let bin = 0; bin <= size / 2; bin += 1) {
    const weight = height((bin * rate) / size);
    if (weight <= 0) continue;
    if (weights.length === 0) from = bin;
    weights.push(weight * area);
  }
  return { from, weights: Float64Array.from(weights) };
}

/** The energy in a band of a power spectrum. */
export function energy({ from, weights }: Band, power: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < weights.length; i += 1) sum += weights[i]! * power[from + i]!;
  return sum;
}
