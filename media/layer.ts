import { type Stretch, indexAt } from './ground.ts';
import { factor } from './decibels.ts';
import { BEHIND, type Mix, panned, rise, softLimit } from './mix.ts';
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

/** A stretch of a dub. Only reading is allowed. */
export interface Sound {
  readonly left: Float32Array;
  /** The very buffer of `left` unless something in it is panned. */
  readonly right: Float32Array;
  /** The clips alone, mono, for whoever mixes for himself; one buffer of zeros where nobody speaks. */
  readonly voice: Float32Array;
}

/** From `from` on something goes down to `depth`, is there from `full` to `until`, and is back at `end`. Samples. */
interface Dip {
  readonly from: number;
  readonly full: number;
  readonly until: number;
  readonly end: number;
  /** 0 (not at all) … 1. */
  readonly depth: number;
}
const NONE: Dip = { from: 0, full: 0, until: 0, end: 0, depth: 0 };

/** A clip in samples, with what it does to the ground and what others do to it. */
interface Placed {
  readonly pcm: Float32Array;
  readonly start: number;
  /** Before the last sample of `pcm` when the clip was cut short. */
  readonly end: number;
  readonly fadeIn: number;
  readonly fadeOut: number;
  readonly ground: Dip;
  /** Where other clips speak over it. */
  readonly under: Dip[];
  readonly gain: { readonly left: number; readonly right: number } | undefined;
}

/** More clips than any delay holds; a producer that places more is out of its mind, and is refused. */
const CAPACITY = 1_024;

/**
 * Clips laid over the ground: one language's dub.
 *
 * A clip fades in and out with a raised cosine; the ground is down when it starts and comes back after it ends, and stays
 * down in a short pause before the next one where that is known in time. Everywhere else the ground passes bit for bit,
 * in the very same buffer.
 */
export class Layer {
  readonly rate: SampleRate;
  readonly #mix: Mix;
  readonly #limit: boolean;
  readonly #under: number;
  readonly #fade: number;
  readonly #attack: number;
  readonly #release: number;
  readonly #hold: number;
  #clips: Placed[] = [];
  /** Between clips, and after a layer was stopped. */
  #bridges: Dip[] = [];
  #position: number;
  #late = 0;
  #refused = 0;
  /** How far down the ground is and how far down a voice is, sample by sample; used again and again. */
  #down: Float32Array = new Float32Array(0);
  #dipped: Float32Array = new Float32Array(0);

  /** @param options `limit: false` leaves peaks to whoever finishes the track: a limiter that looks ahead bends nothing */
  constructor(options: { rate: SampleRate; mix: Mix; from: number; limit?: boolean }) {
    const { mix, rate, limit = true } = options;
    this.rate = rate;
    this.#limit = limit;
    this.#mix = mix;
    this.#under = mix.mode === 'replace' ? 0 : factor(mix.under);
    this.#fade = sampleIndex(mix.fade, rate);
    this.#attack = Math.max(this.#fade, sampleIndex(mix.attack, rate));
    this.#release = Math.max(this.#fade, sampleIndex(mix.release, rate));
    this.#hold = sampleIndex(mix.hold, rate);
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
  /** Nothing is to be heard any more but the ground. */
  get flat(): boolean {
    return this.#clips.length === 0 && this.#bridges.length === 0;
  }

  /** The next sample from `from` on at which a clip sounds; `Infinity` when none does. */
  next(from: number): number {
    let next = Infinity;
    for (const clip of this.#clips) if (clip.end > from) next = Math.min(next, Math.max(from, clip.start));
    return next;
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
    const fade = Math.min(this.#fade, clip.pcm.length >> 1);
    const placed: Placed = {
      pcm: clip.pcm,
      start,
      end,
      fadeIn: fade,
      fadeOut: fade,
      ground: this.#dip(start, end),
      under: [],
      gain: this.#mix.overlap === 'pan' && clip.pan ? panned(clip.pan) : undefined,
    };
    for (const other of this.#clips) {
      const [first, second] = other.start <= start ? [other, placed] : [placed, other];
      this.#bridge(first, second);
      if (this.#mix.overlap !== 'duck' || second.start >= first.end) continue;
      first.under.push(this.#dip(second.start, Math.min(first.end, second.end)));
    }
    this.#clips.push(placed);
    return true;
  }

  /** Forgets every clip. What sounds fades out, and the ground comes back. */
  stop(): void {
    const from = this.#position;
    const until = from + this.#fade;
    const depth = this.#level(from);
    this.#clips = this.#clips
      .filter((clip) => clip.start < from && clip.end > from)
      .map((clip) => ({ ...clip, ground: NONE, ...(clip.end > until && { end: until, fadeOut: this.#fade }) }));
    this.#bridges = depth > 0 ? [{ from, full: from, until, end: until + this.#release, depth }] : [];
  }

  /**
   * The next samples: the ground with what was placed over it.
   *
   * @param background what is heard of the original without its voices, as far as it is known; as long as `ground`
   * @returns `ground` itself, left and right, where no clip touches it; otherwise buffers of the caller's own
   */
  over(ground: Float32Array, background?: Stretch): Sound {
    const count = ground.length;
    const from = this.#position;
    const until = from + count;
    if (!this.touched(count)) {
      this.skip(count);
      return { left: ground, right: ground, voice: silence(count) };
    }
    const down = (this.#down = scratch(this.#down, count));
    for (const clip of this.#clips) lower(down, from, clip.ground);
    for (const bridge of this.#bridges) lower(down, from, bridge);
    const left = lowered(ground, down, this.#under, this.#mix.mode === 'voice-over' ? undefined : background);

    const sounding = this.#clips.filter((clip) => clip.start < until && clip.end > from);
    const sides = sounding.some((clip) => clip.gain);
    const right = sides ? left.slice() : left;
    let voice: Float32Array = silence(count);
    if (sounding.length > 0) {
      voice = new Float32Array(count);
      for (const clip of sounding) {
        let dip: Float32Array | undefined;
        if (clip.under.length > 0) {
          dip = this.#dipped = scratch(this.#dipped, count);
          for (const under of clip.under) lower(dip, from, under);
        }
        lay(clip, from, voice, dip, sides ? { left, right } : undefined);
      }
      if (!sides) for (let i = 0; i < count; i += 1) left[i] = (left[i] ?? 0) + (voice[i] ?? 0);
      if (this.#limit) for (let i = 0; i < count; i += 1) voice[i] = softLimit(voice[i] ?? 0);
    }
    if (this.#limit) limit(left, down);
    if (this.#limit && sides) limit(right, down);
    this.skip(count);
    return { left, right, voice };
  }

  /** Whether anything but the ground is heard in the next `count` samples. */
  touched(count: number): boolean {
    const from = this.#position;
    const until = from + count;
    for (const { start, end, ground } of this.#clips) {
      if ((start < until && end > from) || (ground.from < until && ground.end > from)) return true;
    }
    for (const bridge of this.#bridges) if (bridge.from < until && bridge.end > from) return true;
    return false;
  }

  /** Moves on without playing. */
  skip(count: number): void {
    const position = (this.#position += count);
    const over = (clip: Placed) => clip.end <= position && clip.ground.end <= position;
    if (this.#clips.some(over)) this.#clips = this.#clips.filter((clip) => !over(clip));
    if (this.#bridges.some(({ end }) => end <= position)) {
      this.#bridges = this.#bridges.filter(({ end }) => end > position);
    }
  }

  /** What goes down for `start` to `end`. What is asked for at the last moment has less time: it begins with the next sample. */
  #dip(start: number, end: number): Dip {
    const from = Math.max(start - this.#attack, this.#position);
    return { from, full: start, until: end, end: end + this.#release, depth: 1 };
  }

  /** Keeps the ground down in a short pause, unless it is on its way back already. */
  #bridge(first: Placed, second: Placed): void {
    const { end } = first;
    const pause = second.start - end;
    if (pause <= 0 || pause > this.#hold || end < this.#position || first.ground === NONE) return;
    this.#bridges.push({ from: end, full: end, until: second.start, end: second.start, depth: 1 });
  }

  /** How far down the ground is at sample `index`. */
  #level(index: number): number {
    const one = new Float32Array(1);
    for (const clip of this.#clips) lower(one, index, clip.ground);
    for (const bridge of this.#bridges) lower(one, index, bridge);
    return one[0] ?? 0;
  }
}

/** Lowers what starts at sample `from` by what `dip` asks for: `down` is how far, 0 to 1. The deepest of several dips counts. */
function lower(down: Float32Array, from: number, dip: Dip): void {
  const { depth } = dip;
  const until = from + down.length;
  const [full, back] = [Math.max(dip.full, from), Math.max(dip.until, from)];
  for (let n = Math.max(dip.from, from), end = Math.min(dip.full, until); n < end; n += 1) {
    const level = depth * rise((n - dip.from) / (dip.full - dip.from));
    if (level > (down[n - from] ?? 0)) down[n - from] = level;
  }
  for (let n = full, end = Math.min(dip.until, until); n < end; n += 1) {
    if (depth > (down[n - from] ?? 0)) down[n - from] = depth;
  }
  for (let n = back, end = Math.min(dip.end, until); n < end; n += 1) {
    const level = depth * (1 - rise((n - dip.until) / (dip.end - dip.until)));
    if (level > (down[n - from] ?? 0)) down[n - from] = level;
  }
}

/** The ground as it is under clips: at `under` where it is down all the way, and the background in its place where there is one. */
function lowered(
  ground: Float32Array,
  down: Float32Array,
  under: number,
  background: Stretch | undefined,
): Float32Array {
  const mixed = new Float32Array(ground.length);
  if (!background) {
    const depth = 1 - under;
    for (let i = 0; i < mixed.length; i += 1) mixed[i] = (ground[i] ?? 0) * (1 - depth * (down[i] ?? 0));
    return mixed;
  }
  const { pcm, presence } = background;
  for (let i = 0; i < mixed.length; i += 1) {
    const d = down[i] ?? 0;
    const kept = 1 - d + (presence ? d * (1 - (presence[i] ?? 0)) * under : 0);
    mixed[i] = (ground[i] ?? 0) * kept + (pcm[i] ?? 0) * d;
  }
  return mixed;
}

/** Adds what `clip` says from sample `from` on: to `voice`, and in its place between `sides` where there are any. */
function lay(
  clip: Placed,
  from: number,
  voice: Float32Array,
  dip: Float32Array | undefined,
  sides: { readonly left: Float32Array; readonly right: Float32Array } | undefined,
): void {
  const { pcm, start, end, fadeIn, fadeOut, gain } = clip;
  const last = Math.min(voice.length, end - from);
  const [toLeft, toRight] = gain ? [gain.left, gain.right] : [1, 1];
  for (let i = Math.max(0, start - from); i < last; i += 1) {
    const offset = from + i - start;
    const rest = end - 1 - from - i;
    let sample = pcm[offset] ?? 0;
    if (offset < fadeIn) sample *= rise((offset + 0.5) / fadeIn);
    if (rest < fadeOut) sample *= rise((rest + 0.5) / fadeOut);
    if (dip) sample *= 1 - (1 - BEHIND) * (dip[i] ?? 0);
    voice[i] = (voice[i] ?? 0) + sample;
    if (sides) {
      sides.left[i] = (sides.left[i] ?? 0) + sample * toLeft;
      sides.right[i] = (sides.right[i] ?? 0) + sample * toRight;
    }
  }
}

/** Limits what sounds in place of the ground; where the ground is itself nothing is touched, and in between a part. */
function limit(pcm: Float32Array, down: Float32Array): void {
  for (let i = 0; i < pcm.length; i += 1) {
    const sample = pcm[i] ?? 0;
    const bent = softLimit(sample);
    if (bent !== sample) pcm[i] = sample + (down[i] ?? 0) * (bent - sample);
  }
}

/** `buffer` or a larger one, `count` zeros long. */
function scratch(buffer: Float32Array, count: number): Float32Array {
  return buffer.length === count ? buffer.fill(0) : new Float32Array(count);
}

let zeros = new Float32Array(0);
/** So many zeros: one buffer for all who ask for the same length. Only reading is allowed. */
export function silence(count: number): Float32Array {
  if (zeros.length !== count) zeros = new Float32Array(count);
  return zeros;
}
