import { deflateSync } from 'node:zlib';
import { z } from 'zod';
import { PITCH_WINDOW, Pitch } from '../dsp/pitch.ts';

/** When what a recogniser wrote is taken for invented. Engines put it into their settings. */
export const guardSettings = z.strictObject({
  silence: z.number().min(-120).max(0).default(-55).describe('Quieter than this all through is silence, dBFS.'),
  noSpeech: z
    .number()
    .min(0)
    .max(1)
    .default(0.6)
    .describe(
      'The model holds it for no speech at this probability; it is not believed if it is half as unsure as below.',
    ),
  logprob: z
    .number()
    .max(0)
    .default(-1)
    .describe('Less sure of its words than this mean logarithm, it is not believed.'),
  repetition: z
    .number()
    .min(1)
    .default(2.4)
    .describe('Text that can be packed to less than one part in this many repeats itself.'),
  densest: z.number().positive().default(35).describe('Nobody says more characters in a second.'),
});
export type GuardSettings = z.output<typeof guardSettings>;

/** What a stretch of 16 kHz audio is like, as far as that tells whether somebody speaks in it. */
export interface Sound {
  /** Seconds of it. */
  readonly length: number;
  /** Of its loudest 32 ms, dBFS. */
  readonly loudest: number;
  /** Seconds with a voice's pitch. */
  readonly voiced: number;
}

/** What a model says of its own text. Servers do not tell all of it. */
export interface Claim {
  readonly text: string;
  /** The segment is over: nothing will be said behind this. */
  readonly over: boolean;
  readonly logprob?: number | undefined;
  readonly noSpeech?: number | undefined;
}

/** Why a text is not believed. */
export type Doubt = 'silence' | 'no speech' | 'unsure' | 'repetition' | 'too dense' | 'boilerplate';

const FRAME = 512;
/** From one look for a pitch to the next: 20 ms. A voice lasts longer than a look or two. */
const LOOK = 320;
const LOOKS = 3;

/** Listens along; what is asked at the end is about everything heard since the beginning. */
export class SoundMeter {
  readonly #pitch = new Pitch();
  readonly #frame = new Float32Array(FRAME);
  readonly #held = new Float32Array(PITCH_WINDOW);
  #samples = 0;
  #filled = 0;
  #waiting = 0;
  #loudest = 0;
  #run = 0;
  #voiced = 0;

  /** @param pcm borrowed, 16 kHz */
  hear(pcm: Float32Array): void {
    for (const sample of pcm) {
      this.#frame[this.#filled] = sample;
      this.#held[this.#waiting] = sample;
      this.#samples += 1;
      if ((this.#filled += 1) === FRAME) this.#level();
      if ((this.#waiting += 1) === PITCH_WINDOW) this.#look();
    }
  }

  get sound(): Sound {
    return {
      length: this.#samples / 16_000,
      loudest: 10 * Math.log10(this.#loudest + 1e-12),
      voiced: (this.#voiced * LOOK) / 16_000,
    };
  }

  #level(): void {
    let power = 0;
    for (const x of this.#frame) power += (x * x) / FRAME;
    this.#loudest = Math.max(this.#loudest, power);
    this.#filled = 0;
  }
  #look(): void {
    this.#run = this.#pitch.of(this.#held) > 0 ? this.#run + 1 : 0;
    if (this.#run === LOOKS) this.#voiced += LOOKS;
    else if (this.#run > LOOKS) this.#voiced += 1;
    this.#held.copyWithin(0, LOOK);
    this.#waiting = PITCH_WINDOW - LOOK;
  }
}

/**
 * What Whisper and its kin write when nobody speaks, learnt from subtitles: credits, farewells, calls to subscribe.
 *
 * Compiled from what people report of it, among others https://github.com/openai/whisper/discussions/928 and
 * https://github.com/openai/whisper/discussions/1606.
 */
const CREDITS = [
  /amara\s?\.?\s?org/iu,
  /^(sub|cap)(titles|titled|tions|tioned|titling|tioning)( were)?( made| created)? by\b/iu,
  /^(untertitel|sous-titr|subt[ií]tul|sottotitoli|legendas|napisy|субтитры|字幕)/iu,
  /dimatorzok|索兰娅|不吝点赞|ご視聴ありがとう|продолжение следует|시청해\s?주셔서/iu,
];
const FAREWELLS = [
  /^(and )?(thanks?|thank you)( you)?( all| guys| so much| very much)? for (watching|listening|your attention)/iu,
  /^(please )?(don't forget to |remember to )?(like,? |subscribe)(and |,? )?/iu,
  /^(i'll |we'll )?see you (guys )?(all )?(in the |next )(next )?(video|time|one)?/iu,
];
/** Said as often as invented. */
const COURTESIES = /^(thank you( very much| so much)?|thanks|you|bye(-bye| bye)?|okay|oh|uh|hmm|so)$/iu;

const bare = (text: string) => text.trim().replace(/[.!?…,。！？♪\s]+$/gu, '');
const unspoken = (text: string) => !/[\p{L}\p{N}]/u.test(text) || /^[[(（【♪*].*[\])）】♪*]$/u.test(text.trim());

/** How many times shorter a text gets when it is packed: what repeats itself gets much shorter. */
export function compression(text: string): number {
  const bytes = Buffer.from(text, 'utf8');
  return bytes.length === 0 ? 0 : bytes.length / deflateSync(bytes).length;
}

/** The same few words at least four times in a row, which is too short for packing to show. */
export function loops(text: string): boolean {
  const words = text.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [];
  for (let size = 1; size <= 6; size += 1) {
    // Numbers are said one digit at a time; a single word is repeated by people, too.
    const times = size === 1 ? 6 : 4;
    for (let from = 0; from + size * times <= words.length; from += 1) {
      const same = (n: number) => words[from + n] === words[from + (n % size)];
      if (Array.from({ length: size * times }, (_, n) => n).every(same)) return true;
    }
  }
  return false;
}

/** Audio in which nobody can have said anything: it need not be recognised at all. */
export const silent = ({ loudest }: Sound, { silence }: GuardSettings): boolean => loudest < silence;

/** A credit of subtitles, wherever it stands. */
export const credits = (text: string): boolean => CREDITS.some((credit) => credit.test(bare(text)));

/**
 * Why what a model wrote about a sound is not believed; nothing when it is.
 *
 * The model's own doubts count as Whisper's authors count them (`transcribe.py`), only that what is not believed is left
 * out, and not decoded again with dice. Beyond that, what is known to be written about nothing needs a voice to be
 * believed, and a length that fits the voice. What sounds like a voice and gets a plausible sentence from a model that is
 * sure of it, is believed: that it is none, only a VAD before the recogniser can tell.
 */
export function doubt(claim: Claim, sound: Sound, settings: GuardSettings): Doubt | undefined {
  const { text, logprob = 0, noSpeech = 0 } = claim;
  if (silent(sound, settings)) return 'silence';
  const voiceless = sound.voiced < 0.1 || sound.voiced / sound.length < 0.1;
  if (noSpeech > settings.noSpeech && (voiceless || logprob < settings.logprob / 2)) return 'no speech';
  if (logprob < settings.logprob) return 'unsure';
  if (compression(text) > settings.repetition || loops(text)) return 'repetition';
  const words = bare(text);
  if (unspoken(words)) return 'boilerplate';
  if (words.length / Math.max(sound.length, 0.2) > settings.densest) return 'too dense';
  if (credits(text)) return 'boilerplate';
  const farewell = FAREWELLS.some((each) => each.test(words));
  if (!farewell && !COURTESIES.test(words)) return undefined;
  // Nobody waits for these: whether they fill their segment shows at its end.
  if (!claim.over) return 'boilerplate';
  // A farewell takes no longer than it takes to say; two characters in a second are nobody's.
  const sparse = words.length / sound.length < (farewell ? 8 : 2);
  const hesitant = noSpeech > 0.3 || logprob < -0.7;
  return sparse || voiceless || hesitant ? 'boilerplate' : undefined;
}
