import { type Interval, type SampleRate, type Span, between, overlaps } from '../media/time.ts';
import { speechLoudness } from '../media/loudness.ts';
import type { AudioMemory } from './audio-memory.ts';
import { Cast } from './casting.ts';
import type { Casting, Delivery, SpeakerId, Turn, Utterance, UtteranceId } from './domain.ts';
import type { About, Placed } from './fitter.ts';
import { type Manner, Prosody, applyContour } from './prosody.ts';

export interface SpeakersOptions {
  /** What was heard of late. */
  readonly memory: AudioMemory;
  readonly rate: SampleRate;
  /** 0 … 1: how much of the speakers' loudness and pitch movement their dubs take over. */
  readonly expression: number;
  /** Whether a dub is as loud as what it stands for, or as loud as its voice. */
  readonly level: 'matched' | 'own';
}

/** Who says a line, and how, as far as a synthesizer is told. */
export type HowSaid = { readonly casting: Casting } & Pick<Delivery, 'energy' | 'pitch'>;

interface Heard {
  readonly utterance: Utterance;
  readonly casting: Casting;
  readonly manner: Manner;
  /** Loudness of the utterance, LUFS, no further from the speaker's usual than expression allows. */
  readonly level: number | undefined;
}

/** Utterances and turns that are remembered: more than are ever under way. */
const REMEMBERED = 256;
/** Speakers whose level and seat are remembered. */
const SPEAKERS = 64;
/** How much an utterance counts for its speaker's usual level. */
const WEIGHT = 0.2;
/** How far an utterance's level is followed away from it, and how far a voice may be raised or lowered to meet it, dB. */
const AWAY = 6;
const MOST = 20;
/** Where clips are heard, Hz. */
const CLIPS = 48_000;
/** Places between left and right: the first speaker in the middle, everybody else beside. */
const SEATS = [0, 0.4, -0.4, 0.7, -0.7] as const;

/**
 * What is known of those who speak: which voice speaks for them, how they said what they said, how loud they are.
 *
 * One for all languages, so that a speaker has one voice and one manner in all of them.
 */
export class Speakers {
  readonly #options: SpeakersOptions;
  readonly #cast = new Cast();
  readonly #prosody = new Prosody();
  readonly #heard = new Map<UtteranceId, Heard>();
  readonly #levels = new Map<SpeakerId, number>();
  readonly #seats = new Map<SpeakerId, number>();
  #overlapped: Interval[] = [];

  constructor(options: SpeakersOptions) {
    this.#options = options;
  }

  /** A turn: where several speak at once nobody's voice is measured. */
  turn(turn: Turn): void {
    if (!turn.overlap?.length) return;
    this.#overlapped.push(turn);
    if (this.#overlapped.length > REMEMBERED) this.#overlapped.shift();
  }

  /** An utterance, before anybody translates it. */
  hears(utterance: Utterance): void {
    const { memory, rate, expression, level } = this.#options;
    const { id, speaker, start } = utterance;
    const within = memory.within(utterance);
    const pcm = memory.cut(within);
    const others = this.#overlapped.filter((other) => overlaps(other, utterance));
    this.#cast.hears(speaker, { start: within.start, rate, pcm }, others);
    // The contour counts from the utterance's start, wherever what is remembered begins.
    const skipped = between(start, within.start);
    const { energy, pitch, contour } = this.#prosody.hears(speaker, pcm, rate);
    const manner: Manner = {
      energy: energy * expression,
      pitch: pitch * expression,
      contour: contour.map(({ at, gain }) => ({ at: (at + skipped) as Span, gain: gain * expression })),
    };
    const casting = this.#cast.of(speaker);
    this.#seats.set(speaker, this.#seats.get(speaker) ?? SEATS[this.#seats.size % SEATS.length] ?? 0);
    keep(this.#seats, SPEAKERS);
    const loudness = level === 'matched' ? this.#level(speaker, speechLoudness(pcm, rate)) : undefined;
    this.#heard.set(id, { utterance, casting, manner, level: loudness });
    keep(this.#heard, REMEMBERED);
  }

  howSaid(utterance: UtteranceId): HowSaid | undefined {
    const heard = this.#heard.get(utterance);
    return heard && { casting: heard.casting, energy: heard.manner.energy, pitch: heard.manner.pitch };
  }
  /** What a clip takes over from the utterance that it stands for. */
  about(utterance: UtteranceId): About | undefined {
    const heard = this.#heard.get(utterance);
    if (!heard) return undefined;
    const { words, speaker } = heard.utterance;
    return { words, seat: this.#seats.get(speaker) ?? 0, finish: (placed) => finish(placed, heard) };
  }

  #level(speaker: SpeakerId, loudness: number | undefined): number | undefined {
    const usual = this.#levels.get(speaker);
    if (loudness === undefined) return usual;
    const now = usual === undefined ? loudness : usual + WEIGHT * (loudness - usual);
    this.#levels.delete(speaker);
    this.#levels.set(speaker, now);
    keep(this.#levels, SPEAKERS);
    return now + clamp(loudness - now, AWAY) * this.#options.expression;
  }
}

/** Gives a clip the level of what it stands for, and its louder and quieter moments where they were. */
function finish({ line, pcm, start, phrases }: Placed, { level, manner }: Heard): void {
  if (manner.contour.length > 0) {
    const mapping = phrases.map(({ source, ...dub }) => ({
      source: { start: between(line.start, source.start), end: between(line.start, source.end) },
      dub: { start: between(start, dub.start), end: between(start, dub.end) },
    }));
    pcm.set(applyContour(pcm, CLIPS, manner.contour, mapping));
  }
  const loudness = level === undefined ? undefined : speechLoudness(pcm, CLIPS);
  if (level === undefined || loudness === undefined) return;
  const gain = 10 ** (clamp(level - loudness, MOST) / 20);
  for (let i = 0; i < pcm.length; i += 1) pcm[i]! *= gain;
}

/** Forgets the oldest of too many. */
function keep<K>(map: Map<K, unknown>, most: number): void {
  const oldest = map.size > most ? map.keys().next() : undefined;
  if (oldest && !oldest.done) map.delete(oldest.value);
}
const clamp = (x: number, most: number) => Math.min(most, Math.max(-most, x));
