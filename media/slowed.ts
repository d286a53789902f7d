import type { AudioChunk } from './audio.ts';
import { indexAt, timeOf } from './ground.ts';
import { rise } from './mix.ts';
import type { Stretcher } from './stretch.ts';
import type { Piece, TimeMap } from './time-map.ts';
import { type SampleRate, ms, sampleIndex, seconds } from './time.ts';

/** Edges of the map are whole samples at this rate alone. */
const RATE: SampleRate = 48_000;
/** Half of the cross-fade from one piece to the next. */
const HALF = sampleIndex(ms(10), RATE);
/** Programme on either side of a piece that the stretcher hears, too, so that it has settled where the piece begins. */
const AROUND = sampleIndex(ms(100), RATE);
/** What is longer is stretched part by part: this bounds the memory. */
const LONGEST = sampleIndex(seconds(15), RATE);
const BLOCK = 960;

/** A stretch of the programme in samples, with its place in the output. */
interface Part {
  readonly from: number;
  readonly to: number;
  /** Infinity for the last. */
  readonly length: number;
  readonly longer: number;
}

/**
 * The programme's sound as slow as `map` says, pitch kept.
 *
 * What runs as it is passes bit for bit, except for 10 ms on either side of a border, where pieces fade into each other.
 * Holds one part of 15 s at most.
 *
 * @param source 48 kHz, gapless from media time 0
 * @returns gapless from 0, in blocks of up to 20 ms; as long as `map` says, sample for sample
 */
export async function* slowed(
  source: AsyncIterable<AudioChunk>,
  map: TimeMap,
  stretcher: Stretcher,
  signal: AbortSignal,
): AsyncGenerator<AudioChunk, void, void> {
  await using input = new Input(source);
  let made = 0;
  /** Samples of output, known once the programme has ended. */
  const end = () => (input.ended ? indexAt(map.at(timeOf(input.end, RATE)), RATE) : Number.POSITIVE_INFINITY);
  const out = function* (pcm: Float32Array): Generator<AudioChunk, void, void> {
    const left = pcm.subarray(0, Math.max(0, Math.min(pcm.length, end() - made)));
    for (let offset = 0; offset < left.length; offset += BLOCK) {
      const block = left.slice(offset, offset + BLOCK);
      yield { start: timeOf(made, RATE), rate: RATE, pcm: block };
      made += block.length;
    }
  };

  /** The end of the part before, from `HALF` before its border to `HALF` behind it, fading out. */
  let tail: Float32Array | undefined;
  for (const part of partsOf(map)) {
    const first = tail ? part.from - HALF : part.from;
    if (!(await input.reach(first + 1))) break;
    if (part.length === part.longer) {
      const last = part.from + part.length - HALF;
      let position = part.from;
      if (tail) {
        await input.reach(part.from + HALF);
        yield* out(crossed(tail, input.slice(part.from - HALF, part.from + HALF)));
        position += HALF;
      }
      while (position < last && (await input.reach(position + 1))) {
        signal.throwIfAborted();
        const until = Math.min(position + BLOCK, last);
        await input.reach(until);
        yield* out(input.slice(position, until));
        position = until;
        input.drop(position - AROUND);
      }
      if (position < last) return;
      await input.reach(last + 2 * HALF);
      tail = input.slice(last, last + 2 * HALF);
    } else {
      const from = part.from - AROUND;
      await input.reach(part.from + part.length + AROUND);
      const heard = input.slice(from, part.from + part.length + AROUND);
      const speed = part.length / part.longer;
      const stretched = await stretcher.stretch(heard, RATE, speed, signal);
      const lead = Math.round(AROUND / speed);
      if (tail) yield* out(crossed(tail, stretched.subarray(lead - HALF, lead + HALF)));
      const last = lead + part.longer - HALF;
      yield* out(stretched.subarray(tail ? lead + HALF : lead, last));
      tail = stretched.slice(last, last + 2 * HALF);
      input.drop(part.from + part.length - AROUND);
    }
  }
  if (tail) yield* out(tail);
}

/** One into the other. Both are nearly the same sound, so that gains, not powers, add up to 1. */
const crossed = (before: Float32Array, after: Float32Array): Float32Array =>
  after.map((sample, i) => {
    const weight = rise((i + 0.5) / after.length);
    return (before[i] ?? 0) * (1 - weight) + sample * weight;
  });

function* partsOf(map: TimeMap): Generator<Part, void, void> {
  for (const { from, to } of map.pieces) {
    const whole = lengths(from, to);
    const count = whole.length === whole.longer ? 1 : Math.ceil(whole.length / LONGEST);
    for (let n = 0; n < count; n += 1) {
      const edge = (length: number, k: number) =>
        k === 0 ? 0 : k === count ? length : Math.round((length / count) * k);
      const [a, b] = [edge(whole.length, n), edge(whole.length, n + 1)];
      const [c, d] = [edge(whole.longer, n), edge(whole.longer, n + 1)];
      yield { from: whole.from + a, to: whole.to + c, length: b - a, longer: d - c };
    }
  }
}
function lengths(from: Piece['from'], to: Piece['to']): Part {
  const [a, c] = [indexAt(from.start, RATE), indexAt(to.start, RATE)];
  if (!Number.isFinite(from.end)) return { from: a, to: c, length: Infinity, longer: Infinity };
  return { from: a, to: c, length: indexAt(from.end, RATE) - a, longer: indexAt(to.end, RATE) - c };
}

/** What was read of the programme and may still be needed. */
class Input implements AsyncDisposable {
  readonly #source: AsyncIterator<AudioChunk>;
  #held: Float32Array[] = [];
  /** Index of the first sample held. */
  #from = 0;
  end = 0;
  ended = false;

  constructor(source: AsyncIterable<AudioChunk>) {
    this.#source = source[Symbol.asyncIterator]();
  }

  /** Reads until sample `index − 1` is held. @returns whether there is one */
  async reach(index: number): Promise<boolean> {
    while (this.end < index && !this.ended) {
      const next = await this.#source.next();
      if (next.done) this.ended = true;
      else {
        if (next.value.rate !== RATE) {
          throw new RangeError(`Cannot slow sound: expected ${RATE} Hz, received ${next.value.rate} Hz`);
        }
        this.#held.push(next.value.pcm.slice());
        this.end += next.value.pcm.length;
      }
    }
    return this.end >= index;
  }
  /** Samples `from` … `to`, silence where there are none. */
  slice(from: number, to: number): Float32Array {
    const pcm = new Float32Array(to - from);
    let at = this.#from;
    for (const held of this.#held) {
      const [first, last] = [Math.max(from, at), Math.min(to, at + held.length)];
      if (first < last) pcm.set(held.subarray(first - at, last - at), first - from);
      at += held.length;
    }
    return pcm;
  }
  /** Nobody asks for what is before `index` any more. */
  drop(index: number): void {
    for (let first = this.#held[0]; first && this.#from + first.length <= index; first = this.#held[0]) {
      this.#held.shift();
      this.#from += first.length;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#source.return?.();
  }
}
