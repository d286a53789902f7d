import { type PitchFrame, pitches } from '../media/pitch.ts';
import { type SampleRate, type Span, ms, sampleIndex } from '../media/time.ts';
import type { Delivery, SpeakerId } from './domain.ts';

/**
 * How something was said, carried from a speaker to the voice that speaks for them: how loud and how high against their
 * own habit, and where within the utterance it was louder or quieter. All of it bounded, so that a dub is never further
 * from its voice's own manner than a listener would call lively.
 */
export interface Manner extends Pick<Delivery, 'energy' | 'pitch'> {
  readonly contour: readonly Emphasis[];
}
/** How much louder than the rest of its utterance a moment was. */
export interface Emphasis {
  /** From the utterance's first sample, microseconds. */
  readonly at: Span;
  /** Decibels within ±4, against the utterance's own level. */
  readonly gain: number;
}

/** A stretch of the source and the stretch of the dub that stands for it, each from its own first sample. */
export interface Mapped {
  readonly source: { readonly start: Span; readonly end: Span };
  readonly dub: { readonly start: Span; readonly end: Span };
}

/** Decibels and semitones that a line may differ from its speaker's habit, as `Delivery` bounds them. */
const ENERGY = 6;
const PITCH = 3;
/** Decibels that a moment may differ from its line. */
const EMPHASIS = 4;
/** Loudness is taken in blocks of this length. */
const BLOCK = ms(20);
/** A moment's loudness is the mean over about this much: a stressed word with its neighbours, and no single sounds. */
const SMOOTH = ms(250);
/** From one point of a contour to the next. */
const STEP = ms(100);
/** A block is speech when it is no further below the loud ones (their 95th percentile), decibels. */
const SPOKEN = 25;
/** With less speech than this an utterance says nothing about a habit. */
const LEAST = ms(400);
/** A habit is the median of so many utterances; before the second there is none. */
const REMEMBERED = 21;
const FROM = 2;
/** Speakers whose habits are kept; of more, those longest unheard are forgotten. */
const SPEAKERS = 64;
/** Pitch is looked for this often. */
const HOP = ms(20);
/** At each end of a stretch and in its pauses the gain goes back to none over this. */
const RELEASE = ms(80);
/** No gain changes faster than from one point to another so far away: 8 dB at most. */
const SHORTEST = ms(20);
/** How much of a speaker's energy is heard in the level of the whole line. */
const TAKEN = 0.5;
/** −1 dB below full scale, as synthesizers level their voices to. */
const CEILING = 10 ** (-1 / 20);

/** Medians of the last utterances of one speaker. */
interface Habit {
  readonly loudness: number[];
  /** Semitones above 1 Hz. */
  readonly pitch: number[];
}

/**
 * Finds out how utterances are said. Levels are compared between utterances of one speaker only, so that a quiet
 * microphone is no quiet mood.
 */
export class Prosody {
  readonly #habits = new Map<SpeakerId, Habit>();

  /** Hears an utterance, 16 kHz or another rate, by its speaker alone; nothing of the samples is kept. */
  hears(speaker: SpeakerId, pcm: Float32Array, rate: SampleRate): Manner {
    const levels = levelsOf(pcm, rate);
    const spoken = spokenIn(levels);
    const voiced = (spoken.length * BLOCK) as Span;
    if (voiced < LEAST) return { energy: 0, pitch: 0, contour: [] };
    const loudness = decibels(spoken.reduce((sum, level) => sum + 10 ** (level / 10), 0) / spoken.length);
    const height = semitones(pitches(pcm, rate, HOP));
    const habit = this.#habits.get(speaker) ?? { loudness: [], pitch: [] };
    this.#habits.delete(speaker);
    this.#habits.set(speaker, habit);
    for (const [longest] of this.#habits) {
      if (this.#habits.size <= SPEAKERS) break;
      this.#habits.delete(longest);
    }
    const manner: Manner = {
      energy: bounded(against(habit.loudness, loudness), ENERGY),
      pitch: height === undefined ? 0 : bounded(against(habit.pitch, height), PITCH),
      contour: contourOf(levels),
    };
    remember(habit.loudness, loudness);
    if (height !== undefined) remember(habit.pitch, height);
    return manner;
  }
}

/** The loudness of each block, decibels; silence is −Infinity. */
function levelsOf(pcm: Float32Array, rate: SampleRate): number[] {
  const size = sampleIndex(BLOCK, rate);
  return Array.from({ length: Math.floor(pcm.length / size) }, (_, n) => {
    let sum = 0;
    for (let i = n * size; i < (n + 1) * size; i += 1) sum += pcm[i]! * pcm[i]!;
    return decibels(sum / size);
  });
}
const decibels = (power: number) => (power > 1e-12 ? 10 * Math.log10(power) : -Infinity);

/** How loud a block must be to be speech. */
function threshold(levels: readonly number[]): number {
  const sorted = levels.filter(Number.isFinite).sort((a, b) => a - b);
  return (sorted[Math.floor(0.95 * sorted.length)] ?? 0) - SPOKEN;
}
const spokenIn = (levels: readonly number[]): number[] => {
  const least = threshold(levels);
  return levels.filter((level) => level >= least);
};

/** How an utterance's loudness moves: its smoothed level against the mean of it, where there is speech. */
function contourOf(levels: readonly number[]): Emphasis[] {
  const least = threshold(levels);
  const half = Math.round(SMOOTH / BLOCK / 2);
  const smooth = levels.map((_, n) => {
    let [sum, weight] = [0, 0];
    for (let k = Math.max(0, n - half); k <= Math.min(levels.length - 1, n + half); k += 1) {
      const level = levels[k]!;
      if (level < least) continue;
      // A raised cosine: what is near counts more.
      const share = 1 + Math.cos((Math.PI * (k - n)) / (half + 1));
      sum += share * level;
      weight += share;
    }
    return weight > 0 ? sum / weight : undefined;
  });
  const known = smooth.filter((level, n): level is number => level !== undefined && levels[n]! >= least);
  if (known.length === 0) return [];
  const mean = known.reduce((sum, level) => sum + level, 0) / known.length;
  const step = STEP / BLOCK;
  return smooth.flatMap((level, n) =>
    level !== undefined && levels[n]! >= least && n % step === Math.floor(step / 2)
      ? [{ at: Math.round((n + 0.5) * BLOCK) as Span, gain: bounded(level - mean, EMPHASIS) }]
      : [],
  );
}

/**
 * Lays a contour over fitted speech, as a gain that changes smoothly and stays within ±4 dB; a copy. Nothing gets louder
 * than −1 dB below full scale that was not before.
 *
 * @param mapping which stretch of the speech stands for which of the source, in order; outside of them the speech stays as
 * it is
 */
export function applyContour(
  pcm: Float32Array,
  rate: SampleRate,
  contour: readonly Emphasis[],
  mapping: readonly Mapped[],
): Float32Array {
  const out = pcm.slice();
  const points = mapping.flatMap((stretch) => pointsOf(contour, stretch));
  const places = points.map(({ at }) => Math.min(pcm.length, sampleIndex(at, rate)));
  const gains = points.map(({ gain }, n) => {
    const peak = peakOf(pcm.subarray(places[n - 1] ?? places[n], places[n + 1] ?? places[n]));
    return Math.min(gain, headroom(peak));
  });
  for (let n = 1; n < places.length; n += 1) {
    const [from, to, before, after] = [places[n - 1]!, places[n]!, gains[n - 1]!, gains[n]!];
    for (let i = from; i < to; i += 1) {
      // Half a cosine from point to point: no corner in the gain, hence no click.
      const share = (1 - Math.cos((Math.PI * (i - from)) / (to - from))) / 2;
      out[i]! *= 10 ** ((before + share * (after - before)) / 20);
    }
  }
  return out;
}

/** A line as much louder or quieter as its speaker was, by half of that, as far as full scale leaves room; a copy. */
export function lifted(pcm: Float32Array, energy: number): Float32Array {
  const gain = 10 ** (Math.min(TAKEN * bounded(energy, ENERGY), headroom(peakOf(pcm))) / 20);
  return pcm.map((x) => x * gain);
}

/** A contour's points within a stretch, at their places in the dub, with no gain at both ends and in pauses. */
function pointsOf(contour: readonly Emphasis[], { source, dub }: Mapped): Emphasis[] {
  const [length, heard] = [source.end - source.start, dub.end - dub.start];
  if (length <= 0 || heard <= 0) return [];
  const points: (Emphasis & { readonly source: number })[] = [{ at: dub.start, gain: 0, source: source.start }];
  for (const { at, gain } of contour) {
    if (at < source.start || at >= source.end) continue;
    const place = Math.round(dub.start + ((at - source.start) * heard) / length) as Span;
    const before = points.at(-1)!;
    // A pause in the source: none of its neighbours' emphasis lasts through it.
    if (at - before.source > 2 * STEP && place - before.at > 3 * RELEASE) {
      points.push({ at: (before.at + RELEASE) as Span, gain: 0, source: at });
      points.push({ at: (place - RELEASE) as Span, gain: 0, source: at });
    } else if (place - before.at < SHORTEST) continue;
    if (dub.end - place >= SHORTEST) points.push({ at: place, gain: bounded(gain, EMPHASIS), source: at });
  }
  const last = points.at(-1)!;
  points.push({ at: Math.min(dub.end, last.at + RELEASE) as Span, gain: 0, source: source.end });
  return points;
}

const peakOf = (pcm: Float32Array) => pcm.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
/** How many decibels something may be turned up. */
const headroom = (peak: number) => (peak > 0 ? Math.max(0, 20 * Math.log10(CEILING / peak)) : Infinity);

/** How much a value lies above what is usual, or 0 while that is not known. */
function against(usual: readonly number[], value: number): number {
  const middle = median(usual);
  return middle === undefined || usual.length < FROM ? 0 : value - middle;
}
function remember(usual: number[], value: number): void {
  usual.push(value);
  if (usual.length > REMEMBERED) usual.shift();
}
function semitones(frames: readonly PitchFrame[]): number | undefined {
  const hertz = frames.length * HOP >= LEAST / 2 ? median(frames.map((frame) => frame.hertz)) : undefined;
  return hertz === undefined ? undefined : 12 * Math.log2(hertz);
}
function median(values: readonly number[]): number | undefined {
  return values.toSorted((a, b) => a - b)[values.length >> 1];
}
const bounded = (x: number, most: number) => Math.max(-most, Math.min(most, x));
