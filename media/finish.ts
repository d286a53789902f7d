import { type Sound, silence } from './layer.ts';
import { softLimit } from './mix.ts';

/** What a finisher takes and gives: stereo, or one buffer twice. */
export interface Sides {
  readonly left: Float32Array;
  readonly right: Float32Array;
}

/** The last thing that is done to a track before it is heard: loudness, peaks. One for each track, for as long as it lasts. */
export interface Finisher {
  /** By how many samples what it gives lags what it takes. It never changes, and is the same for all tracks. */
  readonly lookahead: number;
  /**
   * Takes samples and gives as many, those of `lookahead` samples before. It does not write to what it takes.
   *
   * @param at index of the first sample; a jump ahead follows a stall
   */
  process(sound: Sides, at: number): Sides;
  /** The amplitude that it gives what goes in now; left out, 1. Voices that go out by themselves are given the same. */
  readonly gain?: number;
}

/** A track in its finisher, and its voice that is to come out together with it. */
export class Finishing {
  readonly #finisher: Finisher;
  /** The last `lookahead` samples of the voice; `undefined` when they are zeros. */
  #waiting: Float32Array | undefined;
  /** The gain that the voice has come to. */
  #gain: number | undefined;

  constructor(finisher: Finisher) {
    this.#finisher = finisher;
  }

  process(sound: Sound, at: number): Sound {
    const { left, right } = this.#finisher.process(sound, at);
    return { left, right, voice: this.#delayed(this.#raised(sound.voice)) };
  }

  /** The voice as loud as in the mix: in a straight line from the gain it had to the one it has now. */
  #raised(voice: Float32Array): Float32Array {
    const to = this.#finisher.gain ?? 1;
    const from = this.#gain ?? to;
    this.#gain = to;
    const { length } = voice;
    if (voice === silence(length) || (from === 1 && to === 1)) return voice;
    return voice.map((sample, i) => softLimit(sample * (from + ((to - from) * i) / length)));
  }

  #delayed(voice: Float32Array): Float32Array {
    const count = voice.length;
    const { lookahead } = this.#finisher;
    if (!this.#waiting && voice === silence(count)) return voice;
    const joined = new Float32Array(lookahead + count);
    if (this.#waiting) joined.set(this.#waiting);
    joined.set(voice, lookahead);
    const waiting = joined.subarray(count);
    this.#waiting = waiting.every((sample) => sample === 0) ? undefined : waiting;
    return joined.subarray(0, count);
  }
}
