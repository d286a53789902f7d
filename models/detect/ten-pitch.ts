/** Samples of 16 kHz audio taken in at a time. */
const HOP = 256;
/** Bins of the power spectrum that comes with them. */
const SIZE = 1_024;
const BINS = SIZE / 2 + 1;
/** The spectrum is the one of so many samples. */
const WINDOW = 768;

/** Where the bands of the prediction begin, in steps of 200 Hz, and what each is multiplied with. */
const STARTS = [0, 1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 34, 40];
const WEIGHTS = [0.8, 1, 1, 1, 1, 1, 1, 1, 2 / 3, 0.5, 0.5, 0.5, 1 / 3, 0.25, 0.25, 0.2, 1 / 6, 0.173913];
const STEP = SIZE / 80;
const ORDER = 16;
/** The residual is taken of audio this many samples back. */
const OFFSET = 80;

/** The residual is searched at 4 kHz: after a low pass, one sample in four. */
const RATE = 4_000;
const DECIMATION = 4;
/** Second-order sections of the low pass: b1, a1, a2 (b0 = b2 = 1), all with the same gain. */
const SECTIONS = [
  [1.198825, -1.445267, 0.5463974],
  [-0.5674614, -1.42672, 0.6820138],
  [-1.099061, -1.408255, 0.8286664],
  [-1.265846, -1.400909, 0.924032],
  [-1.318849, -1.408242, 0.9789776],
] as const;
const GAIN = 0.2692541;

const SHORTEST = 8;
const LONGEST = 64;
const PERIODS = LONGEST - SHORTEST;
const FRESH = HOP / DECIMATION;
const HALF = FRESH / 2;
/** Half hops that the path of periods is looked at over: 48 ms. */
const PAST = 6;
/** What a change of the period costs, times its square. */
const CHANGE = 0.02;
/** How far a period may jump up from one half hop to the next; it may fall to this. */
const JUMP = 4;
const VOICED = 0.4;

interface Span {
  readonly from: number;
  readonly length: number;
}
const SPANS: readonly Span[] = STARTS.slice(1).map((next, n) => ({
  from: Math.round(STARTS[n]! * STEP),
  length: Math.round((next - STARTS[n]!) * STEP),
}));

/** Linear prediction of an autocorrelation of `ORDER + 1` values (Levinson and Durbin), until 30 dB are predicted. */
function predict(correlation: Float64Array, out: Float64Array): void {
  out.fill(0);
  let error = correlation[0]!;
  for (let i = 0; i < ORDER && error !== 0; i += 1) {
    let sum = correlation[i + 1]!;
    for (let j = 0; j < i; j += 1) sum += out[j]! * correlation[i - j]!;
    const reflection = -sum / error;
    out[i] = reflection;
    for (let j = 0; j < (i + 1) >> 1; j += 1) {
      const [a, b] = [out[j]!, out[i - 1 - j]!];
      out[j] = a + reflection * b;
      out[i - 1 - j] = b + reflection * a;
    }
    error -= reflection * reflection * error;
    if (error < 0.001 * correlation[0]!) break;
  }
}

/** What a half hop says about the period: how alike the signal is that many samples before, and how loud it is. */
interface Likeness {
  readonly of: Float64Array;
  readonly energy: number;
  /** For each period, the best one of the half hop before. */
  readonly before: Uint8Array;
}
const nothing = (): Likeness => ({
  of: new Float64Array(LONGEST + 1),
  energy: 0,
  before: new Uint8Array(LONGEST),
});

/**
 * The pitch of a voice as TEN-VAD's network was taught it: the tracker of LPCNet's encoder with other sizes.
 *
 * The residual of a linear prediction is compared with itself, and the best path of periods over 48 ms is fitted with a
 * line. Lengths and constants are those of the original, for the network knows no others.
 *
 * @see J.-M. Valin and J. Skoglund, "LPCNet: Improving Neural Speech Synthesis Through Linear Prediction", ICASSP 2019
 * @see https://github.com/TEN-framework/ten-vad/blob/main/src/pitch_est.cc
 */
export class TenPitch {
  readonly #bands = new Float64Array(STARTS.length);
  readonly #gains = new Float64Array(BINS);
  readonly #correlation = new Float64Array(ORDER + 1);
  readonly #prediction = new Float64Array(ORDER);
  readonly #cos = Float64Array.from({ length: SIZE }, (_, k) => Math.cos((2 * Math.PI * k) / SIZE));
  /** The last two hops. */
  readonly #heard = new Float64Array(2 * HOP);
  readonly #memory = new Float64Array(ORDER);
  #residual = 0;
  readonly #states = SECTIONS.map(() => [0, 0] as [number, number]);
  readonly #low = new Float64Array(LONGEST + FRESH + 1);
  readonly #past: Likeness[] = Array.from({ length: PAST }, nothing);
  readonly #scores = new Float64Array(PERIODS);
  readonly #next = new Float64Array(PERIODS);
  #total = 0;
  #best = 0;

  /**
   * Hertz, or 0 where there is no voice.
   *
   * @param samples a hop, as 16-bit integers count
   * @param power spectrum of the emphasised window that ends with it
   */
  of(samples: ArrayLike<number>, power: Float64Array): number {
    this.#learn(power);
    this.#listen(samples);
    for (let half = 0; half < 2; half += 1) {
      this.#past.shift();
      this.#past.push(this.#compare(half * HALF));
    }
    return this.#track();
  }

  /** The prediction for this spectrum. */
  #learn(power: Float64Array): void {
    const bands = this.#bands.fill(0);
    for (const [n, { from, length }] of SPANS.entries()) {
      for (let j = 0; j < length; j += 1) {
        const energy = power[Math.min(BINS - 1, from + j)]!;
        bands[n]! += (1 - j / length) * energy;
        bands[n + 1]! += (j / length) * energy;
      }
    }
    bands[0]! *= 2;
    bands[bands.length - 1]! *= 2;
    let [highest, follow] = [-2, -2];
    for (let n = 0; n < bands.length; n += 1) {
      const level = Math.max(highest - 8, follow - 2.5, Math.log10(0.01 + bands[n]!));
      highest = Math.max(highest, level);
      follow = Math.max(follow - 2.5, level);
      bands[n] = 10 ** level * WEIGHTS[n]!;
    }
    this.#gains.fill(0);
    for (const [n, { from, length }] of SPANS.entries()) {
      for (let j = 0; j < length && from + j < BINS; j += 1) {
        this.#gains[from + j] = (1 - j / length) * bands[n]! + (j / length) * bands[n + 1]!;
      }
    }
    for (let lag = 0; lag <= ORDER; lag += 1) {
      let sum = this.#gains[0]! / 2;
      for (let bin = 1; bin < BINS - 1; bin += 1) sum += this.#gains[bin]! * this.#cos[(bin * lag) % SIZE]!;
      this.#correlation[lag] = sum * (1 - 6e-5 * lag * lag);
    }
    // A floor of noise at -40 dB.
    this.#correlation[0]! += this.#correlation[0]! * 1e-4 + WINDOW / 12 / 38;
    predict(this.#correlation, this.#prediction);
  }

  /** Takes in a hop: predicts, takes the residual, filters it and keeps one sample in four. */
  #listen(samples: ArrayLike<number>): void {
    this.#heard.copyWithin(0, HOP);
    for (let i = 0; i < HOP; i += 1) this.#heard[HOP + i] = samples[i]!;
    this.#low.copyWithin(0, FRESH);
    for (let i = 0; i < HOP; i += 1) {
      const sample = this.#heard[HOP - OFFSET + i]!;
      let residual = sample;
      for (let j = 0; j < ORDER; j += 1) residual += this.#prediction[j]! * this.#memory[j]!;
      this.#memory.copyWithin(1, 0);
      this.#memory[0] = sample;
      let filtered = residual + 0.7 * this.#residual;
      this.#residual = residual;
      for (const [n, [b1, a1, a2]] of SECTIONS.entries()) {
        const state = this.#states[n]!;
        const inner = filtered - a1 * state[0] - a2 * state[1];
        filtered = GAIN * (inner + b1 * state[0] + state[1]);
        state[1] = state[0];
        state[0] = inner;
      }
      if (i % DECIMATION === 0) this.#low[LONGEST + 1 + i / DECIMATION] = filtered;
    }
  }

  /** Compares a half hop, `offset` into the new samples, with what lies up to `LONGEST` samples before it. */
  #compare(offset: number): Likeness {
    const low = this.#low;
    const of = new Float64Array(LONGEST + 1);
    const start = LONGEST + offset;
    let [energy, earlier] = [0, 0];
    for (let i = 0; i < HALF; i += 1) {
      energy += low[start + i]! ** 2;
      earlier += low[offset + i]! ** 2;
    }
    for (let shift = 0; shift < LONGEST; shift += 1) {
      if (shift > 0) {
        earlier = Math.max(0, earlier - low[offset + shift - 1]! ** 2) + low[offset + shift + HALF - 1]! ** 2;
      }
      let sum = 0;
      for (let i = 0; i < HALF; i += 1) sum += low[start + i]! * low[offset + shift + i]!;
      of[shift] = (2 * sum) / Math.max(1e-12, earlier + 1 + energy);
    }
    // A period whose half is as good is a multiple.
    for (let shift = 0; shift < LONGEST - 2 * SHORTEST; shift += 1) {
      const twice = LONGEST + shift;
      const other = Math.max(of[twice >> 1]!, of[(twice + 2) >> 1]!, of[(twice - 1) >> 1]!);
      if (of[shift]! < other * 1.1) of[shift]! *= 0.8;
    }
    return { of, energy, before: new Uint8Array(LONGEST) };
  }

  /** The best path of periods so far, and the pitch at its end. */
  #track(): number {
    const past = this.#past;
    const energy = past.reduce((sum, each) => sum + each.energy, 1e-15);
    const weight = past.map((each) => (each.energy * PAST) / energy);
    for (let n = PAST - 2; n < PAST; n += 1) this.#extend(past[n]!, weight[n]!);

    let at = this.#best;
    let alike = 0;
    let [sw, sx, sxx, sxy, sy] = [0, 0, 0, 0, 0];
    for (let n = PAST - 1; n >= 0; n -= 1) {
      const [w, period] = [weight[n]!, LONGEST - at];
      alike += w * past[n]!.of[at]!;
      at = past[n]!.before[at]!;
      sw += w;
      sx += w * n;
      sxx += w * n * n;
      sxy += w * n * period;
      sy += w * period;
    }
    if (alike / PAST < VOICED) return 0;
    const spread = sw * sxx - sx * sx;
    const steepest = sy / sw / (4 * PAST);
    const slope = Math.min(steepest, Math.max(-steepest, (sw * sxy - sx * sy) / (spread === 0 ? 1e-15 : spread)));
    return RATE / Math.max(1, (sy - slope * sx) / sw + 5.5 * slope);
  }

  /** One step of the search (Viterbi): the best way to every period of this half hop. */
  #extend({ of, before }: Likeness, weight: number): void {
    const [scores, next] = [this.#scores, this.#next];
    for (let period = 0; period < PERIODS; period += 1) {
      let best = this.#total - 1e10;
      before[period] = this.#best;
      const last = Math.min(PERIODS - 1, period + JUMP);
      for (let from = Math.min(period, JUMP); from <= last; from += 1) {
        const score = scores[from]! - CHANGE * (from - period) ** 2;
        if (score > best) [best, before[period]] = [score, from];
      }
      next[period] = best + weight * of[period]!;
    }
    this.#best = next.indexOf(Math.max(...next));
    this.#total = next[this.#best]!;
    for (let period = 0; period < PERIODS; period += 1) scores[period] = next[period]! - this.#total;
  }
}
