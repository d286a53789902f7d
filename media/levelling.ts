import type { AudioChunk } from './audio.ts';
import { GatedLoudness, lufs, meanSquareOf } from './gated-loudness.ts';
import { indexAt } from './ground.ts';
import { LoudnessMeter, hopOf } from './loudness.ts';
import type { SampleRate } from './time.ts';

/** Of programmes in Europe, LUFS (EBU R 128). */
export const PROGRAMME_LOUDNESS = -23;
/** Most gain up and down, dB, unless said otherwise. */
const MOST = 30;
/** Programme longer ago than this counts less and less: hops of 100 ms. */
const MEMORY = 600;
const FADED = Math.exp(-1 / MEMORY);
/** More gain for each dB that the programme will be too quiet by the end of what has come in, and at most, dB. */
const BALANCE = 2;
const MOST_BALANCE = 3;
/** Hops of which the loudness is known by place: what has come in, up to the longest delay before it is played. */
const KNOWN = 1_200;
/** Gains already said are kept for those who ask a little later, hops. */
const SAID = 50;
/** A silence longer than this in what comes in is a hole: nobody needs to measure all of it. Hops. */
const HOLE = 30;

/** Quiet sound that stays within this many LU for as long as a short-term value spans is a room or a machine, not speech. */
const STEADY = 3;
const STEADY_FROM = 10;
const STEADY_SPAN = 30;
/** Steady sound from this loudness on is programme all the same (music, a tone), LUFS. */
const NOISE_BELOW = -40;
/** A cough is no programme: each hop of it allows so much gain upwards, dB. */
const EVIDENCE = 1.25;
/** Sound so far below the programme is a pause, LU (the relative gate of BS.1770-4). */
const PAUSE = -10;

/** Change of the gain in dB/s for each dB that it is off: of a programme just begun, and of one that is settled. */
const PULL = 1;
const SETTLED_PULL = 0.2;
/** Hops of programme played after which it begins to settle. */
const YOUNG = 100;
/** Fastest change, dB/s. */
const FASTEST = 1;
/** What comes in more than {@link FAR_TOO_LOUD} dB too loud is brought down faster. */
const FAR_TOO_LOUD = 6;
const FASTEST_DOWN = 4;
/** As long as only silence or noise has been played nobody hears the gain change, dB/s. */
const UNHEARD = 30;

export interface LevellingOptions {
  readonly rate: SampleRate;
  /** Loudness to bring the programme to, LUFS. Without one the gain is 0 dB for ever. */
  readonly target?: number | undefined;
  /** Most gain up and down, dB. */
  readonly most?: number;
}

/**
 * The gain that brings a programme to its target loudness: one for the programme, the same for all of its outputs.
 *
 * Hears the original as it comes in, which is a delay before it is played, so that the first word already has its
 * level. What is heard later moves the gain slowly: up to 1 dB/s, a quarter of what it is off per second; down faster
 * where the programme gets far too loud. Pauses, silence and steady quiet noise leave the gain as it is. The level is
 * that of the last minutes, so that a programme keeps its dynamics and a change of programme is followed.
 */
export class Levelling {
  readonly rate: SampleRate;
  readonly target: number | undefined;
  readonly #most: number;
  readonly #hop: number;
  readonly #meter: LoudnessMeter;
  readonly #programme = new GatedLoudness(MEMORY);
  /** Mean square of the block of 400 ms that ends with a hop; hop h at h mod {@link KNOWN}. */
  readonly #known = new Float64Array(KNOWN);
  /** Gain at the start of a hop, dB; hop h at h mod {@link SAID}. */
  readonly #gains = new Float64Array(SAID);
  /** Index of the first sample heard: there hop 0 begins. */
  #origin: number | undefined;
  /** Index of the next sample to be heard. */
  #next = 0;
  /** Hops that were programme. */
  #counted = 0;
  /** Hops heard. */
  #hops = 0;
  /** The last hop whose gain was said. */
  #last = -1;
  /** Hops played that were programme, rather than a pause or the silence before it. */
  #played = 0;
  /** How many those were and what they added up to after gain, those long ago counting less. */
  #weight = 0;
  #energy = 0;

  constructor(options: LevellingOptions) {
    const { rate, target, most = MOST } = options;
    if (target !== undefined && !(target >= -60 && target <= 0)) {
      throw new RangeError(`Cannot create levelling: target must be −60…0 LUFS, received ${target}`);
    }
    if (!(most >= 0 && most <= 60)) {
      throw new RangeError(`Cannot create levelling: most must be 0…60 dB, received ${most}`);
    }
    this.rate = rate;
    this.target = target;
    this.#most = most;
    this.#hop = hopOf(rate);
    this.#meter = new LoudnessMeter(rate);
  }

  /** Hears original audio, in order; what was heard before is passed over, a gap is silence. */
  push(chunk: AudioChunk): void {
    if (chunk.rate !== this.rate) {
      throw new RangeError(`Cannot level audio: expected ${this.rate} Hz, received ${chunk.rate} Hz`);
    }
    if (this.target === undefined) return;
    const start = indexAt(chunk.start, this.rate);
    if (this.#origin === undefined) this.#origin = this.#next = start;
    if (start > this.#next) this.#wait(start - this.#next);
    this.#hear(chunk.pcm.subarray(Math.min(chunk.pcm.length, this.#next - start)));
  }

  /** Loudness of the programme as it comes in, LUFS, gated and over the last minutes; −∞ before there is any. */
  get loudness(): number {
    return this.#programme.loudness;
  }

  /**
   * The gain at a sample about to be played, dB. It depends on what has been heard by the time it is asked for the first
   * time, and stays so; whoever asks more than 5 s behind the foremost asker is told the oldest gain still known.
   *
   * @param index counted from media time 0
   */
  gainAt(index: number): number {
    if (this.target === undefined || this.#origin === undefined) return 0;
    const hop = Math.max(0, (index - this.#origin) / this.#hop);
    const before = Math.floor(hop);
    this.#say(before + 1);
    const from = this.#gain(before);
    return from + (hop - before) * (this.#gain(before + 1) - from);
  }

  #gain(hop: number): number {
    return this.#gains[Math.max(hop, this.#last - SAID + 1, 0) % SAID] as number;
  }

  #hear(pcm: Float32Array): void {
    for (let from = 0; from < pcm.length;) {
      const to = Math.min(pcm.length, from + this.#meter.untilHop);
      const hops = this.#meter.hops;
      this.#meter.push(pcm.subarray(from, to));
      if (this.#meter.hops > hops) this.#close();
      from = to;
    }
    this.#next += pcm.length;
  }
  #close(): void {
    const { momentary, meanSquare } = this.#meter;
    this.#known[this.#hops % KNOWN] = meanSquare;
    this.#hops += 1;
    if (momentary < this.#floor || (momentary < NOISE_BELOW && this.#steady())) return;
    this.#programme.add(meanSquare);
    this.#counted += 1;
  }
  #wait(gap: number): void {
    const silence = Math.min(gap, HOLE * this.#hop + (gap % this.#hop));
    const skipped = (gap - silence) / this.#hop;
    this.#hear(new Float32Array(silence));
    for (let n = 0; n < Math.min(skipped, KNOWN); n += 1) this.#known[(this.#hops + n) % KNOWN] = 0;
    this.#hops += skipped;
    this.#next += skipped * this.#hop;
  }

  /** What is so quiet that the most gain would not make a word of it. */
  get #floor(): number {
    return (this.target ?? 0) - this.#most + PAUSE;
  }
  #steady(): boolean {
    const span = Math.min(STEADY_SPAN, this.#hops - 3);
    if (span < STEADY_FROM) return true;
    let least = Number.POSITIVE_INFINITY;
    let most = Number.NEGATIVE_INFINITY;
    for (let n = 1; n <= span; n += 1) {
      const block = this.#known[(this.#hops - n) % KNOWN] as number;
      least = Math.min(least, block);
      most = Math.max(most, block);
    }
    return lufs(most) - lufs(least) < STEADY;
  }

  /** Decides the gains up to the start of `hop`. */
  #say(hop: number): void {
    if (hop <= this.#last) return;
    const plain = this.#plain;
    // After a leap there is no gain to go on from slowly: what was before it is long gone.
    if (this.#last < 0 || hop - this.#last > KNOWN) {
      this.#gains.fill(plain ?? 0);
      this.#last = hop;
      return;
    }
    const threshold = meanSquareOf(this.#programme.loudness + PAUSE);
    while (this.#last < hop) {
      const gain = this.#gain(this.#last);
      const block = this.#block(this.#last);
      const pause = plain === undefined || !(block >= threshold);
      if (!pause) this.#play(block, gain);
      this.#last += 1;
      const off = plain === undefined ? 0 : this.#balanced(plain, threshold) - gain;
      this.#gains[this.#last % SAID] = gain + this.#change(off, pause) / 10;
    }
  }
  /** Mean square of the 400 ms from the start of `hop` on; 0 where it has not come in, or is long gone. */
  #block(hop: number): number {
    const end = hop + 3;
    return end >= 0 && end < this.#hops && end >= this.#hops - KNOWN ? (this.#known[end % KNOWN] as number) : 0;
  }
  #play(block: number, gain: number): void {
    this.#played += 1;
    this.#weight = this.#weight * FADED + 1;
    this.#energy = this.#energy * FADED + block * 10 ** (gain / 10);
  }
  /** The gain that brings what was heard to the target as one piece. */
  get #plain(): number | undefined {
    const { loudness } = this.#programme;
    if (this.target === undefined || loudness === Number.NEGATIVE_INFINITY) return undefined;
    return this.#bounded(Math.min(this.target - loudness, this.#counted * EVIDENCE));
  }
  /** The same, a little more or less so that it also makes up for what was played too quiet or too loud. */
  #balanced(plain: number, threshold: number): number {
    let weight = this.#weight;
    let energy = this.#energy;
    const scale = 10 ** (plain / 10);
    for (let hop = this.#last; hop < this.#hops - 3; hop += 1) {
      const block = this.#block(hop);
      if (!(block >= threshold)) continue;
      weight += 1;
      energy += block * scale;
    }
    if (weight === 0 || this.target === undefined) return plain;
    const short = (this.target - lufs(energy / weight)) * BALANCE;
    return this.#bounded(plain + Math.max(-MOST_BALANCE, Math.min(MOST_BALANCE, short)));
  }
  #bounded(gain: number): number {
    return Math.max(-this.#most, Math.min(this.#most, gain));
  }
  /** dB/s for a gain that is `off` dB too low. */
  #change(off: number, pause: boolean): number {
    const tooLoud = off < -FAR_TOO_LOUD;
    if (this.#played === 0 || (pause && tooLoud)) return Math.max(-UNHEARD, Math.min(UNHEARD, off * 10));
    if (pause && off > 0) return 0;
    const fastest = tooLoud ? FASTEST_DOWN : FASTEST;
    const pull = tooLoud ? PULL : Math.max(SETTLED_PULL, PULL * Math.min(1, YOUNG / this.#played));
    return Math.max(-fastest, Math.min(fastest, off * pull));
  }
}
