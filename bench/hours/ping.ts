const RATE = 48_000;
const TONE = 3_000;
/** 100 ms, in samples, with soft edges of 5 ms. */
export const PING_LENGTH = 4_800;
const EDGE = 240;
const LEVEL = 0.4;
/** Nothing else sounds around it for so long, samples. */
const ROOM = 9_600;
/** It is looked for in steps of 1 ms: three periods. */
const STEP = 48;
/** So much of what sounds must be tone, and so loud it must be. */
const PURE = 0.8;
const LOUD = 0.005;
/** Steps in a row that are a ping and no syllable. */
const ENOUGH = 20;
/** One is not heard twice within this, µs. */
const APART = 10_000_000;

/** Puts a ping into `pcm` at sample `at`, with silence before and after. */
export function layPing(pcm: Float32Array, at: number): void {
  pcm.fill(0, Math.max(0, at - ROOM), at + PING_LENGTH + ROOM);
  for (let i = 0; i < PING_LENGTH; i += 1) {
    const edge = Math.min(1, Math.min(i, PING_LENGTH - 1 - i) / EDGE);
    pcm[at + i] = LEVEL * (0.5 - 0.5 * Math.cos(Math.PI * edge)) * Math.sin((2 * Math.PI * TONE * i) / RATE);
  }
}

/** Hears pings in audio that comes frame by frame, wherever it was made louder or softer on the way. */
export class PingEar {
  #rest = new Float32Array();
  /** Steps in a row that sound like a ping, with where they began. */
  #run: { readonly at: number; count: number; amplitude: number }[] = [];
  #last = Number.NEGATIVE_INFINITY;

  /**
   * @param start position of the frame, µs; frames follow each other
   * @returns where a ping began, µs, once enough of it has been heard
   */
  hear(start: number, pcm: Float32Array): number | undefined {
    const kept = this.#rest.length;
    const all = new Float32Array(kept + pcm.length);
    all.set(this.#rest);
    all.set(pcm, kept);
    const origin = start - (kept * 1e6) / RATE;
    let found: number | undefined;
    let i = 0;
    for (; i + STEP <= all.length; i += STEP) {
      const { amplitude, pure } = tone(all, i);
      const at = origin + (i * 1e6) / RATE;
      if (!pure || amplitude < LOUD) {
        this.#run = [];
        continue;
      }
      this.#run.push({ at, count: 1, amplitude });
      if (this.#run.length !== ENOUGH || at - this.#last < APART) continue;
      this.#last = at;
      found = begins(this.#run);
    }
    this.#rest = all.slice(i);
    return found;
  }
}

/** Half as loud as it gets: in the middle of the rising edge, however loud it is. Between two steps by how far each is. */
function begins(run: readonly { readonly at: number; readonly amplitude: number }[]): number {
  const half = Math.max(...run.map(({ amplitude }) => amplitude)) / 2;
  const n = run.findIndex(({ amplitude }) => amplitude >= half);
  const [before, after] = [run[n - 1], run[n]];
  const middle = (STEP / 2 / RATE) * 1e6;
  if (!after) return Number.NaN;
  if (!before || after.amplitude === before.amplitude) return after.at + middle;
  return (
    before.at + middle + ((half - before.amplitude) / (after.amplitude - before.amplitude)) * (after.at - before.at)
  );
}

const COS = Float64Array.from({ length: STEP }, (_, i) => Math.cos((2 * Math.PI * TONE * i) / RATE));
const SIN = Float64Array.from({ length: STEP }, (_, i) => Math.sin((2 * Math.PI * TONE * i) / RATE));

/** How loud the tone is in one step, and whether little else sounds. */
function tone(pcm: Float32Array, from: number): { readonly amplitude: number; readonly pure: boolean } {
  let [re, im, all] = [0, 0, 0];
  for (let i = 0; i < STEP; i += 1) {
    const x = pcm[from + i] ?? 0;
    re += x * (COS[i] ?? 0);
    im += x * (SIN[i] ?? 0);
    all += x * x;
  }
  const amplitude = (2 * Math.hypot(re, im)) / STEP;
  return { amplitude, pure: (amplitude * amplitude * STEP) / 2 > PURE * all && all > 0 };
}
