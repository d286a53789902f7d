import { joined } from './audio.ts';
import { factor } from './decibels.ts';
import { GatedLoudness } from './gated-loudness.ts';
import type { Levelling } from './levelling.ts';
import { Limiter, type Stereo } from './limiter.ts';
import { LoudnessMeter } from './loudness.ts';
import type { SampleRate } from './time.ts';
import { TruePeakMeter } from './true-peak.ts';

/** Highest true peak of a programme, dBTP (EBU R 128). */
export const CEILING = -1;
/**
 * Kept free below the ceiling, dB. On real speech at −23 LUFS Opus gives peaks back up to 0.7 dB higher than they went in
 * (32 … 64 kbit/s, libopus 1.3.1), at −14 LUFS, where the limiter holds them down hard, up to 1.6 dB. Of one meeting at
 * −14 LUFS, tuned to speech, it was 3.1 dB: there this is not enough.
 */
const CODEC_ROOM = 2.25;
/** The gain is worked out so often, and is a straight line between: times a second. */
const KNOTS_PER_SECOND = 100;
/** The trim is worked out every so many knots. */
const KNOTS_PER_TRIM = 10;
/** Most trim up and down, dB. */
const TRIM = 3;
/** Fastest trim, dB/s. */
const TRIM_SPEED = 0.3;
/** Blocks of 100 ms until the track's own loudness counts in full. */
const TRUSTED = 30;
/** The trim looks back so far: hops of 100 ms to a part of 1/e. */
const MEMORY = 600;

/** What a track sounds like, as it comes out. LUFS, dBTP and dB; −∞ before there is anything. */
export interface Levels {
  readonly momentary: number;
  readonly shortTerm: number;
  readonly integrated: number;
  /** The highest so far. */
  readonly truePeak: number;
  /** Of the programme and of the track together, at what goes in now; what the limiter takes away is not in it. */
  readonly gain: number;
}

export interface MasterOptions {
  readonly rate: SampleRate;
  readonly levelling: Levelling;
  /** Highest true peak of what a listener hears, dBTP. */
  readonly ceiling?: number;
  /** Kept free below it for the codec that follows, dB. */
  readonly room?: number;
}

/**
 * The last thing a track goes through: the programme's gain, a slow trim of the track's own, and a true-peak limiter.
 *
 * The result does not depend on how the sound was cut into blocks.
 */
export class Master {
  readonly rate: SampleRate;
  /** What comes out lies so many samples behind what goes in: 10 ms. The first that comes out is silence. */
  readonly lookahead: number;
  readonly #levelling: Levelling;
  readonly #limiter: Limiter;
  readonly #meter: LoudnessMeter;
  readonly #peaks: readonly [TruePeakMeter, TruePeakMeter] = [new TruePeakMeter(), new TruePeakMeter()];
  /** Loudness of the last minute as it would have been without the trim. */
  readonly #untrimmed = new GatedLoudness(MEMORY);
  readonly #knot: number;
  /** Samples until the next knot. */
  #untilKnot = 0;
  #knots = 0;
  /** Factors at the last knot and the next. */
  #from: number | undefined;
  #to = 1;
  #gain = 0;
  #trim = 0;
  /** Hops of the track that were programme rather than silence. */
  #heard = 0;

  constructor(options: MasterOptions) {
    const { rate, levelling, ceiling = CEILING, room = CODEC_ROOM } = options;
    if (!(ceiling <= 0 && ceiling >= -20)) {
      throw new RangeError(`Cannot create master: ceiling must be −20…0 dBTP, received ${ceiling}`);
    }
    if (!(room >= 0 && room <= 6)) throw new RangeError(`Cannot create master: room must be 0…6 dB, received ${room}`);
    this.rate = rate;
    this.#levelling = levelling;
    this.#limiter = new Limiter(rate, factor(ceiling - room));
    this.lookahead = this.#limiter.lookahead;
    this.#meter = new LoudnessMeter(rate);
    this.#knot = Math.floor(rate / KNOTS_PER_SECOND);
  }

  /** As in {@link levels}, for whoever asks with every frame. */
  get gain(): number {
    return this.#gain;
  }
  get levels(): Levels {
    return {
      momentary: this.#meter.momentary,
      shortTerm: this.#meter.shortTerm,
      integrated: this.#meter.integrated,
      truePeak: Math.max(...this.#peaks.map((peak) => peak.truePeak)),
      gain: this.#gain,
    };
  }

  /**
   * Gives as many samples as it takes, those from `lookahead` samples before. The sound is only read, and what comes out
   * is the caller's own. Where both channels are one buffer, so are those that come out, a look-ahead later.
   *
   * @param at index of the first sample, counted from media time 0
   */
  process(sound: Stereo, at: number): Stereo {
    const { length } = sound.left;
    if (sound.right.length !== length) {
      throw new RangeError(`Cannot master: received ${length} samples left, ${sound.right.length} right`);
    }
    const mono = sound.left === sound.right;
    const out: { left: Float32Array; right: Float32Array }[] = [];
    for (let from = 0; from < length;) {
      if (this.#untilKnot === 0) this.#turn(at + from);
      const to = Math.min(length, from + this.#untilKnot);
      const left = this.#amplify(sound.left, from, to);
      const right = mono ? left : this.#amplify(sound.right, from, to);
      this.#untilKnot -= to - from;
      from = to;
      const piece = this.#limiter.process({ left, right });
      this.#measure(piece);
      out.push(piece);
    }
    const left = whole(out.map((piece) => piece.left));
    return { left, right: out.every((piece) => piece.left === piece.right) ? left : whole(out.map((p) => p.right)) };
  }

  #amplify(pcm: Float32Array, from: number, to: number): Float32Array {
    const start = this.#from ?? this.#to;
    const step = (this.#to - start) / this.#knot;
    const passed = this.#knot - this.#untilKnot - from;
    const amplified = new Float32Array(to - from);
    for (let i = from; i < to; i += 1) amplified[i - from] = (pcm[i] as number) * (start + step * (passed + i));
    return amplified;
  }
  /** At a knot: where the gain goes until the next. */
  #turn(at: number): void {
    this.#untilKnot = this.#knot;
    if (this.#knots % KNOTS_PER_TRIM === 0) this.#turnTrim();
    this.#knots += 1;
    this.#from = this.#from === undefined ? factor(this.#levelling.gainAt(at)) : this.#to;
    this.#gain = this.#levelling.gainAt(at + this.#knot) + this.#trim;
    this.#to = factor(this.#gain);
  }
  #turnTrim(): void {
    const { target } = this.#levelling;
    // In a pause the trim stays where it is.
    if (target === undefined || this.#heard === 0 || this.#meter.momentary < target - 10) return;
    const off = target - this.#untrimmed.loudness;
    const wanted = Math.max(-TRIM, Math.min(TRIM, off)) * Math.min(1, this.#heard / TRUSTED);
    const most = (TRIM_SPEED * KNOTS_PER_TRIM) / KNOTS_PER_SECOND;
    this.#trim += Math.max(-most, Math.min(most, wanted - this.#trim));
  }
  #measure(piece: Stereo): void {
    const { hops } = this.#meter;
    this.#meter.push(piece.left, piece.right);
    this.#peaks[0].push(piece.left);
    if (piece.left !== piece.right) this.#peaks[1].push(piece.right);
    if (this.#meter.hops === hops || this.#meter.momentary < (this.#levelling.target ?? 0) - 20) return;
    this.#untrimmed.add(this.#meter.meanSquare / 10 ** (this.#trim / 10));
    this.#heard += 1;
  }
}

/** What is in one piece needs no copy: it is the caller's own. */
const whole = (parts: readonly Float32Array[]): Float32Array =>
  parts.length === 1 && parts[0] ? parts[0] : joined(parts);
