import { type AudioChunk, endOf } from '../media/audio.ts';
import { HIGHEST, LOWEST, pitches } from '../media/pitch.ts';
import { type Interval, type Span, between, ms, overlaps, sampleIndex, samples } from '../media/time.ts';
import type { Casting, Register, SpeakerId } from './domain.ts';

/**
 * Between men's and women's voices, hertz: half-way from 120 to 210 Hz, the typical F0 of men's and women's speech
 * (Traunmüller & Eriksson: "The frequency range of the voice fundamental in the speech of male and female adults", 1995).
 */
export const FEMALE_FROM = 165;
/**
 * From here on a voice is a small child's, hertz. Ten-year-olds read words at some 236 Hz and women at 220 (Hillenbrand
 * et al., JASA 97(5), 1995), so that pitch tells only the youngest from a lively woman; in doubt the voice is a woman's.
 */
export const CHILD_FROM = 300;

/** The register of a voice, by its median F0 in hertz. */
export const registerOf = (hertz: number): Register =>
  hertz < FEMALE_FROM ? 'male' : hertz < CHILD_FROM ? 'female' : 'child';

/** From frame to frame. */
const HOP = ms(20);
/** Voiced speech from which on a median is a speaker's pitch; with less it decides, but is not told. */
const ENOUGH = ms(500);
/** A small child must be heard for so long: a woman's lively beginning can be as high. */
const CHILDLIKE = ms(1_000);
/** With less than this a pitch is chance. */
const LEAST = ms(100);
/** Pitches are counted in steps of a quarter of a semitone. */
const STEPS = 48;
const BINS = Math.ceil(STEPS * Math.log2(HIGHEST / LOWEST)) + 1;
/** What has been heard of this many undecided speakers is kept; of more, those longest unheard are forgotten. */
const WAITING = 64;

/** What was heard of somebody, as a histogram of pitch. */
type Heard = Uint32Array;

/**
 * Decides which voice speaks for whom: once for each speaker and session, by the median pitch of the speaker's own
 * voice so far. What is heard later changes nothing, and every language has the same casting.
 *
 * Somebody of whom less than 0.1 s of voice has been heard by the first line is given the register of which fewer are cast,
 * men's or women's, so that voices differ where nothing is known.
 */
export class Cast {
  readonly #heard = new Map<SpeakerId, Heard>();
  readonly #decided = new Map<SpeakerId, Casting>();
  readonly #counts: Record<Register, number> = { male: 0, female: 0, child: 0 };

  /**
   * Hears a speaker's own voice; nothing of the samples is kept. Does nothing once the speaker is cast.
   *
   * @param overlapped where others speak as well: left out
   */
  hears(speaker: SpeakerId, chunk: AudioChunk, overlapped: readonly Interval[] = []): void {
    if (this.#decided.has(speaker)) return;
    const heard = this.#heard.get(speaker) ?? new Uint32Array(BINS);
    this.#heard.delete(speaker);
    this.#heard.set(speaker, heard);
    for (const part of alone(chunk, overlapped)) {
      for (const { hertz } of pitches(part, chunk.rate, HOP)) {
        const bin = Math.min(BINS - 1, Math.max(0, Math.round(STEPS * Math.log2(hertz / LOWEST))));
        heard[bin]! += 1;
      }
    }
    for (const [longest] of this.#heard) {
      if (this.#heard.size <= WAITING) break;
      this.#heard.delete(longest);
    }
  }

  /** Whether the speaker's voice is decided. */
  has(speaker: SpeakerId): boolean {
    return this.#decided.has(speaker);
  }

  /** The speaker's casting, decided now if it is not yet. */
  of(speaker: SpeakerId): Casting {
    const known = this.#decided.get(speaker);
    if (known) return known;
    const { hertz, voiced } = median(this.#heard.get(speaker));
    this.#heard.delete(speaker);
    const { male, female } = this.#counts;
    const heard = registerOf(voiced < CHILDLIKE ? Math.min(hertz, CHILD_FROM - 1) : hertz);
    const register = voiced >= LEAST ? heard : female < male ? 'female' : 'male';
    const place = this.#counts[register];
    this.#counts[register] += 1;
    const casting: Casting = { register, place, ...(voiced >= ENOUGH && { pitch: Math.round(hertz) }) };
    this.#decided.set(speaker, casting);
    return casting;
  }
}

/** Half of what was heard lies below this. */
function median(heard: Heard | undefined): { hertz: number; voiced: Span } {
  const count = heard?.reduce((sum, n) => sum + n, 0) ?? 0;
  let before = 0;
  const bin = heard?.findIndex((n) => (before += n) * 2 > count) ?? -1;
  return { hertz: LOWEST * 2 ** (Math.max(0, bin) / STEPS), voiced: (count * HOP) as Span };
}

/** The stretches of a chunk in which nobody else speaks. */
function alone(chunk: AudioChunk, others: readonly Interval[]): Float32Array[] {
  const { start, rate, pcm } = chunk;
  const whole: Interval = { start, end: endOf(chunk) };
  const within = others.filter((other) => overlaps(other, whole)).toSorted((a, b) => a.start - b.start);
  const parts: Float32Array[] = [];
  let from = 0;
  for (const other of within) {
    const until = sampleIndex(between(start, other.start), rate);
    if (until > from) parts.push(pcm.subarray(from, until));
    from = Math.max(from, sampleIndex(between(start, other.end), rate));
  }
  if (from < pcm.length) parts.push(pcm.subarray(from));
  return parts.filter((part) => samples(part.length, rate) >= LEAST);
}
