import { type Ducking, rise, softLimit } from './duck.ts';
import { indexAt } from './ground.ts';
import { type Interval, type SampleRate, sampleIndex } from './time.ts';

/**
 * Audio with its place in the programme, heard instead of the original.
 *
 * `pcm` is mono at the timeline's rate and starts at `start`; whoever places it must not write to it afterwards.
 */
export interface Overlay extends Interval {
  readonly pcm: Float32Array;
  /** Where it sits between left (−1) and right (1); in the middle (0) unless given. */
  readonly pan?: number;
}

/** A clip in samples: what it touches begins with the ducking before it and ends with the release after it. */
interface Placed {
  readonly pcm: Float32Array;
  readonly start: number;
  readonly end: number;
  readonly duckFrom: number;
  readonly duckUntil: number;
  readonly fade: number;
}

/** More clips than any delay holds; a producer that places more is out of its mind, and is refused. */
const CAPACITY = 1_024;

/**
 * Clips laid over the ground: one language's dub.
 *
 * A clip fades in and out with a raised cosine; the ground is down when it starts and comes back after it ends. Two
 * clips at once are both heard. Everywhere else the ground passes bit for bit, in the very same buffer.
 */
export class Layer {
  readonly rate: SampleRate;
  readonly #underDub: number;
  readonly #fade: number;
  readonly #attack: number;
  readonly #release: number;
  #clips: Placed[] = [];
  #position: number;
  #late = 0;
  #refused = 0;

  constructor(options: { rate: SampleRate; ducking: Ducking; from: number }) {
    const { underDub, fade, attack, release } = options.ducking;
    if (!(underDub >= 0 && underDub <= 1)) {
      throw new RangeError(`Cannot create layer: underDub must be within 0 and 1, received ${underDub}`);
    }
    this.rate = options.rate;
    this.#underDub = underDub;
    this.#fade = sampleIndex(fade, options.rate);
    this.#attack = Math.max(this.#fade, sampleIndex(attack, options.rate));
    this.#release = Math.max(this.#fade, sampleIndex(release, options.rate));
    this.#position = options.from;
  }

  /** Clips refused because the play-head had reached their start, less the fade that the ground needs to go down. */
  get late(): number {
    return this.#late;
  }
  /** Clips refused because too many were waiting. */
  get refused(): number {
    return this.#refused;
  }
  /** Clips that are waiting or sounding. */
  get size(): number {
    return this.#clips.length;
  }

  /** Puts a clip in its place, or refuses it: `false` means the original will be heard instead (an empty clip says nothing). */
  place(clip: Overlay): boolean {
    const start = indexAt(clip.start, this.rate);
    const end = start + clip.pcm.length;
    if (end === start) return false;
    if (start - this.#fade < this.#position) {
      this.#late += 1;
      return false;
    }
    if (this.#clips.length >= CAPACITY) {
      this.#refused += 1;
      return false;
    }
    this.#clips.push({
      pcm: clip.pcm,
      start,
      end,
      // A clip that came at the last moment has less time to duck: the ramp starts with the next sample to be played.
      duckFrom: Math.max(start - this.#attack, this.#position),
      duckUntil: end + this.#release,
      fade: Math.min(this.#fade, clip.pcm.length >> 1),
    });
    return true;
  }

  /**
   * The next `ground.length` samples: the ground with what was placed over it.
   *
   * @returns `ground` itself where no clip touches it; otherwise a buffer of the caller's own
   */
  over(ground: Float32Array): Float32Array {
    const from = this.#position;
    const until = from + ground.length;
    const touching = this.#clips.filter((clip) => clip.duckFrom < until && clip.duckUntil > from);
    if (touching.length > 0) {
      const gain = new Float32Array(ground.length).fill(1);
      for (const clip of touching) this.#duck(gain, from, clip);
      const mixed = ground.map((sample, i) => sample * (gain[i] ?? 1));
      for (const clip of touching) lay(mixed, from, clip);
      for (let i = 0; i < mixed.length; i += 1) {
        const sounds = touching.some((clip) => clip.start <= from + i && from + i < clip.end);
        if (sounds) mixed[i] = softLimit(mixed[i] ?? 0);
      }
      ground = mixed;
    }
    this.skip(until - from);
    return ground;
  }

  /** Moves on without playing. */
  skip(count: number): void {
    this.#position += count;
    if (this.#clips.some((clip) => clip.duckUntil <= this.#position)) {
      this.#clips = this.#clips.filter((clip) => clip.duckUntil > this.#position);
    }
  }

  /** Lowers `gain`, which starts at sample `from`, to what `clip` asks for. The lowest of several clips counts. */
  #duck(gain: Float32Array, from: number, clip: Placed): void {
    const depth = 1 - this.#underDub;
    const last = Math.min(gain.length, clip.duckUntil - from);
    for (let i = Math.max(0, clip.duckFrom - from); i < last; i += 1) {
      const index = from + i;
      const down =
        index < clip.start
          ? rise((index - clip.duckFrom) / (clip.start - clip.duckFrom))
          : index < clip.end
            ? 1
            : 1 - rise((index - clip.end) / (clip.duckUntil - clip.end));
      gain[i] = Math.min(gain[i] ?? 1, 1 - depth * down);
    }
  }
}

/** Adds what `clip` says within `mixed`, whose first sample is `from`. */
function lay(mixed: Float32Array, from: number, clip: Placed): void {
  const last = Math.min(mixed.length, clip.end - from);
  for (let i = Math.max(0, clip.start - from); i < last; i += 1) {
    const offset = from + i - clip.start;
    const edge = Math.min(offset, clip.pcm.length - 1 - offset) + 0.5;
    mixed[i] = (mixed[i] ?? 0) + (clip.pcm[offset] ?? 0) * (edge < clip.fade ? rise(edge / clip.fade) : 1);
  }
}
