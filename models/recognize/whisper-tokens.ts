import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a tokenizer is made of: texts of tokens and their ids, merges in order of rank, special tokens and their ids. */
export interface TokenFiles {
  readonly vocabulary: Readonly<Record<string, number>>;
  readonly merges: readonly (readonly [string, string])[];
  readonly added: Readonly<Record<string, number>>;
}

/** Tokens that make one word, with the word as it is written, without the space before it. */
export interface TokenWord {
  readonly text: string;
  readonly tokens: readonly number[];
}

/** GPT-2's cut before merging: contractions, words, numbers and signs, each with the space before it. */
const PIECES = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;
/** Languages that write no spaces between words: there, every character is a word. */
const SPACELESS = new Set(['zh', 'ja', 'th', 'lo', 'my', 'yue']);

/** GPT-2's alphabet: every byte as a printable character, those that are not printable moved behind U+0100. */
function alphabet(): string[] {
  const printable = (byte: number) =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let moved = 0;
  return Array.from({ length: 256 }, (_, byte) =>
    String.fromCharCode(printable(byte) ? byte : 0x100 + (moved += 1) - 1),
  );
}
const CHARACTERS = alphabet();
const BYTES = new Map(CHARACTERS.map((character, byte) => [character, byte]));

/**
 * Whisper's byte-level BPE with its special tokens, read from `vocab.json`, `merges.txt` and `added_tokens.json` as
 * they are published beside every model.
 *
 * @see Radford et al.: "Language Models are Unsupervised Multitask Learners", 2019 (byte-level BPE)
 * @see https://github.com/openai/whisper/blob/main/whisper/tokenizer.py
 */
export class WhisperTokens {
  readonly endOfText: number;
  readonly start: number;
  readonly transcribe: number;
  /** Precedes what was said before. */
  readonly previous: number;
  readonly noSpeech: number;
  readonly noTimestamps: number;
  /** `<|0.00|>`; each further token is 20 ms later. */
  readonly timestamps: number;
  /** How many tokens there are, special ones included. */
  readonly size: number;
  /** ISO 639 codes the model knows, with their tokens; none in models for English alone. */
  readonly languages: ReadonlyMap<string, number>;
  readonly #ids: ReadonlyMap<string, number>;
  readonly #bytes: readonly (Uint8Array | undefined)[];
  readonly #ranks: ReadonlyMap<string, number>;

  constructor({ vocabulary, merges, added }: TokenFiles) {
    this.#ids = new Map(Object.entries(vocabulary));
    const special = (...names: string[]) => {
      const id = names.map((name) => added[name] ?? vocabulary[name]).find((each) => each !== undefined);
      if (id !== undefined) return id;
      throw new TypeError(`Cannot use this tokenizer for Whisper: it has no token ${names.join(' or ')}`);
    };
    this.endOfText = special('<|endoftext|>');
    this.start = special('<|startoftranscript|>');
    this.transcribe = special('<|transcribe|>');
    this.previous = special('<|startofprev|>');
    this.noSpeech = special('<|nospeech|>', '<|nocaptions|>');
    this.noTimestamps = special('<|notimestamps|>');
    this.timestamps = this.noTimestamps + 1;
    const codes = Object.entries(added).flatMap(([name, id]): [string, number][] => {
      const code = /^<\|([a-z]{2,3})\|>$/.exec(name)?.[1];
      return code !== undefined && id > this.start && id < this.transcribe ? [[code, id]] : [];
    });
    this.languages = new Map(codes);
    this.size = Math.max(...Object.values(vocabulary), ...Object.values(added)) + 1;
    const bytes: (Uint8Array | undefined)[] = [];
    for (const [text, id] of this.#ids) {
      if (id < this.endOfText) bytes[id] = Uint8Array.from(text, (character) => BYTES.get(character) ?? 0x3f);
    }
    this.#bytes = bytes;
    this.#ranks = new Map(merges.map(([a, b], rank) => [`${a} ${b}`, rank]));
  }

  /** Reads the tokenizer of a model's directory. */
  static in(directory: string): WhisperTokens {
    const read = (name: string) => readFileSync(join(directory, name), 'utf8');
    const lines = read('merges.txt').split('\n');
    const merges = lines.flatMap((line): [string, string][] => {
      const [a = '', b = ''] = line.split(' ');
      return line.startsWith('#version') || a === '' || b === '' ? [] : [[a, b]];
    });
    const json = (name: string) => JSON.parse(read(name)) as Record<string, number>;
    return new WhisperTokens({ vocabulary: json('vocab.json'), merges, added: json('added_tokens.json') });
  }

  /** Tokens of a text. Special tokens cannot be written in it. */
  encode(text: string): number[] {
    return (text.match(PIECES) ?? []).flatMap((piece) => this.#merge(piece));
  }

  /** The text of tokens. Special tokens have none; bytes that are no UTF-8 become U+FFFD. */
  decode(tokens: readonly number[]): string {
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(Buffer.concat(this.#bytesOf(tokens)));
  }

  /** Cuts tokens into words: before each space, or in a language without spaces, between characters. */
  words(tokens: readonly number[], language: string): TokenWord[] {
    const words: { text: string; tokens: number[] }[] = [];
    let open: number[] = [];
    const close = () => {
      const text = this.decode(open).trim();
      const last = words.at(-1);
      // A space alone belongs to what follows, half a character to what it is half of.
      if (open.length === 0) return;
      if (text === '' && last) last.tokens.push(...open);
      else words.push({ text, tokens: open });
      open = [];
    };
    const spaceless = SPACELESS.has(language);
    for (const token of tokens) {
      const begins = this.opens(token);
      const whole = spaceless && !this.decode(open).includes('\ufffd');
      if (begins || whole) close();
      open.push(token);
    }
    close();
    return words.filter(({ text }) => text !== '');
  }

  /** Whether a token begins a word where words are written with spaces between them. */
  opens(token: number): boolean {
    return this.#bytes[token]?.[0] === 0x20;
  }

  #bytesOf(tokens: readonly number[]): Uint8Array[] {
    return tokens.flatMap((token) => this.#bytes[token] ?? []);
  }

  #merge(piece: string): number[] {
    const parts = Array.from(new TextEncoder().encode(piece), (byte) => CHARACTERS[byte]!);
    for (;;) {
      let [best, rank] = [-1, Number.POSITIVE_INFINITY];
      for (let i = 0; i + 1 < parts.length; i += 1) {
        const here = this.#ranks.get(`${parts[i]} ${parts[i + 1]}`) ?? Number.POSITIVE_INFINITY;
        if (here < rank) [best, rank] = [i, here];
      }
      if (best === -1) return parts.flatMap((part) => this.#ids.get(part) ?? []);
      parts.splice(best, 2, `${parts[best]}${parts[best + 1]}`);
    }
  }
}
