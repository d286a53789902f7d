import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Library, MissingLibrary, koffi, library } from '../../media/native.ts';

/** Where libespeak-ng lives: Debian (both architectures), a build of one's own, Homebrew. */
export const ESPEAK_FILES = [
  '/usr/lib/x86_64-linux-gnu/libespeak-ng.so.1',
  '/usr/lib/aarch64-linux-gnu/libespeak-ng.so.1',
  '/usr/local/lib/libespeak-ng.so.1',
  '/opt/homebrew/lib/libespeak-ng.1.dylib',
  '/usr/local/lib/libespeak-ng.1.dylib',
] as const;
export const ESPEAK_PACKAGE = 'libespeak-ng1';

/** Something that starts at an instant of the speech: a word or a phoneme, by what the library says of it. */
export interface Event {
  readonly type: 'word' | 'phoneme';
  /** Milliseconds from the first sample. */
  readonly at: number;
  /** The word it is or belongs to: its first character's place in the text, from 0, counted in code points. */
  readonly position: number;
  /** Of a word, its length in code points. */
  readonly length: number;
  /** Of a phoneme, its name in IPA; empty for a pause. */
  readonly ipa: string;
}
export interface Utterance {
  readonly pcm: Int16Array;
  readonly events: readonly Event[];
}
export interface Saying {
  /** A voice file's name, with `+variant`. */
  readonly voice: string;
  /** Words a minute as eSpeak NG counts them, 80 … 450. */
  readonly rate: number;
  /** 0 … 100. */
  readonly pitch: number;
  /** How much the pitch moves, 0 (not at all) … 100; 50 unless given. */
  readonly range?: number;
}

/** Numbers from `speak_lib.h`, API revision 12. */
const SYNCHRONOUS = 2;
const INITIALIZE = 0x0001 /* phoneme events */ | 0x0002 /* in IPA */ | 0x8000; /* do not exit without data */
const PARAMETER = { rate: 1, pitch: 3, range: 4 } as const;
const EVENT = { end: 0, word: 1, phoneme: 7 } as const;
const LITTLE_ENDIAN = true;
const UTF8 = 1;
const CHARACTER = 1;
/** `espeak_EVENT`: type, identifier, text position, length, audio position, sample; a pointer; eight bytes of name. */
const EVENT_BYTES = 40;
const NAME_OFFSET = 32;
/** Milliseconds of speech in each call back. */
const BUFFER_MS = 200;

/**
 * One eSpeak NG, with its own state.
 *
 * The library keeps one voice and one output per copy of itself in a process and is not made for threads, so each
 * engine opens a copy of the file under a name of its own, which the loader takes for another library (2.5 MB). Calls
 * block: 4 ms for a sentence of 4.5 s.
 */
export class Espeak {
  readonly rate: number;
  readonly #say: (text: string, saying: Saying) => number;
  readonly #close: () => void;
  #pcm: Int16Array[] = [];
  #events: Event[] = [];

  constructor(files: readonly string[] = ESPEAK_FILES) {
    const file = files.find((each) => existsSync(each));
    if (file === undefined) {
      throw new MissingLibrary(`Cannot find libespeak-ng: install ${ESPEAK_PACKAGE} (Debian) or espeak-ng (Homebrew)`);
    }
    const folder = mkdtempSync(join(tmpdir(), 'livedub-espeak-'));
    const copy = join(folder, 'libespeak-ng');
    let native: Library;
    try {
      copyFileSync(file, copy);
      native = library([copy], `${ESPEAK_PACKAGE}, and let TMPDIR name a folder that programs may run from`);
    } finally {
      // What is open stays open without its name.
      rmSync(folder, { recursive: true, force: true });
    }
    const initialize = native.func('espeak_Initialize', 'int', ['int', 'int', 'str', 'int']);
    const setCallback = native.func('espeak_SetSynthCallback', 'void', ['void *']);
    const setVoice = native.func('espeak_SetVoiceByName', 'int', ['str']);
    const setParameter = native.func('espeak_SetParameter', 'int', ['int', 'int', 'int']);
    const synth = native.func('espeak_Synth', 'int', [
      'str',
      'size_t',
      'uint',
      'int',
      'uint',
      'uint',
      'void *',
      'void *',
    ]);
    const terminate = native.func('espeak_Terminate', 'int', []);

    const rate = initialize(SYNCHRONOUS, BUFFER_MS, null, INITIALIZE) as number;
    if (rate <= 0) throw new MissingLibrary('libespeak-ng does not find its voices: install espeak-ng-data');
    this.rate = rate;
    const callback = koffi.register(
      (wav: unknown, count: number, events: unknown) => this.#hear(wav, count, events),
      koffi.pointer(koffi.proto('int', ['void *', 'int', 'void *'])),
    );
    setCallback(callback);
    this.#say = (text, { voice, rate: speed, pitch, range = 50 }) => {
      if (setVoice(voice) !== 0) throw new RangeError(`eSpeak NG has no voice '${voice}'`);
      setParameter(PARAMETER.rate, Math.round(speed), 0);
      setParameter(PARAMETER.pitch, Math.round(pitch), 0);
      setParameter(PARAMETER.range, Math.round(range), 0);
      return synth(text, Buffer.byteLength(text) + 1, 0, CHARACTER, 0, UTF8, null, null) as number;
    };
    this.#close = () => {
      terminate();
      koffi.unregister(callback);
      native.unload();
    };
  }

  /** Speaks a text without NULs, whole. */
  say(text: string, saying: Saying): Utterance {
    this.#pcm = [];
    this.#events = [];
    const error = this.#say(text, saying);
    if (error !== 0) throw new Error(`eSpeak NG failed with error ${error}`);
    const pcm = new Int16Array(this.#pcm.reduce((length, part) => length + part.length, 0));
    let filled = 0;
    for (const part of this.#pcm) {
      pcm.set(part, filled);
      filled += part.length;
    }
    return { pcm, events: this.#events };
  }

  close(): void {
    this.#close();
  }

  /** Called by the library, within `say`, on the same thread. Returns whether to stop. */
  #hear(wav: unknown, count: number, events: unknown): 0 | 1 {
    // Views, because every array type that is made for `decode` stays in memory for good.
    if (wav !== null && count > 0) this.#pcm.push(new Int16Array(koffi.view(wav, count * 2)).slice());
    // The list's length is not known until its end has been seen.
    for (let length = EVENT_BYTES; ; length += EVENT_BYTES) {
      const event = new DataView(koffi.view(events, length), length - EVENT_BYTES);
      const type = event.getInt32(0, LITTLE_ENDIAN);
      if (type === EVENT.end) return 0;
      const position = event.getInt32(8, LITTLE_ENDIAN) - 1;
      const at = event.getInt32(16, LITTLE_ENDIAN);
      if (type === EVENT.word) {
        this.#events.push({ type: 'word', at, position, length: event.getInt32(12, LITTLE_ENDIAN), ipa: '' });
      }
      if (type === EVENT.phoneme) {
        const name = Buffer.from(event.buffer, event.byteOffset + NAME_OFFSET, 8).toString('utf8');
        this.#events.push({ type: 'phoneme', at, position, length: 0, ipa: name.split('\0', 1)[0] ?? '' });
      }
    }
  }
}
