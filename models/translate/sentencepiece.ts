import { readFileSync } from 'node:fs';
import { fieldsOf, floatOf } from './protobuf.ts';
import { Rewriting } from './rewriting.ts';

/** A blank, as pieces write it: `▁`. */
export const BLANK = '\u2581';

/** Kinds of pieces, `SentencePiece.Type` in `sentencepiece_model.proto`. */
const NORMAL = 1;
const USER_DEFINED = 4;
const UNUSED = 5;
const UNIGRAM = 1;
const BYTE_PAIRS = 2;

/** How much less likely than the least likely piece a character is that no piece has. */
const UNKNOWN_PENALTY = 10;

interface Piece {
  readonly text: string;
  readonly score: number;
  readonly type: number;
}
interface Model {
  readonly pieces: readonly Piece[];
  readonly type: number;
  readonly rewriting: Rewriting;
  /** A blank is put before the text, so that a word is the same piece wherever it stands. */
  readonly prefixed: boolean;
  /** Blanks at the ends go, and of several in a row one stays. */
  readonly tidied: boolean;
}

const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString('utf8');

function pieceOf(message: Uint8Array): Piece {
  let [text, score, type] = ['', 0, NORMAL];
  for (const field of fieldsOf(message)) {
    if (field.number === 1) text = textOf(field.bytes);
    if (field.number === 2) score = floatOf(field);
    if (field.number === 3) type = field.value;
  }
  return { text, score, type };
}

/** Reads a `ModelProto`, https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto. */
function modelOf(bytes: Uint8Array): Model {
  const pieces: Piece[] = [];
  let type = UNIGRAM;
  let rewriting = new Rewriting(new Uint8Array());
  let [prefixed, tidied] = [true, true];
  for (const { number, bytes: content } of fieldsOf(bytes)) {
    if (number === 1) pieces.push(pieceOf(content));
    if (number === 2) for (const field of fieldsOf(content)) if (field.number === 3) type = field.value;
    if (number !== 3) continue;
    for (const field of fieldsOf(content)) {
      if (field.number === 2) rewriting = new Rewriting(field.bytes);
      if (field.number === 3) prefixed = field.value !== 0;
      if (field.number === 4) tidied = field.value !== 0;
    }
  }
  return { pieces, type, rewriting, prefixed, tidied };
}

/**
 * SentencePiece: cuts a text into the pieces that a network was trained on.
 *
 * Unigram and byte-pair tokenizers, as OPUS-MT and NLLB-200 or M2M100 have them; the pieces are those of the original
 * program, one by one. Characters that no piece has are given as they are, several in a row as one.
 *
 * @see https://arxiv.org/abs/1808.06226
 */
export class SentencePiece {
  /** The pieces in the order of their numbers. */
  readonly pieces: readonly string[];
  readonly #model: Model;
  readonly #scores: ReadonlyMap<string, number>;
  readonly #longest: number;
  readonly #unknownScore: number;

  /** @param bytes the content of a `.spm` or `.model` file */
  constructor(bytes: Uint8Array) {
    this.#model = modelOf(bytes);
    const { pieces, type } = this.#model;
    if (pieces.length === 0) throw new RangeError('Cannot read SentencePiece model: it has no pieces');
    if (type !== UNIGRAM && type !== BYTE_PAIRS) {
      throw new RangeError(`Cannot read SentencePiece model: type ${type} is neither unigram (1) nor byte pairs (2)`);
    }
    if (pieces.some((piece) => piece.type === USER_DEFINED || piece.type === UNUSED)) {
      throw new RangeError('Cannot read SentencePiece model: it has user-defined or unused pieces');
    }
    this.pieces = pieces.map(({ text }) => text);
    const normal = pieces.filter((piece) => piece.type === NORMAL);
    this.#scores = new Map(normal.map(({ text, score }) => [text, score]));
    this.#longest = Math.max(...normal.map(({ text }) => [...text].length));
    this.#unknownScore = Math.fround(Math.min(...normal.map(({ score }) => score)) - UNKNOWN_PENALTY);
  }

  static read(file: string): SentencePiece {
    return new SentencePiece(readFileSync(file));
  }

  /** The pieces of a text, `▁` for a blank. */
  encode(text: string): string[] {
    const characters = [...this.#written(text)];
    const cut = this.#model.type === UNIGRAM ? this.#likeliest(characters) : this.#merged(characters);
    const pieces: string[] = [];
    let known = true;
    for (const piece of cut) {
      if (!known && !this.#scores.has(piece)) pieces.push((pieces.pop() ?? '') + piece);
      else pieces.push(piece);
      known = this.#scores.has(piece);
    }
    return pieces;
  }

  #written(text: string): string {
    const { rewriting, prefixed, tidied } = this.#model;
    // Half a surrogate pair has no UTF-8: U+FFFD stands in its place.
    const rewritten = rewriting.apply(Buffer.from(text).toString('utf8'));
    const tidy = tidied ? rewritten.replace(/^ +| +$/g, '').replace(/ +/g, ' ') : rewritten;
    if (tidy === '') return '';
    return ((prefixed ? ' ' : '') + tidy).replaceAll(' ', BLANK);
  }

  /**
   * The most likely way to cut, by dynamic programming. As in the original, sums are kept as float32 and compared before
   * they are rounded, which decides between ways that are equally likely.
   */
  #likeliest(characters: readonly string[]): string[] {
    const score = new Float32Array(characters.length + 1).fill(Number.NEGATIVE_INFINITY);
    const from = new Int32Array(characters.length + 1);
    score[0] = 0;
    for (let start = 0; start < characters.length; start += 1) {
      const before = score[start] ?? 0;
      let text = '';
      for (let end = start + 1; end <= Math.min(start + this.#longest, characters.length); end += 1) {
        text += characters[end - 1];
        const own = this.#scores.get(text) ?? (end === start + 1 ? this.#unknownScore : undefined);
        if (own === undefined) continue;
        const sum = before + own;
        if (sum > (score[end] ?? 0)) {
          score[end] = sum;
          from[end] = start;
        }
      }
    }
    const pieces: string[] = [];
    for (let end = characters.length; end > 0; end = from[end] ?? 0) {
      pieces.push(characters.slice(from[end], end).join(''));
    }
    return pieces.reverse();
  }

  /** Joins the best pair of neighbours, the first of equals, until no pair makes a piece. */
  #merged(characters: readonly string[]): string[] {
    const parts = [...characters];
    for (;;) {
      let best = -1;
      let most = Number.NEGATIVE_INFINITY;
      for (let n = 0; n + 1 < parts.length; n += 1) {
        const score = this.#scores.get(`${parts[n]}${parts[n + 1]}`);
        if (score !== undefined && score > most) [best, most] = [n, score];
      }
      if (best < 0) return parts;
      parts.splice(best, 2, `${parts[best]}${parts[best + 1]}`);
    }
  }
}

/** The text that pieces make, which no blank opens. */
export const joined = (pieces: readonly string[]): string => pieces.join('').replaceAll(BLANK, ' ').trimStart();
