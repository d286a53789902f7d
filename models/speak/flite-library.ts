import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Library, MissingLibrary, koffi, library } from '../../media/native.ts';
import { Turnstile } from './turnstile.ts';

/** Where libflite and its voices live: Debian (both architectures), a build of one's own, Homebrew. */
const FOLDERS = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/local/lib', '/opt/homebrew/lib'];
const filesOf = (name: string) =>
  FOLDERS.flatMap((folder) => [join(folder, `lib${name}.so.1`), join(folder, `lib${name}.dylib`)]);
export const FLITE_FILES: readonly string[] = filesOf('flite');
export const FLITE_PACKAGE = 'libflite1';

/** The voices we use, those that are easiest to tell apart first: a woman, two men, a Scotsman. */
export const FLITE_VOICES = ['slt', 'rms', 'kal16', 'awb'] as const;
export type FliteVoice = (typeof FLITE_VOICES)[number];
const libraryOf = (voice: FliteVoice) => `flite_cmu_us_${voice}`;

export const installedFliteVoices = (): FliteVoice[] =>
  FLITE_VOICES.filter((voice) => filesOf(libraryOf(voice)).some((file) => existsSync(file)));

export interface Segment {
  /** A phoneme of flite's US English set; `pau` is a pause. */
  readonly name: string;
  /** Seconds from the first sample. */
  readonly start: number;
  readonly end: number;
}
export interface Token {
  /** A word as it stands in the text, without its punctuation. */
  readonly text: string;
  /** Seconds from the first sample to its first phoneme. */
  readonly start: number;
}
export interface Utterance {
  readonly pcm: Int16Array;
  readonly rate: number;
  readonly segments: readonly Segment[];
  readonly tokens: readonly Token[];
}

/** How to speak, against the voice's own manner. */
export interface Manner {
  /** How fast. */
  readonly rate?: number;
  /** How high, as a ratio of frequencies. `rms` does not heed it. */
  readonly shift?: number;
}
interface Registered {
  readonly name: FliteVoice;
  readonly pointer: unknown;
  readonly library: Library;
}

const turn = new Turnstile('flite');

/** From a token to the end of the phoneme before its first word's first one. */
const BEFORE_TOKEN = 'daughter1.R:SylStructure.daughter1.daughter1.R:Segment.p.end';

/**
 * libflite with the voices that were asked for so far. Calls block: 40 ms for a sentence of 4 s.
 *
 * The library counts references to its lexicon without locking, so one thread at a time is inside it, whichever
 * engine it works for.
 */
export class Flite {
  readonly #say: (text: string, voice: Registered, manner: Required<Manner>) => Utterance;
  /** Each voice with its library, which is unloaded with the last reference to it. */
  readonly #voices = new Map<FliteVoice, Registered>();

  constructor() {
    const file = FLITE_FILES.find((each) => existsSync(each));
    if (file === undefined) throw new MissingLibrary(`Cannot find libflite: install ${FLITE_PACKAGE} (Debian)`);
    // The voices' libraries take their symbols from this one.
    const native = library([file], FLITE_PACKAGE, true);
    const initialize = native.func('flite_init', 'int', []);
    const synthesize = native.func('flite_synth_text', 'void *', ['str', 'void *']);
    const discard = native.func('delete_utterance', 'void', ['void *']);
    const waveOf = native.func('utt_wave', 'void *', ['void *']);
    const relation = native.func('utt_relation', 'void *', ['void *', 'str']);
    const present = native.func('utt_relation_present', 'int', ['void *', 'str']);
    const head = native.func('relation_head', 'void *', ['void *']);
    const next = native.func('item_next', 'void *', ['void *']);
    const text = native.func('item_feat_string', 'str', ['void *', 'str']);
    const number = native.func('item_feat_float', 'float', ['void *', 'str']);
    const own = native.func('feat_own_string', 'void *', ['void *', 'str']);
    const setNumber = native.func('feat_set_float', 'void', ['void *', 'void *', 'float']);
    const numberAt = native.func('flite_ffeature_float', 'float', ['void *', 'str']);
    /** `cst_wave` of `cst_wave.h`. */
    const wave = koffi.struct({
      type: 'void *',
      sample_rate: 'int',
      num_samples: 'int',
      num_channels: 'int',
      samples: 'void *',
    });
    /** How `cst_voice` of `cst_voice.h` begins. */
    const voiceHead = koffi.struct({ name: 'void *', features: 'void *' });
    /** A features' list keeps the name that it is given, so the name must be the list's own. */
    const names = new Map<string, unknown>();
    const set = (voice: unknown, key: string, feature: string, value: number) => {
      const { features } = koffi.decode(voice, voiceHead) as { readonly features: unknown };
      const name = names.get(key) ?? (own(features, feature) as unknown);
      names.set(key, name);
      setNumber(features, name, value);
    };
    interface Wave {
      readonly sample_rate: number;
      readonly num_samples: number;
      readonly samples: unknown;
    }
    turn.take(() => initialize() as number);

    const items = function* (utterance: unknown, name: string) {
      if (present(utterance, name) === 0) return;
      for (let item = head(relation(utterance, name)) as unknown; item !== null; item = next(item)) yield item;
    };
    this.#say = (words, voice, { rate: speed, shift }) => {
      const { name, pointer } = voice;
      set(pointer, `${name} stretch`, 'duration_stretch', 1 / speed);
      set(pointer, `${name} shift`, 'f0_shift', shift);
      const utterance = synthesize(words, pointer) as unknown;
      if (utterance === null) throw new Error('flite could not read the text');
      try {
        const { sample_rate: rate, num_samples: count, samples } = koffi.decode(waveOf(utterance), wave) as Wave;
        // A view, because every array type that is made for `decode` stays in memory for good.
        const pcm = new Int16Array(koffi.view(samples, count * 2)).slice();
        const segments: Segment[] = [];
        for (const item of items(utterance, 'Segment')) {
          const start = segments.at(-1)?.end ?? 0;
          segments.push({ name: text(item, 'name') as string, start, end: number(item, 'end') as number });
        }
        const tokens: Token[] = [];
        for (const item of items(utterance, 'Token')) {
          tokens.push({ text: text(item, 'name') as string, start: numberAt(item, BEFORE_TOKEN) as number });
        }
        return { pcm, rate, segments, tokens };
      } finally {
        discard(utterance);
      }
    };
  }

  /** Speaks a text without NULs, whole. */
  say(text: string, voice: FliteVoice, { rate = 1, shift = 1 }: Manner = {}): Utterance {
    return turn.take(() => this.#say(text, this.#voice(voice), { rate, shift }));
  }

  #voice(name: FliteVoice): Registered {
    const known = this.#voices.get(name);
    if (known) return known;
    const files = filesOf(libraryOf(name)).filter((each) => existsSync(each));
    const native = library(files.length > 0 ? files : [libraryOf(name)], FLITE_PACKAGE, true);
    const pointer = native.func(`register_cmu_us_${name}`, 'void *', ['str'])(null) as unknown;
    const voice = { name, pointer, library: native };
    this.#voices.set(name, voice);
    return voice;
  }
}
