import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { library } from '../../media/native.ts';

/** Debian's acoustic model, language model and dictionary of US English. */
const MODEL = '/usr/share/pocketsphinx/model/en-us';
export const SPHINX_MODEL_FILES: readonly string[] = [join(MODEL, 'en-us.lm.bin')];
export const SPHINX_MODEL_PACKAGE = 'pocketsphinx-en-us';
export const SPHINX_PACKAGE = 'libpocketsphinx3';
export const SPHINX_FILES: readonly string[] = [
  '/usr/lib/x86_64-linux-gnu',
  '/usr/lib/aarch64-linux-gnu',
  '/usr/local/lib',
].map((folder) => join(folder, 'libpocketsphinx.so.3'));

/**
 * Settings that keep up with live speech on a fraction of a core.
 *
 * Without `-remove_silence no` silence is cut out before counting and word times are wrong. The second pass (`fwdflat`)
 * would make the end of a segment wait for up to seconds; beams are as narrow as accuracy allows.
 */
const SETTINGS: Readonly<Record<string, string>> = {
  '-hmm': join(MODEL, 'en-us'),
  '-lm': join(MODEL, 'en-us.lm.bin'),
  '-dict': join(MODEL, 'cmudict-en-us.dict'),
  '-logfn': '/dev/null',
  '-remove_silence': 'no',
  '-fwdflat': 'no',
  '-bestpath': 'yes',
  '-maxhmmpf': '3000',
  '-maxwpf': '5',
  '-topn': '2',
  '-pl_window': '5',
};

/** A word of the best path; frames are 10 ms, counted from the start of the utterance, both ends inside. */
export interface SphinxWord {
  readonly text: string;
  readonly first: number;
  readonly last: number;
}

/** Silence, breath and noise stand between `<>`, `[]` or `++` in the dictionary of fillers. */
const isFiller = (word: string) => /^(<.*>|\[.*\]|\+\+.*\+\+)$/.test(word);

/** A libpocketsphinx decoder (0.8+5prealpha), one utterance at a time. Calls block; memory is 60 to 180 MB. */
export class Sphinx implements Disposable {
  readonly #settings: unknown;
  readonly #decoder: unknown;
  readonly #calls: ReturnType<typeof bind>;

  constructor(overrides: Readonly<Record<string, string>> = {}) {
    if (!existsSync(SETTINGS['-dict'] ?? '')) {
      throw new Error(`Cannot load PocketSphinx: install ${SPHINX_MODEL_PACKAGE} (Debian)`);
    }
    this.#calls = bind();
    const words = Object.entries({ ...SETTINGS, ...overrides }).flat();
    this.#settings = this.#calls.settings(words);
    this.#decoder = this.#settings && this.#calls.init(this.#settings);
    if (!this.#decoder) throw new Error(`Cannot load PocketSphinx: it does not accept its model in ${MODEL}`);
  }

  /** Begins an utterance. */
  start(): void {
    // Frames are counted from the start of a stream of utterances; what the decoder has adapted to outlives the stream.
    this.#must('ps_start_stream', this.#calls.stream(this.#decoder));
    this.#must('ps_start_utt', this.#calls.start(this.#decoder));
  }
  /** Hears 16 kHz samples. */
  hear(pcm: Int16Array): void {
    this.#must('ps_process_raw', this.#calls.process(this.#decoder, pcm, pcm.length, 0, 0));
  }
  end(): void {
    this.#must('ps_end_utt', this.#calls.end(this.#decoder));
  }

  /** The best path so far, without fillers and pronunciation numbers. */
  words(): SphinxWord[] {
    const words: SphinxWord[] = [];
    const [first, last] = [[0], [0]];
    for (let segment = this.#calls.segments(this.#decoder); segment; segment = this.#calls.next(segment)) {
      this.#calls.frames(segment, first, last);
      const text = this.#calls.word(segment);
      if (!isFiller(text)) words.push({ text: text.replace(/\(\d+\)$/, ''), first: first[0] ?? 0, last: last[0] ?? 0 });
    }
    return words;
  }

  [Symbol.dispose](): void {
    this.#calls.free(this.#decoder);
    this.#calls.forget(this.#settings);
  }

  #must(call: string, code: number): void {
    if (code < 0) throw new Error(`PocketSphinx: ${call} failed (${code})`);
  }
}

function bind() {
  // libsphinxbase, which has the settings, comes with it: the loader looks symbols up in what a library depends on.
  const lib = library(['libpocketsphinx.so.3'], `${SPHINX_PACKAGE} (Debian)`);
  const definitions = lib.func('void *ps_args(void)') as () => unknown;
  const parse = lib.func('void *cmd_ln_init(void *inout, void *defn, int strict, ...)');
  return {
    settings: (words: readonly string[]): unknown =>
      parse(null, definitions(), 1, ...[...words, null].flatMap((word) => ['str', word])),
    forget: lib.func('int cmd_ln_free_r(void *settings)') as (settings: unknown) => number,
    init: lib.func('void *ps_init(void *settings)') as (settings: unknown) => unknown,
    free: lib.func('int ps_free(void *decoder)') as (decoder: unknown) => number,
    stream: lib.func('int ps_start_stream(void *decoder)') as (decoder: unknown) => number,
    start: lib.func('int ps_start_utt(void *decoder)') as (decoder: unknown) => number,
    process: lib.func(
      'int ps_process_raw(void *decoder, const int16_t *data, size_t count, int no_search, int full)',
    ) as (decoder: unknown, pcm: Int16Array, count: number, noSearch: number, full: number) => number,
    end: lib.func('int ps_end_utt(void *decoder)') as (decoder: unknown) => number,
    segments: lib.func('void *ps_seg_iter(void *decoder)') as (decoder: unknown) => unknown,
    next: lib.func('void *ps_seg_next(void *segment)') as (segment: unknown) => unknown,
    word: lib.func('const char *ps_seg_word(void *segment)') as (segment: unknown) => string,
    frames: lib.func('void ps_seg_frames(void *segment, _Out_ int *first, _Out_ int *last)') as (
      segment: unknown,
      first: number[],
      last: number[],
    ) => void,
  };
}
